
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A worker's fills: found by digest, opened, told of news, and freed when
 * nobody reads, nothing is fetched and no thread works for them.
 */


#include "ngx_http_oci_fill_part.h"

#include <time.h>


#define NGX_HTTP_OCI_FILL_AGAIN  20     /* ms; somebody asks for its size */


static ngx_http_oci_fill_t *ngx_http_oci_fill_find(ngx_http_oci_fill_ask_t
    *ask);
static ngx_http_oci_fill_t *ngx_http_oci_fill_create(ngx_http_oci_fill_ask_t
    *ask);
static void ngx_http_oci_fill_tick(ngx_event_t *ev);
static void ngx_http_oci_fill_drop(ngx_http_oci_fill_t *fill);
static ngx_uint_t ngx_http_oci_fill_undo(ngx_http_oci_fill_t *fill);
static ngx_uint_t ngx_http_oci_fill_yield(ngx_http_oci_fill_t *fill);
static ngx_uint_t ngx_http_oci_fill_idle(ngx_http_oci_fill_t *fill);
static void ngx_http_oci_fill_news_event(ngx_event_t *ev);
static void ngx_http_oci_fill_unhash(ngx_http_oci_fill_t *fill);


static ngx_queue_t  ngx_http_oci_fills;


ngx_int_t
ngx_http_oci_fill_join(ngx_http_oci_fill_ask_t *ask,
    ngx_http_oci_reader_t *rd)
{
    int                     turn;
    ngx_http_oci_fill_t    *fill;
    ngx_http_oci_source_t  *source;

    rd->fill = NULL;
    rd->status = 0;
    rd->retry_after = -1;
    rd->ranges = NULL;

    fill = ngx_http_oci_fill_find(ask);

    if (fill && ask->fresh) {
        return NGX_DECLINED;
    }

    if (fill == NULL) {

        rd->retry_after = ngx_http_oci_fill_barred(ask->zone,
                                                  NGX_HTTP_OCI_ZONE_FILL,
                                                  ask->digest, 0);

        if (rd->retry_after > 0) {
            return NGX_BUSY;
        }

        turn = ngx_http_oci_fill_fresh(ask);

        if (turn == -1 && ask->fresh) {
            return NGX_DECLINED;
        }

        fill = ngx_http_oci_fill_create(ask);

        if (fill == NULL) {
            if (turn != -1) {
                close(turn);
            }

            return NGX_ERROR;
        }

        fill->turn = turn;
        fill->starter = rd;
    }

    source = ngx_http_oci_source_get(fill, ask);
    if (source == NULL) {
        ngx_http_oci_fill_release(fill);
        return NGX_ERROR;
    }

    if (fill->size < 0) {
        fill->size = ask->known ? ask->size : -1;
    }

    rd->fill = fill;
    rd->source = source;

    ngx_queue_insert_tail(&fill->readers, &rd->queue);

    if (fill->state == NGX_HTTP_OCI_FILL_OPENING && !fill->open.busy
        && fill->turn != -1 && fill->probe == NULL)
    {
        ngx_http_oci_fill_probe(fill);
    }

    ngx_http_oci_fill_news(fill);

    return NGX_OK;
}


void
ngx_http_oci_fill_leave(ngx_http_oci_reader_t *rd)
{
    ngx_http_oci_fill_t  *fill;

    fill = rd->fill;

    if (fill == NULL) {
        return;
    }

    rd->fill = NULL;

    if (fill->starter == rd) {
        fill->starter = NULL;
    }

    ngx_queue_remove(&rd->queue);

    ngx_http_oci_fill_release(fill);
}


ngx_int_t
ngx_http_oci_fill_continue(ngx_http_oci_fill_ask_t *ask)
{
    ngx_http_oci_fill_t  *fill;

    if (ngx_http_oci_fill_find(ask)
        || ngx_http_oci_fill_barred(ask->zone, NGX_HTTP_OCI_ZONE_FILL,
                                    ask->digest, 0))
    {
        return NGX_BUSY;
    }

    fill = ngx_http_oci_fill_create(ask);
    if (fill == NULL) {
        return NGX_ERROR;
    }

    fill->resumed = 1;

    if (ngx_http_oci_source_get(fill, ask) == NULL) {
        ngx_http_oci_fill_release(fill);
        return NGX_ERROR;
    }

    /* it stays for as long as it has something to do */

    ngx_http_oci_fill_news(fill);

    return NGX_OK;
}


ngx_uint_t
ngx_http_oci_fill_continued(void)
{
    ngx_uint_t            n;
    ngx_queue_t          *q;
    ngx_http_oci_fill_t  *fill;

    n = 0;

    if (ngx_http_oci_fills.next == NULL) {
        return 0;
    }

    for (q = ngx_queue_head(&ngx_http_oci_fills);
         q != ngx_queue_sentinel(&ngx_http_oci_fills);
         q = ngx_queue_next(q))
    {
        fill = ngx_queue_data(q, ngx_http_oci_fill_t, queue);
        n += fill->resumed;
    }

    return n;
}


/* somebody in another worker has published bytes, or has ended a fill */

void
ngx_http_oci_fill_woken(void)
{
    ngx_queue_t          *q;
    ngx_http_oci_fill_t  *fill;

    if (ngx_http_oci_fills.next == NULL) {
        return;
    }

    for (q = ngx_queue_head(&ngx_http_oci_fills);
         q != ngx_queue_sentinel(&ngx_http_oci_fills);
         q = ngx_queue_next(q))
    {
        fill = ngx_queue_data(q, ngx_http_oci_fill_t, queue);

        if (ngx_queue_empty(&fill->readers)) {
            continue;
        }

        /* a map is there, or is not to come */

        if (fill->open.busy) {
            fill->again = 1;

        } else if (fill->state == NGX_HTTP_OCI_FILL_WAITING) {
            ngx_http_oci_fill_open(fill);
        }

        ngx_http_oci_fill_news(fill);
    }
}


uint64_t
ngx_http_oci_fill_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_BOOTTIME, &ts);

    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}


static ngx_http_oci_fill_t *
ngx_http_oci_fill_find(ngx_http_oci_fill_ask_t *ask)
{
    ngx_queue_t          *q;
    ngx_http_oci_fill_t  *fill;

    if (ngx_http_oci_fills.next == NULL) {
        ngx_queue_init(&ngx_http_oci_fills);
    }

    for (q = ngx_queue_head(&ngx_http_oci_fills);
         q != ngx_queue_sentinel(&ngx_http_oci_fills);
         q = ngx_queue_next(q))
    {
        fill = ngx_queue_data(q, ngx_http_oci_fill_t, queue);

        if (fill->hashed && fill->store == ask->store
            && oci_digest_equal(&fill->digest, ask->digest))
        {
            return fill;
        }
    }

    return NULL;
}


static ngx_http_oci_fill_t *
ngx_http_oci_fill_create(ngx_http_oci_fill_ask_t *ask)
{
    ngx_pool_t           *pool;
    ngx_http_oci_fill_t  *fill;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    fill = ngx_pcalloc(pool, sizeof(ngx_http_oci_fill_t));
    if (fill == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    fill->path.data = ngx_pnalloc(pool, sizeof("blobs/") + OCI_DIGEST_MAX);
    if (fill->path.data == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    ngx_memcpy(fill->path.data, "blobs/", 6);
    fill->path.len = 6 + oci_digest_text(ask->digest, fill->path.data + 6);

    fill->pool = pool;
    fill->log = ngx_cycle->log;
    fill->store = ask->store;
    fill->zone = ask->zone;
    fill->threads = ask->pool;
    fill->conf = ask->conf;
    fill->reserve = ask->reserve;
    fill->evicts = ask->evicts;
    fill->digest = *ask->digest;
    fill->size = -1;
    fill->retry_after = -1;

    oci_fill_init(&fill->file, fill->store, &fill->digest);

    ngx_queue_init(&fill->readers);
    ngx_queue_init(&fill->sources);
    ngx_queue_init(&fill->fetches);

    ngx_http_oci_fill_open_init(fill);
    ngx_http_oci_fill_probe_init(fill);
    ngx_http_oci_fill_end_init(fill);

    fill->tick.handler = ngx_http_oci_fill_tick;
    fill->tick.data = fill;
    fill->tick.log = fill->log;

    fill->news.handler = ngx_http_oci_fill_news_event;
    fill->news.data = fill;
    fill->news.log = fill->log;

    fill->hashed = 1;
    ngx_queue_insert_tail(&ngx_http_oci_fills, &fill->queue);

    return fill;
}


void
ngx_http_oci_fill_set(ngx_http_oci_fill_t *fill,
    ngx_http_oci_fill_state_e state)
{
    fill->state = state;

    if (state == NGX_HTTP_OCI_FILL_RUNNING && !fill->counted) {
        fill->counted = 1;
        ngx_http_oci_fill_stat(fill, NGX_HTTP_OCI_STATS_FILLS_STARTED, 1);
    }

    ngx_http_oci_fill_news(fill);
}


/* for all who wait here now; whoever comes next begins anew */

void
ngx_http_oci_fill_fail(ngx_http_oci_fill_t *fill, ngx_uint_t status,
    ngx_int_t retry_after)
{
    if (fill->state == NGX_HTTP_OCI_FILL_FAILED) {
        return;
    }

    fill->status = status;
    fill->retry_after = retry_after;

    ngx_http_oci_fill_unhash(fill);
    ngx_http_oci_fill_set(fill, NGX_HTTP_OCI_FILL_FAILED);
    ngx_http_oci_fill_stat(fill, NGX_HTTP_OCI_STATS_FILLS_FAILED, 1);

    fill->busy++;
    ngx_http_oci_fill_cancel(fill);
    fill->busy--;
}


/* bytes were published here */

void
ngx_http_oci_fill_progress(ngx_http_oci_fill_t *fill)
{
    if (!ngx_http_oci_fill_unsettled(fill) && fill->file.image != NULL) {
        ngx_http_oci_wake(oci_chunkmap_waiters(&fill->file.map));
    }

    ngx_http_oci_fill_news(fill);
}


void
ngx_http_oci_fill_news(ngx_http_oci_fill_t *fill)
{
    if (!fill->news.posted) {
        ngx_post_event(&fill->news, &ngx_posted_events);
    }
}


static void
ngx_http_oci_fill_news_event(ngx_event_t *ev)
{
    ngx_queue_t            *q;
    ngx_http_oci_fill_t    *fill;
    ngx_http_oci_reader_t  *rd;

    fill = ev->data;
    fill->busy++;

    ngx_http_oci_fill_look_around(fill);

    for (q = ngx_queue_head(&fill->readers);
         q != ngx_queue_sentinel(&fill->readers);
         q = ngx_queue_next(q))
    {
        rd = ngx_queue_data(q, ngx_http_oci_reader_t, queue);
        rd->told = 0;
    }

    /* each may leave, and others with it: from the start after each one */

    for ( ;; ) {

        rd = NULL;

        for (q = ngx_queue_head(&fill->readers);
             q != ngx_queue_sentinel(&fill->readers);
             q = ngx_queue_next(q))
        {
            rd = ngx_queue_data(q, ngx_http_oci_reader_t, queue);

            if (!rd->told) {
                break;
            }

            rd = NULL;
        }

        if (rd == NULL) {
            break;
        }

        rd->told = 1;

        /* those who were told stand at the end: the search stays short */

        ngx_queue_remove(&rd->queue);
        ngx_queue_insert_tail(&fill->readers, &rd->queue);

        rd->handler(rd);
    }

    ngx_http_oci_fill_schedule(fill);

    fill->busy--;

    ngx_http_oci_fill_release(fill);
}


static void
ngx_http_oci_fill_tick(ngx_event_t *ev)
{
    ngx_http_oci_fill_t  *fill;

    fill = ev->data;
    fill->busy++;
    fill->later = 0;

    if ((fill->state == NGX_HTTP_OCI_FILL_WAITING
         || fill->state == NGX_HTTP_OCI_FILL_OPENING)
        && !fill->open.busy)
    {
        ngx_http_oci_fill_open(fill);
    }

    if (fill->state == NGX_HTTP_OCI_FILL_RUNNING) {
        ngx_http_oci_fill_renew(fill);

        if (fill->rests && !fill->end.busy
            && ngx_http_oci_job_post(&fill->rest, fill->threads) == NGX_OK)
        {
            fill->rests = 0;
        }
    }

    ngx_http_oci_fill_look_around(fill);

    if (ngx_queue_empty(&fill->readers)) {
        ngx_http_oci_fill_schedule(fill);

    } else {
        ngx_http_oci_fill_news(fill);
    }

    fill->busy--;

    ngx_http_oci_fill_release(fill);
}


/* what is to be done next, whoever has brought it about */

void
ngx_http_oci_fill_look_around(ngx_http_oci_fill_t *fill)
{
    fill->busy++;

    ngx_http_oci_source_ask(fill);

    switch (fill->state) {

    case NGX_HTTP_OCI_FILL_OPENING:

        /* one that has a question out is opened by its tick, or now */

        if (fill->open.busy || (fill->probe && !fill->probe->answered)) {
            break;
        }

        ngx_http_oci_fill_yield(fill);
        ngx_http_oci_fill_open(fill);

        break;

    case NGX_HTTP_OCI_FILL_ASKING:

        if (ngx_http_oci_fill_unsettled(fill)) {
            break;
        }

        if (fill->discard || fill->end.busy) {

            /* nobody asked any more: it begins anew when nothing is left */

            ngx_http_oci_fill_end(fill);
            break;
        }

        if (ngx_http_oci_fill_yield(fill)) {
            ngx_http_oci_fill_end(fill);
            break;
        }

        if (fill->sizing) {
            ngx_http_oci_fill_make(fill);

        } else if (fill->spool) {
            ngx_http_oci_fill_end(fill);

        } else if (fill->probe == NULL) {
            ngx_http_oci_fill_probe(fill);
        }

        break;

    case NGX_HTTP_OCI_FILL_RUNNING:

        if (!ngx_queue_empty(&fill->readers)) {
            oci_chunkmap_wait(&fill->file.map, ngx_http_oci_wake_bit());
        }

        ngx_http_oci_fill_verify(fill);
        break;

    case NGX_HTTP_OCI_FILL_PRESENT:

        ngx_http_oci_fill_end(fill);
        break;

    case NGX_HTTP_OCI_FILL_FAILED:
    case NGX_HTTP_OCI_FILL_DIRECT:

        ngx_http_oci_fill_drop(fill);
        break;

    default:
        break;
    }

    fill->busy--;

    if (!fill->tick.timer_set && !ngx_http_oci_fill_idle(fill)) {
        ngx_add_timer(&fill->tick,
                      (fill->state == NGX_HTTP_OCI_FILL_WAITING)
                          ? NGX_HTTP_OCI_FILL_AGAIN : NGX_HTTP_OCI_FILL_TICK);
    }
}


/*
 * What is left of one that has failed goes as soon as nobody works for it,
 * and not with the last who reads: another try, in whichever worker, waits
 * for the right that this one has.
 */

static void
ngx_http_oci_fill_drop(ngx_http_oci_fill_t *fill)
{
    if (ngx_http_oci_fill_unsettled(fill) || fill->verify.busy
        || fill->rest.busy)
    {
        return;
    }

    if (fill->sizing) {
        ngx_http_oci_fill_probe_lost(fill);
    }

    if (!ngx_queue_empty(&fill->fetches)) {
        return;
    }

    if (fill->discard || ngx_http_oci_fill_undo(fill)) {
        ngx_http_oci_fill_end(fill);
    }
}


/*
 * 1 if it is to be discarded since nobody could say how long it is; nobody
 * else asks before nothing of it is left.
 */

static ngx_uint_t
ngx_http_oci_fill_undo(ngx_http_oci_fill_t *fill)
{
    if (fill->turn == -1 || fill->file.image != NULL) {
        return 0;
    }

    if (fill->file.lock == -1) {
        ngx_http_oci_fill_turn_end(fill);
        return 0;
    }

    fill->discard = 1;

    return 1;
}


/* who was refused does not keep others from asking; 1 as undo() */

static ngx_uint_t
ngx_http_oci_fill_yield(ngx_http_oci_fill_t *fill)
{
    return ngx_queue_empty(&fill->fetches) && fill->spool == NULL
           && ngx_http_oci_source_none(fill) && ngx_http_oci_fill_undo(fill);
}


static ngx_uint_t
ngx_http_oci_fill_idle(ngx_http_oci_fill_t *fill)
{
    return ngx_queue_empty(&fill->readers)
           && ngx_queue_empty(&fill->fetches)
           && !ngx_http_oci_fill_unsettled(fill)
           && !fill->rest.busy && !fill->verify.busy && !fill->end.busy
           && !(fill->rests && fill->state == NGX_HTTP_OCI_FILL_RUNNING)
           && !fill->discard && fill->spool == NULL;
}


/* frees it when nothing keeps it */

void
ngx_http_oci_fill_release(ngx_http_oci_fill_t *fill)
{
    if (fill->busy) {
        return;
    }

    if (!ngx_http_oci_fill_idle(fill)) {
        return;
    }

    if (fill->state == NGX_HTTP_OCI_FILL_RUNNING) {

        /* the rest, where that is wanted; what is whole is ended first */

        fill->busy++;
        ngx_http_oci_fill_verify(fill);
        ngx_http_oci_fill_schedule(fill);
        fill->busy--;

        if (!ngx_http_oci_fill_idle(fill)) {
            if (!fill->tick.timer_set) {
                ngx_add_timer(&fill->tick, NGX_HTTP_OCI_FILL_TICK);
            }

            return;
        }
    }

    if (ngx_http_oci_fill_undo(fill)) {
        ngx_http_oci_fill_end(fill);

        if (!fill->tick.timer_set) {
            ngx_add_timer(&fill->tick, NGX_HTTP_OCI_FILL_TICK);
        }

        return;
    }

    fill->busy++;
    ngx_http_oci_source_cancel(fill);

    if (fill->tick.timer_set) {
        ngx_del_timer(&fill->tick);
    }

    if (fill->news.posted) {
        ngx_delete_posted_event(&fill->news);
    }

    oci_fill_close(&fill->file);
    ngx_http_oci_fill_turn_end(fill);

    ngx_http_oci_fill_unhash(fill);
    ngx_queue_remove(&fill->queue);

    ngx_destroy_pool(fill->pool);
}


static void
ngx_http_oci_fill_unhash(ngx_http_oci_fill_t *fill)
{
    fill->hashed = 0;
}
