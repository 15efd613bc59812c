
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Content-Encoding: zstd.  Only a GET of a whole blob is ever answered so;
 * everything else, and every digest, speaks of the content as it is.
 */


#ifndef _NGX_HTTP_OCI_ZSTD_H_INCLUDED_
#define _NGX_HTTP_OCI_ZSTD_H_INCLUDED_


#include "ngx_http_oci_content.h"


/* a setter: 0.15, of the size, in thousandths */
char *ngx_http_oci_zstd_conf_ratio(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* its part of a location's configuration */
void ngx_http_oci_zstd_conf_init(ngx_http_oci_loc_conf_t *conf);
char *ngx_http_oci_zstd_conf_merge(ngx_conf_t *cf,
    ngx_http_oci_loc_conf_t *prev, ngx_http_oci_loc_conf_t *conf);

/*
 * Changes content to its companion, if this request may get one and it is
 * there; if it is not, begins to make it.  For every answer with a blob's
 * content, the one of a HEAD included.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_oci_zstd_content(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_content_t *content);


#endif /* _NGX_HTTP_OCI_ZSTD_H_INCLUDED_ */
