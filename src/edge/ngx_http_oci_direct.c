
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A blob without a file: what the upstream sends goes on to the client, in
 * bounded memory.  For when the disk is full; so here, and only here, the
 * event loop hashes: an answer that carries the whole is held to its digest
 * as any other.
 */


#include "ngx_http_oci_pull.h"
#include "ngx_http_oci_circuit.h"
#include "ngx_http_oci_inquiry.h"


#define NGX_HTTP_OCI_DIRECT_SIZE   (512 * 1024)
#define NGX_HTTP_OCI_DIRECT_PAUSE  (256 * 1024)
#define NGX_HTTP_OCI_DIRECT_TRIES  3
#define NGX_HTTP_OCI_DIRECT_RETRY  10           /* seconds, without room */


struct ngx_http_oci_direct_s {
    ngx_http_oci_pull_t         *pull;
    ngx_str_t                    path;
    ngx_http_oci_inquiry_t      *inquiry;
    ngx_http_oci_fetch_t        *fetch;
    ngx_event_t                  event;
    oci_hash_t                   hash;
    off_t                        hashed;        /* from the start on */

    u_char                      *data;
    size_t                       len;           /* in data */
    size_t                       sending;       /* of it */

    ngx_chain_t                 *next;          /* of the plan, to fetch */
    off_t                        at;            /* of the next byte to come */
    off_t                        skip;          /* bytes that come before it */
    off_t                        to;
    ngx_uint_t                   tries;

    unsigned                     begun:1;
    unsigned                     paused:1;
    unsigned                     checked:1;     /* the digest holds */
    unsigned                     failed:1;
};


static ngx_http_oci_direct_t *ngx_http_oci_direct_create(
    ngx_http_oci_pull_t *pull);
static void ngx_http_oci_direct_inquired(void *data, ngx_uint_t status,
    off_t size, ngx_int_t retry_after);
static void ngx_http_oci_direct_sent(ngx_http_oci_direct_t *d);
static ngx_int_t ngx_http_oci_direct_ahead(ngx_http_oci_direct_t *d);
static ngx_int_t ngx_http_oci_direct_fetch(ngx_http_oci_direct_t *d);
static ngx_int_t ngx_http_oci_direct_header(ngx_http_oci_fetch_t *f);
static ngx_int_t ngx_http_oci_direct_body(ngx_http_oci_fetch_t *f, u_char *p,
    size_t n);
static void ngx_http_oci_direct_done(ngx_http_oci_fetch_t *f,
    ngx_http_oci_fetch_rc_e rc);
static void ngx_http_oci_direct_hash(ngx_http_oci_direct_t *d, u_char *p,
    size_t n);
static void ngx_http_oci_direct_check(ngx_http_oci_direct_t *d);
static void ngx_http_oci_direct_post(ngx_http_oci_direct_t *d);
static void ngx_http_oci_direct_event(ngx_event_t *ev);


ngx_int_t
ngx_http_oci_direct_start(ngx_http_oci_pull_t *pull)
{
    ngx_http_oci_direct_t  *d;

    d = ngx_http_oci_direct_create(pull);
    if (d == NULL) {
        return NGX_ERROR;
    }

    if (pull->ask.conf->use_stale
        && ngx_http_oci_circuit_dead(pull->ask.zone, pull->ask.target))
    {
        return NGX_BUSY;
    }

    d->inquiry = ngx_http_oci_inquire(pull->ask.conf, pull->ask.target,
                                      pull->ask.zone, &d->path,
                                      &pull->ask.authorization, 1,
                                      ngx_http_oci_direct_inquired, d);
    if (d->inquiry == NULL) {
        return NGX_ERROR;
    }

    pull->direct = d;

    return NGX_OK;
}


void
ngx_http_oci_direct_go_on(ngx_http_oci_pull_t *pull)
{
    pull->direct = ngx_http_oci_direct_create(pull);
}


static ngx_http_oci_direct_t *
ngx_http_oci_direct_create(ngx_http_oci_pull_t *pull)
{
    ngx_pool_t             *pool;
    ngx_http_oci_direct_t  *d;

    pool = pull->request->pool;

    d = ngx_pcalloc(pool, sizeof(ngx_http_oci_direct_t));
    if (d == NULL) {
        return NULL;
    }

    d->path.data = ngx_pnalloc(pool, sizeof("blobs/") + OCI_DIGEST_MAX);
    if (d->path.data == NULL) {
        return NULL;
    }

    ngx_memcpy(d->path.data, "blobs/", 6);
    d->path.len = 6 + oci_digest_text(pull->ask.digest, d->path.data + 6);

    d->pull = pull;

    d->event.handler = ngx_http_oci_direct_event;
    d->event.data = d;
    d->event.log = pull->request->connection->log;

    return d;
}


static void
ngx_http_oci_direct_inquired(void *data, ngx_uint_t status, off_t size,
    ngx_int_t retry_after)
{
    ngx_http_oci_direct_t  *d = data;

    ngx_connection_t     *c;
    ngx_http_oci_pull_t  *pull;

    pull = d->pull;
    c = pull->request->connection;

    ngx_http_set_log_request(c->log, pull->request);

    d->inquiry = NULL;

    if (status == NGX_HTTP_OK && size < 0) {
        ngx_log_error(NGX_LOG_ERR, c->log, 0,
                      "oci: upstream %V does not tell the length of %V",
                      &pull->ask.target->key, &d->path);

        status = NGX_HTTP_BAD_GATEWAY;
    }

    if (status == NGX_HTTP_OK
        && pull->ask.conf->fill_verify == NGX_HTTP_OCI_VERIFY_ALL
        && pull->request->method != NGX_HTTP_HEAD)
    {
        /* without a file there is nothing to verify it in */

        status = NGX_HTTP_SERVICE_UNAVAILABLE;
        retry_after = NGX_HTTP_OCI_DIRECT_RETRY;
    }

    if (status != NGX_HTTP_OK) {
        pull->started = 1;
        pull->status = status;
        pull->retry_after = retry_after;

        ngx_http_oci_pull_finish(pull, pull->answer(pull->request, pull,
                                                    NGX_ERROR));

    } else {
        pull->size = size;
        pull->fd = NGX_INVALID_FILE;

        ngx_http_oci_pull_begin(pull);
    }

    ngx_http_run_posted_requests(c);
}


ngx_uint_t
ngx_http_oci_direct_failed(ngx_http_oci_pull_t *pull)
{
    return pull->direct->failed;
}


off_t
ngx_http_oci_direct_part(ngx_http_oci_pull_t *pull, ngx_buf_t *b)
{
    off_t                   n;
    ngx_buf_t              *from;
    ngx_http_oci_direct_t  *d;

    d = pull->direct;
    from = pull->plan->buf;

    ngx_http_oci_direct_sent(d);

    if (ngx_http_oci_direct_ahead(d) != NGX_OK) {
        d->failed = 1;
        return 0;
    }

    n = ngx_min((off_t) d->len, from->file_last - from->file_pos);

    if (pull->whole && !d->checked) {

        /* the last bytes, in however many parts */

        n = ngx_min(n, ngx_max(pull->left - NGX_HTTP_OCI_HOLD_BACK, 0));

        if (n == 0 && d->next == NULL && d->at == d->to && d->len) {
            ngx_log_error(NGX_LOG_ERR, d->event.log, 0,
                          "oci: parts of %V in that order make up a whole "
                          "that can't be verified without a file, the answer "
                          "is cut", &d->path);
            d->failed = 1;
        }
    }

    b->pos = d->data;
    b->last = d->data + n;
    b->memory = 1;

    d->sending = (size_t) n;

    return n;
}


/* what was sent makes room for more */

static void
ngx_http_oci_direct_sent(ngx_http_oci_direct_t *d)
{
    if (d->sending) {
        d->len -= d->sending;
        ngx_memmove(d->data, d->data + d->sending, d->len);
        d->sending = 0;
    }

    if (d->paused && d->len < NGX_HTTP_OCI_DIRECT_PAUSE && d->fetch) {
        d->paused = 0;
        ngx_http_oci_fetch_resume(d->fetch);
    }
}


/* the next part is asked for when the one before has come */

static ngx_int_t
ngx_http_oci_direct_ahead(ngx_http_oci_direct_t *d)
{
    ngx_buf_t  *b;

    if (!d->begun) {
        d->begun = 1;
        d->next = d->pull->plan;
    }

    while (d->next && !d->next->buf->in_file) {
        d->next = d->next->next;
    }

    if (d->next == NULL || d->fetch || d->at != d->to
        || d->len >= NGX_HTTP_OCI_DIRECT_PAUSE)
    {
        return NGX_OK;
    }

    b = d->next->buf;

    d->next = d->next->next;
    d->at = b->file_pos;
    d->to = b->file_last;
    d->tries = 0;

    return ngx_http_oci_direct_fetch(d);
}


static ngx_int_t
ngx_http_oci_direct_fetch(ngx_http_oci_direct_t *d)
{
    ngx_http_oci_pull_t   *pull;
    ngx_http_oci_fetch_t  *f;

    pull = d->pull;

    if (d->data == NULL) {
        d->data = ngx_palloc(pull->request->pool, NGX_HTTP_OCI_DIRECT_SIZE);
        if (d->data == NULL) {
            return NGX_ERROR;
        }

        *pull->sent = NGX_HTTP_OCI_STATS_SENT_UPSTREAM;

        oci_hash_init(&d->hash, pull->ask.digest->alg);

        if (pull->whole) {
            oci_hash_update(&d->hash, pull->early, (size_t) pull->gone);
            d->hashed = pull->gone;
        }
    }

    f = ngx_http_oci_fetch_create(pull->ask.conf, pull->ask.target);
    if (f == NULL) {
        return NGX_ERROR;
    }

    f->path = d->path;
    f->authorization = pull->ask.authorization;

    if (d->at != 0 || d->to != pull->size) {
        f->range_start = d->at;
        f->range_end = d->to - 1;
    }

    f->header = ngx_http_oci_direct_header;
    f->body = ngx_http_oci_direct_body;
    f->done = ngx_http_oci_direct_done;
    f->data = d;

    pull->ask.zone->stats->counters[NGX_HTTP_OCI_STATS_UPSTREAM_REQUESTS]++;

    d->fetch = f;
    d->skip = 0;
    d->paused = 0;

    ngx_http_oci_fetch_start(f);

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_direct_header(ngx_http_oci_fetch_t *f)
{
    oci_response_t         *r;
    ngx_http_oci_direct_t  *d;

    d = f->data;
    r = f->response;

    if (r->content_encoding.len) {
        return NGX_ERROR;
    }

    if (r->status == 206) {
        return (r->range_start == d->at
                && (r->range_total < 0 || r->range_total == d->pull->size))
               ? NGX_OK : NGX_ERROR;
    }

    if (r->status == 200
        && (r->content_length < 0 || r->content_length == d->pull->size))
    {
        d->skip = d->at;
        return NGX_OK;
    }

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_oci_direct_body(ngx_http_oci_fetch_t *f, u_char *p, size_t n)
{
    ngx_http_oci_pull_t    *pull;
    ngx_http_oci_direct_t  *d;

    d = f->data;
    pull = d->pull;

    pull->ask.zone->stats->counters[NGX_HTTP_OCI_STATS_UPSTREAM_BYTES] += n;

    if (pull->reader.bytes) {
        *pull->reader.bytes += n;
    }

    if (d->skip) {

        if ((off_t) n <= d->skip) {
            d->skip -= n;
            return NGX_OK;
        }

        p += d->skip;
        n -= (size_t) d->skip;
        d->skip = 0;
    }

    /* an upstream without ranges sends on behind the part */

    n = (size_t) ngx_min((off_t) n, d->to - d->at);

    if (n == 0 || n > NGX_HTTP_OCI_DIRECT_SIZE - d->len) {
        return NGX_ERROR;
    }

    ngx_memcpy(d->data + d->len, p, n);

    d->len += n;
    d->at += n;

    ngx_http_oci_direct_hash(d, p, n);

    if (d->at == d->to) {
        ngx_http_oci_direct_check(d);
    }

    ngx_http_oci_direct_post(d);

    if (d->len >= NGX_HTTP_OCI_DIRECT_PAUSE) {
        d->paused = 1;
        return NGX_AGAIN;
    }

    return NGX_OK;
}


static void
ngx_http_oci_direct_done(ngx_http_oci_fetch_t *f, ngx_http_oci_fetch_rc_e rc)
{
    ngx_uint_t              failed;
    ngx_http_oci_pull_t    *pull;
    ngx_http_oci_direct_t  *d;

    d = f->data;
    d->fetch = NULL;

    pull = d->pull;
    failed = ngx_http_oci_circuit_verdict(f, rc);

    if (failed || rc == NGX_HTTP_OCI_FETCH_OK) {
        ngx_http_oci_circuit_report(pull->ask.zone, pull->ask.target, failed,
                                    d->event.log);
    }

    if (failed) {
        pull->ask.zone->stats->counters[NGX_HTTP_OCI_STATS_UPSTREAM_ERRORS]++;
    }

    if (d->at == d->to || d->failed) {
        ngx_http_oci_direct_post(d);
        return;
    }

    ngx_log_error(NGX_LOG_WARN, d->event.log, 0,
                  "oci: upstream %V: %s while passing on %V from byte %O",
                  &d->pull->ask.target->key, ngx_http_oci_fetch_error(rc),
                  &d->path, d->at);

    /* from where it broke off, unless nothing at all comes */

    if (f->received) {
        d->tries = 0;
    }

    if (rc == NGX_HTTP_OCI_FETCH_CANCELLED
        || ++d->tries >= NGX_HTTP_OCI_DIRECT_TRIES
        || ngx_http_oci_direct_fetch(d) != NGX_OK)
    {
        d->failed = 1;
        ngx_http_oci_direct_post(d);
    }
}


/* n bytes before d->at: what is next of the whole, if that is among them */

static void
ngx_http_oci_direct_hash(ngx_http_oci_direct_t *d, u_char *p, size_t n)
{
    off_t  known;

    known = d->hashed - (d->at - (off_t) n);

    if (!d->pull->whole || known < 0 || known >= (off_t) n) {
        return;
    }

    oci_hash_update(&d->hash, p + known, n - (size_t) known);
    d->hashed = d->at;
}


/* the last byte of a part has come */

static void
ngx_http_oci_direct_check(ngx_http_oci_direct_t *d)
{
    u_char                text[OCI_DIGEST_MAX];
    size_t                len;
    oci_digest_t          found;
    ngx_http_oci_pull_t  *pull;

    pull = d->pull;

    if (!pull->whole || d->checked || d->hashed < pull->size) {
        return;
    }

    oci_hash_digest(&d->hash, &found);

    if (oci_digest_equal(&found, pull->ask.digest)) {
        d->checked = 1;
        return;
    }

    len = oci_digest_text(&found, text);

    ngx_log_error(NGX_LOG_ERR, d->event.log, 0,
                  "oci: what upstream %V sent for %V of \"%V\" has the digest "
                  "%*s, the answer is cut",
                  &pull->ask.target->key, &d->path,
                  &pull->ask.target->repository, len, text);

    d->failed = 1;
}


/* not from inside of a callback: the request may end by it */

static void
ngx_http_oci_direct_post(ngx_http_oci_direct_t *d)
{
    if (!d->event.posted) {
        ngx_post_event(&d->event, &ngx_posted_events);
    }
}


static void
ngx_http_oci_direct_event(ngx_event_t *ev)
{
    ngx_connection_t       *c;
    ngx_http_oci_pull_t    *pull;
    ngx_http_oci_direct_t  *d;

    d = ev->data;
    pull = d->pull;
    c = pull->request->connection;

    ngx_http_set_log_request(c->log, pull->request);

    if (pull->streaming) {
        ngx_http_oci_stream(pull);
    }

    ngx_http_run_posted_requests(c);
}


void
ngx_http_oci_direct_cancel(ngx_http_oci_pull_t *pull)
{
    ngx_http_oci_direct_t  *d;

    d = pull->direct;

    if (d == NULL) {
        return;
    }

    pull->direct = NULL;
    d->failed = 1;

    if (d->inquiry) {
        ngx_http_oci_inquiry_cancel(d->inquiry);
    }

    if (d->fetch) {
        ngx_http_oci_fetch_cancel(d->fetch);
    }

    if (d->event.posted) {
        ngx_delete_posted_event(&d->event);
    }
}
