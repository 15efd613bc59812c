
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * How a fill begins: what nobody has begun with is asked for at once, by
 * whose turn it is, and its folder is made while the upstream thinks; else a
 * thread looks at what there is.
 */


#include "ngx_http_oci_fill_part.h"

#include "oci_blob.h"


static int ngx_http_oci_fill_open_work(void *data);
static void ngx_http_oci_fill_open_done(void *data, int rc);
static void ngx_http_oci_fill_opened(ngx_http_oci_fill_t *fill, int rc);


int
ngx_http_oci_fill_fresh(ngx_http_oci_fill_ask_t *ask)
{
    int  turn;

    turn = oci_fill_turn(ask->store, ask->digest);

    if (turn < 0) {
        return -1;
    }

    if (oci_fill_fresh(ask->store, ask->digest) != OCI_OK) {
        close(turn);
        return -1;
    }

    return turn;
}


void
ngx_http_oci_fill_open_init(ngx_http_oci_fill_t *fill)
{
    ngx_http_oci_job_init(&fill->open, fill->log, ngx_http_oci_fill_open_work,
                          ngx_http_oci_fill_open_done, fill);
}


void
ngx_http_oci_fill_open(ngx_http_oci_fill_t *fill)
{
    if (ngx_http_oci_source_none(fill)) {
        return;
    }

    fill->again = 0;

    if (fill->turn == -1) {

        /* it may be another's who makes a map just now */

        ngx_http_oci_zone_wait(fill->zone, ngx_http_oci_wake_bit());
    }

    if (ngx_http_oci_job_post(&fill->open, fill->threads) != NGX_OK) {
        ngx_http_oci_fill_fail(fill, NGX_HTTP_SERVICE_UNAVAILABLE, 1);
    }
}


static int
ngx_http_oci_fill_open_work(void *data)
{
    ngx_http_oci_fill_t  *fill = data;

    int      rc, turn;
    int64_t  size;

    rc = oci_blob_known(fill->store, &fill->digest, &size);

    if (rc == OCI_OK) {
        return OCI_EXISTS;
    }

    if (rc == OCI_ERROR) {
        return rc;
    }

    /* before a map is looked for: whoever makes one has the turn until then */

    turn = OCI_OK;

    if (fill->turn == -1) {
        turn = oci_fill_turn(fill->store, &fill->digest);
        fill->turn = (turn < 0) ? -1 : turn;

        /* another's, who has made nothing yet: nor do we */

        if (turn < 0 && oci_fill_fresh(fill->store, &fill->digest) == OCI_OK) {
            return turn;
        }
    }

    /* a size that a manifest tells is anybody's: the upstream's counts */

    rc = oci_fill_open(&fill->file, fill->store, &fill->digest, -1,
                       ngx_http_oci_fill_grain(fill->conf), fill->reserve);

    if (rc != OCI_OK || fill->file.image != NULL) {
        return rc;
    }

    if (turn < 0) {
        oci_fill_close(&fill->file);
        return turn;
    }

    /* it is a new one: another may have ended since we looked */

    if (oci_blob_known(fill->store, &fill->digest, &size) != OCI_OK) {
        oci_fill_prepare(&fill->file);
        return OCI_OK;
    }

    (void) oci_fill_discard(&fill->file);
    oci_fill_close(&fill->file);

    return OCI_EXISTS;
}


static void
ngx_http_oci_fill_open_done(void *data, int rc)
{
    ngx_http_oci_fill_t  *fill = data;

    fill->busy++;

    if (fill->state != NGX_HTTP_OCI_FILL_FAILED) {
        ngx_http_oci_fill_opened(fill, rc);
    }

    if (fill->state == NGX_HTTP_OCI_FILL_WAITING && fill->again) {
        ngx_http_oci_fill_open(fill);
    }

    ngx_http_oci_fill_look_around(fill);

    fill->busy--;

    ngx_http_oci_fill_release(fill);
}


static void
ngx_http_oci_fill_opened(ngx_http_oci_fill_t *fill, int rc)
{
    if (rc == OCI_OK && fill->file.image == NULL) {
        ngx_http_oci_fill_set(fill, NGX_HTTP_OCI_FILL_ASKING);
        return;
    }

    /* nothing is to be asked for, or not yet, or not by us */

    ngx_http_oci_fill_turn_end(fill);
    ngx_http_oci_fill_probe_lost(fill);

    if (fill->spool) {
        ngx_http_oci_spool_free(fill->spool);
        fill->spool = NULL;
    }

    switch (rc) {

    case OCI_OK:
        fill->size = fill->file.map.size;
        ngx_http_oci_fill_set(fill, NGX_HTTP_OCI_FILL_RUNNING);
        return;

    case OCI_EXISTS:
        ngx_http_oci_fill_set(fill, NGX_HTTP_OCI_FILL_PRESENT);
        return;

    case OCI_AGAIN:
        ngx_http_oci_fill_set(fill, NGX_HTTP_OCI_FILL_WAITING);
        return;

    case OCI_RANGE:
        ngx_log_error(NGX_LOG_WARN, fill->log, 0,
                      "oci: no room for %V, it is passed on without a file",
                      &fill->path);
        ngx_http_oci_fill_set(fill, NGX_HTTP_OCI_FILL_DIRECT);
        return;

    case OCI_CONFLICT:
        ngx_http_oci_fill_set(fill, NGX_HTTP_OCI_FILL_DIRECT);
        return;

    default:
        ngx_http_oci_fill_fail(fill, NGX_HTTP_INTERNAL_SERVER_ERROR, -1);
    }
}
