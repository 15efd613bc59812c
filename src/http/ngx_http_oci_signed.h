
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Signed URLs of blobs: who may read a blob is led to a URL that says so by
 * itself, for clients that send no Authorization with the parts that they
 * ask for.
 */


#ifndef _NGX_HTTP_OCI_SIGNED_H_INCLUDED_
#define _NGX_HTTP_OCI_SIGNED_H_INCLUDED_


#include "ngx_http_oci_module.h"

#include "oci_signed.h"


struct ngx_http_oci_signed_conf_s {
    time_t         lifetime;
    ngx_str_t      url;                     /* empty: as the client came */
    u_char         key[OCI_SIGNED_KEY];
    unsigned       keyed:1;                 /* else the zone's secret */
};


/* the directive's setter */
char *ngx_http_oci_signed_conf(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* puts its handler into the access phase; called in postconfiguration */
ngx_int_t ngx_http_oci_signed_init(ngx_conf_t *cf);

/*
 * 307 to a signed URL for a blob that is here and that the client may read;
 * NGX_DECLINED: it gets the blob itself.
 */
ngx_int_t ngx_http_oci_signed_redirect(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);

/* appends to the path of a blob what makes it a signed URL again */
ngx_int_t ngx_http_oci_signed_self(ngx_http_request_t *r, ngx_str_t *path);


#endif /* _NGX_HTTP_OCI_SIGNED_H_INCLUDED_ */
