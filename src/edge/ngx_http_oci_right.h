
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * With "oci_pass_auth client": what the upstream has allowed a client to
 * read, remembered for a while by all workers.  The client is known by what
 * it sends in Authorization, of which only a digest is kept; who sends
 * nothing is a client too.
 */


#ifndef _NGX_HTTP_OCI_RIGHT_H_INCLUDED_
#define _NGX_HTTP_OCI_RIGHT_H_INCLUDED_


#include "ngx_http_oci_target.h"
#include "ngx_http_oci_zone.h"


typedef struct {
    ngx_http_oci_zone_t       *zone;
    const oci_repo_t          *repo;
    ngx_http_oci_target_t     *target;
    ngx_str_t                  authorization;   /* may be empty */
    ngx_msec_t                 valid;           /* ms */
} ngx_http_oci_right_t;


/*
 * 1 if the upstream has said yes within "valid": for this manifest, or, with
 * reference NULL, for anything of the repository.
 */
ngx_uint_t ngx_http_oci_right_known(ngx_http_oci_right_t *right,
    const oci_str_t *reference);

/* it said yes to that manifest, or (NULL) to something of the repository */
void ngx_http_oci_right_remember(ngx_http_oci_right_t *right,
    const oci_str_t *reference);

/* it said no: nothing of the repository is remembered for this client */
void ngx_http_oci_right_withdraw(ngx_http_oci_right_t *right,
    const oci_str_t *reference);


#endif /* _NGX_HTTP_OCI_RIGHT_H_INCLUDED_ */
