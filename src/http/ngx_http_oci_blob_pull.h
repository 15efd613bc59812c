
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A blob from upstream that no client takes as it comes: it is brought here,
 * whole, and then it is gone on.
 */


#ifndef _NGX_HTTP_OCI_BLOB_PULL_H_INCLUDED_
#define _NGX_HTTP_OCI_BLOB_PULL_H_INCLUDED_


#include "ngx_http_oci_pull.h"
#include "ngx_http_oci_upstream.h"


/*
 * Called once, in the event loop: 200, the repository holds it; else what
 * the client's answer stands for.  Ends by finalizing r.
 */
typedef void (*ngx_http_oci_bring_pt)(ngx_http_request_t *r, void *data,
    ngx_uint_t status, ngx_int_t retry_after);


/*
 * Brings the blob of the route, size bytes of which the repository has a
 * manifest (known) or may have.  The caller holds a count of the request.
 * NGX_OK: done() is called in a later turn; NGX_DECLINED: there is no
 * upstream; else what finalizes the request.
 */
ngx_int_t ngx_http_oci_blob_bring(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, off_t size, ngx_uint_t known,
    ngx_http_oci_bring_pt done, void *data);

/* what a fill of the blob of the route has to know, without its size */
void ngx_http_oci_blob_pull_ask(ngx_http_oci_upstream_t *u,
    ngx_http_oci_fill_ask_t *ask);


#endif /* _NGX_HTTP_OCI_BLOB_PULL_H_INCLUDED_ */
