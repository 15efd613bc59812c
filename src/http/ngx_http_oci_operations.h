
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The handlers of the operations.  Each is called after the gate, with the
 * namespace set, and returns as a content handler does.
 */


#ifndef _NGX_HTTP_OCI_OPERATIONS_H_INCLUDED_
#define _NGX_HTTP_OCI_OPERATIONS_H_INCLUDED_


#include "ngx_http_oci_content.h"

#include "oci_blob.h"


/* the version check: end-1 */
ngx_int_t ngx_http_oci_base_handler(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);

/* GET and HEAD of content: end-2, end-3 */
ngx_int_t ngx_http_oci_blob_handler(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);
ngx_int_t ngx_http_oci_manifest_handler(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);

/* a filled one was used: for eviction, which begins with the oldest */
void ngx_http_oci_blob_use(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    const oci_file_t *f);

/*
 * A blob that is not here, from upstream; generation is the repository's from
 * before it was looked for.
 */
ngx_int_t ngx_http_oci_blob_pull(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, uint64_t generation);

/* sends what a blob's file holds, with a blob's headers */
ngx_int_t ngx_http_oci_blob_content(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_content_t *content);

/* PUT of a manifest: end-7a, end-7b */
ngx_int_t ngx_http_oci_manifest_put_handler(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);

/* uploads: end-4a to end-6, end-11, end-13, end-14 */
ngx_int_t ngx_http_oci_upload_start_handler(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);
ngx_int_t ngx_http_oci_upload_write_handler(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);
ngx_int_t ngx_http_oci_upload_status_handler(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);
ngx_int_t ngx_http_oci_upload_cancel_handler(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);

/* lists: end-8, end-12, the catalog */
ngx_int_t ngx_http_oci_tags_handler(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);
ngx_int_t ngx_http_oci_referrers_handler(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);
ngx_int_t ngx_http_oci_catalog_handler(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);

/* deletes of manifests, tags and blobs: end-9, end-10 */
ngx_int_t ngx_http_oci_delete_handler(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);

/* a blob that this client may read; what the handler returns */
ngx_int_t ngx_http_oci_blob_get(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);

/*
 * Asks the upstream whether this client may, and goes on with the above.
 * NGX_DECLINED: it may, as far as is known already.
 */
ngx_int_t ngx_http_oci_blob_right(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);


#endif /* _NGX_HTTP_OCI_OPERATIONS_H_INCLUDED_ */
