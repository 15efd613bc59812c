
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Which chunks this worker fetches next.
 *
 * First what a reader waits for, then what comes behind that, near enough to
 * be wanted soon, then all the rest, where the configuration says so.  How
 * many at once is counted over all processes.
 */


#include "ngx_http_oci_fill_part.h"


#define NGX_HTTP_OCI_FILL_PARTS  8              /* of oci_fill_chunk */
#define NGX_HTTP_OCI_FILL_GRAIN  (64 * 1024)    /* no chunk is smaller */


static ngx_uint_t ngx_http_oci_fill_whole(ngx_http_oci_fill_t *fill);
static uint32_t ngx_http_oci_fill_wanted(ngx_http_oci_fill_t *fill,
    off_t window, ngx_uint_t background, uint64_t now);
static uint32_t ngx_http_oci_fill_ahead(ngx_http_oci_fill_t *fill,
    ngx_http_oci_reader_t *rd, off_t window, uint64_t now);
static ngx_int_t ngx_http_oci_fill_chunk(ngx_http_oci_fill_t *fill,
    ngx_http_oci_source_t *source, uint32_t i, uint64_t now);
static uint32_t ngx_http_oci_fill_share(ngx_http_oci_fill_t *fill,
    ngx_http_oci_source_t *source);
static void ngx_http_oci_fill_stream(ngx_http_oci_fill_t *fill,
    ngx_http_oci_source_t *source);


void
ngx_http_oci_fill_schedule(ngx_http_oci_fill_t *fill)
{
    uint32_t                i;
    uint64_t                now;
    ngx_uint_t              limit, background;
    ngx_http_oci_source_t  *source;

    if (fill->state != NGX_HTTP_OCI_FILL_RUNNING
        || oci_chunkmap_state(&fill->file.map) != OCI_CHUNKMAP_OPEN
        || (fill->failures
            && (ngx_msec_int_t) (fill->retry_at - ngx_current_msec) > 0))
    {
        return;
    }

    if (ngx_exiting && ngx_queue_empty(&fill->readers)) {
        return;
    }

    source = ngx_http_oci_source_pick(fill, NGX_HTTP_OCI_SOURCE_YES);

    if (source == NULL || ngx_http_oci_fill_stalled(fill)) {
        return;
    }

    limit = source->conf->fill_connections;
    background = (source->conf->fill_background && !ngx_exiting)
                 || ngx_http_oci_fill_whole(fill);

    while (fill->nfetches < limit) {

        now = ngx_http_oci_fill_now();

        i = ngx_http_oci_fill_wanted(fill, (off_t) limit
                                           * source->conf->fill_chunk,
                                     background, now);

        if (i == OCI_CHUNK_NONE) {
            return;
        }

        if (ngx_http_oci_fill_dead(fill, source)) {
            return;
        }

        if (oci_chunkmap_single(&fill->file.map)) {
            ngx_http_oci_fill_stream(fill, source);
            return;
        }

        if (ngx_http_oci_fill_chunk(fill, source, i, now) != NGX_OK) {
            return;
        }
    }
}


/* 1 if somebody gets nothing before all of it was verified */

static ngx_uint_t
ngx_http_oci_fill_whole(ngx_http_oci_fill_t *fill)
{
    ngx_queue_t            *q;
    ngx_http_oci_reader_t  *rd;

    for (q = ngx_queue_head(&fill->readers);
         q != ngx_queue_sentinel(&fill->readers);
         q = ngx_queue_next(q))
    {
        rd = ngx_queue_data(q, ngx_http_oci_reader_t, queue);

        if (rd->ranges
            && rd->source->conf->fill_verify == NGX_HTTP_OCI_VERIFY_ALL)
        {
            return 1;
        }
    }

    return 0;
}


static uint32_t
ngx_http_oci_fill_wanted(ngx_http_oci_fill_t *fill, off_t window,
    ngx_uint_t background, uint64_t now)
{
    uint32_t                i;
    ngx_uint_t              pass;
    ngx_queue_t            *q;
    oci_chunkmap_t         *map;
    ngx_http_oci_reader_t  *rd;

    map = &fill->file.map;

    for (pass = 0; pass < 2; pass++) {

        for (q = ngx_queue_head(&fill->readers);
             q != ngx_queue_sentinel(&fill->readers);
             q = ngx_queue_next(q))
        {
            rd = ngx_queue_data(q, ngx_http_oci_reader_t, queue);

            if (rd->ranges == NULL || rd->at == rd->nranges) {
                continue;
            }

            i = (pass == 0) ? oci_chunkmap_pick(map, rd->pos, rd->pos + 1,
                                                now)
                            : ngx_http_oci_fill_ahead(fill, rd, window, now);

            if (i != OCI_CHUNK_NONE) {
                return i;
            }
        }
    }

    if (!background) {
        return OCI_CHUNK_NONE;
    }

    fill->cursor = oci_chunkmap_ready(map, fill->cursor, map->size);

    return oci_chunkmap_pick(map, fill->cursor, map->size, now);
}


static uint32_t
ngx_http_oci_fill_ahead(ngx_http_oci_fill_t *fill, ngx_http_oci_reader_t *rd,
    off_t window, uint64_t now)
{
    off_t       pos, end;
    uint32_t    i;
    ngx_uint_t  at;

    pos = rd->pos;

    for (at = rd->at; at < rd->nranges && window > 0; at++) {

        if (at != rd->at) {
            pos = rd->ranges[at].start;
        }

        end = ngx_min(rd->ranges[at].end, pos + window);

        i = oci_chunkmap_pick(&fill->file.map, pos, end, now);

        if (i != OCI_CHUNK_NONE) {
            return i;
        }

        window -= end - pos;
    }

    return OCI_CHUNK_NONE;
}


/* NGX_OK; NGX_AGAIN: no more at once; NGX_ERROR */

static ngx_int_t
ngx_http_oci_fill_chunk(ngx_http_oci_fill_t *fill,
    ngx_http_oci_source_t *source, uint32_t i, uint64_t now)
{
    int                         rc;
    uint64_t                    token;
    oci_chunkmap_t             *map;
    ngx_http_oci_fill_fetch_t  *ff;

    map = &fill->file.map;

    rc = oci_chunkmap_claim(map, i, now, NGX_HTTP_OCI_FILL_TTL,
                            (unsigned) source->conf->fill_connections,
                            &token);

    if (rc != OCI_OK) {
        return (rc == OCI_AGAIN) ? NGX_AGAIN : NGX_OK;
    }

    ff = ngx_http_oci_fill_fetch_create(fill, source);

    if (ff == NULL) {
        oci_chunkmap_release(map, i, token);
        return NGX_ERROR;
    }

    ff->token = token;
    ff->claimed = 1;
    ff->chunk = i;
    ff->at = oci_chunkmap_start(map, i) + oci_chunkmap_filled(map, i, NULL);
    ff->to = ngx_http_oci_fill_run(fill, i,
                                   ngx_http_oci_fill_share(fill, source),
                                   token, now);

    ff->fetch->range_start = ff->at;
    ff->fetch->range_end = ff->to - 1;

    return ngx_http_oci_fill_fetch_start(ff);
}


/*
 * Chunks of a map are smaller than what one request asks for: as many of
 * them as go into oci_fill_chunk, and less of them where little is missing,
 * so that all connections come to the end of the blob together.
 */

uint32_t
ngx_http_oci_fill_grain(ngx_http_oci_edge_conf_t *conf)
{
    off_t  grain;

    grain = ngx_max(conf->fill_chunk / NGX_HTTP_OCI_FILL_PARTS,
                    NGX_HTTP_OCI_FILL_GRAIN);
    grain = ngx_min(grain, conf->fill_chunk);

    return (uint32_t) ngx_max(ngx_min(grain, OCI_CHUNK_MAX), OCI_CHUNK_MIN);
}


static uint32_t
ngx_http_oci_fill_share(ngx_http_oci_fill_t *fill,
    ngx_http_oci_source_t *source)
{
    off_t            share;
    oci_chunkmap_t  *map;

    map = &fill->file.map;

    share = (map->size - oci_chunkmap_total(map))
            / (off_t) source->conf->fill_connections;
    share = ngx_min(share, source->conf->fill_chunk);

    return (uint32_t) ((share + map->chunk / 2) / map->chunk);
}


/* takes what follows a chunk, n in all: where the request ends */

off_t
ngx_http_oci_fill_run(ngx_http_oci_fill_t *fill, uint32_t i, uint32_t n,
    uint64_t token, uint64_t now)
{
    uint32_t         last;
    oci_chunkmap_t  *map;

    map = &fill->file.map;

    for (last = i; last + 1 < map->n && last + 1 - i < n; last++) {

        if (!oci_chunkmap_holds(map, last + 1, token)
            && oci_chunkmap_claim_more(map, last + 1, token, now) != OCI_OK)
        {
            break;
        }
    }

    return oci_chunkmap_start(map, last) + oci_chunkmap_chunk(map, last);
}


/* all from the start, by whoever holds that right */

static void
ngx_http_oci_fill_stream(ngx_http_oci_fill_t *fill,
    ngx_http_oci_source_t *source)
{
    ngx_http_oci_fill_fetch_t  *ff;

    if (fill->single || ngx_http_oci_fill_turn(fill) != NGX_OK) {
        return;
    }

    ff = ngx_http_oci_fill_fetch_create(fill, source);
    if (ff == NULL) {
        ngx_http_oci_fill_turn_end(fill);
        return;
    }

    fill->single = 1;

    ff->whole = 1;
    ff->to = fill->file.map.size;

    (void) ngx_http_oci_fill_fetch_start(ff);
}
