
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Asks an upstream whether a repository has a blob, and how long it is,
 * without fetching it.
 */


#ifndef _NGX_HTTP_OCI_INQUIRY_H_INCLUDED_
#define _NGX_HTTP_OCI_INQUIRY_H_INCLUDED_


#include "ngx_http_oci_fetch.h"
#include "ngx_http_oci_zone.h"


typedef struct ngx_http_oci_inquiry_s  ngx_http_oci_inquiry_t;

/*
 * status 200: it has; size -1 where it does not tell.  Else the status for
 * an answer (404, 401, 403, 429, 502, 503, 504).  Never called from inside
 * of ngx_http_oci_inquire(); the inquiry is gone after it.
 */
typedef void (*ngx_http_oci_inquiry_pt)(void *data, ngx_uint_t status,
    off_t size, ngx_int_t retry_after);


/*
 * sized: the size is of the question, more is done to learn it.  target, path
 * and authorization must last; NULL: no memory.  What comes of it is told to
 * the circuit, which is the caller's to ask.
 */
ngx_http_oci_inquiry_t *ngx_http_oci_inquire(ngx_http_oci_edge_conf_t *conf,
    ngx_http_oci_target_t *target, ngx_http_oci_zone_t *zone,
    ngx_str_t *path, ngx_str_t *authorization, ngx_uint_t sized,
    ngx_http_oci_inquiry_pt done, void *data);

/* done() is not called any more */
void ngx_http_oci_inquiry_cancel(ngx_http_oci_inquiry_t *in);


#endif /* _NGX_HTTP_OCI_INQUIRY_H_INCLUDED_ */
