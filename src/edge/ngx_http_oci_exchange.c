
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_exchange.h"


#define NGX_HTTP_OCI_EXCHANGE_TURN   (1024 * 1024)
#define NGX_HTTP_OCI_EXCHANGE_DRAIN  (64 * 1024)
#define NGX_HTTP_OCI_EXCHANGE_WAIT   1000
#define NGX_HTTP_OCI_EXCHANGE_FLOOR  1024       /* bytes a second */


static void ngx_http_oci_exchange_connected(ngx_http_oci_peer_t *peer,
    ngx_http_oci_fetch_rc_e rc);
static void ngx_http_oci_exchange_fail(ngx_http_oci_exchange_t *x,
    ngx_http_oci_fetch_rc_e rc);
static ngx_uint_t ngx_http_oci_exchange_ended(ngx_http_oci_exchange_t *x,
    ngx_event_t *ev);
static void ngx_http_oci_exchange_write_handler(ngx_event_t *wev);
static void ngx_http_oci_exchange_read_handler(ngx_event_t *rev);
static ngx_uint_t ngx_http_oci_exchange_slow(ngx_http_oci_exchange_t *x);
static void ngx_http_oci_exchange_pace(ngx_http_oci_exchange_t *x);
static ngx_int_t ngx_http_oci_exchange_process(ngx_http_oci_exchange_t *x);
static ngx_int_t ngx_http_oci_exchange_head(ngx_http_oci_exchange_t *x);
static ngx_int_t ngx_http_oci_exchange_headed(ngx_http_oci_exchange_t *x);
static ngx_int_t ngx_http_oci_exchange_content(ngx_http_oci_exchange_t *x);
static ngx_int_t ngx_http_oci_exchange_called(ngx_http_oci_exchange_t *x,
    ngx_int_t rc);


void
ngx_http_oci_exchange_start(ngx_http_oci_exchange_t *x)
{
    if (x->buffer == NULL) {
        x->buffer = ngx_create_temp_buf(x->peer.pool,
                                        NGX_HTTP_OCI_EXCHANGE_BUFFER);
    }

    x->response = ngx_palloc(x->peer.pool, sizeof(oci_response_t));

    if (x->buffer == NULL || x->response == NULL) {
        x->done(x, NGX_HTTP_OCI_FETCH_INTERNAL);
        return;
    }

    x->peer.handler = ngx_http_oci_exchange_connected;
    x->peer.data = x;

    ngx_http_oci_peer_connect(&x->peer);
}


static void
ngx_http_oci_exchange_connected(ngx_http_oci_peer_t *peer,
    ngx_http_oci_fetch_rc_e rc)
{
    ngx_connection_t         *c;
    ngx_http_oci_exchange_t  *x;

    x = peer->data;

    if (rc != NGX_HTTP_OCI_FETCH_OK) {
        ngx_http_oci_exchange_finish(x, rc);
        return;
    }

    c = peer->connection;

    c->data = x;
    c->read->handler = ngx_http_oci_exchange_read_handler;
    c->write->handler = ngx_http_oci_exchange_write_handler;

    x->buffer->pos = x->buffer->start;
    x->buffer->last = x->buffer->start;

    x->seen = 0;
    x->started = 0;
    x->headed = 0;
    x->sent = 0;
    x->last = 0;
    x->pieces = NULL;

    x->out = x->compose(x);

    if (x->out == NULL) {
        ngx_http_oci_exchange_finish(x, NGX_HTTP_OCI_FETCH_INTERNAL);
        return;
    }

    /*
     * A body that can't be sent twice waits for a sign of life, so that it
     * is not lost on a connection that has died or to a 401.
     */

    x->waiting = x->streamed;

    peer->log->action = "sending a request to upstream";

    ngx_http_oci_exchange_write_handler(c->write);
}


static ngx_uint_t
ngx_http_oci_exchange_ended(ngx_http_oci_exchange_t *x, ngx_event_t *ev)
{
    if (x->peer.connection->close) {
        ngx_http_oci_exchange_finish(x, NGX_HTTP_OCI_FETCH_CANCELLED);
        return 1;
    }

    if (!ev->timedout) {
        return 0;
    }

    ev->timedout = 0;

    if (ev->write && x->waiting && x->out->pos == x->out->last) {
        x->waiting = 0;
        return 0;
    }

    ngx_log_error(NGX_LOG_ERR, x->peer.log, NGX_ETIMEDOUT,
                  "upstream timed out");

    ngx_http_oci_exchange_fail(x, NGX_HTTP_OCI_FETCH_TIMEOUT);

    return 1;
}


/* where it can be had by another connection, that is tried */

static void
ngx_http_oci_exchange_fail(ngx_http_oci_exchange_t *x,
    ngx_http_oci_fetch_rc_e rc)
{
    if (x->headed || x->consumed || x->inside) {
        ngx_http_oci_exchange_finish(x, rc);
        return;
    }

    if (x->peer.reused && !x->started
        && (x->idempotent || x->streamed)
        && rc == NGX_HTTP_OCI_FETCH_RESET)
    {
        /* it had been closed while it was idle */

        ngx_http_oci_peer_again(&x->peer);
        return;
    }

    x->peer.error = rc;

    if (!x->idempotent || ngx_http_oci_peer_next(&x->peer) != NGX_OK) {
        ngx_http_oci_exchange_finish(x, rc);
    }
}


static void
ngx_http_oci_exchange_write_handler(ngx_event_t *wev)
{
    ngx_int_t                 rc;
    ngx_connection_t         *c;
    ngx_http_oci_exchange_t  *x;

    c = wev->data;
    x = c->data;

    if (ngx_http_oci_exchange_ended(x, wev) || x->sent) {
        return;
    }

    rc = ngx_http_oci_exchange_write(x);

    if (rc == NGX_DONE) {
        return;
    }

    if (rc == NGX_ERROR) {
        ngx_http_oci_exchange_fail(x, NGX_HTTP_OCI_FETCH_RESET);
        return;
    }

    if (rc == NGX_AGAIN && !x->starved) {
        ngx_add_timer(wev, x->waiting && x->out->pos == x->out->last
                           ? NGX_HTTP_OCI_EXCHANGE_WAIT
                           : x->peer.conf->timeout);

    } else if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    if (ngx_handle_write_event(wev, 0) != NGX_OK) {
        ngx_http_oci_exchange_finish(x, NGX_HTTP_OCI_FETCH_INTERNAL);
        return;
    }

    if (rc == NGX_OK) {
        x->sent = 1;

        if (x->asked) {
            x->asked(x);
        }

        ngx_http_oci_exchange_pace(x);
        x->peer.log->action = "reading a response from upstream";

        if (!c->read->timer_set && !x->paused) {
            ngx_add_timer(c->read, x->peer.conf->timeout);
        }
    }

    if (c->read->ready && !c->read->posted) {
        ngx_post_event(c->read, &ngx_posted_events);
    }
}


static void
ngx_http_oci_exchange_read_handler(ngx_event_t *rev)
{
    off_t                     turn;
    ssize_t                   n;
    ngx_int_t                 rc;
    ngx_buf_t                *b;
    ngx_connection_t         *c;
    ngx_http_oci_exchange_t  *x;

    c = rev->data;
    x = c->data;
    b = x->buffer;

    if (ngx_http_oci_exchange_ended(x, rev)) {
        return;
    }

    for (turn = 0; /* void */ ; turn += n) {

        rc = ngx_http_oci_exchange_process(x);

        if (rc == NGX_DONE) {
            return;
        }

        if (x->paused) {

            if (rev->timer_set) {
                ngx_del_timer(rev);
            }

            if (ngx_handle_read_event(rev, 0) != NGX_OK) {
                ngx_http_oci_exchange_finish(x, NGX_HTTP_OCI_FETCH_INTERNAL);
            }

            return;
        }

        if (turn >= NGX_HTTP_OCI_EXCHANGE_TURN) {

            /* the other connections of the worker */

            ngx_post_event(rev, &ngx_posted_next_events);
            ngx_add_timer(rev, x->peer.conf->timeout);
            return;
        }

        n = c->recv(c, b->last, b->end - b->last);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {

            if (n == 0 && x->headed && oci_body_eof(&x->content) == OCI_OK) {
                ngx_http_oci_exchange_finish(x, NGX_HTTP_OCI_FETCH_OK);
                return;
            }

            ngx_log_error(NGX_LOG_ERR, x->peer.log, 0,
                          "upstream closed the connection too early");

            ngx_http_oci_exchange_fail(x, (n == 0 && x->headed)
                                              ? NGX_HTTP_OCI_FETCH_SHORT
                                              : NGX_HTTP_OCI_FETCH_RESET);
            return;
        }

        b->last += n;
        x->bytes += n;
        x->started = 1;
    }

    if (ngx_http_oci_exchange_slow(x)) {
        return;
    }

    if (x->sent) {
        ngx_add_timer(rev, x->peer.conf->timeout);
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_http_oci_exchange_finish(x, NGX_HTTP_OCI_FETCH_INTERNAL);
    }
}


/*
 * Bytes that trickle restart the timer for ever: whoever sends less than this
 * in the time that it may send nothing is as good as dead.
 */

static ngx_uint_t
ngx_http_oci_exchange_slow(ngx_http_oci_exchange_t *x)
{
    off_t       least;
    ngx_msec_t  passed;

    passed = ngx_current_msec - x->paced;

    if (!x->sent || passed < x->peer.conf->timeout) {
        return 0;
    }

    least = (off_t) passed * NGX_HTTP_OCI_EXCHANGE_FLOOR / 1000;

    if (x->bytes - x->paced_bytes >= least) {
        ngx_http_oci_exchange_pace(x);
        return 0;
    }

    ngx_log_error(NGX_LOG_ERR, x->peer.log, 0,
                  "upstream sent %O bytes in %M ms, less than %d a second",
                  x->bytes - x->paced_bytes, passed,
                  NGX_HTTP_OCI_EXCHANGE_FLOOR);

    ngx_http_oci_exchange_fail(x, NGX_HTTP_OCI_FETCH_TIMEOUT);

    return 1;
}


static void
ngx_http_oci_exchange_pace(ngx_http_oci_exchange_t *x)
{
    x->paced = ngx_current_msec;
    x->paced_bytes = x->bytes;
}


/* NGX_AGAIN: more is needed, or x is paused; NGX_DONE: x is finished */

static ngx_int_t
ngx_http_oci_exchange_process(ngx_http_oci_exchange_t *x)
{
    ngx_int_t   rc;
    ngx_buf_t  *b;

    b = x->buffer;

    while (!x->headed) {

        rc = ngx_http_oci_exchange_head(x);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    rc = ngx_http_oci_exchange_content(x);

    if (rc == NGX_AGAIN && b->pos == b->last) {
        b->pos = b->start;
        b->last = b->start;
    }

    return rc;
}


static ngx_int_t
ngx_http_oci_exchange_head(ngx_http_oci_exchange_t *x)
{
    size_t      size;
    u_char     *p;
    ngx_buf_t  *b;

    b = x->buffer;

    switch (oci_response_end(b->pos, b->last - b->pos, &x->seen, &size)) {

    case OCI_AGAIN:

        if (b->last < b->end) {
            return NGX_AGAIN;
        }

        /* fall through */

    default:
        goto invalid;

    case OCI_OK:
        break;
    }

    p = ngx_pnalloc(x->peer.pool, size);
    if (p == NULL) {
        ngx_http_oci_exchange_finish(x, NGX_HTTP_OCI_FETCH_INTERNAL);
        return NGX_DONE;
    }

    ngx_memcpy(p, b->pos, size);

    b->pos += size;
    x->seen = 0;

    if (oci_response_parse(x->response, p, size) != OCI_OK
        || x->response->status == 101)
    {
        goto invalid;
    }

    if (x->response->status < 200) {

        if (x->waiting && x->response->status == 100) {
            x->waiting = 0;
            ngx_post_event(x->peer.connection->write, &ngx_posted_events);
        }

        if (++x->interim > 16) {
            goto invalid;
        }

        return NGX_OK;
    }

    if (x->idempotent && !x->consumed
        && x->response->status >= 502 && x->response->status <= 504
        && x->peer.group && x->peer.pc->tries > 1)
    {
        ngx_log_error(NGX_LOG_ERR, x->peer.log, 0,
                      "upstream answered %ui, asking another",
                      (ngx_uint_t) x->response->status);

        if (ngx_http_oci_peer_next(&x->peer) != NGX_OK) {
            ngx_http_oci_exchange_finish(x, NGX_HTTP_OCI_FETCH_RESET);
        }

        return NGX_DONE;
    }

    return ngx_http_oci_exchange_headed(x);

invalid:

    ngx_log_error(NGX_LOG_ERR, x->peer.log, 0,
                  "upstream sent an invalid response");

    ngx_http_oci_exchange_fail(x, NGX_HTTP_OCI_FETCH_PROTOCOL);

    return NGX_DONE;
}


/* the head of the answer is there, its body may follow */

static ngx_int_t
ngx_http_oci_exchange_headed(ngx_http_oci_exchange_t *x)
{
    ngx_int_t  rc;

    oci_body_init(&x->content, x->response, x->head);

    x->headed = 1;
    ngx_http_oci_exchange_pace(x);

    x->inside = 1;
    rc = x->header(x);
    x->inside = 0;

    if (rc == NGX_DECLINED) {

        if (x->content.mode == OCI_BODY_EOF
            || x->response->content_length > NGX_HTTP_OCI_EXCHANGE_DRAIN)
        {
            /* another connection costs less than that body */

            ngx_http_oci_exchange_finish(x, NGX_HTTP_OCI_FETCH_OK);
            return NGX_DONE;
        }

        x->drained = 1;
        rc = NGX_OK;
    }

    return ngx_http_oci_exchange_called(x, rc);
}


static ngx_int_t
ngx_http_oci_exchange_content(ngx_http_oci_exchange_t *x)
{
    int            rc;
    size_t         size;
    ngx_int_t      crc;
    ngx_buf_t     *b;
    const u_char  *p, *data;

    b = x->buffer;

    for ( ;; ) {

        if (x->paused) {
            return NGX_AGAIN;
        }

        p = b->pos;

        rc = oci_body_next(&x->content, &p, b->last, &data, &size);

        b->pos = (u_char *) p;

        if (rc == OCI_AGAIN) {
            return NGX_AGAIN;
        }

        if (rc != OCI_OK) {
            ngx_log_error(NGX_LOG_ERR, x->peer.log, 0,
                          "upstream sent an invalid chunked body");
            ngx_http_oci_exchange_finish(x, NGX_HTTP_OCI_FETCH_PROTOCOL);
            return NGX_DONE;
        }

        if (x->drained
            && x->content.received > NGX_HTTP_OCI_EXCHANGE_DRAIN)
        {
            ngx_http_oci_exchange_finish(x, NGX_HTTP_OCI_FETCH_OK);
            return NGX_DONE;
        }

        if (size && !x->drained) {

            x->inside = 1;
            crc = x->body(x, (u_char *) data, size);
            x->inside = 0;

            crc = ngx_http_oci_exchange_called(x, crc);

            if (crc != NGX_OK) {
                return crc;
            }
        }

        if (x->content.done) {

            /* a pause at the end has nothing to wait for */

            ngx_http_oci_exchange_finish(x, NGX_HTTP_OCI_FETCH_OK);
            return NGX_DONE;
        }
    }
}


/* what a callback has said */

static ngx_int_t
ngx_http_oci_exchange_called(ngx_http_oci_exchange_t *x, ngx_int_t rc)
{
    if (x->ending) {
        ngx_http_oci_exchange_finish(x, x->rc);
        return NGX_DONE;
    }

    if (rc == NGX_ERROR) {
        ngx_http_oci_exchange_finish(x, NGX_HTTP_OCI_FETCH_ABORTED);
        return NGX_DONE;
    }

    if (rc == NGX_AGAIN) {
        x->paused = 1;
    }

    return NGX_OK;
}


void
ngx_http_oci_exchange_resume(ngx_http_oci_exchange_t *x)
{
    ngx_connection_t  *c;

    c = x->peer.connection;

    if (c == NULL) {
        return;
    }

    if (x->starved) {
        x->starved = 0;
        ngx_post_event(c->write, &ngx_posted_events);
    }

    if (x->paused) {
        x->paused = 0;
        ngx_http_oci_exchange_pace(x);
        ngx_post_event(c->read, &ngx_posted_events);
    }
}


void
ngx_http_oci_exchange_end(ngx_http_oci_exchange_t *x,
    ngx_http_oci_fetch_rc_e rc)
{
    if (x->inside) {
        x->ending = 1;
        x->rc = rc;
        return;
    }

    ngx_http_oci_exchange_finish(x, rc);
}


void
ngx_http_oci_exchange_finish(ngx_http_oci_exchange_t *x,
    ngx_http_oci_fetch_rc_e rc)
{
    ngx_uint_t  keepalive, failed;

    keepalive = (rc == NGX_HTTP_OCI_FETCH_OK
                 && x->headed && x->sent && x->content.done
                 && x->content.mode != OCI_BODY_EOF
                 && x->response->keepalive
                 && x->buffer->pos == x->buffer->last);

    failed = (rc != NGX_HTTP_OCI_FETCH_OK
              && rc != NGX_HTTP_OCI_FETCH_ABORTED
              && rc != NGX_HTTP_OCI_FETCH_CANCELLED
              && rc != NGX_HTTP_OCI_FETCH_INTERNAL);

    ngx_http_oci_peer_close(&x->peer, keepalive, failed);

    x->done(x, rc);
}
