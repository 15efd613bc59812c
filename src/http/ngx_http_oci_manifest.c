
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * GET and HEAD of a manifest, by tag and by digest.
 */


#include "ngx_http_oci_manifest.h"
#include "ngx_http_oci_operations.h"
#include "ngx_http_oci_content.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_zstd.h"


static ngx_int_t ngx_http_oci_manifest_local(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_manifest_get_t *get);
static ngx_int_t ngx_http_oci_manifest_disk(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_manifest_get_t *get);
static void ngx_http_oci_manifest_init(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_manifest_get_t *get);
static ngx_http_oci_manifest_get_t *ngx_http_oci_manifest_create(
    ngx_http_request_t *r, ngx_http_oci_manifest_get_t *from);
static int ngx_http_oci_manifest_small(ngx_http_request_t *r,
    ngx_http_oci_manifest_get_t *get);
static int ngx_http_oci_manifest_work(void *data);
static void ngx_http_oci_manifest_read_done(ngx_http_request_t *r,
    void *data, int rc);
static void ngx_http_oci_manifest_done(ngx_http_request_t *r, void *data,
    int rc);
static void ngx_http_oci_manifest_cleanup(void *data);


/* for what is copied at once */

static u_char  ngx_http_oci_manifest_buf[NGX_HTTP_OCI_CACHE_BODY];


ngx_int_t
ngx_http_oci_manifest_handler(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    ngx_int_t                     n;
    ngx_http_oci_loc_conf_t      *olcf;
    ngx_http_oci_manifest_get_t   here, *get;

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

    ngx_http_oci_manifest_init(r, ctx, &here);

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (olcf->edge == NULL) {
        return ngx_http_oci_manifest_local(r, ctx, &here);
    }

    get = ngx_http_oci_manifest_create(r, &here);
    if (get == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    n = ngx_http_oci_manifest_edge(r, ctx, get);

    if (n != NGX_DECLINED) {
        return n;
    }

    return ngx_http_oci_manifest_local(r, ctx, get);
}


/* what has to live on if the answer is not all in the zone gets a copy */

static ngx_int_t
ngx_http_oci_manifest_local(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_manifest_get_t *get)
{
    int  rc;

    rc = ngx_http_oci_manifest_cached(r, ctx, get);

    if (rc != OCI_AGAIN && get->record.fd == NGX_INVALID_FILE) {
        return ngx_http_oci_manifest_answer(r, ctx, get, rc);
    }

    get = ngx_http_oci_manifest_create(r, get);
    if (get == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return (rc == OCI_AGAIN) ? ngx_http_oci_manifest_disk(r, ctx, get)
                             : ngx_http_oci_manifest_answer(r, ctx, get, rc);
}


static ngx_int_t
ngx_http_oci_manifest_disk(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_manifest_get_t *get)
{
    int  rc;

    rc = ngx_http_oci_content_parts(r) ? OCI_AGAIN
                                       : ngx_http_oci_manifest_small(r, get);

    if (rc == OCI_AGAIN) {
        rc = oci_manifest_open(get->store, &ctx->repo, get->digest, get->tag,
                               1, &get->record);
    }

    if (rc == OCI_AGAIN) {

        /* what is not in the page cache */

        if (ngx_http_oci_manifest_read(r, get, ngx_http_oci_manifest_done,
                                       get)
            != NGX_OK)
        {
            return ngx_http_oci_send_failure(r, OCI_AGAIN);
        }

        r->main->count++;

        return NGX_DONE;
    }

    if (rc == OCI_ERROR) {
        ctx->err = oci_failure()->err;
        ngx_http_oci_log_failure(r->connection->log, oci_failure());
    }

    ngx_http_oci_manifest_keep(get, rc);

    return ngx_http_oci_manifest_answer(r, ctx, get, rc);
}


static void
ngx_http_oci_manifest_init(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_manifest_get_t *get)
{
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    get->store = &olcf->store->store;
    get->digest = ctx->route.is_digest ? &ctx->route.digest : NULL;
    get->tag = &ctx->route.reference;
    get->record.fd = NGX_INVALID_FILE;
    get->buf = NULL;
    get->data = NULL;
    get->len = 0;
    get->form = NGX_HTTP_OCI_CACHE_PLAIN;
    get->scratch = 0;

    ngx_http_oci_cache_ask(&get->ask, &olcf->store->cache, get->store,
                           &ctx->repo, olcf->valid, olcf->valid_missing);

    /* what a view makes of it is made of the content as it is */

    get->ask.zstd = (ctx->view == NULL && ngx_http_oci_zstd_wanted(r, olcf));
}


/* a copy, which from's descriptor goes to */

static ngx_http_oci_manifest_get_t *
ngx_http_oci_manifest_create(ngx_http_request_t *r,
    ngx_http_oci_manifest_get_t *from)
{
    ngx_pool_cleanup_t           *cln;
    ngx_http_oci_manifest_get_t  *get;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_oci_manifest_get_t));
    if (cln == NULL) {
        ngx_http_oci_manifest_cleanup(from);
        return NULL;
    }

    get = cln->data;
    *get = *from;

    from->record.fd = NGX_INVALID_FILE;

    cln->handler = ngx_http_oci_manifest_cleanup;

    return get;
}


int
ngx_http_oci_manifest_cached(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_manifest_get_t *get)
{
    int                         rc;
    oci_stamp_t                 stamp;
    ngx_http_oci_cache_e        found;
    ngx_http_oci_cache_value_t  v;

    ctx->cache_status = NGX_HTTP_OCI_STATUS_MISS;

    if (ngx_http_oci_content_parts(r)) {
        return OCI_AGAIN;
    }

    found = ngx_http_oci_cache_manifest(&get->ask, get->digest, get->tag,
                                        &get->record,
                                        ctx->view ? NULL
                                                  : ngx_http_oci_manifest_buf,
                                        &v);
    switch (found) {

    case NGX_HTTP_OCI_CACHE_HIT:
        ctx->cache_status = NGX_HTTP_OCI_STATUS_HIT;
        break;

    case NGX_HTTP_OCI_CACHE_NEGATIVE:
        ctx->cache_status = NGX_HTTP_OCI_STATUS_HIT;
        return OCI_NOT_FOUND;

    case NGX_HTTP_OCI_CACHE_EXPIRED:

        if (get->ask.edge && get->digest == NULL) {
            return OCI_AGAIN;
        }

        /* another machine may have changed it */

        rc = oci_manifest_stat(get->store, &ctx->repo, get->digest, get->tag,
                               &stamp);

        if (rc != OCI_OK || !oci_stamp_equal(&stamp, &v.stamp)) {
            return OCI_AGAIN;
        }

        ngx_http_oci_cache_confirm_manifest(&get->ask, get->digest, get->tag);

        ctx->cache_status = NGX_HTTP_OCI_STATUS_REVALIDATED;
        break;

    default: /* NGX_HTTP_OCI_CACHE_MISS */
        return OCI_AGAIN;
    }

    if (r->method == NGX_HTTP_HEAD
        || ctx->view
        || ngx_http_oci_content_unmodified(r, &get->record.digest))
    {
        return OCI_OK;
    }

    if (v.body == NULL) {

        /* a long one is sent from its record */

        return oci_manifest_open(get->store, &ctx->repo, &get->record.digest,
                                 NULL, 1, &get->record)
               == OCI_OK ? OCI_OK : OCI_AGAIN;
    }

    if (ngx_http_oci_content_scratch(r)) {
        get->data = v.body;
        get->scratch = 1;

    } else {
        get->data = ngx_pnalloc(r->pool, v.body_len + 1);
        if (get->data == NULL) {
            return OCI_AGAIN;
        }

        ngx_memcpy(get->data, v.body, v.body_len);
    }

    if (get->ask.zstd) {
        get->form = v.form;
        get->len = v.body_len;
        get->record.stamp = v.origin;
    }

    return OCI_OK;
}


/*
 * A small manifest is cheaper to copy than to send from its file: that takes
 * a sendfile, and two calls that cork the connection around it.  It is kept
 * in the zone besides.
 */

static int
ngx_http_oci_manifest_small(ngx_http_request_t *r,
    ngx_http_oci_manifest_get_t *get)
{
    int  rc;

    rc = oci_manifest_read(get->store, get->ask.repo, get->digest, get->tag,
                           1, ngx_http_oci_manifest_buf,
                           sizeof(ngx_http_oci_manifest_buf), &get->record);

    if (rc != OCI_OK) {
        return rc;
    }

    get->data = ngx_pnalloc(r->pool, get->record.size + 1);
    if (get->data == NULL) {
        return OCI_AGAIN;
    }

    ngx_memcpy(get->data, ngx_http_oci_manifest_buf, get->record.size);

    return OCI_OK;
}


ngx_int_t
ngx_http_oci_manifest_read(ngx_http_request_t *r,
    ngx_http_oci_manifest_get_t *get, ngx_http_oci_done_pt done, void *data)
{
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (get->buf == NULL && !ngx_http_oci_content_parts(r)) {
        get->buf = ngx_palloc(r->pool, NGX_HTTP_OCI_CACHE_BODY);
        if (get->buf == NULL) {
            return NGX_ERROR;
        }
    }

    get->done = done;
    get->done_data = data;

    if (ngx_http_oci_task_post(r, olcf->read_pool, ngx_http_oci_manifest_work,
                               ngx_http_oci_manifest_read_done, get, 0)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_oci_task_watch(r);

    return NGX_OK;
}


static void
ngx_http_oci_manifest_read_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_manifest_get_t  *get = data;

    get->done(r, get->done_data, rc);
}


static int
ngx_http_oci_manifest_work(void *data)
{
    ngx_http_oci_manifest_get_t  *get = data;

    if (get->buf != NULL
        && oci_manifest_read(get->store, get->ask.repo, get->digest, get->tag,
                             0, get->buf, NGX_HTTP_OCI_CACHE_BODY,
                             &get->record)
           == OCI_OK)
    {
        get->data = get->buf;
        return OCI_OK;
    }

    return oci_manifest_open(get->store, get->ask.repo, get->digest, get->tag,
                             0, &get->record);
}


static void
ngx_http_oci_manifest_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_manifest_get_t  *get = data;

    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    ngx_http_oci_manifest_keep(get, rc);

    ngx_http_finalize_request(r,
                  ngx_http_oci_manifest_answer(r, ctx, get, rc));
}


static void
ngx_http_oci_manifest_cleanup(void *data)
{
    ngx_http_oci_manifest_get_t  *get = data;

    if (get->record.fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(get->record.fd);
        get->record.fd = NGX_INVALID_FILE;
    }
}


void
ngx_http_oci_manifest_keep(ngx_http_oci_manifest_get_t *get, int rc)
{
    ngx_http_oci_cache_value_t  v;

    switch (rc) {

    case OCI_OK:
        v.stamp = get->record.stamp;
        v.body = get->data;
        v.body_len = get->data ? (size_t) get->record.size : 0;

        ngx_http_oci_cache_put_manifest(&get->ask, get->digest, get->tag,
                                        &get->record, &v);
        break;

    case OCI_NOT_FOUND:
        ngx_http_oci_cache_put_manifest(&get->ask, get->digest, get->tag,
                                        NULL, NULL);
        break;

    default:
        break;
    }
}


ngx_int_t
ngx_http_oci_manifest_answer(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_manifest_get_t *get, int rc)
{
    u_char                   *type;
    ngx_str_t                 data;
    oci_record_t             *record;
    ngx_http_oci_content_t    content;
    ngx_http_oci_loc_conf_t  *olcf;

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

    if (ctx->view) {
        data.data = get->scratch ? NULL : get->data;
        data.len = data.data ? (size_t) record->size : 0;

        return ctx->view->manifest(r, ctx, &record->digest, &data);
    }

    /* the log phase asks for it too */

    type = ngx_pnalloc(r->pool, record->media_type_len);
    if (type == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(type, record->media_type, record->media_type_len);

    ngx_memzero(&content, sizeof(ngx_http_oci_content_t));

    content.fd = record->fd;
    content.base = OCI_RECORD_HEADER;
    content.size = record->size;
    content.data = get->data;
    content.digest = &record->digest;
    content.type.data = type;
    content.type.len = record->media_type_len;
    content.scratch = get->scratch;
    content.immutable = ctx->route.is_digest;

    ctx->media_type = content.type;

    if (get->ask.zstd) {
        content.origin = record->stamp;
        ngx_http_oci_zstd_form(&content, &get->ask, get->form, get->len);
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (olcf->zstd && ngx_http_oci_zstd_content(r, &content) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_content_send(r, &content);
}
