
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The body of an upload: two pieces, one being filled from the client while
 * a thread writes and hashes the other.  The event loop does neither.
 */


#include "ngx_http_oci_upload.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_task.h"

#include "ngx_http_oci_tagset.h"


/* a slow client's bytes reach the session at least this often */

#define NGX_HTTP_OCI_UPLOAD_FLUSH      1000
#define NGX_HTTP_OCI_UPLOAD_PIECE_MIN  4096


static u_char *ngx_http_oci_receive_piece(ngx_http_oci_upload_t *u);
static void ngx_http_oci_receive_free(ngx_http_oci_upload_t *u, u_char *p);
static ssize_t ngx_http_oci_receive_data(ngx_http_request_t *r, void *sink,
    u_char *p, size_t len);
static void ngx_http_oci_receive_end(ngx_http_request_t *r, void *sink,
    ngx_int_t rc);
static void ngx_http_oci_receive_flush(ngx_event_t *ev);
static void ngx_http_oci_receive_next(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u);
static ngx_int_t ngx_http_oci_receive_post(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u, ngx_http_oci_work_pt work,
    ngx_http_oci_done_pt done);
static void ngx_http_oci_receive_write(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u);
static int ngx_http_oci_receive_write_work(void *data);
static void ngx_http_oci_receive_write_done(ngx_http_request_t *r, void *data,
    int rc);
static void ngx_http_oci_receive_finish(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u);
static int ngx_http_oci_receive_finish_work(void *data);
static void ngx_http_oci_receive_finish_done(ngx_http_request_t *r,
    void *data, int rc);
static int ngx_http_oci_receive_fail_work(void *data);
static void ngx_http_oci_receive_fail_done(ngx_http_request_t *r, void *data,
    int rc);


/*
 * Pieces of this worker that wait for the next upload: giving megabytes back
 * to the system and taking it again for each chunk of a push stops the event
 * loop for a millisecond.
 */

static u_char      *ngx_http_oci_spare[NGX_HTTP_OCI_UPLOAD_SPARE];
static ngx_uint_t   ngx_http_oci_nspare;

static ngx_uint_t   ngx_http_oci_receiving;     /* uploads, just now */


void
ngx_http_oci_upload_receive(ngx_http_request_t *r, ngx_http_oci_upload_t *u)
{
    off_t  n;

    n = r->headers_in.content_length_n;

    u->receiving = 1;

    u->size = (++ngx_http_oci_receiving > NGX_HTTP_OCI_UPLOAD_MANY)
              ? NGX_HTTP_OCI_UPLOAD_SMALL : NGX_HTTP_OCI_UPLOAD_PIECE;

    if (n >= 0 && n < (off_t) u->size) {
        u->size = ngx_max((size_t) n, NGX_HTTP_OCI_UPLOAD_PIECE_MIN);
    }

    u->flush.handler = ngx_http_oci_receive_flush;
    u->flush.data = r->connection;
    u->flush.log = r->connection->log;

    u->body.data = ngx_http_oci_receive_data;
    u->body.end = ngx_http_oci_receive_end;
    u->body.sink = u;

    ngx_http_oci_body_read(r, &u->body);
}


void
ngx_http_oci_upload_release(ngx_http_oci_upload_t *u)
{
    if (!u->receiving) {
        return;
    }

    ngx_http_oci_receiving--;

    ngx_http_oci_receive_free(u, u->piece[0]);
    ngx_http_oci_receive_free(u, u->piece[1]);
}


static u_char *
ngx_http_oci_receive_piece(ngx_http_oci_upload_t *u)
{
    if (u->size == NGX_HTTP_OCI_UPLOAD_PIECE && ngx_http_oci_nspare) {
        return ngx_http_oci_spare[--ngx_http_oci_nspare];
    }

    return ngx_alloc(u->size, u->request->connection->log);
}


static void
ngx_http_oci_receive_free(ngx_http_oci_upload_t *u, u_char *p)
{
    if (p == NULL) {
        return;
    }

    if (u->size == NGX_HTTP_OCI_UPLOAD_PIECE
        && ngx_http_oci_nspare < NGX_HTTP_OCI_UPLOAD_SPARE)
    {
        ngx_http_oci_spare[ngx_http_oci_nspare++] = p;
        return;
    }

    ngx_free(p);
}


static ssize_t
ngx_http_oci_receive_data(ngx_http_request_t *r, void *sink, u_char *p,
    size_t len)
{
    ngx_http_oci_upload_t  *u = sink;

    size_t  n, taken;

    if (u->ranged && u->body.received + (off_t) len > u->length) {
        u->failed = 1;
        u->rc = OCI_RANGE;
        return NGX_ERROR;
    }

    for (taken = 0; taken < len; taken += n) {

        if (u->len[u->fill] == u->size) {

            if (u->writing) {
                break;
            }

            ngx_http_oci_receive_write(r, u);
        }

        if (u->failed) {
            return NGX_ERROR;
        }

        if (u->piece[u->fill] == NULL) {
            u->piece[u->fill] = ngx_http_oci_receive_piece(u);

            if (u->piece[u->fill] == NULL) {
                u->failed = 1;
                u->rc = OCI_AGAIN;
                return NGX_ERROR;
            }
        }

        n = ngx_min(len - taken, u->size - u->len[u->fill]);

        ngx_memcpy(u->piece[u->fill] + u->len[u->fill], p + taken, n);

        u->len[u->fill] += n;
    }

    if (u->len[u->fill] == u->size && !u->writing) {
        ngx_http_oci_receive_write(r, u);

        if (u->failed) {
            return NGX_ERROR;
        }
    }

    if (u->len[u->fill] && !u->flush.timer_set) {
        ngx_add_timer(&u->flush, NGX_HTTP_OCI_UPLOAD_FLUSH);
    }

    return taken;
}


static void
ngx_http_oci_receive_end(ngx_http_request_t *r, void *sink, ngx_int_t rc)
{
    ngx_http_oci_upload_t  *u = sink;

    u->body_ended = 1;
    u->body_rc = rc;

    ngx_http_oci_receive_next(r, u);
}


static void
ngx_http_oci_receive_flush(ngx_event_t *ev)
{
    ngx_connection_t       *c;
    ngx_http_request_t     *r;
    ngx_http_oci_upload_t  *u;

    u = (ngx_http_oci_upload_t *) ((u_char *) ev
                                   - offsetof(ngx_http_oci_upload_t, flush));
    r = u->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (!u->writing && !u->body_ended && !u->failed && u->len[u->fill]) {

        ngx_http_oci_receive_write(r, u);

        if (u->failed) {
            ngx_http_oci_body_stop(r);
            ngx_http_oci_receive_next(r, u);
        }
    }

    ngx_http_run_posted_requests(c);
}


/* after each step: what comes next, once nothing is being written */

static void
ngx_http_oci_receive_next(ngx_http_request_t *r, ngx_http_oci_upload_t *u)
{
    if (u->writing) {
        return;
    }

    if (!u->failed && u->len[u->fill]) {

        ngx_http_oci_receive_write(r, u);

        if (u->writing) {
            return;
        }
    }

    if (u->flush.timer_set) {
        ngx_del_timer(&u->flush);
    }

    ngx_http_oci_receive_finish(r, u);
}


static ngx_int_t
ngx_http_oci_receive_post(ngx_http_request_t *r, ngx_http_oci_upload_t *u,
    ngx_http_oci_work_pt work, ngx_http_oci_done_pt done)
{
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    return ngx_http_oci_task_post(r, olcf->write_pool, work, done, u, 1);
}


/* hands the filled piece to a thread; sets writing, or failed */

static void
ngx_http_oci_receive_write(ngx_http_request_t *r, ngx_http_oci_upload_t *u)
{
    /* before the task: its thread may run at once */

    u->writing = 1;
    u->out = u->piece[u->fill];
    u->out_len = u->len[u->fill];

    u->fill ^= 1;
    u->len[u->fill] = 0;

    if (ngx_http_oci_receive_post(r, u, ngx_http_oci_receive_write_work,
                                  ngx_http_oci_receive_write_done)
        != NGX_OK)
    {
        u->writing = 0;
        u->failed = 1;
        u->rc = OCI_AGAIN;
    }
}


static int
ngx_http_oci_receive_write_work(void *data)
{
    ngx_http_oci_upload_t  *u = data;

    /*
     * What a chunk with a Content-Range or a closing PUT brought counts as a
     * whole or not at all, so it is not saved on the way.
     */

    return oci_upload_write(&u->session, u->out, u->out_len,
                            !u->ranged && !u->put);
}


static void
ngx_http_oci_receive_write_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_upload_t  *u = data;

    u->writing = 0;

    if (rc != OCI_OK) {
        u->failed = 1;
        u->rc = rc;

        if (!u->body_ended) {
            ngx_http_oci_body_stop(r);
        }

        ngx_http_oci_receive_next(r, u);
        return;
    }

    if (u->body_ended) {
        ngx_http_oci_receive_next(r, u);
        return;
    }

    if (u->len[u->fill] == u->size) {

        /* the thread goes on before the client is read from */

        ngx_http_oci_receive_write(r, u);

        if (u->failed) {
            ngx_http_oci_body_stop(r);
            ngx_http_oci_receive_next(r, u);
            return;
        }
    }

    if (u->len[u->fill] && !u->flush.timer_set) {
        ngx_add_timer(&u->flush, NGX_HTTP_OCI_UPLOAD_FLUSH);
    }

    ngx_http_oci_body_continue(r);
}


static void
ngx_http_oci_receive_finish(ngx_http_request_t *r, ngx_http_oci_upload_t *u)
{
    ngx_http_oci_work_pt  work;
    ngx_http_oci_done_pt  done;

    if (!u->failed && u->body_rc == NGX_OK && u->ranged
        && u->body.received != u->length)
    {
        u->failed = 1;
        u->rc = OCI_RANGE;
    }

    if (u->failed || u->body_rc != NGX_OK) {
        work = ngx_http_oci_receive_fail_work;
        done = ngx_http_oci_receive_fail_done;

    } else {
        work = ngx_http_oci_receive_finish_work;
        done = ngx_http_oci_receive_finish_done;
    }

    if (ngx_http_oci_receive_post(r, u, work, done) != NGX_OK) {
        ngx_http_finalize_request(r, ngx_http_oci_send_failure(r, OCI_AGAIN));
    }
}


static int
ngx_http_oci_receive_finish_work(void *data)
{
    ngx_http_oci_upload_t  *u = data;

    int           rc;
    oci_digest_t  empty;

    if (u->whole && u->body.received == 0) {

        /* a POST that only announced its digest opens a session */

        oci_digest_of(&empty, u->digest.alg, (u_char *) "", 0);
        u->stay = !oci_digest_equal(&empty, &u->digest);
    }

    if (u->put && !u->stay) {
        oci_generation_span_start();

        rc = oci_upload_commit(&u->session, u->repo, &u->digest);

        if (rc == OCI_OK) {
            ngx_http_oci_tagset_carry(u->zone, u->store, u->repo);
        }

        u->finished = (rc == OCI_OK);
        u->spoilt = (rc == OCI_MISMATCH);

    } else {
        rc = oci_upload_save(&u->session);
    }

    u->open = 0;
    oci_upload_close(&u->session);

    return rc;
}


static void
ngx_http_oci_receive_finish_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_upload_t  *u = data;

    ngx_int_t  n;

    if (rc != OCI_OK) {
        n = ngx_http_oci_upload_error(r, u, rc);

    } else if (u->put && !u->stay) {
        n = ngx_http_oci_upload_created(r, u);

    } else if (ngx_http_oci_upload_headers(r, u) != NGX_OK) {
        n = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {
        n = ngx_http_oci_send_empty(r, NGX_HTTP_ACCEPTED);
    }

    ngx_http_finalize_request(r, n);
}


static int
ngx_http_oci_receive_fail_work(void *data)
{
    ngx_http_oci_upload_t  *u = data;

    if (u->whole) {
        u->spoilt = (oci_upload_remove(&u->session) == OCI_OK);

    } else if (u->ranged || u->put) {
        (void) oci_upload_rollback(&u->session);

    } else {
        (void) oci_upload_save(&u->session);
    }

    u->open = 0;
    oci_upload_close(&u->session);

    return OCI_OK;
}


static void
ngx_http_oci_receive_fail_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_upload_t  *u = data;

    ngx_http_finalize_request(r, u->failed
                                 ? ngx_http_oci_upload_error(r, u, u->rc)
                                 : u->body_rc);
}
