
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The body of an upload: a ring of pieces, filled from the client one after
 * the other while one thread writes those that are full and another hashes
 * those that are written.  The event loop does neither.
 */


#include "ngx_http_oci_upload.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_task.h"

#include "ngx_http_oci_tagset.h"


/* a slow client's bytes reach the session at least this often */

#define NGX_HTTP_OCI_UPLOAD_FLUSH      1000
#define NGX_HTTP_OCI_UPLOAD_PIECE_MIN  4096

/* after so many a thread is given back, for other uploads to have a turn */

#define NGX_HTTP_OCI_UPLOAD_TURN       16


#define ngx_http_oci_receive_load(p)      __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define ngx_http_oci_receive_store(p, v)                                      \
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST)

/*
 * What a chunk with a Content-Range or a closing PUT brought counts as a
 * whole or not at all, so it is not saved on the way.
 */

#define ngx_http_oci_receive_keep(u)  (!(u)->ranged && !(u)->put)


static void ngx_http_oci_receive_free(ngx_http_oci_upload_t *u, u_char *p);
static ngx_http_oci_piece_t *ngx_http_oci_receive_piece(
    ngx_http_oci_upload_t *u, ngx_uint_t n);
static ngx_http_oci_piece_t *ngx_http_oci_receive_next_piece(
    ngx_http_oci_upload_t *u);
static ngx_uint_t ngx_http_oci_receive_space(ngx_http_oci_upload_t *u);
static ngx_uint_t ngx_http_oci_receive_full(ngx_http_oci_upload_t *u);
static ngx_int_t ngx_http_oci_receive_room(ngx_http_request_t *r, void *sink,
    u_char **p, size_t *len);
static ssize_t ngx_http_oci_receive_data(ngx_http_request_t *r, void *sink,
    u_char *p, size_t len);
static void ngx_http_oci_receive_close(ngx_http_oci_upload_t *u);
static void ngx_http_oci_receive_end(ngx_http_request_t *r, void *sink,
    ngx_int_t rc);
static void ngx_http_oci_receive_flush(ngx_event_t *ev);
static void ngx_http_oci_receive_run(ngx_http_oci_upload_t *u);
static void ngx_http_oci_receive_lane(ngx_http_oci_upload_t *u,
    ngx_http_oci_lane_t *lane, ngx_http_oci_work_pt work);
static int ngx_http_oci_receive_write_work(void *data);
static int ngx_http_oci_receive_hash_work(void *data);
static int ngx_http_oci_receive_mark_work(void *data);
static void ngx_http_oci_receive_event(ngx_http_request_t *r);
static void ngx_http_oci_receive_failed(ngx_http_oci_upload_t *u, int rc);
static void ngx_http_oci_receive_next(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u);
static void ngx_http_oci_receive_finish(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u);
static int ngx_http_oci_receive_rest(ngx_http_oci_upload_t *u);
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
    u->total = n;

    u->size = (++ngx_http_oci_receiving > NGX_HTTP_OCI_UPLOAD_MANY)
              ? NGX_HTTP_OCI_UPLOAD_SMALL : NGX_HTTP_OCI_UPLOAD_PIECE;

    if (n >= 0 && n < (off_t) u->size) {
        u->size = ngx_max((size_t) n, NGX_HTTP_OCI_UPLOAD_PIECE_MIN);
    }

    u->session.more = (n >= 0) ? n : INT64_MAX;

    u->flush.handler = ngx_http_oci_receive_flush;
    u->flush.data = r->connection;
    u->flush.log = r->connection->log;

    u->body.data = ngx_http_oci_receive_data;
    u->body.room = ngx_http_oci_receive_room;
    u->body.end = ngx_http_oci_receive_end;
    u->body.sink = u;

    if (ngx_http_oci_lane_init(r, &u->writer) != NGX_OK
        || ngx_http_oci_lane_init(r, &u->hasher) != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_http_oci_body_read(r, &u->body);
}


void
ngx_http_oci_upload_release(ngx_http_oci_upload_t *u)
{
    ngx_uint_t  i;

    if (!u->receiving) {
        return;
    }

    ngx_http_oci_receiving--;

    ngx_http_oci_lane_unwait(&u->waiter);

    for (i = 0; i < NGX_HTTP_OCI_UPLOAD_PIECES; i++) {
        ngx_http_oci_receive_free(u, u->pieces[i].data);
    }
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


static ngx_http_oci_piece_t *
ngx_http_oci_receive_piece(ngx_http_oci_upload_t *u, ngx_uint_t n)
{
    return &u->pieces[n % NGX_HTTP_OCI_UPLOAD_PIECES];
}


/* the one that is being filled, where there is space; NULL: no memory */

static ngx_http_oci_piece_t *
ngx_http_oci_receive_next_piece(ngx_http_oci_upload_t *u)
{
    ngx_http_oci_piece_t  *piece;

    piece = ngx_http_oci_receive_piece(u, u->filled);

    if (piece->data) {
        return piece;
    }

    if (u->size == NGX_HTTP_OCI_UPLOAD_PIECE && ngx_http_oci_nspare) {
        piece->data = ngx_http_oci_spare[--ngx_http_oci_nspare];
        return piece;
    }

    piece->data = ngx_alloc(u->size, u->request->connection->log);

    return piece->data ? piece : NULL;
}


static ngx_uint_t
ngx_http_oci_receive_space(ngx_http_oci_upload_t *u)
{
    return u->filled - ngx_http_oci_receive_load(&u->hashed)
           < NGX_HTTP_OCI_UPLOAD_PIECES;
}


/* 1: there is no space, and ngx_http_oci_receive_event() is called for some */

static ngx_uint_t
ngx_http_oci_receive_full(ngx_http_oci_upload_t *u)
{
    if (ngx_http_oci_receive_space(u)) {
        return 0;
    }

    ngx_http_oci_lane_wait(u->request, &u->waiter);

    if (ngx_http_oci_receive_space(u)) {
        ngx_http_oci_lane_unwait(&u->waiter);
        return 0;
    }

    u->blocked = 1;

    return 1;
}


static ngx_int_t
ngx_http_oci_receive_room(ngx_http_request_t *r, void *sink, u_char **p,
    size_t *len)
{
    ngx_http_oci_upload_t  *u = sink;

    ngx_http_oci_piece_t  *piece;

    if (ngx_http_oci_receive_full(u)) {
        return NGX_AGAIN;
    }

    piece = ngx_http_oci_receive_next_piece(u);

    if (piece == NULL) {
        return NGX_DECLINED;
    }

    *p = piece->data + u->len;
    *len = u->size - u->len;

    return NGX_OK;
}


static ssize_t
ngx_http_oci_receive_data(ngx_http_request_t *r, void *sink, u_char *p,
    size_t len)
{
    ngx_http_oci_upload_t  *u = sink;

    u_char                *to;
    size_t                 n, taken;
    ngx_http_oci_piece_t  *piece;

    if (u->ranged && u->body.received + (off_t) len > u->length) {
        ngx_http_oci_receive_failed(u, OCI_RANGE);
        return NGX_ERROR;
    }

    for (taken = 0; taken < len; taken += n) {

        if (ngx_http_oci_receive_full(u)) {
            break;
        }

        piece = ngx_http_oci_receive_next_piece(u);

        if (piece == NULL) {
            ngx_http_oci_receive_failed(u, OCI_AGAIN);
            return NGX_ERROR;
        }

        n = ngx_min(len - taken, u->size - u->len);
        to = piece->data + u->len;

        if (to != p + taken) {

            /* framing of chunks lay between, or it was received elsewhere */

            ngx_memmove(to, p + taken, n);
        }

        u->len += n;

        if (u->len == u->size) {
            ngx_http_oci_receive_close(u);
        }
    }

    if (u->body.received + (off_t) taken != u->total) {

        ngx_http_oci_receive_run(u);

        if (u->failed) {
            return NGX_ERROR;
        }
    }

    if (u->len && !u->flush.timer_set) {
        ngx_add_timer(&u->flush, NGX_HTTP_OCI_UPLOAD_FLUSH);
    }

    return taken;
}


/* the piece that is being filled is handed out */

static void
ngx_http_oci_receive_close(ngx_http_oci_upload_t *u)
{
    ngx_http_oci_receive_piece(u, u->filled)->len = u->len;

    u->len = 0;

    ngx_http_oci_receive_store(&u->filled, u->filled + 1);
}


static void
ngx_http_oci_receive_end(ngx_http_request_t *r, void *sink, ngx_int_t rc)
{
    ngx_http_oci_upload_t  *u = sink;

    u->body_ended = 1;
    u->body_rc = rc;

    if (u->len) {
        ngx_http_oci_receive_close(u);
    }

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

    /* a connection with an error is being closed: nothing is begun for it */

    if (!u->body_ended && !u->failed && u->len && !c->error) {
        ngx_http_oci_receive_close(u);
        ngx_http_oci_receive_run(u);

        if (u->failed) {
            ngx_http_oci_receive_next(r, u);
        }
    }

    ngx_http_run_posted_requests(c);
}


/* has threads begin with what is there for them; sets failed if it can't */

static void
ngx_http_oci_receive_run(ngx_http_oci_upload_t *u)
{
    ngx_uint_t  written;

    if (u->lost || ngx_http_oci_receive_load(&u->due)) {
        return;
    }

    written = ngx_http_oci_receive_load(&u->written);

    if (!u->writer.running && !u->failed && u->filled != written
        && (!u->hasher.running || u->body_ended
            || u->filled - written >= NGX_HTTP_OCI_UPLOAD_PIECES / 2))
    {
        /* several pieces at once, as long as the other is busy without */

        ngx_http_oci_receive_lane(u, &u->writer,
                                  ngx_http_oci_receive_write_work);
    }

    if (!u->hasher.running
        && ngx_http_oci_receive_load(&u->written) != u->hashed)
    {
        ngx_http_oci_receive_lane(u, &u->hasher,
                                  ngx_http_oci_receive_hash_work);
    }
}


static void
ngx_http_oci_receive_lane(ngx_http_oci_upload_t *u, ngx_http_oci_lane_t *lane,
    ngx_http_oci_work_pt work)
{
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(u->request, ngx_http_oci_module);

    if (ngx_http_oci_lane_post(lane, olcf->write_pool, work, u,
                               ngx_http_oci_receive_event)
        != NGX_OK)
    {
        ngx_http_oci_receive_failed(u, OCI_AGAIN);
    }
}


static int
ngx_http_oci_receive_write_work(void *data)
{
    ngx_http_oci_upload_t  *u = data;

    int                    rc;
    ngx_uint_t             i;
    ngx_http_oci_piece_t  *piece;

    for (i = 0; i < NGX_HTTP_OCI_UPLOAD_TURN; i++) {

        if (u->written == ngx_http_oci_receive_load(&u->filled)) {
            break;
        }

        piece = ngx_http_oci_receive_piece(u, u->written);

        rc = oci_upload_put(&u->session, piece->data, piece->len);

        if (rc != OCI_OK) {
            return rc;
        }

        ngx_http_oci_receive_store(&u->written, u->written + 1);
    }

    return OCI_OK;
}


static int
ngx_http_oci_receive_hash_work(void *data)
{
    ngx_http_oci_upload_t  *u = data;

    ngx_uint_t             i;
    ngx_http_oci_piece_t  *piece;

    for (i = 0; i < NGX_HTTP_OCI_UPLOAD_TURN; i++) {

        if (u->hashed == ngx_http_oci_receive_load(&u->written)) {
            break;
        }

        piece = ngx_http_oci_receive_piece(u, u->hashed);

        oci_upload_count(&u->session, piece->data, piece->len);

        ngx_http_oci_receive_store(&u->hashed, u->hashed + 1);

        if (oci_upload_due(&u->session, ngx_http_oci_receive_keep(u))) {
            ngx_http_oci_receive_store(&u->due, 1);
            break;
        }

        /* not for each single one: who waits is woken for it */

        if (ngx_http_oci_receive_load(&u->filled) - u->hashed
            <= NGX_HTTP_OCI_UPLOAD_PIECES / 2
            && !ngx_http_oci_lane_room(&u->waiter))
        {
            break;
        }
    }

    return OCI_OK;
}


static int
ngx_http_oci_receive_mark_work(void *data)
{
    ngx_http_oci_upload_t  *u = data;

    return oci_upload_mark(&u->session, ngx_http_oci_receive_keep(u));
}


/* a lane has ended, or has made room */

static void
ngx_http_oci_receive_event(ngx_http_request_t *r)
{
    int                     rc;
    ngx_uint_t              marked;
    ngx_http_oci_ctx_t     *ctx;
    ngx_http_oci_upload_t  *u;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);
    u = ctx->body->sink;

    if (ngx_http_oci_lane_ended(&u->writer, &rc) && rc != OCI_OK) {
        ngx_http_oci_receive_failed(u, rc);
    }

    marked = (u->hasher.work == ngx_http_oci_receive_mark_work);

    if (ngx_http_oci_lane_ended(&u->hasher, &rc)) {

        if (marked) {
            u->due = 0;
        }

        if (rc != OCI_OK) {

            /* what was written since may lie behind a gap */

            u->lost = 1;
            ngx_http_oci_receive_failed(u, rc);
        }
    }

    if (!u->hasher.running && !u->writer.running && u->due) {

        if (u->failed || u->body_ended) {
            u->due = 0;

        } else {
            ngx_http_oci_receive_lane(u, &u->hasher,
                                      ngx_http_oci_receive_mark_work);
        }
    }

    ngx_http_oci_receive_next(r, u);
}


/* what failed first is what the client is told */

static void
ngx_http_oci_receive_failed(ngx_http_oci_upload_t *u, int rc)
{
    if (!u->failed) {
        u->failed = 1;
        u->rc = rc;
    }
}


/* after each step: what comes next */

static void
ngx_http_oci_receive_next(ngx_http_request_t *r, ngx_http_oci_upload_t *u)
{
    if (!u->body_ended && !u->failed) {

        ngx_http_oci_receive_run(u);

        if (!u->failed) {

            if (u->blocked && ngx_http_oci_receive_space(u)) {
                u->blocked = 0;
                ngx_http_oci_body_continue(r);
            }

            return;
        }
    }

    if (!u->body_ended) {
        ngx_http_oci_body_stop(r);
    }

    if (!u->writer.running && !u->hasher.running && !u->lost
        && u->filled - u->hashed > 1)
    {
        /* one is left to the last task, which small uploads have alone */

        ngx_http_oci_receive_run(u);

    } else if (u->writer.running != u->hasher.running) {
        ngx_http_oci_receive_run(u);
    }

    if (u->writer.running || u->hasher.running) {
        return;
    }

    if (u->flush.timer_set) {
        ngx_del_timer(&u->flush);
    }

    ngx_http_oci_lane_unwait(&u->waiter);

    ngx_http_oci_receive_finish(r, u);
}


static void
ngx_http_oci_receive_finish(ngx_http_request_t *r, ngx_http_oci_upload_t *u)
{
    ngx_http_oci_work_pt      work;
    ngx_http_oci_done_pt      done;
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

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

    if (ngx_http_oci_task_post(r, olcf->write_pool, work, done, u, 1)
        != NGX_OK)
    {
        ngx_http_finalize_request(r, ngx_http_oci_send_failure(r, OCI_AGAIN));
    }
}


/* what no lane has done yet */

static int
ngx_http_oci_receive_rest(ngx_http_oci_upload_t *u)
{
    int                    rc;
    ngx_http_oci_piece_t  *piece;

    for ( /* void */ ; u->hashed != u->filled; u->hashed++) {
        piece = ngx_http_oci_receive_piece(u, u->hashed);

        if (u->written == u->hashed) {
            rc = oci_upload_put(&u->session, piece->data, piece->len);

            if (rc != OCI_OK) {
                return rc;
            }

            u->written++;
        }

        oci_upload_count(&u->session, piece->data, piece->len);
    }

    return OCI_OK;
}


static int
ngx_http_oci_receive_finish_work(void *data)
{
    ngx_http_oci_upload_t  *u = data;

    int            rc;
    oci_digest_t   empty;
    oci_failure_t  failure;

    rc = ngx_http_oci_receive_rest(u);

    if (rc != OCI_OK) {
        failure = *oci_failure();
        u->failed = 1;

        (void) ngx_http_oci_receive_fail_work(u);

        errno = failure.err;
        (void) oci_fail(failure.op, failure.path);

        return rc;
    }

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

        if (!u->failed) {
            (void) ngx_http_oci_receive_rest(u);
        }

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
