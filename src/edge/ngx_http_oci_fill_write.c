
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * From a fetch to the file: one piece is filled by the connection while a
 * thread writes the other, as soon as there is anything to write, so that a
 * slow upstream's bytes are seen at once and a fast one's go in large pieces.
 */


#include "ngx_http_oci_fill_part.h"


#define NGX_HTTP_OCI_FILL_PIECE  (256 * 1024)
#define NGX_HTTP_OCI_FILL_FIRST  (32 * 1024)

/*
 * All who read are woken by each write: but for the first bytes it waits for
 * some more, a little.
 */

#define NGX_HTTP_OCI_FILL_BATCH   (128 * 1024)
#define NGX_HTTP_OCI_FILL_LINGER  5             /* ms */


static void ngx_http_oci_fill_linger(ngx_event_t *ev);
static int ngx_http_oci_fill_write_chunk(ngx_http_oci_fill_fetch_t *ff,
    uint32_t i, off_t at);


void
ngx_http_oci_fill_write_init(ngx_http_oci_fill_fetch_t *ff)
{
    ff->writer.lock = -1;

    ngx_http_oci_job_init(&ff->write, ff->fill->log,
                          ngx_http_oci_fill_write_work,
                          ngx_http_oci_fill_write_done, ff);

    ff->linger.handler = ngx_http_oci_fill_linger;
    ff->linger.data = ff;
    ff->linger.log = ff->fill->log;
}


void
ngx_http_oci_fill_write_free(ngx_http_oci_fill_fetch_t *ff)
{
    ngx_http_oci_fill_let_go(ff);

    if (ff->linger.timer_set) {
        ngx_del_timer(&ff->linger);
    }

    if (ff->in.data) {
        ngx_free(ff->in.data);
    }

    if (ff->out.data) {
        ngx_free(ff->out.data);
    }

    if (ff->spool) {
        ngx_http_oci_spool_free(ff->spool);
    }
}


/* the claim, and the lock of whoever writes */

void
ngx_http_oci_fill_let_go(ngx_http_oci_fill_fetch_t *ff)
{
    oci_fill_writer_close(&ff->writer);

    if (ff->claimed) {
        ff->claimed = 0;
        oci_chunkmap_release(&ff->fill->file.map, ff->chunk, ff->token);
    }
}


/* as a fetch's body callback; all bytes are taken */

ngx_int_t
ngx_http_oci_fill_take(ngx_http_oci_fill_fetch_t *ff, u_char *p, size_t n)
{
    u_char  *data;
    size_t   size;

    size = ff->in.len + n;

    if (size > ff->in.size) {

        size = (size <= NGX_HTTP_OCI_FILL_FIRST) ? NGX_HTTP_OCI_FILL_FIRST
                                                 : 2 * size;

        data = ngx_alloc(size, ff->fill->log);
        if (data == NULL) {
            return NGX_ERROR;
        }

        if (ff->in.data) {
            ngx_memcpy(data, ff->in.data, ff->in.len);
            ngx_free(ff->in.data);
        }

        ff->in.data = data;
        ff->in.size = size;
    }

    ngx_memcpy(ff->in.data + ff->in.len, p, n);

    ff->in.len += n;
    ff->at += n;
    ff->moved = 1;

    ngx_http_oci_fill_write(ff);

    if (ff->in.len >= NGX_HTTP_OCI_FILL_PIECE
        || (ff->probe && ff->fill->sizing))
    {
        ff->paused = 1;
        return NGX_AGAIN;
    }

    return NGX_OK;
}


/* hands what has come to a thread, unless one is at it */

void
ngx_http_oci_fill_write(ngx_http_oci_fill_fetch_t *ff)
{
    if (ff->write.busy || ff->probe || ff->in.len + ff->out.len == 0) {
        return;
    }

    if (ff->begun && ff->out.len == 0 && ff->fetch && !ff->hurry
        && ff->in.len < NGX_HTTP_OCI_FILL_BATCH)
    {
        if (!ff->linger.timer_set) {
            ngx_add_timer(&ff->linger, NGX_HTTP_OCI_FILL_LINGER);
        }

        return;
    }

    if (ff->linger.timer_set) {
        ngx_del_timer(&ff->linger);
    }

    if (ff->out.len == 0) {
        ngx_http_oci_fill_hand(ff);
    }

    if (ngx_http_oci_job_post(&ff->write, ff->fill->threads) != NGX_OK) {
        ff->lost = 1;
        ff->out.len = 0;
    }
}


/* what has come is what is written next */

void
ngx_http_oci_fill_hand(ngx_http_oci_fill_fetch_t *ff)
{
    ngx_http_oci_piece_t  piece;

    if (ff->in.len == 0) {
        return;
    }

    ff->begun = 1;

    piece = ff->out;
    ff->out = ff->in;
    ff->in = piece;
    ff->in.len = 0;

    ff->out_at = ff->at - ff->out.len;
}


static void
ngx_http_oci_fill_linger(ngx_event_t *ev)
{
    ngx_http_oci_fill_fetch_t  *ff;

    ff = ev->data;

    ff->hurry = 1;
    ngx_http_oci_fill_write(ff);
    ff->hurry = 0;
}


/* runs in a thread: out goes into the file, ff has its claim */

int
ngx_http_oci_fill_write_work(void *data)
{
    ngx_http_oci_fill_fetch_t  *ff = data;

    int              rc;
    off_t            at;
    size_t           n, len;
    u_char          *p;
    uint32_t         i;
    oci_chunkmap_t  *map;

    if (ff->spooled) {
        return ngx_http_oci_spool_write(ff);
    }

    map = &ff->fill->file.map;
    p = ff->out.data;
    len = ff->out.len;
    at = ff->out_at;

    while (len) {
        i = oci_chunkmap_at(map, at);

        rc = ngx_http_oci_fill_write_chunk(ff, i, at);

        if (rc != OCI_OK) {
            return rc;
        }

        n = (size_t) (oci_chunkmap_start(map, i)
                      + oci_chunkmap_chunk(map, i) - at);
        n = ngx_min(n, len);

        if (ff->claimed) {
            rc = oci_fill_write(&ff->writer, &ff->fill->file, p, n);

            if (rc != OCI_OK) {
                return rc;
            }
        }

        p += n;
        at += n;
        len -= n;
    }

    return OCI_OK;
}


/*
 * The next bytes are of chunk i: one that lies under the same claim, or, in
 * a stream over all chunks, one that is claimed now.  Of those that are
 * there, or somebody else's, it has no claim and they are passed over.
 */

static int
ngx_http_oci_fill_write_chunk(ngx_http_oci_fill_fetch_t *ff, uint32_t i,
    off_t at)
{
    int              rc;
    oci_chunkmap_t  *map;

    map = &ff->fill->file.map;

    if (ff->claimed && i != ff->chunk && !ff->whole) {
        oci_fill_writer_close(&ff->writer);
        oci_chunkmap_release_one(map, ff->chunk, ff->token);
        ff->chunk = i;
    }

    if (ff->whole && (!ff->claimed || i != ff->chunk)) {
        ngx_http_oci_fill_let_go(ff);

        rc = oci_chunkmap_claim(map, i, ngx_http_oci_fill_now(),
                                NGX_HTTP_OCI_FILL_TTL, OCI_CHUNKMAP_CLAIMS,
                                &ff->token);

        if (rc == OCI_EXISTS || rc == OCI_CONFLICT) {
            return OCI_OK;
        }

        if (rc != OCI_OK) {
            return rc;
        }

        ff->claimed = 1;
        ff->chunk = i;
    }

    if (ff->writer.lock != -1) {
        return OCI_OK;
    }

    rc = oci_fill_writer_open(&ff->writer, &ff->fill->file, i, ff->token);

    if (rc == OCI_OK) {

        /* where our first byte is was read when the chunk was claimed */

        ff->writer.offset = (uint32_t) (at - oci_chunkmap_start(map, i));
    }

    return rc;
}


void
ngx_http_oci_fill_write_done(void *data, int rc)
{
    ngx_http_oci_fill_fetch_t  *ff = data;

    ngx_uint_t            status;
    ngx_http_oci_fill_t  *fill;

    fill = ff->fill;
    fill->busy++;
    status = 0;

    fill->moved += ff->out.len;
    ff->out.len = 0;

    switch (rc) {

    case OCI_OK:

        if (ff->early && fill->file.first) {

            /* into a map that was made for it: nobody else's bytes */

            ff->early = 0;
            fill->kept = 1;
        }

        if (fill->moved >= NGX_HTTP_OCI_FILL_ALIVE) {
            fill->failures = 0;
        }

        if (ff->claimed) {
            (void) oci_chunkmap_renew(&fill->file.map, ff->chunk, ff->token,
                                      ngx_http_oci_fill_now(),
                                      NGX_HTTP_OCI_FILL_TTL);
        }

        ngx_http_oci_fill_progress(fill);
        break;

    case OCI_CONFLICT:
    case OCI_AGAIN:

        /* another one goes on where we came to */

        ff->lost = 1;
        break;

    case OCI_NOT_FOUND:
        ngx_log_error(NGX_LOG_ERR, fill->log, 0,
                      "oci: what there was of %V has been removed",
                      &fill->path);

        ff->lost = 1;
        status = NGX_HTTP_INTERNAL_SERVER_ERROR;
        break;

    case OCI_RANGE:
        ngx_log_error(NGX_LOG_ERR, fill->log, NGX_ENOSPC,
                      "oci: no room to go on with %V", &fill->path);

        ff->lost = 1;
        status = NGX_HTTP_INSUFFICIENT_STORAGE;
        break;

    default:
        ff->lost = 1;
        status = NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_oci_fill_written(ff);

    if (status) {
        ngx_http_oci_fill_fail(fill, status, -1);
    }

    fill->busy--;

    ngx_http_oci_fill_release(fill);
}


/* goes on, or ends it; ff may be gone after it */

void
ngx_http_oci_fill_written(ngx_http_oci_fill_fetch_t *ff)
{
    if (ff->lost) {
        ff->in.len = 0;

        if (ff->fetch) {
            ngx_http_oci_fetch_cancel(ff->fetch);

        } else {
            ngx_http_oci_fill_fetch_end(ff);
        }

        return;
    }

    ngx_http_oci_fill_write(ff);

    if (ff->fetch == NULL) {
        ngx_http_oci_fill_fetch_end(ff);
        return;
    }

    if (ff->paused && ff->in.len < NGX_HTTP_OCI_FILL_PIECE) {
        ff->paused = 0;
        ngx_http_oci_fetch_resume(ff->fetch);
    }
}
