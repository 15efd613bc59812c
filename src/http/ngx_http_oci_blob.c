
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * GET and HEAD of a blob.
 */


#include "ngx_http_oci_operations.h"
#include "ngx_http_oci_content.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_task.h"

#include "oci_blob.h"


typedef struct {
    const oci_store_t     *store;
    const oci_repo_t      *repo;
    const oci_digest_t    *digest;
    oci_file_t             file;
} ngx_http_oci_blob_head_t;


static ngx_int_t ngx_http_oci_blob_head(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);
static int ngx_http_oci_blob_head_work(void *data);
static void ngx_http_oci_blob_head_done(ngx_http_request_t *r, void *data,
    int rc);
static ngx_int_t ngx_http_oci_blob_answer(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, oci_file_t *f, int rc);


ngx_int_t
ngx_http_oci_blob_handler(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    int                       rc;
    ngx_int_t                 n;
    oci_file_t                f;
    oci_store_t              *store;
    ngx_http_oci_loc_conf_t  *olcf;

    n = ngx_http_discard_request_body(r);

    if (n != NGX_OK) {
        return n;
    }

    if (ctx->route.rc == OCI_INVALID) {
        return ngx_http_oci_send_error(r, OCI_ERR_DIGEST_INVALID, 0, NULL,
                                       &ctx->route.reference);
    }

    if (ctx->route.rc == OCI_UNSUPPORTED) {
        return ngx_http_oci_send_error(r, OCI_ERR_BLOB_UNKNOWN, 0, NULL,
                                       &ctx->route.reference);
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);
    store = &olcf->store->store;

    if (r->method == NGX_HTTP_HEAD && (olcf->methods & NGX_HTTP_OCI_PUSH)) {
        return ngx_http_oci_blob_head(r, ctx);
    }

    rc = (r->method == NGX_HTTP_HEAD)
         ? oci_blob_stat(store, &ctx->repo, &ctx->route.digest, &f)
         : oci_blob_open(store, &ctx->repo, &ctx->route.digest, &f);

    if (rc == OCI_ERROR) {
        ctx->err = oci_failure()->err;
        ngx_http_oci_log_failure(r->connection->log, oci_failure());
    }

    return ngx_http_oci_blob_answer(r, ctx, &f, rc);
}


/*
 * A client that may push asks whether it need push: the answer holds for as
 * long as the grace period, which counts from now.
 */

static ngx_int_t
ngx_http_oci_blob_head(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    ngx_http_oci_loc_conf_t   *olcf;
    ngx_http_oci_blob_head_t  *head;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    head = ngx_pcalloc(r->pool, sizeof(ngx_http_oci_blob_head_t));
    if (head == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    head->store = &olcf->store->store;
    head->repo = &ctx->repo;
    head->digest = &ctx->route.digest;

    if (ngx_http_oci_task_post(r, olcf->read_pool,
                               ngx_http_oci_blob_head_work,
                               ngx_http_oci_blob_head_done, head, 0)
        != NGX_OK)
    {
        return ngx_http_oci_send_failure(r, OCI_AGAIN);
    }

    ngx_http_oci_task_watch(r);

    r->main->count++;

    return NGX_DONE;
}


static int
ngx_http_oci_blob_head_work(void *data)
{
    ngx_http_oci_blob_head_t  *head = data;

    int  rc;

    rc = oci_blob_touch(head->store, head->repo, head->digest);

    if (rc == OCI_ERROR) {
        return rc;
    }

    return oci_blob_stat(head->store, head->repo, head->digest, &head->file);
}


static void
ngx_http_oci_blob_head_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_blob_head_t  *head = data;

    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    ngx_http_finalize_request(r,
                      ngx_http_oci_blob_answer(r, ctx, &head->file, rc));
}


static ngx_int_t
ngx_http_oci_blob_answer(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    oci_file_t *f, int rc)
{
    ngx_http_oci_content_t  content;

    switch (rc) {

    case OCI_OK:
        break;

    case OCI_NOT_FOUND:
        return ngx_http_oci_send_error(r, OCI_ERR_BLOB_UNKNOWN, 0, NULL,
                                       &ctx->route.reference);

    default:
        return ngx_http_oci_send_failure(r, rc);
    }

    if (f->fd != NGX_INVALID_FILE
        && ngx_http_oci_content_own(r, f->fd) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    content.fd = f->fd;
    content.base = 0;
    content.data = NULL;
    content.size = f->size;
    content.digest = ctx->route.digest;
    content.type = ngx_http_oci_type_blob;
    content.immutable = 1;

    ctx->media_type = content.type;

    /* Ollama's puller looks for a Location on the 200 */

    if (ngx_http_oci_add_location(r, "blobs", &content.digest) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_content_send(r, &content);
}
