
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * GET and HEAD of a manifest on an edge: what is here, once the upstream has
 * said that it still holds; else what the upstream has.
 */


#include "ngx_http_oci_manifest.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_upstream.h"

#include "oci_tag.h"


typedef struct {
    ngx_http_oci_upstream_t      *u;
    ngx_http_oci_manifest_get_t  *get;
    oci_digest_t                  have;
    ngx_str_t                     path;
    unsigned                      has:1;        /* get is what is here */
} ngx_http_oci_manifest_edge_t;


static ngx_int_t ngx_http_oci_manifest_edge_local(
    ngx_http_oci_manifest_edge_t *e, ngx_http_oci_done_pt done);
static void ngx_http_oci_manifest_edge_read(ngx_http_request_t *r,
    void *data, int rc);
static ngx_uint_t ngx_http_oci_manifest_edge_pushed(
    ngx_http_oci_manifest_edge_t *e);
static ngx_int_t ngx_http_oci_manifest_edge_ask(
    ngx_http_oci_manifest_edge_t *e);
static void ngx_http_oci_manifest_edge_answered(ngx_http_oci_upstream_t *u,
    const ngx_http_oci_answer_t *answer);
static ngx_int_t ngx_http_oci_manifest_edge_send(
    ngx_http_oci_manifest_edge_t *e, ngx_http_oci_cache_status_e status);
static ngx_int_t ngx_http_oci_manifest_edge_content(
    ngx_http_oci_manifest_edge_t *e, const ngx_http_oci_answer_t *answer);
static ngx_int_t ngx_http_oci_manifest_edge_gone(
    ngx_http_oci_manifest_edge_t *e);
static int ngx_http_oci_manifest_edge_gone_work(void *data);
static void ngx_http_oci_manifest_edge_gone_done(ngx_http_request_t *r,
    void *data, int rc);
static void ngx_http_oci_manifest_edge_stored(ngx_http_request_t *r,
    void *data, int rc);


ngx_int_t
ngx_http_oci_manifest_edge(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_manifest_get_t *get)
{
    int                            rc;
    ngx_int_t                      n;
    ngx_http_oci_upstream_t       *u;
    ngx_http_oci_manifest_edge_t  *e;

    n = ngx_http_oci_upstream_create(r, ctx, &u);

    if (n != NGX_OK) {
        return n;
    }

    get->ask.edge = 1;

    rc = ngx_http_oci_upstream_allowed(u, &ctx->route.reference)
         ? ngx_http_oci_manifest_cached(r, ctx, get) : OCI_AGAIN;

    if (rc != OCI_AGAIN) {
        return ngx_http_oci_manifest_answer(r, ctx, get, rc);
    }

    ctx->cache_status = NGX_HTTP_OCI_STATUS_MISS;

    e = ngx_pcalloc(r->pool, sizeof(ngx_http_oci_manifest_edge_t));
    if (e == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    e->u = u;
    e->get = get;
    u->data = e;

    e->path.len = sizeof("manifests/") - 1 + ctx->route.reference.len;
    e->path.data = ngx_pnalloc(r->pool, e->path.len);
    if (e->path.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) ngx_sprintf(e->path.data, "manifests/%*s",
                       ctx->route.reference.len, ctx->route.reference.data);

    if (ngx_http_oci_manifest_edge_local(e, ngx_http_oci_manifest_edge_read)
        != NGX_OK)
    {
        return ngx_http_oci_send_failure(r, OCI_AGAIN);
    }

    r->main->count++;

    return NGX_DONE;
}


/* looks at what is here; anew where it was looked at before */

static ngx_int_t
ngx_http_oci_manifest_edge_local(ngx_http_oci_manifest_edge_t *e,
    ngx_http_oci_done_pt done)
{
    ngx_http_oci_manifest_get_t  *get;

    get = e->get;

    if (get->record.fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(get->record.fd);
        get->record.fd = NGX_INVALID_FILE;
    }

    get->data = NULL;
    get->ask.generation = oci_generation_read(get->store, get->ask.repo);

    return ngx_http_oci_manifest_read(e->u->request, get, done, e);
}


static void
ngx_http_oci_manifest_edge_read(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_manifest_edge_t  *e = data;

    ngx_http_oci_ctx_t  *ctx;

    ctx = e->u->ctx;

    if (rc == OCI_OK) {
        e->has = 1;
        e->have = e->get->record.digest;

        /*
         * A digest never expires, and what was pushed here is not the
         * upstream's; whose right counts is another question.
         */

        if ((e->get->digest != NULL || ngx_http_oci_manifest_edge_pushed(e))
            && ngx_http_oci_upstream_allowed(e->u, &ctx->route.reference))
        {
            ngx_http_oci_manifest_keep(e->get, OCI_OK);
            ngx_http_finalize_request(r,
                ngx_http_oci_manifest_edge_send(e, NGX_HTTP_OCI_STATUS_HIT));
            return;
        }
    }

    rc = ngx_http_oci_manifest_edge_ask(e);

    if (rc != NGX_OK) {
        ngx_http_finalize_request(r, rc);
    }
}


static ngx_uint_t
ngx_http_oci_manifest_edge_pushed(ngx_http_oci_manifest_edge_t *e)
{
    return e->u->conf->push == NGX_HTTP_OCI_PUSH_LOCAL
           && oci_tag_pushed(e->get->store, e->get->ask.repo, e->get->tag);
}


/* NGX_OK, else what finalizes the request */

static ngx_int_t
ngx_http_oci_manifest_edge_ask(ngx_http_oci_manifest_edge_t *e)
{
    ngx_int_t                rc;
    ngx_uint_t               stale;
    oci_str_t               *reference;
    ngx_http_oci_question_t  q;

    reference = &e->u->ctx->route.reference;

    ngx_memzero(&q, sizeof(ngx_http_oci_question_t));

    q.manifest = 1;
    q.path = e->path;
    q.digest = e->get->digest;
    q.tag = e->get->digest ? NULL : e->get->tag;
    q.have = e->has ? &e->have : NULL;

    stale = e->has && ngx_http_oci_upstream_allowed(e->u, reference);

    rc = ngx_http_oci_upstream_ask(e->u, &q, stale,
                                   ngx_http_oci_manifest_edge_answered);

    switch (rc) {

    case NGX_OK:
        return NGX_OK;

    case NGX_BUSY:
        return ngx_http_oci_manifest_edge_send(e, NGX_HTTP_OCI_STATUS_STALE);

    default:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}


static void
ngx_http_oci_manifest_edge_answered(ngx_http_oci_upstream_t *u,
    const ngx_http_oci_answer_t *answer)
{
    ngx_http_oci_manifest_edge_t  *e = u->data;

    ngx_int_t            rc;
    oci_str_t           *reference;
    ngx_http_request_t  *r;

    r = u->request;
    reference = &u->ctx->route.reference;

    if (e->has && ngx_http_oci_upstream_stale(u, answer, reference)) {
        ngx_http_finalize_request(r,
            ngx_http_oci_manifest_edge_send(e, NGX_HTTP_OCI_STATUS_STALE));
        return;
    }

    ngx_http_oci_upstream_learn(u, answer, reference);

    switch (answer->outcome) {

    case NGX_HTTP_OCI_ASK_SAME:
        ngx_http_oci_manifest_keep(e->get, OCI_OK);

        rc = ngx_http_oci_manifest_edge_send(e,
                                             NGX_HTTP_OCI_STATUS_REVALIDATED);
        break;

    case NGX_HTTP_OCI_ASK_STORED:
        rc = ngx_http_oci_manifest_edge_local(e,
                                          ngx_http_oci_manifest_edge_stored);

        if (rc == NGX_OK) {
            return;
        }

        rc = ngx_http_oci_send_failure(r, OCI_AGAIN);
        break;

    case NGX_HTTP_OCI_ASK_CONTENT:
        rc = ngx_http_oci_manifest_edge_content(e, answer);
        break;

    case NGX_HTTP_OCI_ASK_REFUSED:

        if (answer->status == NGX_HTTP_NOT_FOUND && !u->client) {
            rc = ngx_http_oci_manifest_edge_gone(e);

            if (rc == NGX_DONE) {
                return;
            }

            break;
        }

        /* fall through */

    default:
        rc = ngx_http_oci_upstream_error(u, answer,
                                         OCI_ERR_MANIFEST_UNKNOWN);
    }

    ngx_http_finalize_request(r, rc);
}


/* what is here */

static ngx_int_t
ngx_http_oci_manifest_edge_send(ngx_http_oci_manifest_edge_t *e,
    ngx_http_oci_cache_status_e status)
{
    e->u->ctx->cache_status = status;

    return ngx_http_oci_manifest_answer(e->u->request, e->u->ctx, e->get,
                                        OCI_OK);
}


static void
ngx_http_oci_manifest_edge_stored(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_manifest_edge_t  *e = data;

    if (rc == OCI_OK) {
        ngx_http_oci_manifest_keep(e->get, rc);
    }

    ngx_http_finalize_request(r,
        ngx_http_oci_manifest_answer(r, e->u->ctx, e->get, rc));
}


/* a manifest that could not be stored is sent from memory */

static ngx_int_t
ngx_http_oci_manifest_edge_content(ngx_http_oci_manifest_edge_t *e,
    const ngx_http_oci_answer_t *answer)
{
    size_t               len;
    u_char              *p;
    oci_record_t        *record;
    ngx_http_request_t  *r;

    r = e->u->request;
    record = &e->get->record;

    if (record->fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(record->fd);
        record->fd = NGX_INVALID_FILE;
    }

    e->get->data = ngx_pnalloc(r->pool, answer->len + 1);
    if (e->get->data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(e->get->data, answer->body, answer->len);

    /* without parameters, as a record has it */

    p = ngx_strlchr(answer->media_type.data,
                    answer->media_type.data + answer->media_type.len, ';');

    len = p ? (size_t) (p - answer->media_type.data)
            : answer->media_type.len;

    while (len && answer->media_type.data[len - 1] == ' ') {
        len--;
    }

    if (len > OCI_MEDIA_TYPE_MAX) {
        return ngx_http_oci_upstream_error(e->u, answer, OCI_ERR_UNKNOWN);
    }

    record->size = (int64_t) answer->len;
    record->digest = answer->digest;
    record->media_type_len = len;
    ngx_memcpy(record->media_type, answer->media_type.data, len);
    record->media_type[len] = '\0';

    return ngx_http_oci_manifest_edge_send(e, NGX_HTTP_OCI_STATUS_MISS);
}


/*
 * The upstream has it no longer: its tag here goes, lest it come back when
 * the upstream is down.  NGX_DONE: it is on its way.
 */

static ngx_int_t
ngx_http_oci_manifest_edge_gone(ngx_http_oci_manifest_edge_t *e)
{
    ngx_http_request_t       *r;
    ngx_http_oci_loc_conf_t  *olcf;

    r = e->u->request;

    if (!e->has || e->get->digest != NULL) {
        ngx_http_oci_manifest_keep(e->get, OCI_NOT_FOUND);

        return ngx_http_oci_manifest_answer(r, e->u->ctx, e->get,
                                            OCI_NOT_FOUND);
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (ngx_http_oci_task_post(r, olcf->write_pool,
                               ngx_http_oci_manifest_edge_gone_work,
                               ngx_http_oci_manifest_edge_gone_done, e, 1)
        != NGX_OK)
    {
        return ngx_http_oci_send_failure(r, OCI_AGAIN);
    }

    ngx_http_oci_task_watch(r);

    return NGX_DONE;
}


static int
ngx_http_oci_manifest_edge_gone_work(void *data)
{
    ngx_http_oci_manifest_edge_t  *e = data;

    if (ngx_http_oci_manifest_edge_pushed(e)) {

        /* meanwhile */

        return OCI_OK;
    }

    return oci_tag_delete(e->get->store, e->get->ask.repo, e->get->tag);
}


static void
ngx_http_oci_manifest_edge_gone_done(ngx_http_request_t *r, void *data,
    int rc)
{
    ngx_http_oci_manifest_edge_t  *e = data;

    /*
     * Not kept: whether the counter says of the delete alone or also of a
     * push after it can't be known here.
     */

    ngx_http_finalize_request(r,
        ngx_http_oci_manifest_answer(r, e->u->ctx, e->get, OCI_NOT_FOUND));
}
