
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Requests for chunks: what upstreams answer, and what that means.
 */


#include "ngx_http_oci_fill_part.h"


#define NGX_HTTP_OCI_FILL_SOON        1     /* ms */
#define NGX_HTTP_OCI_FILL_ERROR_BODY  (64 * 1024)
#define NGX_HTTP_OCI_FILL_AT_ONCE     1000  /* ms; several that time out
                                               within it are one failure */
#define NGX_HTTP_OCI_FILL_TRIES       3     /* while nobody was answered */
#define NGX_HTTP_OCI_FILL_TRIES_MAX   10


static void ngx_http_oci_fill_asked(ngx_http_oci_fetch_t *f);
static ngx_int_t ngx_http_oci_fill_header(ngx_http_oci_fetch_t *f);
static ngx_int_t ngx_http_oci_fill_header_probe(
    ngx_http_oci_fill_fetch_t *ff, oci_response_t *r);
static ngx_int_t ngx_http_oci_fill_header_whole(
    ngx_http_oci_fill_fetch_t *ff, oci_response_t *r);
static ngx_int_t ngx_http_oci_fill_useless(ngx_http_oci_fill_fetch_t *ff,
    oci_response_t *r);
static ngx_int_t ngx_http_oci_fill_body(ngx_http_oci_fetch_t *f, u_char *p,
    size_t n);
static void ngx_http_oci_fill_done(ngx_http_oci_fetch_t *f,
    ngx_http_oci_fetch_rc_e rc);
static void ngx_http_oci_fill_judge(ngx_http_oci_fill_t *fill,
    ngx_http_oci_fill_fetch_t *ff);
static void ngx_http_oci_fill_answers(ngx_http_oci_fill_fetch_t *ff);
static ngx_http_oci_fill_fetch_t *ngx_http_oci_fill_stands(
    ngx_http_oci_fill_t *fill, uint64_t now);
static void ngx_http_oci_fill_failure(ngx_http_oci_fill_t *fill,
    ngx_http_oci_fill_fetch_t *ff, ngx_uint_t status, ngx_int_t retry_after);


ngx_http_oci_fill_fetch_t *
ngx_http_oci_fill_fetch_create(ngx_http_oci_fill_t *fill,
    ngx_http_oci_source_t *source)
{
    ngx_http_oci_fetch_t       *f;
    ngx_http_oci_fill_fetch_t  *ff;

    ff = ngx_calloc(sizeof(ngx_http_oci_fill_fetch_t), fill->log);
    if (ff == NULL) {
        return NULL;
    }

    f = ngx_http_oci_fetch_create(source->conf, source->target);
    if (f == NULL) {
        ngx_free(ff);
        return NULL;
    }

    f->path = fill->path;
    f->authorization = source->authorization;
    f->asked = ngx_http_oci_fill_asked;
    f->header = ngx_http_oci_fill_header;
    f->body = ngx_http_oci_fill_body;
    f->done = ngx_http_oci_fill_done;
    f->data = ff;

    ff->fill = fill;
    ff->source = source;
    ff->fetch = f;
    ff->retry_after = -1;

    ngx_http_oci_fill_write_init(ff);

    return ff;
}


ngx_int_t
ngx_http_oci_fill_fetch_start(ngx_http_oci_fill_fetch_t *ff)
{
    ngx_http_oci_fill_t  *fill;

    fill = ff->fill;

    ngx_queue_insert_tail(&fill->fetches, &ff->queue);

    if (fill->nfetches++ == 0) {
        fill->zone->stats->filling++;
    }

    ngx_http_oci_fill_stat(fill, NGX_HTTP_OCI_STATS_UPSTREAM_REQUESTS, 1);

    ngx_http_oci_fetch_start(ff->fetch);

    return NGX_OK;
}


/*
 * The folder is made while the upstream thinks: not at once, since it may
 * think on this machine, nor later than it answers.
 */

static void
ngx_http_oci_fill_asked(ngx_http_oci_fetch_t *f)
{
    ngx_http_oci_fill_t        *fill;
    ngx_http_oci_fill_fetch_t  *ff;

    ff = f->data;
    fill = ff->fill;

    if (fill->state != NGX_HTTP_OCI_FILL_OPENING || fill->open.busy) {
        return;
    }

    if (fill->tick.timer_set) {
        ngx_del_timer(&fill->tick);
    }

    ngx_add_timer(&fill->tick, NGX_HTTP_OCI_FILL_SOON);
}


static ngx_int_t
ngx_http_oci_fill_header(ngx_http_oci_fetch_t *f)
{
    oci_response_t             *r;
    oci_chunkmap_t             *map;
    ngx_http_oci_fill_fetch_t  *ff;

    ff = f->data;
    r = f->response;
    map = &ff->fill->file.map;

    ff->answered = 1;

    if (r->content_encoding.len
        || (r->status != 200 && r->status != 206
            && !(ff->probe && r->status == 416)))
    {
        return ngx_http_oci_fill_useless(ff, r);
    }

    if (ff->probe) {
        return ngx_http_oci_fill_header_probe(ff, r);
    }

    if (r->status == 200) {

        if (r->content_length >= 0 && r->content_length != map->size) {
            return ngx_http_oci_fill_other_size(ff, r->content_length);
        }

        return ff->whole ? NGX_OK : ngx_http_oci_fill_header_whole(ff, r);
    }

    if (r->range_total >= 0 && r->range_total != map->size) {
        return ngx_http_oci_fill_other_size(ff, r->range_total);
    }

    if (ff->whole || r->range_start != ff->at || r->range_end < ff->at) {
        return ngx_http_oci_fill_useless(ff, r);
    }

    ff->to = ngx_min(ff->to, r->range_end + 1);

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_fill_header_probe(ngx_http_oci_fill_fetch_t *ff,
    oci_response_t *r)
{
    ngx_http_oci_fill_t  *fill;

    fill = ff->fill;

    switch (r->status) {

    case 206:

        if (r->range_start != 0 || r->range_end < 0 || r->range_total <= 0) {
            return ngx_http_oci_fill_useless(ff, r);
        }

        fill->size = r->range_total;
        ff->to = ngx_min(ff->to, r->range_end + 1);
        break;

    case 200:

        if (r->content_length < 0) {

            /* no map can be made for what has no length */

            ff->probe = 0;
            ff->spooled = 1;
            ff->to = NGX_MAX_OFF_T_VALUE;

            ngx_http_oci_source_set(ff->source, NGX_HTTP_OCI_SOURCE_YES, 0,
                                    -1);
            return NGX_OK;
        }

        fill->size = r->content_length;
        ff->to = fill->size;
        ff->whole = 1;
        break;

    default: /* 416: the first byte of nothing */

        if (r->range_total != 0) {
            return ngx_http_oci_fill_useless(ff, r);
        }

        fill->size = 0;
        ff->to = 0;
    }

    ngx_http_oci_source_set(ff->source, NGX_HTTP_OCI_SOURCE_YES, 0, -1);

    /* the first bytes go into the file when it is made, if they are here */

    fill->sizing = 1;
    ngx_http_oci_fill_news(fill);

    return (r->status == 416) ? NGX_ERROR : NGX_OK;
}


/* the whole where a part was asked for: this upstream has no ranges */

static ngx_int_t
ngx_http_oci_fill_header_whole(ngx_http_oci_fill_fetch_t *ff,
    oci_response_t *r)
{
    ngx_http_oci_fill_t  *fill;

    fill = ff->fill;

    if (ff->at == 0 && ff->to == fill->file.map.size) {
        return NGX_OK;
    }

    oci_chunkmap_set_single(&fill->file.map);

    ngx_http_oci_fill_let_go(ff);

    if (fill->single || ngx_http_oci_fill_turn(fill) != NGX_OK) {
        ff->lost = 1;
        return NGX_ERROR;
    }

    fill->single = 1;

    ff->whole = 1;
    ff->at = 0;
    ff->to = fill->file.map.size;

    return NGX_OK;
}


/* an answer that brings nothing: a short body is read, for the connection */

static ngx_int_t
ngx_http_oci_fill_useless(ngx_http_oci_fill_fetch_t *ff, oci_response_t *r)
{
    ff->useless = 1;
    ff->status = ngx_http_oci_fetch_status(NGX_HTTP_OCI_FETCH_OK, r,
                                           &ff->retry_after);

    ngx_log_error(NGX_LOG_INFO, ff->fill->log, 0,
                  "oci: upstream %V answers %ui to %V of \"%V\"",
                  &ff->source->target->key, (ngx_uint_t) r->status,
                  &ff->fill->path, &ff->source->target->repository);

    return (r->content_length < 0
            || r->content_length > NGX_HTTP_OCI_FILL_ERROR_BODY)
           ? NGX_ERROR : NGX_OK;
}


/* what is here began with a size that the upstream does not tell */

ngx_int_t
ngx_http_oci_fill_other_size(ngx_http_oci_fill_fetch_t *ff, off_t size)
{
    ngx_http_oci_fill_t  *fill;

    fill = ff->fill;

    ngx_log_error(NGX_LOG_ERR, fill->log, 0,
                  "oci: %V has %O bytes at upstream %V, not %O",
                  &fill->path, size, &ff->source->target->key,
                  (off_t) fill->file.map.size);

    ff->lost = 1;

    fill->discard = 1;
    ngx_http_oci_fill_fail(fill, NGX_HTTP_BAD_GATEWAY, -1);
    ngx_http_oci_fill_end(fill);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_oci_fill_body(ngx_http_oci_fetch_t *f, u_char *p, size_t n)
{
    ngx_int_t                   rc;
    ngx_http_oci_reader_t      *rd;
    ngx_http_oci_fill_fetch_t  *ff;

    ff = f->data;

    if (ff->useless) {
        return NGX_OK;
    }

    if (ff->lost || (off_t) n > ff->to - ff->at) {
        return NGX_ERROR;
    }

    ngx_http_oci_fill_stat(ff->fill, NGX_HTTP_OCI_STATS_UPSTREAM_BYTES, n);

    if (f->received >= NGX_HTTP_OCI_FILL_ALIVE) {
        ngx_http_oci_fill_answers(ff);
    }

    rd = ff->fill->starter;

    if (rd && rd->bytes) {
        *rd->bytes += n;
    }

    rc = ngx_http_oci_fill_take(ff, p, n);

    if (ff->probe) {
        ngx_http_oci_fill_make(ff->fill);
    }

    return rc;
}


static void
ngx_http_oci_fill_done(ngx_http_oci_fetch_t *f, ngx_http_oci_fetch_rc_e rc)
{
    ngx_http_oci_fill_t        *fill;
    ngx_http_oci_fill_fetch_t  *ff;

    ff = f->data;
    fill = ff->fill;

    ff->fetch = NULL;
    ff->rc = rc;
    ff->failed = ngx_http_oci_circuit_verdict(f, rc);

    if (ff->answered && !ff->failed && rc != NGX_HTTP_OCI_FETCH_CANCELLED) {
        ngx_http_oci_fill_answers(ff);
    }

    if (fill->sizing && fill->probe == ff) {
        return;
    }

    if (!ff->lost && !ff->useless) {
        ngx_http_oci_fill_write(ff);
    }

    ngx_http_oci_fill_fetch_end(ff);
}


/* after its last byte was written, or thrown away */

void
ngx_http_oci_fill_fetch_end(ngx_http_oci_fill_fetch_t *ff)
{
    ngx_http_oci_fill_t  *fill;

    fill = ff->fill;

    if (ff->write.busy) {
        return;
    }

    fill->busy++;

    if (fill->probe == ff) {
        fill->probe = NULL;
    }

    if (ff->early) {
        fill->unkept = 1;
    }

    if (ff->whole && fill->single) {
        fill->single = 0;
        ngx_http_oci_fill_turn_end(fill);
    }

    ngx_queue_remove(&ff->queue);

    if (--fill->nfetches == 0) {
        fill->zone->stats->filling--;
    }

    if (ff->spooled && ff->rc == NGX_HTTP_OCI_FETCH_OK && ff->spool
        && !ff->lost && fill->spool == NULL
        && fill->state != NGX_HTTP_OCI_FILL_FAILED)
    {
        fill->spool = ff->spool;
        fill->spooler = ff->source;
        ff->spool = NULL;

        if (fill->state != NGX_HTTP_OCI_FILL_OPENING) {
            ngx_http_oci_fill_end(fill);
        }

    } else if (fill->state != NGX_HTTP_OCI_FILL_FAILED) {
        ngx_http_oci_fill_judge(fill, ff);
    }

    ngx_http_oci_fill_write_free(ff);
    ngx_free(ff);

    ngx_http_oci_fill_news(fill);
    ngx_http_oci_fill_schedule(fill);

    fill->busy--;

    ngx_http_oci_fill_release(fill);
}


static void
ngx_http_oci_fill_judge(ngx_http_oci_fill_t *fill,
    ngx_http_oci_fill_fetch_t *ff)
{
    ngx_int_t   retry_after;
    ngx_uint_t  status;

    if (ff->useless && (ff->status == 401 || ff->status == 403
                        || ff->status == 404))
    {
        /* not for this one; perhaps for another */

        ngx_http_oci_source_set(ff->source, NGX_HTTP_OCI_SOURCE_NO,
                                ff->status, ff->retry_after);
        return;
    }

    if (ff->source->state == NGX_HTTP_OCI_SOURCE_ASKING
        && ff->source->ask == NULL)
    {
        ngx_http_oci_source_set(ff->source, NGX_HTTP_OCI_SOURCE_NEW, 0, -1);
    }

    if (ff->lost) {
        return;
    }

    if (ff->useless) {
        ngx_http_oci_fill_failure(fill, ff, ff->status, ff->retry_after);
        return;
    }

    if (ff->rc == NGX_HTTP_OCI_FETCH_OK && ff->moved && !ff->spooled) {
        return;
    }

    if (ff->rc == NGX_HTTP_OCI_FETCH_CANCELLED) {

        /* the worker ends */

        ngx_http_oci_fill_fail(fill, NGX_HTTP_SERVICE_UNAVAILABLE, 1);
        return;
    }

    if (ff->rc == NGX_HTTP_OCI_FETCH_OK && ff->at == ff->to) {
        return;
    }

    status = ngx_http_oci_fetch_status(ff->rc, NULL, &retry_after);

    ngx_log_error(NGX_LOG_WARN, fill->log, 0,
                  "oci: upstream %V: %s while fetching %V from byte %O",
                  &ff->source->target->key, ngx_http_oci_fetch_error(ff->rc),
                  &fill->path, ff->at);

    ngx_http_oci_fill_failure(fill, ff, status, retry_after);
}


/*
 * The circuit is told once, and again after a failure: by what is whole or
 * long enough, since a head may come from an upstream whose bodies stall.
 */

static void
ngx_http_oci_fill_answers(ngx_http_oci_fill_fetch_t *ff)
{
    if (ff->source->answers) {
        return;
    }

    ff->source->answers = 1;

    ngx_http_oci_circuit_report(ff->fill->zone, ff->source->target,
                                NGX_HTTP_OCI_CIRCUIT_ANSWERED, ff->fill->log);
}


/*
 * Not worth trying: the fill fails at once, unless somebody has its first
 * bytes already, or another request is on its way.
 */

ngx_uint_t
ngx_http_oci_fill_dead(ngx_http_oci_fill_t *fill,
    ngx_http_oci_source_t *source)
{
    ngx_queue_t            *q;
    ngx_http_oci_reader_t  *rd;

    if (fill->nfetches || ngx_queue_empty(&fill->readers)) {
        return 0;
    }

    for (q = ngx_queue_head(&fill->readers);
         q != ngx_queue_sentinel(&fill->readers);
         q = ngx_queue_next(q))
    {
        rd = ngx_queue_data(q, ngx_http_oci_reader_t, queue);

        if (rd->started) {
            return 0;
        }
    }

    if (!ngx_http_oci_source_dead(source)) {
        return 0;
    }

    ngx_http_oci_fill_fail(fill, NGX_HTTP_BAD_GATEWAY, -1);

    return 1;
}


/*
 * Waits longer each time; those who were answered wait longest.  All
 * connections may break at once, and be made anew: to the circuit it is one
 * failure when the fill gives up, but each time that nothing came at all.
 */

static void
ngx_http_oci_fill_failure(ngx_http_oci_fill_t *fill,
    ngx_http_oci_fill_fetch_t *ff, ngx_uint_t status, ngx_int_t retry_after)
{
    ngx_uint_t              tries, last;
    ngx_msec_t              delay;
    ngx_queue_t            *q;
    ngx_http_oci_reader_t  *rd;

    ngx_http_oci_fill_stat(fill, NGX_HTTP_OCI_STATS_UPSTREAM_ERRORS, 1);

    tries = ngx_queue_empty(&fill->readers) ? NGX_HTTP_OCI_FILL_TRIES_MAX
                                            : NGX_HTTP_OCI_FILL_TRIES;

    for (q = ngx_queue_head(&fill->readers);
         q != ngx_queue_sentinel(&fill->readers);
         q = ngx_queue_next(q))
    {
        rd = ngx_queue_data(q, ngx_http_oci_reader_t, queue);

        if (rd->started) {
            tries = NGX_HTTP_OCI_FILL_TRIES_MAX;
            break;
        }
    }

    fill->moved = 0;

    last = (++fill->failures >= tries
            || (retry_after > 3 && tries == NGX_HTTP_OCI_FILL_TRIES));

    if (ff->failed && (last || (ff->rc == NGX_HTTP_OCI_FETCH_TIMEOUT
                                && ngx_current_msec - fill->timed_out
                                   >= NGX_HTTP_OCI_FILL_AT_ONCE)))
    {
        fill->timed_out = ngx_current_msec;
        ff->source->answers = 0;

        ngx_http_oci_circuit_report(fill->zone, ff->source->target,
                                    ff->failed, fill->log);
    }

    if (last) {
        ngx_http_oci_fill_fail(fill, status, retry_after);
        return;
    }

    delay = (ngx_msec_t) 50 << ngx_min(fill->failures, 6);

    if (retry_after > 0) {
        delay = ngx_max(delay, (ngx_msec_t) retry_after * 1000);
    }

    fill->retry_at = ngx_current_msec + delay;
}


/*
 * Requests of ours whose claims have run out: no byte has come for so long.
 * However many of them stand still at once, it is one failure, and others
 * are made in their place.  1 if there were any; the fill may have failed.
 */

ngx_uint_t
ngx_http_oci_fill_stalled(ngx_http_oci_fill_t *fill)
{
    uint64_t                    now;
    ngx_queue_t                *q;
    ngx_http_oci_fill_fetch_t  *ff, *first;

    now = ngx_http_oci_fill_now();

    first = ngx_http_oci_fill_stands(fill, now);

    if (first == NULL) {
        return 0;
    }

    (void) ngx_http_oci_fill_stands(fill, now + NGX_HTTP_OCI_FILL_AT_ONCE);

    ngx_log_error(NGX_LOG_WARN, fill->log, 0,
                  "oci: upstream %V: no byte of %V for %d seconds, it stands "
                  "at %O", &first->source->target->key, &fill->path,
                  NGX_HTTP_OCI_FILL_TTL / 1000, first->at);

    first->rc = NGX_HTTP_OCI_FETCH_TIMEOUT;
    first->failed = NGX_HTTP_OCI_CIRCUIT_STALLED;

    fill->busy++;

    ngx_http_oci_fill_failure(fill, first, NGX_HTTP_GATEWAY_TIME_OUT, -1);

    q = ngx_queue_head(&fill->fetches);

    while (q != ngx_queue_sentinel(&fill->fetches)) {

        ff = ngx_queue_data(q, ngx_http_oci_fill_fetch_t, queue);

        if (!ff->stalled) {
            q = ngx_queue_next(q);
            continue;
        }

        /* it is gone after it, and perhaps others */

        ff->stalled = 0;
        ngx_http_oci_fetch_cancel(ff->fetch);
        q = ngx_queue_head(&fill->fetches);
    }

    fill->busy--;

    return 1;
}


/* marks those whose claims have run out by then: the first, or NULL */

static ngx_http_oci_fill_fetch_t *
ngx_http_oci_fill_stands(ngx_http_oci_fill_t *fill, uint64_t now)
{
    ngx_queue_t                *q;
    oci_chunkmap_t             *map;
    ngx_http_oci_fill_fetch_t  *ff, *first;

    map = &fill->file.map;
    first = NULL;

    for (q = ngx_queue_head(&fill->fetches);
         q != ngx_queue_sentinel(&fill->fetches);
         q = ngx_queue_next(q))
    {
        ff = ngx_queue_data(q, ngx_http_oci_fill_fetch_t, queue);

        if (!ff->claimed || ff->whole || !ff->answered || ff->lost
            || ff->fetch == NULL || ff->write.busy || ff->in.len
            || ff->at >= ff->to)
        {
            continue;
        }

        if (oci_chunkmap_pick(map, ff->at, ff->at + 1, now)
            == OCI_CHUNK_NONE)
        {
            continue;
        }

        ff->lost = 1;
        ff->stalled = 1;

        if (first == NULL) {
            first = ff;
        }
    }

    return first;
}


/* claims of those that wait for an answer, or for the disk */

void
ngx_http_oci_fill_renew(ngx_http_oci_fill_t *fill)
{
    uint64_t                    now;
    ngx_queue_t                *q;
    ngx_http_oci_fill_fetch_t  *ff;

    now = ngx_http_oci_fill_now();

    for (q = ngx_queue_head(&fill->fetches);
         q != ngx_queue_sentinel(&fill->fetches);
         q = ngx_queue_next(q))
    {
        ff = ngx_queue_data(q, ngx_http_oci_fill_fetch_t, queue);

        if (ff->whole && ff->write.busy) {
            continue;
        }

        if (ff->claimed && (!ff->answered || ff->write.busy)) {
            (void) oci_chunkmap_renew(&fill->file.map, ff->chunk, ff->token,
                                      now, NGX_HTTP_OCI_FILL_TTL);
        }
    }
}


void
ngx_http_oci_fill_cancel(ngx_http_oci_fill_t *fill)
{
    ngx_queue_t                *q;
    ngx_http_oci_fetch_t       *fetch;
    ngx_http_oci_fill_fetch_t  *ff;

    q = ngx_queue_head(&fill->fetches);

    while (q != ngx_queue_sentinel(&fill->fetches)) {

        ff = ngx_queue_data(q, ngx_http_oci_fill_fetch_t, queue);
        fetch = ff->fetch;

        if (fetch == NULL || ff->lost) {
            q = ngx_queue_next(q);
            continue;
        }

        ff->lost = 1;

        ngx_http_oci_fetch_cancel(fetch);

        /* it may be gone, and more with it */

        q = ngx_queue_head(&fill->fetches);
    }
}
