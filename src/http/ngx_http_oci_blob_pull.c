
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A blob that the repository does not hold, in a location with an upstream.
 */


#include "ngx_http_oci_blob_pull.h"
#include "ngx_http_oci_cache.h"
#include "ngx_http_oci_circuit.h"
#include "ngx_http_oci_content.h"
#include "ngx_http_oci_evict.h"
#include "ngx_http_oci_inquiry.h"
#include "ngx_http_oci_operations.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_task.h"

#include "oci_blob.h"
#include "oci_manifest_find.h"


#define NGX_HTTP_OCI_BLOB_MANIFESTS  512    /* to look through for its name */


typedef struct {
    ngx_http_oci_pull_t       pull;
    ngx_http_oci_upstream_t  *u;
    const oci_store_t        *store;
    const oci_repo_t         *repo;
    const oci_digest_t       *digest;
    int64_t                   size;
    uint64_t                  generation;
    ngx_str_t                 path;
    ngx_http_oci_inquiry_t   *inquiry;      /* of a HEAD */
} ngx_http_oci_blob_pull_t;


static int ngx_http_oci_blob_pull_work(void *data);
static void ngx_http_oci_blob_pull_done(ngx_http_request_t *r, void *data,
    int rc);
static void ngx_http_oci_blob_pull_head(ngx_http_request_t *r,
    ngx_http_oci_blob_pull_t *bp);
static void ngx_http_oci_blob_pull_headed(void *data, ngx_uint_t status,
    off_t size, ngx_int_t retry_after);
static void ngx_http_oci_blob_pull_cleanup(void *data);
static ngx_int_t ngx_http_oci_blob_pull_size(ngx_http_request_t *r,
    off_t size);
static ngx_int_t ngx_http_oci_blob_pull_answer(ngx_http_request_t *r,
    ngx_http_oci_pull_t *pull, ngx_int_t rc);
static ngx_int_t ngx_http_oci_blob_pull_stored(ngx_http_request_t *r);
static void ngx_http_oci_blob_pull_missing(ngx_http_request_t *r,
    ngx_http_oci_pull_t *pull);
static ngx_int_t ngx_http_oci_blob_pull_refused(ngx_http_request_t *r,
    ngx_http_oci_pull_t *pull);
static ngx_int_t ngx_http_oci_blob_pull_denied(ngx_http_request_t *r,
    ngx_http_oci_blob_pull_t *bp, ngx_http_oci_answer_t *answer);


ngx_int_t
ngx_http_oci_blob_pull(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    uint64_t generation)
{
    ngx_int_t                  rc;
    ngx_http_oci_loc_conf_t   *olcf;
    ngx_http_oci_fill_ask_t   *ask;
    ngx_http_oci_blob_pull_t  *bp;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    bp = ngx_pcalloc(r->pool, sizeof(ngx_http_oci_blob_pull_t));
    if (bp == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_oci_upstream_create(r, ctx, &bp->u);

    if (rc == NGX_DECLINED) {
        return ngx_http_oci_send_error(r, OCI_ERR_BLOB_UNKNOWN, 0, NULL,
                                       &ctx->route.reference);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    ask = &bp->pull.ask;

    ngx_http_oci_blob_pull_ask(bp->u, ask);

    bp->pull.reader.bytes = &ctx->upstream_bytes;
    bp->pull.sent = &ctx->source;
    bp->pull.answer = ngx_http_oci_blob_pull_answer;

    if (ctx->file) {
        bp->pull.part = ctx->file->part;
    }

    bp->generation = generation;
    bp->store = ask->store;
    bp->repo = ask->repo;
    bp->digest = ask->digest;

    if (r->method != NGX_HTTP_HEAD) {

        /* the first answer of the upstream says it all, manifests nothing */

        ask->fresh = 1;

        rc = ngx_http_oci_pull(r, &bp->pull);

        if (rc != NGX_DECLINED) {
            return rc;
        }

        ask->fresh = 0;
    }

    return ngx_http_oci_task_begin(r, olcf->read_pool,
                                   ngx_http_oci_blob_pull_work,
                                   ngx_http_oci_blob_pull_done, bp, 0);
}


void
ngx_http_oci_blob_pull_ask(ngx_http_oci_upstream_t *u,
    ngx_http_oci_fill_ask_t *ask)
{
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(u->request, ngx_http_oci_module);

    ask->target = u->target;
    ask->authorization = u->right.authorization;
    ask->conf = olcf->edge;
    ask->store = &olcf->store->store;
    ask->zone = &olcf->store->cache;
    ask->pool = olcf->write_pool;
    ask->reserve = olcf->store->min_free;
    ask->evicts = ngx_http_oci_evict_limited(olcf->store);
    ask->repo = &u->ctx->repo;
    ask->digest = &u->ctx->route.digest;
    ask->size = -1;
}


/* a manifest that the repository has may name the blob, and its size */

static int
ngx_http_oci_blob_pull_work(void *data)
{
    ngx_http_oci_blob_pull_t  *bp = data;

    return oci_manifest_find(bp->store, bp->repo, bp->digest,
                             NGX_HTTP_OCI_BLOB_MANIFESTS, &bp->size);
}


static void
ngx_http_oci_blob_pull_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_blob_pull_t  *bp = data;

    if (rc == OCI_OK) {
        bp->pull.ask.size = bp->size;

        /* of a client that is to be asked for, it alone says nothing */

        bp->pull.ask.known = ngx_http_oci_upstream_allowed(bp->u, NULL);
    }

    if (r->method == NGX_HTTP_HEAD) {
        ngx_http_oci_blob_pull_head(r, bp);
        return;
    }

    ngx_http_finalize_request(r, ngx_http_oci_pull(r, &bp->pull));
}


/*
 * Nothing is fetched for a HEAD.  What a manifest says of the size is the
 * answer, since a proxy upstream may deny what it has not fetched itself.
 */

static void
ngx_http_oci_blob_pull_head(ngx_http_request_t *r,
    ngx_http_oci_blob_pull_t *bp)
{
    ngx_str_t                *reference;
    ngx_pool_cleanup_t       *cln;
    ngx_http_oci_ctx_t       *ctx;
    ngx_http_oci_fill_ask_t  *ask;

    ask = &bp->pull.ask;

    if (ask->known) {
        ngx_http_finalize_request(r,
                               ngx_http_oci_blob_pull_size(r, ask->size));
        return;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);
    reference = (ngx_str_t *) &ctx->route.reference;

    cln = ngx_pool_cleanup_add(r->pool, 0);

    bp->path.len = sizeof("blobs/") - 1 + reference->len;
    bp->path.data = ngx_pnalloc(r->pool, bp->path.len);

    if (cln == NULL || bp->path.data == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    (void) ngx_sprintf(bp->path.data, "blobs/%V", reference);

    bp->pull.request = r;

    if (ask->conf->use_stale
        && ngx_http_oci_circuit_dead(ask->zone, ask->target))
    {
        bp->pull.status = NGX_HTTP_BAD_GATEWAY;
        ngx_http_finalize_request(r,
                              ngx_http_oci_blob_pull_refused(r, &bp->pull));
        return;
    }

    bp->inquiry = ngx_http_oci_inquire(ask->conf, ask->target, ask->zone,
                                       &bp->path, &ask->authorization, 1,
                                       ngx_http_oci_blob_pull_headed, bp);
    if (bp->inquiry == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    cln->handler = ngx_http_oci_blob_pull_cleanup;
    cln->data = bp;

    r->write_event_handler = ngx_http_request_empty_handler;

    ngx_http_oci_task_watch(r);
}


static void
ngx_http_oci_blob_pull_headed(void *data, ngx_uint_t status, off_t size,
    ngx_int_t retry_after)
{
    ngx_http_oci_blob_pull_t  *bp = data;

    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = bp->pull.request;
    c = r->connection;

    bp->inquiry = NULL;

    ngx_http_set_log_request(c->log, r);

    if (status != NGX_HTTP_OK) {
        bp->pull.status = status;
        bp->pull.retry_after = retry_after;

        rc = ngx_http_oci_blob_pull_refused(r, &bp->pull);

    } else if (size >= 0) {
        rc = ngx_http_oci_blob_pull_size(r, size);

    } else {

        /* only the blob itself tells its length */

        rc = ngx_http_oci_pull(r, &bp->pull);
    }

    ngx_http_finalize_request(r, rc);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_oci_blob_pull_cleanup(void *data)
{
    ngx_http_oci_blob_pull_t  *bp = data;

    if (bp->inquiry) {
        ngx_http_oci_inquiry_cancel(bp->inquiry);
        bp->inquiry = NULL;
    }
}


static ngx_int_t
ngx_http_oci_blob_pull_size(ngx_http_request_t *r, off_t size)
{
    ngx_http_oci_ctx_t      *ctx;
    ngx_http_oci_content_t   content;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    ngx_memzero(&content, sizeof(ngx_http_oci_content_t));

    content.fd = NGX_INVALID_FILE;
    content.size = size;

    return ngx_http_oci_blob_content(r, ctx, &content);
}


static ngx_int_t
ngx_http_oci_blob_pull_answer(ngx_http_request_t *r,
    ngx_http_oci_pull_t *pull, ngx_int_t rc)
{
    ngx_http_oci_ctx_t      *ctx;
    ngx_http_oci_content_t   content;

    if (rc == NGX_DONE) {
        return ngx_http_oci_blob_pull_stored(r);
    }

    if (rc != NGX_OK) {
        return ngx_http_oci_blob_pull_refused(r, pull);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    ngx_memzero(&content, sizeof(ngx_http_oci_content_t));

    content.fd = pull->fd;
    content.size = pull->size;
    content.send = ngx_http_oci_pull_send;
    content.sender = pull;

    ctx->cache_status = NGX_HTTP_OCI_STATUS_FILL;

    return ngx_http_oci_blob_content(r, ctx, &content);
}


/* it has come meanwhile: as any other */

static ngx_int_t
ngx_http_oci_blob_pull_stored(ngx_http_request_t *r)
{
    int                       rc;
    oci_file_t                f;
    ngx_http_oci_ctx_t       *ctx;
    ngx_http_oci_content_t    content;
    ngx_http_oci_loc_conf_t  *olcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);
    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    rc = (r->method == NGX_HTTP_HEAD)
         ? oci_blob_stat(&olcf->store->store, &ctx->repo, &ctx->route.digest,
                         &f)
         : oci_blob_open(&olcf->store->store, &ctx->repo, &ctx->route.digest,
                         &f);

    switch (rc) {

    case OCI_OK:
        break;

    case OCI_NOT_FOUND:

        /* and has gone again: so little room is left */

        return ngx_http_oci_send_failure(r, OCI_AGAIN);

    default:
        ngx_http_oci_log_failure(r->connection->log, oci_failure());
        return ngx_http_oci_send_failure(r, rc);
    }

    if (f.fd != NGX_INVALID_FILE
        && ngx_http_oci_content_own(r, f.fd) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(&content, sizeof(ngx_http_oci_content_t));

    content.fd = f.fd;
    content.size = f.size;

    ctx->cache_status = NGX_HTTP_OCI_STATUS_FILL;

    return ngx_http_oci_blob_content(r, ctx, &content);
}


/* the upstream is not asked again for a while */

static void
ngx_http_oci_blob_pull_missing(ngx_http_request_t *r,
    ngx_http_oci_pull_t *pull)
{
    ngx_http_oci_loc_conf_t   *olcf;
    ngx_http_oci_blob_pull_t  *bp;
    ngx_http_oci_cache_ask_t   ask;

    bp = (ngx_http_oci_blob_pull_t *) pull;
    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    ngx_http_oci_cache_ask(&ask, pull->ask.zone, bp->store, bp->repo,
                           olcf->valid, olcf->valid_missing);

    ask.generation = bp->generation;

    ngx_http_oci_cache_put_blob(&ask, bp->digest, NULL);
}


/* an answer of the upstream, as of any other; or none, or one of no use */

static ngx_int_t
ngx_http_oci_blob_pull_refused(ngx_http_request_t *r,
    ngx_http_oci_pull_t *pull)
{
    oci_error_t                e;
    ngx_http_oci_answer_t      answer;
    ngx_http_oci_blob_pull_t  *bp;

    bp = (ngx_http_oci_blob_pull_t *) pull;

    ngx_memzero(&answer, sizeof(ngx_http_oci_answer_t));

    answer.outcome = NGX_HTTP_OCI_ASK_REFUSED;
    answer.status = pull->status;
    answer.retry_after = pull->retry_after;

    switch (pull->status) {

    case NGX_HTTP_UNAUTHORIZED:
    case NGX_HTTP_FORBIDDEN:
        return ngx_http_oci_blob_pull_denied(r, bp, &answer);

    case NGX_HTTP_NOT_FOUND:
        ngx_http_oci_blob_pull_missing(r, pull);

        /* fall through */

    case NGX_HTTP_TOO_MANY_REQUESTS:
        return ngx_http_oci_upstream_error(bp->u, &answer,
                                           OCI_ERR_BLOB_UNKNOWN);

    case NGX_HTTP_INTERNAL_SERVER_ERROR:
        e = OCI_ERR_UNKNOWN;
        break;

    default:
        e = OCI_ERR_UNAVAILABLE;
    }

    if (ngx_http_oci_upstream_retry(r, pull->retry_after) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_send_error(r, e, pull->status, NULL,
                                   &bp->u->ctx->route.reference);
}


/*
 * A 401 says that what was remembered of this client holds no longer: the
 * upstream is asked again, and its answer tells the client how to log in.
 */

static ngx_int_t
ngx_http_oci_blob_pull_denied(ngx_http_request_t *r,
    ngx_http_oci_blob_pull_t *bp, ngx_http_oci_answer_t *answer)
{
    ngx_http_oci_ctx_t  *ctx;

    ctx = bp->u->ctx;

    ngx_http_oci_upstream_learn(bp->u, answer, NULL);

    if (bp->u->client && answer->status == NGX_HTTP_UNAUTHORIZED) {

        if (!ctx->asked) {
            ctx->asked = 1;
            return ngx_http_oci_blob_right(r, ctx);
        }

        /* yes to the question, and no again: a login would not help */

        answer->status = NGX_HTTP_FORBIDDEN;
    }

    return ngx_http_oci_upstream_error(bp->u, answer, OCI_ERR_BLOB_UNKNOWN);
}
