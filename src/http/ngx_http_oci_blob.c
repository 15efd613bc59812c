
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * GET and HEAD of a blob.
 */


#include "ngx_http_oci_operations.h"
#include "ngx_http_oci_content.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_signed.h"
#include "ngx_http_oci_task.h"
#include "ngx_http_oci_zstd.h"

#include "ngx_http_oci_cache.h"

#include "oci_blob.h"

#include <sys/uio.h>


#define NGX_HTTP_OCI_BLOB_LONG_BITS  10


typedef struct {
    const oci_store_t           *store;
    const oci_digest_t          *digest;
    ngx_http_oci_cache_ask_t     ask;
    oci_file_t                   file;
    u_char                      *data;      /* NULL: in the file */
    size_t                       len;       /* of it, with ask.zstd */
    ngx_http_oci_cache_form_e    form;      /* the same */
    unsigned                     scratch:1; /* data is */
} ngx_http_oci_blob_get_t;


static int ngx_http_oci_blob_cached(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_blob_get_t *get);
static ngx_uint_t ngx_http_oci_blob_touching(ngx_http_request_t *r,
    ngx_http_oci_loc_conf_t *olcf);
static u_char *ngx_http_oci_blob_small(ngx_http_request_t *r,
    oci_file_t *file);
static void ngx_http_oci_blob_keep(ngx_http_request_t *r,
    ngx_http_oci_blob_get_t *get, int rc);
static uint64_t *ngx_http_oci_blob_long_at(const oci_digest_t *d);
static uint64_t ngx_http_oci_blob_word(const oci_digest_t *d);
static ngx_int_t ngx_http_oci_blob_head(ngx_http_request_t *r,
    const ngx_http_oci_blob_get_t *here);
static int ngx_http_oci_blob_head_work(void *data);
static void ngx_http_oci_blob_head_done(ngx_http_request_t *r, void *data,
    int rc);
static ngx_int_t ngx_http_oci_blob_answer(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_blob_get_t *get, int rc);


/* for what is copied at once */

static u_char  ngx_http_oci_blob_buf[NGX_HTTP_OCI_CACHE_BODY];

/*
 * The first digits of blobs that were found too long for the zone: a digest
 * has one length for ever, and no blob of it need be looked for there.  If
 * two share the digits, the shorter one is read from its file.
 */
static uint64_t  ngx_http_oci_blob_long[1 << NGX_HTTP_OCI_BLOB_LONG_BITS];


ngx_int_t
ngx_http_oci_blob_handler(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    ngx_int_t                 n;
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

    if (olcf->edge && olcf->edge->auth == NGX_HTTP_OCI_AUTH_CLIENT
        && !ctx->signed_url)
    {
        n = ngx_http_oci_blob_right(r, ctx);

        if (n != NGX_DECLINED) {
            return n;
        }
    }

    return ngx_http_oci_blob_get(r, ctx);
}


ngx_int_t
ngx_http_oci_blob_get(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    int                       rc;
    ngx_http_oci_loc_conf_t  *olcf;
    ngx_http_oci_blob_get_t   here, *get;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    get = &here;

    get->store = &olcf->store->store;
    get->digest = &ctx->route.digest;
    get->file.fd = NGX_INVALID_FILE;
    get->data = NULL;
    get->len = 0;
    get->form = NGX_HTTP_OCI_CACHE_PLAIN;
    get->scratch = 0;

    ngx_http_oci_cache_ask(&get->ask, &olcf->store->cache, get->store,
                           &ctx->repo, olcf->valid, olcf->valid_missing);

    /* what a view makes of it is made of the content as it is */

    get->ask.zstd = (ctx->view == NULL && ngx_http_oci_zstd_wanted(r, olcf));

    rc = ngx_http_oci_blob_cached(r, ctx, get);

    if (rc == OCI_NOT_FOUND) {
        return ngx_http_oci_send_error(r, OCI_ERR_BLOB_UNKNOWN, 0, NULL,
                                       &ctx->route.reference);
    }

    if (rc != OCI_AGAIN) {
        return ngx_http_oci_blob_answer(r, ctx, get, rc);
    }

    if (ngx_http_oci_blob_touching(r, olcf)) {
        return ngx_http_oci_blob_head(r, get);
    }

    rc = (r->method == NGX_HTTP_HEAD)
         ? oci_blob_stat(get->store, &ctx->repo, get->digest, &get->file)
         : oci_blob_open(get->store, &ctx->repo, get->digest, &get->file);

    if (rc == OCI_ERROR) {
        ctx->err = oci_failure()->err;
        ngx_http_oci_log_failure(r->connection->log, oci_failure());
    }

    if (rc == OCI_OK) {
        ngx_http_oci_blob_use(r, ctx, &get->file);
        get->data = ngx_http_oci_blob_small(r, &get->file);

        if (olcf->edge) {

            /* of an edge: the upstream was not needed */

            ctx->cache_status = NGX_HTTP_OCI_STATUS_HIT;
        }
    }

    ngx_http_oci_blob_keep(r, get, rc);

    return ngx_http_oci_blob_answer(r, ctx, get, rc);
}


/*
 * From the zone: OCI_OK, OCI_NOT_FOUND, or OCI_AGAIN: the disk is to be
 * asked.  An entry that has expired is of no use here: to open the blob is
 * to look at it.
 */

static int
ngx_http_oci_blob_cached(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_blob_get_t *get)
{
    ngx_http_oci_cache_e        found;
    ngx_http_oci_loc_conf_t    *olcf;
    ngx_http_oci_cache_value_t  v;

    ctx->cache_status = NGX_HTTP_OCI_STATUS_MISS;

    /* who asks for ranges asks for a part of what is long */

    if (r->headers_in.range && r->method != NGX_HTTP_HEAD) {
        return OCI_AGAIN;
    }

    if (r->method != NGX_HTTP_HEAD && *ngx_http_oci_blob_long_at(get->digest)
                                      == ngx_http_oci_blob_word(get->digest))
    {
        return OCI_AGAIN;
    }

    found = ngx_http_oci_cache_blob(&get->ask, get->digest,
                                    ngx_http_oci_blob_buf, &v);

    if (found == NGX_HTTP_OCI_CACHE_NEGATIVE) {
        ctx->cache_status = NGX_HTTP_OCI_STATUS_HIT;
        return OCI_NOT_FOUND;
    }

    if (found != NGX_HTTP_OCI_CACHE_HIT) {
        return OCI_AGAIN;
    }

    get->file.size = v.size;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (r->method == NGX_HTTP_HEAD) {

        /* half of the grace period is left for what the client does next */

        if (ngx_http_oci_blob_touching(r, olcf)
            && ngx_time() - v.touched >= ngx_http_oci_gc_grace(olcf) / 2)
        {
            return OCI_AGAIN;
        }

    } else if (!ngx_http_oci_content_unmodified(r, get->digest)) {

        if (v.body == NULL) {
            return OCI_AGAIN;
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
        }
    }

    ctx->cache_status = NGX_HTTP_OCI_STATUS_HIT;

    return OCI_OK;
}


/*
 * A client that may push asks whether it need push: the answer holds for as
 * long as the grace period, which counts from now.
 */

static ngx_uint_t
ngx_http_oci_blob_touching(ngx_http_request_t *r,
    ngx_http_oci_loc_conf_t *olcf)
{
    return r->method == NGX_HTTP_HEAD
           && (olcf->methods & NGX_HTTP_OCI_PUSH) != 0;
}


/* the content of a small blob that is all in the page cache, else NULL */

static u_char *
ngx_http_oci_blob_small(ngx_http_request_t *r, oci_file_t *file)
{
    u_char        *data;
    ssize_t        n;
    struct iovec   iov;

    if (r->method == NGX_HTTP_HEAD
        || r->headers_in.range
        || file->size > NGX_HTTP_OCI_CACHE_BODY)
    {
        return NULL;
    }

    data = ngx_pnalloc(r->pool, file->size + 1);
    if (data == NULL) {
        return NULL;
    }

    iov.iov_base = data;
    iov.iov_len = file->size;

    n = preadv2(file->fd, &iov, 1, 0, RWF_NOWAIT);

    return (n == (ssize_t) file->size) ? data : NULL;
}


/* puts into the zone what the disk has said, of what it is of use for */

static void
ngx_http_oci_blob_keep(ngx_http_request_t *r, ngx_http_oci_blob_get_t *get,
    int rc)
{
    ngx_http_oci_loc_conf_t    *olcf;
    ngx_http_oci_cache_value_t  v;

    switch (rc) {

    case OCI_OK:

        if (r->method != NGX_HTTP_HEAD && get->data == NULL) {

            if (get->file.size > NGX_HTTP_OCI_CACHE_BODY) {
                *ngx_http_oci_blob_long_at(get->digest)
                    = ngx_http_oci_blob_word(get->digest);
            }

            return;
        }

        ngx_memzero(&v, sizeof(ngx_http_oci_cache_value_t));

        v.size = get->file.size;
        v.touched = get->file.mtime;
        v.body = get->data;
        v.body_len = get->data ? (size_t) get->file.size : 0;

        ngx_http_oci_cache_put_blob(&get->ask, get->digest, &v);
        break;

    case OCI_NOT_FOUND:

        olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

        /* on an edge it is the upstream that says so */

        if (olcf->edge == NULL) {
            ngx_http_oci_cache_put_blob(&get->ask, get->digest, NULL);
        }

        break;

    default:
        break;
    }
}


/* the digest's place, and what stands there if it is known to be long */

static uint64_t *
ngx_http_oci_blob_long_at(const oci_digest_t *d)
{
    return &ngx_http_oci_blob_long[ngx_http_oci_blob_word(d)
                                   * 0x9e3779b97f4a7c15ULL
                                   >> (64 - NGX_HTTP_OCI_BLOB_LONG_BITS)];
}


static uint64_t
ngx_http_oci_blob_word(const oci_digest_t *d)
{
    uint64_t  word;

    ngx_memcpy(&word, d->hex, sizeof(uint64_t));

    return word;
}


static ngx_int_t
ngx_http_oci_blob_head(ngx_http_request_t *r,
    const ngx_http_oci_blob_get_t *here)
{
    ngx_http_oci_loc_conf_t  *olcf;
    ngx_http_oci_blob_get_t  *get;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    get = ngx_palloc(r->pool, sizeof(ngx_http_oci_blob_get_t));
    if (get == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    *get = *here;

    return ngx_http_oci_task_begin(r, olcf->read_pool,
                                   ngx_http_oci_blob_head_work,
                                   ngx_http_oci_blob_head_done, get, 0);
}


static int
ngx_http_oci_blob_head_work(void *data)
{
    ngx_http_oci_blob_get_t  *get = data;

    int  rc;

    rc = oci_blob_touch(get->store, get->ask.repo, get->digest);

    if (rc == OCI_ERROR) {
        return rc;
    }

    return oci_blob_stat(get->store, get->ask.repo, get->digest, &get->file);
}


static void
ngx_http_oci_blob_head_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_blob_get_t  *get = data;

    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    ngx_http_oci_blob_keep(r, get, rc);

    ngx_http_finalize_request(r, ngx_http_oci_blob_answer(r, ctx, get, rc));
}


static ngx_int_t
ngx_http_oci_blob_answer(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_blob_get_t *get, int rc)
{
    ngx_http_oci_content_t    content;
    ngx_http_oci_loc_conf_t  *olcf;

    switch (rc) {

    case OCI_OK:
        break;

    case OCI_NOT_FOUND:

        olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

        if (olcf->edge) {
            return ngx_http_oci_blob_pull(r, ctx, get->ask.generation);
        }

        return ngx_http_oci_send_error(r, OCI_ERR_BLOB_UNKNOWN, 0, NULL,
                                       &ctx->route.reference);

    default:
        return ngx_http_oci_send_failure(r, rc);
    }

    if (get->file.fd != NGX_INVALID_FILE
        && ngx_http_oci_content_own(r, get->file.fd) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(&content, sizeof(ngx_http_oci_content_t));

    content.fd = get->file.fd;
    content.data = get->data;
    content.size = get->file.size;
    content.scratch = get->scratch;

    if (get->ask.zstd) {
        ngx_http_oci_zstd_form(&content, &get->ask, get->form, get->len);
    }

    return ngx_http_oci_blob_content(r, ctx, &content);
}


ngx_int_t
ngx_http_oci_blob_content(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_content_t *content)
{
    ngx_int_t                 rc;
    ngx_http_oci_loc_conf_t  *olcf;

    if (ctx->view) {
        return ctx->view->blob(r, ctx, content);
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (olcf->signed_urls
        && !ngx_http_oci_content_unmodified(r, &ctx->route.digest))
    {
        rc = ngx_http_oci_signed_redirect(r, ctx);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    content->digest = &ctx->route.digest;
    content->type = ngx_http_oci_type_blob;
    content->immutable = 1;

    ctx->media_type = content->type;

    if (olcf->zstd && ngx_http_oci_zstd_blob(r, ctx, content) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /*
     * Ollama's puller looks for a Location on the 200.  It is the path of
     * this very request, from the slash before "v2" to the digest's end,
     * and goes without Authorization to where it leads.
     */

    content->location.data = ctx->route.name.data - (sizeof("/v2/") - 1);
    content->location.len = ctx->route.reference.data
                            + ctx->route.reference.len
                            - content->location.data;

    if (ctx->signed_url
        && ngx_http_oci_signed_self(r, &content->location) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_content_send(r, content);
}
