
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * GET and HEAD of a manifest, by tag and by digest.
 */


#include "ngx_http_oci_operations.h"
#include "ngx_http_oci_content.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_task.h"

#include "oci_manifest_store.h"


/* of most manifests; what is read into it stays for one call only */

#define NGX_HTTP_OCI_MANIFEST_SMALL  (32 * 1024)


typedef struct {
    const oci_store_t     *store;
    const oci_repo_t      *repo;
    const oci_digest_t    *digest;          /* NULL: by tag */
    const oci_str_t       *tag;
    oci_record_t           record;
    u_char                *data;            /* NULL: in the file */
} ngx_http_oci_manifest_get_t;


static int ngx_http_oci_manifest_small(ngx_http_request_t *r,
    ngx_http_oci_manifest_get_t *get);
static ngx_int_t ngx_http_oci_manifest_read(ngx_http_request_t *r,
    ngx_http_oci_manifest_get_t *get);
static int ngx_http_oci_manifest_work(void *data);
static void ngx_http_oci_manifest_done(ngx_http_request_t *r, void *data,
    int rc);
static void ngx_http_oci_manifest_cleanup(void *data);
static ngx_int_t ngx_http_oci_manifest_answer(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_manifest_get_t *get, int rc);


ngx_int_t
ngx_http_oci_manifest_handler(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    int                           rc;
    ngx_int_t                     n;
    ngx_pool_cleanup_t           *cln;
    ngx_http_oci_loc_conf_t      *olcf;
    ngx_http_oci_manifest_get_t  *get;

    n = ngx_http_discard_request_body(r);

    if (n != NGX_OK) {
        return n;
    }

    if (ctx->route.rc != OCI_OK) {

        if (ctx->route.is_digest && ctx->route.rc == OCI_INVALID) {
            return ngx_http_oci_send_error(r, OCI_ERR_DIGEST_INVALID, 0, NULL,
                                           &ctx->route.reference);
        }

        return ngx_http_oci_send_error(r, OCI_ERR_MANIFEST_UNKNOWN, 0, NULL,
                                       &ctx->route.reference);
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_oci_manifest_get_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    get = cln->data;

    ngx_memzero(get, sizeof(ngx_http_oci_manifest_get_t));

    cln->handler = ngx_http_oci_manifest_cleanup;

    get->store = &olcf->store->store;
    get->repo = &ctx->repo;
    get->digest = ctx->route.is_digest ? &ctx->route.digest : NULL;
    get->tag = &ctx->route.reference;
    get->record.fd = NGX_INVALID_FILE;

    rc = ngx_http_oci_manifest_small(r, get);

    if (rc == OCI_AGAIN) {
        rc = oci_manifest_open(get->store, get->repo, get->digest, get->tag,
                               1, &get->record);
    }

    if (rc == OCI_AGAIN) {
        return ngx_http_oci_manifest_read(r, get);
    }

    if (rc == OCI_ERROR) {
        ctx->err = oci_failure()->err;
        ngx_http_oci_log_failure(r->connection->log, oci_failure());
    }

    return ngx_http_oci_manifest_answer(r, ctx, get, rc);
}


/*
 * A small manifest is cheaper to copy than to send from its file: that takes
 * a sendfile, and two calls that cork the connection around it.
 */

static int
ngx_http_oci_manifest_small(ngx_http_request_t *r,
    ngx_http_oci_manifest_get_t *get)
{
    int            rc;
    static u_char  buf[NGX_HTTP_OCI_MANIFEST_SMALL];

    if (r->headers_in.range || r->method == NGX_HTTP_HEAD) {
        return OCI_AGAIN;
    }

    rc = oci_manifest_read(get->store, get->repo, get->digest, get->tag, buf,
                           sizeof(buf), &get->record);

    if (rc != OCI_OK) {
        return rc;
    }

    get->data = ngx_pnalloc(r->pool, get->record.size + 1);
    if (get->data == NULL) {
        return OCI_AGAIN;
    }

    ngx_memcpy(get->data, buf, get->record.size);

    return OCI_OK;
}


/* what is not in the page cache is read in a thread */

static ngx_int_t
ngx_http_oci_manifest_read(ngx_http_request_t *r,
    ngx_http_oci_manifest_get_t *get)
{
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (ngx_http_oci_task_post(r, olcf->read_pool, ngx_http_oci_manifest_work,
                               ngx_http_oci_manifest_done, get, 0)
        != NGX_OK)
    {
        return ngx_http_oci_send_failure(r, OCI_AGAIN);
    }

    ngx_http_oci_task_watch(r);

    r->main->count++;

    return NGX_DONE;
}


static int
ngx_http_oci_manifest_work(void *data)
{
    ngx_http_oci_manifest_get_t  *get = data;

    return oci_manifest_open(get->store, get->repo, get->digest, get->tag, 0,
                             &get->record);
}


static void
ngx_http_oci_manifest_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_manifest_get_t  *get = data;

    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    ngx_http_finalize_request(r,
                  ngx_http_oci_manifest_answer(r, ctx, get, rc));
}


static void
ngx_http_oci_manifest_cleanup(void *data)
{
    ngx_http_oci_manifest_get_t  *get = data;

    if (get->record.fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(get->record.fd);
    }
}


static ngx_int_t
ngx_http_oci_manifest_answer(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_manifest_get_t *get, int rc)
{
    oci_record_t            *record;
    ngx_http_oci_content_t   content;

    record = &get->record;

    switch (rc) {

    case OCI_OK:
        break;

    case OCI_NOT_FOUND:
        return ngx_http_oci_send_error(r, OCI_ERR_MANIFEST_UNKNOWN, 0, NULL,
                                       &ctx->route.reference);

    case OCI_INVALID:
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "the record of \"%*s\" is damaged",
                      ctx->route.reference.len, ctx->route.reference.data);
        /* fall through */

    default:
        return ngx_http_oci_send_failure(r, rc);
    }

    content.fd = record->fd;
    content.base = OCI_RECORD_HEADER;
    content.size = record->size;
    content.data = get->data;
    content.digest = record->digest;
    content.type.data = (u_char *) record->media_type;
    content.type.len = record->media_type_len;
    content.immutable = ctx->route.is_digest;

    ctx->media_type = content.type;

    return ngx_http_oci_content_send(r, &content);
}
