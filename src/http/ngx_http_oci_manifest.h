
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A manifest that is asked for: from the zone, from the disk.
 */


#ifndef _NGX_HTTP_OCI_MANIFEST_H_INCLUDED_
#define _NGX_HTTP_OCI_MANIFEST_H_INCLUDED_


#include "ngx_http_oci_module.h"
#include "ngx_http_oci_cache.h"
#include "ngx_http_oci_task.h"

#include "oci_manifest_store.h"


typedef struct {
    const oci_store_t           *store;
    const oci_digest_t          *digest;    /* NULL: by tag */
    const oci_str_t             *tag;
    ngx_http_oci_cache_ask_t     ask;
    oci_record_t                 record;
    u_char                      *buf;       /* of NGX_HTTP_OCI_CACHE_BODY */
    u_char                      *data;      /* NULL: in the file */
    size_t                       len;       /* of data, with ask.zstd */
    ngx_http_oci_cache_form_e    form;      /* the same */
    unsigned                     scratch:1; /* data is, for an answer now */
    ngx_http_oci_done_pt         done;      /* of a read in a thread */
    void                        *done_data;
} ngx_http_oci_manifest_get_t;


/*
 * From the zone: OCI_OK, OCI_NOT_FOUND, or OCI_AGAIN: the disk is to be
 * asked, or the upstream for a tag of an edge.
 */
int ngx_http_oci_manifest_cached(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_manifest_get_t *get);

/*
 * Reads it from the disk in a thread; done() gets OCI_OK, OCI_NOT_FOUND,
 * OCI_INVALID or OCI_ERROR.  NGX_OK, or NGX_ERROR: done() is not called.
 */
ngx_int_t ngx_http_oci_manifest_read(ngx_http_request_t *r,
    ngx_http_oci_manifest_get_t *get, ngx_http_oci_done_pt done, void *data);

/* puts into the zone what the disk, or the upstream, has said */
void ngx_http_oci_manifest_keep(ngx_http_oci_manifest_get_t *get, int rc);

/* what the handler returns or ngx_http_finalize_request() takes */
ngx_int_t ngx_http_oci_manifest_answer(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_manifest_get_t *get, int rc);

/*
 * The same request in a location with an upstream.  NGX_DECLINED: there is
 * no upstream for it.
 */
ngx_int_t ngx_http_oci_manifest_edge(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_manifest_get_t *get);


#endif /* _NGX_HTTP_OCI_MANIFEST_H_INCLUDED_ */
