
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Content-Encoding: zstd.  Only a GET of a whole blob or manifest, or of a
 * list of referrers, is ever answered so; everything else, and every digest,
 * speaks of the content as it is.
 */


#ifndef _NGX_HTTP_OCI_ZSTD_H_INCLUDED_
#define _NGX_HTTP_OCI_ZSTD_H_INCLUDED_


#include "ngx_http_oci_content.h"
#include "ngx_http_oci_list.h"


/* a setter: the level, and threads= */
char *ngx_http_oci_zstd_conf_level(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* a setter: 0.15, of the size, in thousandths */
char *ngx_http_oci_zstd_conf_ratio(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* its part of a location's configuration */
void ngx_http_oci_zstd_conf_init(ngx_http_oci_loc_conf_t *conf);
void ngx_http_oci_zstd_conf_merge(ngx_http_oci_loc_conf_t *prev,
    ngx_http_oci_loc_conf_t *conf);

/* 1 if what is asked for may be sent compressed */
#define ngx_http_oci_zstd_wanted(r, olcf)                                     \
    ((olcf)->zstd && ngx_http_oci_zstd_asked(r))

ngx_uint_t ngx_http_oci_zstd_asked(ngx_http_request_t *r);

/*
 * What a lookup in the zone with ask->zstd said of content's data: form, and
 * its length.
 */
void ngx_http_oci_zstd_form(ngx_http_oci_content_t *content,
    const ngx_http_oci_cache_ask_t *ask, ngx_http_oci_cache_form_e form,
    size_t len);

/*
 * Where oci_zstd is on, for every answer with content, the one of a HEAD
 * included.  Content in memory that is to be compressed is, at once, and kept
 * in the zone.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_oci_zstd_content(ngx_http_request_t *r,
    ngx_http_oci_content_t *content);

/* the same for a list that the zone keeps, of which body is what to send */
ngx_int_t ngx_http_oci_zstd_list(ngx_http_request_t *r,
    ngx_http_oci_list_ctx_t *l, ngx_str_t *body);

/*
 * The same for a blob, whose file is changed to its companion, if this
 * request may get one and it is there; if it is not, it begins to be made.
 */
ngx_int_t ngx_http_oci_zstd_blob(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_content_t *content);


#endif /* _NGX_HTTP_OCI_ZSTD_H_INCLUDED_ */
