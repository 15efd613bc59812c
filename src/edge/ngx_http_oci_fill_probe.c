
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The first question, and a file for its answer.
 *
 * Nobody knows how long a blob is that was not asked for yet.  Who has the
 * turn asks for the first bytes, and with them for that; a file is made when
 * the answer tells it, and the first of them go into it at once.
 */


#include "ngx_http_oci_fill_part.h"


#define NGX_HTTP_OCI_FILL_ROOM      2000        /* ms to wait for some */
#define NGX_HTTP_OCI_FILL_ROOM_ALL  5000


/* an offer of the first bytes */

#define NGX_HTTP_OCI_OFFER_NONE     0
#define NGX_HTTP_OCI_OFFER_MADE     1
#define NGX_HTTP_OCI_OFFER_LATE     2           /* it is not looked at */


static int ngx_http_oci_fill_make_work(void *data);
static void ngx_http_oci_fill_make_done(void *data, int rc);
static int ngx_http_oci_fill_rest_work(void *data);
static void ngx_http_oci_fill_rest_done(void *data, int rc);
static ngx_uint_t ngx_http_oci_fill_room(ngx_http_oci_fill_t *fill);
static ngx_http_oci_fill_fetch_t *ngx_http_oci_fill_probed(
    ngx_http_oci_fill_t *fill);
static void ngx_http_oci_fill_made(ngx_http_oci_fill_t *fill, int rc);
static void ngx_http_oci_fill_unmade(ngx_http_oci_fill_t *fill,
    ngx_http_oci_fill_fetch_t *ff, int rc);
static void ngx_http_oci_fill_first(ngx_http_oci_fill_t *fill,
    ngx_http_oci_fill_fetch_t *ff);


void
ngx_http_oci_fill_probe_init(ngx_http_oci_fill_t *fill)
{
    fill->turn = -1;

    ngx_http_oci_job_init(&fill->make, fill->log, ngx_http_oci_fill_make_work,
                          ngx_http_oci_fill_make_done, fill);

    ngx_http_oci_job_init(&fill->rest, fill->log, ngx_http_oci_fill_rest_work,
                          ngx_http_oci_fill_rest_done, fill);
}


ngx_int_t
ngx_http_oci_fill_turn(ngx_http_oci_fill_t *fill)
{
    int  fd;

    if (fill->turn != -1) {
        return NGX_OK;
    }

    fd = oci_fill_turn(fill->store, &fill->digest);

    if (fd < 0) {
        return NGX_DECLINED;
    }

    fill->turn = fd;

    return NGX_OK;
}


void
ngx_http_oci_fill_turn_end(ngx_http_oci_fill_t *fill)
{
    if (fill->turn != -1) {
        close(fill->turn);
        fill->turn = -1;
    }
}


void
ngx_http_oci_fill_probe(ngx_http_oci_fill_t *fill)
{
    ngx_http_oci_source_t      *source;
    ngx_http_oci_fill_fetch_t  *ff;

    if (fill->failures
        && (ngx_msec_int_t) (fill->retry_at - ngx_current_msec) > 0)
    {
        return;
    }

    source = ngx_http_oci_source_pick(fill, NGX_HTTP_OCI_SOURCE_YES);

    if (source == NULL) {
        source = ngx_http_oci_source_pick(fill, NGX_HTTP_OCI_SOURCE_NEW);
    }

    if (source == NULL || ngx_http_oci_fill_dead(fill, source)) {
        return;
    }

    ff = ngx_http_oci_fill_fetch_create(fill, source);

    if (ff == NULL) {
        ngx_http_oci_fill_fail(fill, NGX_HTTP_INTERNAL_SERVER_ERROR, -1);
        return;
    }

    ff->probe = 1;
    ff->to = source->conf->fill_chunk;
    ff->fetch->range_start = 0;
    ff->fetch->range_end = ff->to - 1;

    fill->probe = ff;

    (void) ngx_http_oci_fill_fetch_start(ff);

    /* in this order: it connects before all else that this leads to */

    if (source->state == NGX_HTTP_OCI_SOURCE_NEW) {
        ngx_http_oci_source_set(source, NGX_HTTP_OCI_SOURCE_ASKING, 0, -1);
    }
}


/* no file will be made for it */

void
ngx_http_oci_fill_probe_lost(ngx_http_oci_fill_t *fill)
{
    ngx_http_oci_fill_fetch_t  *ff;

    if (fill->probe == NULL) {
        return;
    }

    fill->busy++;

    ff = ngx_http_oci_fill_probed(fill);
    ff->lost = 1;

    ngx_http_oci_fill_written(ff);

    fill->busy--;
}


/*
 * Makes a file for what the probe brings, as soon as its length is known.  The
 * thread that makes it writes what it is offered until it has done so; what
 * comes too late for that is written as all that follows.
 */

void
ngx_http_oci_fill_make(ngx_http_oci_fill_t *fill)
{
    ngx_http_oci_fill_fetch_t  *ff;

    if (!fill->sizing || fill->later || fill->open.busy
        || fill->state != NGX_HTTP_OCI_FILL_ASKING)
    {
        return;
    }

    ff = fill->probe;

    if (ff->out.len == 0 && !ff->whole) {
        ngx_http_oci_fill_hand(ff);

        /* they can be sent already */

        if (ff->out.len) {
            ff->early = 1;
            fill->kept = 0;
            fill->unkept = 0;

            ngx_http_oci_fill_news(fill);
        }

        if (fill->make.busy && ff->out.len) {
            (void) ngx_atomic_cmp_set(&ff->offer, NGX_HTTP_OCI_OFFER_NONE,
                                      NGX_HTTP_OCI_OFFER_MADE);
        }
    }

    if (fill->make.busy) {
        return;
    }

    ff->offer = ff->out.len ? NGX_HTTP_OCI_OFFER_MADE
                            : NGX_HTTP_OCI_OFFER_NONE;

    if (ngx_http_oci_job_post(&fill->make, fill->threads) != NGX_OK) {
        ngx_http_oci_fill_fail(fill, NGX_HTTP_SERVICE_UNAVAILABLE, 1);
    }
}


static int
ngx_http_oci_fill_make_work(void *data)
{
    ngx_http_oci_fill_t  *fill = data;

    int                         rc;
    ngx_http_oci_fill_fetch_t  *ff;

    ff = fill->probe;

    /* nobody else is to begin with what the probe has on its way */

    fill->file.first = 0;
    fill->file.claim_now = ngx_http_oci_fill_now();
    fill->file.claim_ttl = NGX_HTTP_OCI_FILL_TTL;
    fill->file.claim_to = ff->to;

    rc = oci_fill_size(&fill->file, fill->size,
                       ngx_http_oci_fill_grain(fill->conf), fill->reserve);

    if (rc != OCI_OK || fill->file.first == 0) {
        return rc;
    }

    ff->token = fill->file.first;
    ff->claimed = 1;

    if (!ngx_atomic_cmp_set(&ff->offer, NGX_HTTP_OCI_OFFER_NONE,
                            NGX_HTTP_OCI_OFFER_LATE)
        && (off_t) ff->out.len <= fill->file.map.size)
    {
        ff->wrote = ngx_http_oci_fill_write_work(ff);
        ff->written = 1;

        if (ff->wrote == OCI_ERROR) {
            return OCI_ERROR;
        }
    }

    return OCI_OK;
}


static void
ngx_http_oci_fill_make_done(void *data, int rc)
{
    ngx_http_oci_fill_t  *fill = data;

    fill->busy++;

    ngx_http_oci_fill_made(fill, rc);

    ngx_http_oci_fill_look_around(fill);

    fill->busy--;

    ngx_http_oci_fill_release(fill);
}


/*
 * There is no room, and perhaps some can be made: 1 if that is waited for,
 * the next tick tries again.  Whoever gets nothing without a file waits
 * longer than those to whom it can be passed on.
 */

static ngx_uint_t
ngx_http_oci_fill_room(ngx_http_oci_fill_t *fill)
{
    ngx_msec_t              patience;
    ngx_queue_t            *q;
    ngx_http_oci_reader_t  *rd;

    if (!fill->evicts || ngx_exiting || ngx_queue_empty(&fill->readers)
        || ngx_http_oci_zone_hopeless(fill->zone, fill->size))
    {
        return 0;
    }

    patience = NGX_HTTP_OCI_FILL_ROOM;

    for (q = ngx_queue_head(&fill->readers);
         q != ngx_queue_sentinel(&fill->readers);
         q = ngx_queue_next(q))
    {
        rd = ngx_queue_data(q, ngx_http_oci_reader_t, queue);

        if (rd->source->conf->fill_verify == NGX_HTTP_OCI_VERIFY_ALL) {
            patience = NGX_HTTP_OCI_FILL_ROOM_ALL;
        }
    }

    if (fill->wanted == 0) {
        fill->wanted = ngx_current_msec;

    } else if (ngx_current_msec - fill->wanted >= patience) {

        /* who waits behind this one need not wait as long once more */

        ngx_http_oci_zone_vain(fill->zone, fill->size);
        return 0;
    }

    ngx_http_oci_zone_want(fill->zone, fill->size);
    ngx_http_oci_wake_manager();

    return 1;
}


/* no longer one that asks how long it is */

static ngx_http_oci_fill_fetch_t *
ngx_http_oci_fill_probed(ngx_http_oci_fill_t *fill)
{
    ngx_http_oci_fill_fetch_t  *ff;

    ff = fill->probe;

    fill->probe = NULL;
    fill->sizing = 0;

    ff->probe = 0;

    return ff;
}


/* the file for it was made, or not */

static void
ngx_http_oci_fill_made(ngx_http_oci_fill_t *fill, int rc)
{
    ngx_http_oci_fill_fetch_t  *ff;

    if (fill->state == NGX_HTTP_OCI_FILL_ASKING
        && (rc == OCI_AGAIN
            || (rc == OCI_RANGE && ngx_http_oci_fill_room(fill))))
    {
        fill->later = 1;
        return;
    }

    if (rc == OCI_OK && fill->wanted) {
        ngx_http_oci_zone_served(fill->zone);
    }

    ff = ngx_http_oci_fill_probed(fill);

    if (rc == OCI_OK && fill->state == NGX_HTTP_OCI_FILL_ASKING) {

        ngx_http_oci_fill_set(fill, NGX_HTTP_OCI_FILL_RUNNING);

        if (fill->file.created && fill->size > (off_t) ff->out.len
            && ngx_http_oci_fill_alone(ff->source->conf))
        {
            fill->from = ff->source;
        }

        fill->rests = (fill->from != NULL || fill->file.rest);

        ngx_http_oci_fill_first(fill, ff);

        ff->to = ngx_min(ff->to, (off_t) fill->file.map.size);
        ff->lost |= (ff->at > ff->to);

        /* whoever waits for the map, in whichever worker */

        ngx_http_oci_wake(ngx_http_oci_zone_waiting(fill->zone,
                                                  ngx_http_oci_wake_bit()));

    } else {
        ff->lost = 1;

        if (fill->file.image != NULL) {
            ngx_http_oci_fill_turn_end(fill);
        }
    }

    ngx_http_oci_fill_unmade(fill, ff, rc);

    if (ff->written && !ff->lost) {
        ff->written = 0;
        ngx_http_oci_fill_write_done(ff, ff->wrote);
        return;
    }

    if (ff->lost) {
        ff->out.len = 0;
    }

    ngx_http_oci_fill_written(ff);
}


/* beside those who write: by whom it can be gone on with, and its room */

static int
ngx_http_oci_fill_rest_work(void *data)
{
    ngx_http_oci_fill_t  *fill = data;

    oci_fill_from_t         from;
    ngx_http_oci_source_t  *source;

    source = fill->from;

    if (source) {
        from.upstream.len = source->target->key.len;
        from.upstream.data = source->target->key.data;
        from.remote.len = source->target->repository.len;
        from.remote.data = source->target->repository.data;
        from.repo = source->repo;

        (void) oci_fill_from_put(&fill->file, &from);
    }

    return fill->file.rest ? oci_fill_reserve(&fill->file) : OCI_OK;
}


static void
ngx_http_oci_fill_rest_done(void *data, int rc)
{
    ngx_http_oci_fill_t  *fill = data;

    if (rc == OCI_RANGE) {

        ngx_log_error(NGX_LOG_WARN, fill->log, 0,
                      "oci: the room for %V has been taken by others, it may "
                      "break off", &fill->path);

        if (fill->evicts) {
            ngx_http_oci_zone_want(fill->zone, fill->size);
            ngx_http_oci_wake_manager();
        }
    }

    fill->busy++;
    ngx_http_oci_fill_look_around(fill);
    fill->busy--;

    ngx_http_oci_fill_release(fill);
}


static void
ngx_http_oci_fill_unmade(ngx_http_oci_fill_t *fill,
    ngx_http_oci_fill_fetch_t *ff, int rc)
{
    switch (rc) {

    case OCI_OK:
        break;

    case OCI_RANGE:
    case OCI_CONFLICT:

        ngx_log_error(NGX_LOG_WARN, fill->log, 0,
                      "oci: no room for %V, it is passed on without a file",
                      &fill->path);

        if (fill->state == NGX_HTTP_OCI_FILL_ASKING) {

            /* what is another machine's stays */

            fill->discard = (rc == OCI_RANGE);
            ngx_http_oci_fill_set(fill, NGX_HTTP_OCI_FILL_DIRECT);
        }

        break;

    case OCI_MISMATCH:
        (void) ngx_http_oci_fill_other_size(ff, fill->size);
        break;

    default:
        ngx_http_oci_fill_fail(fill, NGX_HTTP_INTERNAL_SERVER_ERROR, -1);
    }
}


/* whose the first chunk is, or the whole where there are no ranges */

static void
ngx_http_oci_fill_first(ngx_http_oci_fill_t *fill,
    ngx_http_oci_fill_fetch_t *ff)
{
    uint32_t         n;
    uint64_t         now;
    oci_chunkmap_t  *map;

    map = &fill->file.map;
    now = ngx_http_oci_fill_now();

    if (ff->whole) {
        fill->single = 1;
        oci_chunkmap_set_single(map);
        ngx_http_oci_fill_let_go(ff);
        return;
    }

    ngx_http_oci_fill_turn_end(fill);

    if (!ff->claimed
        && (map->n == 0
            || oci_chunkmap_claim(map, 0, now, NGX_HTTP_OCI_FILL_TTL,
                                  OCI_CHUNKMAP_CLAIMS, &ff->token)
               != OCI_OK))
    {
        ff->lost = 1;
        return;
    }

    ff->claimed = 1;            /* by make, or just now */

    n = (uint32_t) ((ff->to + map->chunk - 1) / map->chunk);

    ff->to = ngx_min(ff->to, ngx_http_oci_fill_run(fill, ff->chunk,
                                                   n - ff->chunk, ff->token,
                                                   now));
}
