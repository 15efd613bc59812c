
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_ask_part.h"
#include "ngx_http_oci_circuit.h"


#define NGX_HTTP_OCI_ASK_BODY      (16 * 1024)      /* grows from here */


static ngx_int_t ngx_http_oci_ask_key(ngx_http_oci_question_t *q,
    ngx_str_t *key);
static u_char *ngx_http_oci_ask_key_add(u_char *p, const u_char *data,
    size_t len);
static ngx_http_oci_ask_t *ngx_http_oci_ask_find(ngx_str_t *key);
static ngx_http_oci_ask_t *ngx_http_oci_ask_create(
    ngx_http_oci_question_t *q, ngx_str_t *key);
static ngx_int_t ngx_http_oci_ask_copy(ngx_pool_t *pool, ngx_str_t *to,
    const u_char *data, size_t len);
static ngx_int_t ngx_http_oci_ask_fetch(ngx_http_oci_ask_t *a,
    ngx_uint_t head);
static ngx_int_t ngx_http_oci_ask_header(ngx_http_oci_fetch_t *f);
static ngx_int_t ngx_http_oci_ask_body(ngx_http_oci_fetch_t *f, u_char *p,
    size_t n);
static void ngx_http_oci_ask_fetched(ngx_http_oci_fetch_t *f,
    ngx_http_oci_fetch_rc_e rc);
static void ngx_http_oci_ask_headed(ngx_http_oci_ask_t *a);


/* those of this worker that are not answered yet */

static ngx_queue_t  ngx_http_oci_asks = { NULL, NULL };


/*
 * All that a client of ours may want to have.  What the upstream sends then
 * is its choice, and what is stored is the same for every client.
 */

static ngx_str_t  ngx_http_oci_ask_accept = ngx_string(
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.oci.artifact.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "*/*;q=0.5");


ngx_int_t
ngx_http_oci_ask(ngx_http_oci_question_t *q, ngx_http_oci_ask_waiter_t *w)
{
    ngx_str_t            key;
    ngx_http_oci_ask_t  *a;

    if (ngx_http_oci_asks.next == NULL) {
        ngx_queue_init(&ngx_http_oci_asks);
    }

    if (ngx_http_oci_ask_key(q, &key) != NGX_OK) {
        return NGX_ERROR;
    }

    a = ngx_http_oci_ask_find(&key);

    if (a == NULL) {
        a = ngx_http_oci_ask_create(q, &key);

        if (a == NULL) {
            ngx_free(key.data);
            return NGX_ERROR;
        }

        if (ngx_http_oci_ask_fetch(a, q->probe
                                      || (q->manifest && q->have != NULL))
            != NGX_OK)
        {
            ngx_destroy_pool(a->pool);
            ngx_free(key.data);
            return NGX_ERROR;
        }

        ngx_queue_insert_tail(&ngx_http_oci_asks, &a->queue);
    }

    ngx_free(key.data);

    w->ask = a;
    ngx_queue_insert_tail(&a->waiters, &w->queue);

    return NGX_OK;
}


void
ngx_http_oci_ask_leave(ngx_http_oci_ask_waiter_t *w)
{
    if (w->ask != NULL) {
        ngx_queue_remove(&w->queue);
        w->ask = NULL;
    }
}


/* all that makes a difference to the answer, as a push meanwhile does */

static ngx_int_t
ngx_http_oci_ask_key(ngx_http_oci_question_t *q, ngx_str_t *key)
{
    u_char     *p;
    uint64_t    pushes;
    oci_str_t   have;

    pushes = ngx_http_oci_zone_pushes(q->zone, oci_repo_hash(q->repo));
    have.data = q->have ? (u_char *) q->have->hex : (u_char *) "";
    have.len = q->have ? q->have->hex_len : 0;

    key->len = 10 * sizeof(size_t) + sizeof(pushes)
               + q->store->root_len + q->repo->ns.len + q->repo->name.len
               + q->target->key.len + q->target->repository.len + q->path.len
               + q->args.len + q->authorization.len + have.len;

    key->data = ngx_alloc(key->len, ngx_cycle->log);
    if (key->data == NULL) {
        return NGX_ERROR;
    }

    p = key->data;

    p = ngx_http_oci_ask_key_add(p, (u_char *) q->store->root,
                                 q->store->root_len);
    p = ngx_http_oci_ask_key_add(p, q->repo->ns.data, q->repo->ns.len);
    p = ngx_http_oci_ask_key_add(p, q->repo->name.data, q->repo->name.len);
    p = ngx_http_oci_ask_key_add(p, q->target->key.data, q->target->key.len);
    p = ngx_http_oci_ask_key_add(p, q->target->repository.data,
                                 q->target->repository.len);
    p = ngx_http_oci_ask_key_add(p, q->path.data, q->path.len);
    p = ngx_http_oci_ask_key_add(p, q->args.data, q->args.len);
    p = ngx_http_oci_ask_key_add(p, q->authorization.data,
                                 q->authorization.len);
    p = ngx_http_oci_ask_key_add(p, have.data, have.len);
    (void) ngx_http_oci_ask_key_add(p, (u_char *) &pushes, sizeof(pushes));

    return NGX_OK;
}


static u_char *
ngx_http_oci_ask_key_add(u_char *p, const u_char *data, size_t len)
{
    p = ngx_cpymem(p, &len, sizeof(size_t));

    return len ? ngx_cpymem(p, data, len) : p;
}


static ngx_http_oci_ask_t *
ngx_http_oci_ask_find(ngx_str_t *key)
{
    ngx_queue_t         *q;
    ngx_http_oci_ask_t  *a;

    for (q = ngx_queue_head(&ngx_http_oci_asks);
         q != ngx_queue_sentinel(&ngx_http_oci_asks);
         q = ngx_queue_next(q))
    {
        a = ngx_queue_data(q, ngx_http_oci_ask_t, queue);

        if (a->key.len == key->len
            && ngx_memcmp(a->key.data, key->data, key->len) == 0)
        {
            return a;
        }
    }

    return NULL;
}


static ngx_http_oci_ask_t *
ngx_http_oci_ask_create(ngx_http_oci_question_t *q, ngx_str_t *key)
{
    ngx_str_t            ns, name, tag;
    ngx_pool_t          *pool;
    ngx_http_oci_ask_t  *a;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    a = ngx_pcalloc(pool, sizeof(ngx_http_oci_ask_t));
    if (a == NULL) {
        goto failed;
    }

    a->pool = pool;
    a->log = ngx_cycle->log;
    a->q = *q;
    a->answer.retry_after = -1;

    ngx_queue_init(&a->waiters);

    if (ngx_http_oci_ask_copy(pool, &a->key, key->data, key->len) != NGX_OK
        || ngx_http_oci_ask_copy(pool, &ns, q->repo->ns.data, q->repo->ns.len)
           != NGX_OK
        || ngx_http_oci_ask_copy(pool, &name, q->repo->name.data,
                                 q->repo->name.len)
           != NGX_OK
        || ngx_http_oci_ask_copy(pool, &a->q.path, q->path.data, q->path.len)
           != NGX_OK
        || ngx_http_oci_ask_copy(pool, &a->q.args, q->args.data, q->args.len)
           != NGX_OK
        || ngx_http_oci_ask_copy(pool, &a->q.authorization,
                                 q->authorization.data, q->authorization.len)
           != NGX_OK)
    {
        goto failed;
    }

    a->q.target = ngx_http_oci_target_copy(pool, q->target);
    if (a->q.target == NULL) {
        goto failed;
    }

    a->repo.ns.data = ns.data;
    a->repo.ns.len = ns.len;
    a->repo.name.data = name.data;
    a->repo.name.len = name.len;
    a->q.repo = &a->repo;

    if (q->digest) {
        a->digest = *q->digest;
        a->q.digest = &a->digest;
    }

    if (q->have) {
        a->have = *q->have;
        a->q.have = &a->have;
    }

    if (q->tag) {
        if (ngx_http_oci_ask_copy(pool, &tag, q->tag->data, q->tag->len)
            != NGX_OK)
        {
            goto failed;
        }

        a->tag.data = tag.data;
        a->tag.len = tag.len;
        a->q.tag = &a->tag;
    }

    return a;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


static ngx_int_t
ngx_http_oci_ask_copy(ngx_pool_t *pool, ngx_str_t *to, const u_char *data,
    size_t len)
{
    to->len = len;
    to->data = ngx_pnalloc(pool, len + 1);
    if (to->data == NULL) {
        return NGX_ERROR;
    }

    if (len) {
        ngx_memcpy(to->data, data, len);
    }

    return NGX_OK;
}


/*
 * A HEAD first where a manifest is here already: registries count what is
 * pulled by GET.
 */

static ngx_int_t
ngx_http_oci_ask_fetch(ngx_http_oci_ask_t *a, ngx_uint_t head)
{
    ngx_http_oci_fetch_t  *f;

    f = ngx_http_oci_fetch_create(a->q.conf, a->q.target);
    if (f == NULL) {
        return NGX_ERROR;
    }

    a->head = head ? 1 : 0;
    a->has_told = 0;

    f->method = head ? NGX_HTTP_HEAD : NGX_HTTP_GET;
    f->path = a->q.path;
    f->args = a->q.args;
    f->authorization = a->q.authorization;
    f->timeout = a->q.timeout;

    if (a->q.manifest) {
        f->accept = ngx_http_oci_ask_accept;
    }

    if (a->q.probe && !head) {
        f->range_start = 0;
        f->range_end = 0;
    }

    f->data = a;
    f->header = ngx_http_oci_ask_header;
    f->body = ngx_http_oci_ask_body;
    f->done = ngx_http_oci_ask_fetched;

    a->q.zone->stats->counters[NGX_HTTP_OCI_STATS_UPSTREAM_REQUESTS]++;

    ngx_http_oci_fetch_start(f);

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_ask_header(ngx_http_oci_fetch_t *f)
{
    oci_response_t         *r;
    const oci_str_t        *filters;
    ngx_http_oci_ask_t     *a;
    ngx_http_oci_answer_t  *answer;

    a = f->data;
    r = f->response;
    answer = &a->answer;

    answer->status = r->status;
    answer->retry_after = r->retry_after;

    if (ngx_http_oci_ask_copy(a->pool, &answer->challenge,
                              r->www_authenticate.data,
                              r->www_authenticate.len)
        != NGX_OK
        || ngx_http_oci_ask_copy(a->pool, &answer->link, r->link.data,
                                 r->link.len)
           != NGX_OK
        || ngx_http_oci_ask_copy(a->pool, &answer->media_type,
                                 r->content_type.data, r->content_type.len)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    filters = oci_response_header(r, "oci-filters-applied", 0);

    if (filters
        && ngx_http_oci_ask_copy(a->pool, &answer->filters, filters->data,
                                 filters->len)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (r->digest.len
        && oci_digest_parse(&a->told, r->digest.data, r->digest.len)
           == OCI_OK)
    {
        a->has_told = 1;
    }

    if (a->q.probe) {
        a->given = (r->status == NGX_HTTP_OK
                    || r->status == NGX_HTTP_PARTIAL_CONTENT);

        /* of a whole blob nothing is wanted but its head */

        return (a->given && !a->head) ? NGX_ERROR : NGX_OK;
    }

    if (r->content_length > (int64_t) a->q.max && r->status == NGX_HTTP_OK) {
        a->too_large = 1;
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_ask_body(ngx_http_oci_fetch_t *f, u_char *p, size_t n)
{
    size_t               size;
    u_char              *body;
    ngx_http_oci_ask_t  *a;

    a = f->data;

    if (f->response->status != NGX_HTTP_OK || a->q.probe) {

        /* its errors are its own */

        return NGX_OK;
    }

    if (a->answer.len + n > a->q.max) {
        a->too_large = 1;
        return NGX_ERROR;
    }

    if (a->answer.len + n > a->size) {
        size = ngx_max(a->size * 2, NGX_HTTP_OCI_ASK_BODY);
        size = ngx_max(size, a->answer.len + n);

        body = ngx_alloc(size, a->log);
        if (body == NULL) {
            return NGX_ERROR;
        }

        if (a->body) {
            ngx_memcpy(body, a->body, a->answer.len);
            ngx_free(a->body);
        }

        a->body = body;
        a->size = size;
    }

    ngx_memcpy(a->body + a->answer.len, p, n);
    a->answer.len += n;

    return NGX_OK;
}


static void
ngx_http_oci_ask_fetched(ngx_http_oci_fetch_t *f, ngx_http_oci_fetch_rc_e rc)
{
    ngx_uint_t             failed;
    ngx_http_oci_ask_t    *a;
    ngx_http_oci_stats_t  *stats;

    a = f->data;
    stats = a->q.zone->stats;

    a->answer.bytes += f->bytes;

    stats->counters[NGX_HTTP_OCI_STATS_UPSTREAM_BYTES] += f->bytes;

    failed = ngx_http_oci_circuit_verdict(f, rc);

    if (rc != NGX_HTTP_OCI_FETCH_CANCELLED) {
        ngx_http_oci_circuit_report(a->q.zone, a->q.target,
                                    (failed || !(a->head || a->q.probe))
                                        ? failed
                                        : NGX_HTTP_OCI_CIRCUIT_HEADED,
                                    a->log);
    }

    if (failed) {
        stats->counters[NGX_HTTP_OCI_STATS_UPSTREAM_ERRORS]++;
    }

    if (a->given) {
        ngx_http_oci_ask_end(a, NGX_HTTP_OCI_ASK_SAME);
        return;
    }

    if (a->too_large) {
        ngx_log_error(NGX_LOG_ERR, a->log, 0,
                      "upstream \"%V\" sent more than %uz bytes for \"%V\"",
                      &a->q.target->key, a->q.max, &a->q.path);
        ngx_http_oci_ask_end(a, NGX_HTTP_OCI_ASK_INVALID);
        return;
    }

    if (rc != NGX_HTTP_OCI_FETCH_OK
        || (failed && a->answer.status != NGX_HTTP_TOO_MANY_REQUESTS))
    {
        ngx_log_error(NGX_LOG_ERR, a->log, 0,
                      "upstream \"%V\" failed for \"%V\": %s, status %ui",
                      &a->q.target->key, &a->q.path,
                      ngx_http_oci_fetch_error(rc), a->answer.status);

        a->answer.error = rc;
        ngx_http_oci_ask_end(a, NGX_HTTP_OCI_ASK_FAILED);
        return;
    }

    if (a->head) {
        ngx_http_oci_ask_headed(a);
        return;
    }

    if (a->answer.status != NGX_HTTP_OK) {
        ngx_http_oci_ask_end(a, NGX_HTTP_OCI_ASK_REFUSED);
        return;
    }

    ngx_http_oci_ask_got(a);
}


static void
ngx_http_oci_ask_headed(ngx_http_oci_ask_t *a)
{
    switch (a->answer.status) {

    case NGX_HTTP_NOT_FOUND:

        /* a proxy that has not fetched a blob yet may deny it to a HEAD */

        if (a->q.probe) {
            break;
        }

        ngx_http_oci_ask_end(a, NGX_HTTP_OCI_ASK_REFUSED);
        return;

    case NGX_HTTP_OK:

        if (a->q.digest || (a->has_told
                            && oci_digest_equal(&a->told, &a->have)))
        {
            a->answer.digest = a->have;
            ngx_http_oci_ask_end(a, NGX_HTTP_OCI_ASK_SAME);
            return;
        }

        break;

    case NGX_HTTP_NOT_ALLOWED:
    case NGX_HTTP_NOT_IMPLEMENTED:
        break;

    default:
        ngx_http_oci_ask_end(a, NGX_HTTP_OCI_ASK_REFUSED);
        return;
    }

    if (ngx_http_oci_ask_fetch(a, 0) != NGX_OK) {
        a->answer.error = NGX_HTTP_OCI_FETCH_INTERNAL;
        ngx_http_oci_ask_end(a, NGX_HTTP_OCI_ASK_FAILED);
    }
}


void
ngx_http_oci_ask_end(ngx_http_oci_ask_t *a,
    ngx_http_oci_ask_outcome_e outcome)
{
    ngx_queue_t                *q;
    ngx_http_oci_ask_waiter_t  *w;

    a->answer.outcome = outcome;

    /* who asks from now on asks anew */

    ngx_queue_remove(&a->queue);

    while (!ngx_queue_empty(&a->waiters)) {
        q = ngx_queue_head(&a->waiters);
        ngx_queue_remove(q);

        w = ngx_queue_data(q, ngx_http_oci_ask_waiter_t, queue);
        w->ask = NULL;
        w->handler(w->data, &a->answer);
    }

    if (a->body) {
        ngx_free(a->body);
    }

    ngx_destroy_pool(a->pool);
}
