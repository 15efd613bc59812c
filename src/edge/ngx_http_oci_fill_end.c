
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The end of a fill: hashed as its bytes come, linked when the digest of the
 * whole holds, and thrown away, for all who read of it, when it does not.
 */


#include "ngx_http_oci_fill_part.h"

#include "oci_blob.h"

#include <stdlib.h>


#define NGX_HTTP_OCI_FILL_BUFFER  (256 * 1024)
#define NGX_HTTP_OCI_FILL_BUDGET  (64 * 1024 * 1024)
#define NGX_HTTP_OCI_FILL_LAG     (1024 * 1024)     /* before it is hashed */

#define NGX_HTTP_OCI_FILL_BAR     2                 /* seconds, then longer */
#define NGX_HTTP_OCI_FILL_BARS    8


static int ngx_http_oci_fill_verify_work(void *data);
static void ngx_http_oci_fill_verify_done(void *data, int rc);
static int ngx_http_oci_fill_end_work(void *data);
static int ngx_http_oci_fill_link(ngx_http_oci_fill_t *fill,
    ngx_http_oci_source_t *source, unsigned last);
static void ngx_http_oci_fill_end_done(void *data, int rc);
static void ngx_http_oci_fill_spooled(ngx_http_oci_fill_t *fill, int rc);


void
ngx_http_oci_fill_end_init(ngx_http_oci_fill_t *fill)
{
    ngx_http_oci_job_init(&fill->verify, fill->log,
                          ngx_http_oci_fill_verify_work,
                          ngx_http_oci_fill_verify_done, fill);

    ngx_http_oci_job_init(&fill->end, fill->log, ngx_http_oci_fill_end_work,
                          ngx_http_oci_fill_end_done, fill);
}


/* while it runs: hashes what has come, sees what others found */

void
ngx_http_oci_fill_verify(ngx_http_oci_fill_t *fill)
{
    off_t            hashed, ready;
    oci_chunkmap_t  *map;

    map = &fill->file.map;

    switch (oci_chunkmap_state(map)) {

    case OCI_CHUNKMAP_VERIFIED:

        if (!fill->verified) {
            fill->verified = 1;
            ngx_http_oci_fill_progress(fill);
        }

        ngx_http_oci_fill_end(fill);
        return;

    case OCI_CHUNKMAP_FAILED:

        /* whoever has found that may have died before it went */

        fill->discard = 1;

        ngx_http_oci_fill_fail(fill, NGX_HTTP_BAD_GATEWAY, -1);
        ngx_http_oci_fill_end(fill);
        return;

    default:
        break;
    }

    if (fill->verify.busy) {
        return;
    }

    hashed = oci_chunkmap_hashed(map);
    ready = oci_chunkmap_ready(map, hashed, hashed
                                            + NGX_HTTP_OCI_FILL_LAG);

    if (ready - hashed < NGX_HTTP_OCI_FILL_LAG && ready < map->size) {
        return;
    }

    (void) ngx_http_oci_job_post(&fill->verify, fill->threads);
}


static int
ngx_http_oci_fill_verify_work(void *data)
{
    ngx_http_oci_fill_t  *fill = data;

    int      rc;
    u_char  *buf;

    buf = malloc(NGX_HTTP_OCI_FILL_BUFFER);

    if (buf == NULL) {
        return oci_fail("malloc()", NULL);
    }

    rc = oci_fill_verify(&fill->file, buf, NGX_HTTP_OCI_FILL_BUFFER,
                         NGX_HTTP_OCI_FILL_BUDGET);

    free(buf);

    return rc;
}


static void
ngx_http_oci_fill_verify_done(void *data, int rc)
{
    ngx_http_oci_fill_t  *fill = data;

    fill->busy++;

    switch (rc) {

    case OCI_OK:
    case OCI_AGAIN:

        if (fill->state == NGX_HTTP_OCI_FILL_RUNNING) {
            ngx_http_oci_fill_verify(fill);
        }

        break;

    case OCI_MISMATCH:
        ngx_http_oci_fill_corrupt(fill);
        break;

    case OCI_ERROR:
        ngx_http_oci_fill_fail(fill, NGX_HTTP_INTERNAL_SERVER_ERROR, -1);
        break;

    case OCI_CONFLICT:

        /* another process is at it: not before the next tick */

        fill->busy--;

        if (!fill->tick.timer_set) {
            ngx_add_timer(&fill->tick, NGX_HTTP_OCI_FILL_TICK);
        }

        return;

    default:
        break;
    }

    fill->busy--;

    ngx_http_oci_fill_release(fill);
}


void
ngx_http_oci_fill_corrupt(ngx_http_oci_fill_t *fill)
{
    u_char                  text[OCI_DIGEST_MAX];
    size_t                  len;
    ngx_http_oci_source_t  *source;

    len = oci_digest_text(&fill->file.found, text);

    source = ngx_http_oci_source_pick(fill, NGX_HTTP_OCI_SOURCE_YES);

    ngx_log_error(NGX_LOG_ERR, fill->log, 0,
                  "oci: what upstream %V sent for %V of \"%V\" has the digest "
                  "%*s, nothing of it is kept",
                  source ? &source->target->key : &fill->path, &fill->path,
                  source ? &source->target->repository : &fill->path, len,
                  text);

    ngx_http_oci_fill_bar(fill->zone, NGX_HTTP_OCI_ZONE_FILL, &fill->digest,
                          NGX_HTTP_OCI_FILL_BAR * 1000,
                          NGX_HTTP_OCI_FILL_BARS, 0);

    /* those in other workers, too, before anything else */

    ngx_http_oci_fill_progress(fill);

    fill->discard = 1;

    ngx_http_oci_fill_fail(fill, NGX_HTTP_BAD_GATEWAY,
                           NGX_HTTP_OCI_FILL_BAR);
    ngx_http_oci_fill_end(fill);
}


/* links it for the repositories that may have it, or discards it */

void
ngx_http_oci_fill_end(ngx_http_oci_fill_t *fill)
{
    ngx_queue_t            *q;
    ngx_http_oci_source_t  *source, **link;

    if (fill->end.busy || fill->rest.busy) {
        return;
    }

    link = &fill->links;

    for (q = ngx_queue_head(&fill->sources);
         !fill->discard && q != ngx_queue_sentinel(&fill->sources);
         q = ngx_queue_next(q))
    {
        source = ngx_queue_data(q, ngx_http_oci_source_t, queue);

        if (source->state == NGX_HTTP_OCI_SOURCE_YES && !source->linked) {
            *link = source;
            link = &source->link;
        }
    }

    *link = NULL;

    if (fill->links == NULL && fill->spool == NULL && !fill->discard) {

        if (fill->state == NGX_HTTP_OCI_FILL_RUNNING
            && ngx_http_oci_source_pick(fill, NGX_HTTP_OCI_SOURCE_YES))
        {
            ngx_http_oci_fill_set(fill, NGX_HTTP_OCI_FILL_PRESENT);
        }

        return;
    }

    (void) ngx_http_oci_job_post(&fill->end, fill->threads);
}


static int
ngx_http_oci_fill_end_work(void *data)
{
    ngx_http_oci_fill_t  *fill = data;

    int                     rc;
    ngx_http_oci_source_t  *source;

    if (fill->discard) {
        return oci_fill_discard(&fill->file);
    }

    if (fill->spool) {
        return ngx_http_oci_spool_end(fill);
    }

    rc = OCI_OK;

    for (source = fill->links; source; source = source->link) {
        rc = ngx_http_oci_fill_link(fill, source, source->link == NULL);

        if (rc != OCI_OK) {
            break;
        }
    }

    return rc;
}


static int
ngx_http_oci_fill_link(ngx_http_oci_fill_t *fill,
    ngx_http_oci_source_t *source, unsigned last)
{
    int64_t  size;

    if (fill->file.image == NULL) {
        return oci_blob_cache_known(fill->store, &source->repo,
                                    &fill->digest, &size);
    }

    return oci_fill_finish(&fill->file, &source->repo, last);
}


static void
ngx_http_oci_fill_end_done(void *data, int rc)
{
    ngx_http_oci_fill_t  *fill = data;

    ngx_http_oci_source_t  *source;

    fill->busy++;

    if (fill->spool) {
        ngx_http_oci_fill_spooled(fill, rc);
        goto done;
    }

    if (rc == OCI_AGAIN) {

        /* somebody else is at it: the next tick tries again */

        goto done;
    }

    if (fill->discard) {
        fill->discard = 0;
        ngx_http_oci_fill_turn_end(fill);

        if (fill->state == NGX_HTTP_OCI_FILL_ASKING) {
            oci_fill_close(&fill->file);

            if (!ngx_queue_empty(&fill->readers)) {

                /* who has come meanwhile */

                ngx_http_oci_fill_set(fill, NGX_HTTP_OCI_FILL_OPENING);
            }
        }

        goto done;
    }

    if (rc != OCI_OK) {

        /* what was verified is sent all the same */

        if (fill->state == NGX_HTTP_OCI_FILL_PRESENT || fill->size == 0) {
            ngx_http_oci_fill_fail(fill, NGX_HTTP_INTERNAL_SERVER_ERROR, -1);
        }

        fill->hashed = 0;
        goto done;
    }

    for (source = fill->links; source; source = source->link) {
        source->linked = 1;
    }

    if (fill->state == NGX_HTTP_OCI_FILL_RUNNING) {
        ngx_http_oci_fill_set(fill, NGX_HTTP_OCI_FILL_PRESENT);
        ngx_http_oci_fill_stat(fill, NGX_HTTP_OCI_STATS_FILLS_DONE, 1);
    }

    ngx_http_oci_fill_news(fill);

done:

    fill->busy--;

    ngx_http_oci_fill_release(fill);
}


static void
ngx_http_oci_fill_spooled(ngx_http_oci_fill_t *fill, int rc)
{
    ngx_http_oci_spool_free(fill->spool);

    fill->spool = NULL;

    switch (rc) {

    case OCI_OK:
        fill->spooler->linked = 1;
        ngx_http_oci_fill_set(fill, NGX_HTTP_OCI_FILL_PRESENT);
        ngx_http_oci_fill_stat(fill, NGX_HTTP_OCI_STATS_FILLS_DONE, 1);
        break;

    case OCI_MISMATCH:
        ngx_http_oci_fill_corrupt(fill);
        break;

    default:
        ngx_http_oci_fill_fail(fill, NGX_HTTP_INTERNAL_SERVER_ERROR, -1);
    }
}
