
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * CONNECT: a way through a proxy, in the course of a connection.
 */


#include "ngx_http_oci_peer.h"


#define NGX_HTTP_OCI_TUNNEL_HEAD  8192


static ngx_int_t ngx_http_oci_tunnel_request(ngx_http_oci_peer_t *peer);
static void ngx_http_oci_tunnel_write(ngx_event_t *wev);
static void ngx_http_oci_tunnel_read(ngx_event_t *rev);
static ngx_uint_t ngx_http_oci_tunnel_ended(ngx_http_oci_peer_t *peer,
    ngx_event_t *ev);
static void ngx_http_oci_tunnel_answer(ngx_http_oci_peer_t *peer,
    size_t size);


void
ngx_http_oci_peer_tunnel(ngx_http_oci_peer_t *peer)
{
    ngx_connection_t  *c;

    c = peer->pc->connection;

    peer->log->action = "connecting through a proxy";

    if (ngx_http_oci_tunnel_request(peer) != NGX_OK) {
        ngx_http_oci_peer_fail(peer, NGX_HTTP_OCI_FETCH_INTERNAL);
        return;
    }

    c->read->handler = ngx_http_oci_tunnel_read;
    c->write->handler = ngx_http_oci_tunnel_write;

    ngx_http_oci_tunnel_write(c->write);
}


static ngx_int_t
ngx_http_oci_tunnel_request(ngx_http_oci_peer_t *peer)
{
    size_t                 len;
    ngx_buf_t             *b;
    ngx_uint_t             v6;
    ngx_http_oci_proxy_t  *proxy;

    proxy = peer->conf->proxy;

    len = sizeof("CONNECT []:65535 HTTP/1.1" CRLF
                 "Host: []:65535" CRLF
                 "Proxy-Authorization: " CRLF CRLF) - 1
          + 2 * peer->host.len + proxy->authorization.len;

    b = ngx_create_temp_buf(peer->pool,
                            ngx_max(len, NGX_HTTP_OCI_TUNNEL_HEAD));
    if (b == NULL) {
        return NGX_ERROR;
    }

    v6 = (ngx_strlchr(peer->host.data, peer->host.data + peer->host.len, ':')
          != NULL);

    b->last = ngx_sprintf(b->last,
                          v6 ? "CONNECT [%V]:%ui HTTP/1.1" CRLF
                               "Host: [%V]:%ui" CRLF
                             : "CONNECT %V:%ui HTTP/1.1" CRLF
                               "Host: %V:%ui" CRLF,
                          &peer->host, (ngx_uint_t) peer->port,
                          &peer->host, (ngx_uint_t) peer->port);

    if (proxy->authorization.len) {
        b->last = ngx_sprintf(b->last, "Proxy-Authorization: %V" CRLF,
                              &proxy->authorization);
    }

    b->last = ngx_cpymem(b->last, CRLF, sizeof(CRLF) - 1);

    peer->tunnel = b;
    peer->seen = 0;
    peer->asked = 0;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_oci_tunnel_ended(ngx_http_oci_peer_t *peer, ngx_event_t *ev)
{
    if (peer->pc->connection->close) {
        ngx_http_oci_peer_fail(peer, NGX_HTTP_OCI_FETCH_CANCELLED);
        return 1;
    }

    if (ev->timedout) {
        ngx_log_error(NGX_LOG_ERR, peer->log, NGX_ETIMEDOUT,
                      "proxy timed out");
        ngx_http_oci_peer_fail(peer, NGX_HTTP_OCI_FETCH_TIMEOUT);
        return 1;
    }

    return 0;
}


static void
ngx_http_oci_tunnel_write(ngx_event_t *wev)
{
    ssize_t               n;
    ngx_buf_t            *b;
    ngx_connection_t     *c;
    ngx_http_oci_peer_t  *peer;

    c = wev->data;
    peer = c->data;
    b = peer->tunnel;

    if (ngx_http_oci_tunnel_ended(peer, wev)) {
        return;
    }

    while (!peer->asked) {

        n = c->send(c, b->pos, b->last - b->pos);

        if (n == NGX_ERROR) {
            ngx_http_oci_peer_fail(peer, NGX_HTTP_OCI_FETCH_PROXY);
            return;
        }

        if (n == NGX_AGAIN) {
            break;
        }

        b->pos += n;

        if (b->pos == b->last) {
            peer->asked = 1;

            /* credentials must not stay where an answer is read into */

            ngx_memzero(b->start, b->last - b->start);

            b->pos = b->start;
            b->last = b->start;
        }
    }

    if (ngx_handle_write_event(wev, 0) != NGX_OK) {
        ngx_http_oci_peer_fail(peer, NGX_HTTP_OCI_FETCH_INTERNAL);
        return;
    }

    if (peer->asked && c->read->ready) {
        ngx_http_oci_tunnel_read(c->read);
    }
}


static void
ngx_http_oci_tunnel_read(ngx_event_t *rev)
{
    size_t                size;
    ssize_t               n;
    ngx_buf_t            *b;
    ngx_connection_t     *c;
    ngx_http_oci_peer_t  *peer;

    c = rev->data;
    peer = c->data;
    b = peer->tunnel;

    if (ngx_http_oci_tunnel_ended(peer, rev)) {
        return;
    }

    if (!peer->asked) {
        return;
    }

    for ( ;; ) {

        n = (b->last == b->end) ? NGX_ERROR
                                : c->recv(c, b->last, b->end - b->last);

        if (n == NGX_AGAIN) {

            if (ngx_handle_read_event(rev, 0) != NGX_OK) {
                ngx_http_oci_peer_fail(peer, NGX_HTTP_OCI_FETCH_INTERNAL);
            }

            return;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_log_error(NGX_LOG_ERR, peer->log, 0,
                          "proxy closed the connection");
            break;
        }

        b->last += n;

        switch (oci_response_end(b->pos, b->last - b->pos, &peer->seen,
                                 &size))
        {

        case OCI_AGAIN:
            continue;

        case OCI_OK:
            ngx_http_oci_tunnel_answer(peer, size);
            return;

        default:
            ngx_log_error(NGX_LOG_ERR, peer->log, 0,
                          "proxy sent an invalid response");
            break;
        }

        break;
    }

    ngx_http_oci_peer_fail(peer, NGX_HTTP_OCI_FETCH_PROXY);
}


static void
ngx_http_oci_tunnel_answer(ngx_http_oci_peer_t *peer, size_t size)
{
    ngx_buf_t       *b;
    oci_response_t  *r;

    b = peer->tunnel;

    r = ngx_palloc(peer->pool, sizeof(oci_response_t));

    if (r == NULL) {
        ngx_http_oci_peer_fail(peer, NGX_HTTP_OCI_FETCH_INTERNAL);
        return;
    }

    if (oci_response_parse(r, b->pos, size) != OCI_OK
        || (r->status / 100 == 2 && b->pos + size != b->last))
    {
        ngx_log_error(NGX_LOG_ERR, peer->log, 0,
                      "proxy sent an invalid response");
        ngx_http_oci_peer_fail(peer, NGX_HTTP_OCI_FETCH_PROXY);
        return;
    }

    if (r->status / 100 != 2) {
        ngx_log_error(NGX_LOG_ERR, peer->log, 0,
                      "proxy refused to connect to \"%V\" with %ui",
                      &peer->host, (ngx_uint_t) r->status);
        ngx_http_oci_peer_fail(peer, NGX_HTTP_OCI_FETCH_PROXY);
        return;
    }

    peer->tunnelled = 1;

    ngx_http_oci_peer_step(peer);
}
