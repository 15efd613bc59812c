
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_peer.h"
#include "ngx_http_oci_detached.h"
#include "ngx_http_oci_keepalive.h"
#include "ngx_http_oci_tls.h"


static ngx_int_t ngx_http_oci_peer_key(ngx_http_oci_peer_t *peer);
static ngx_int_t ngx_http_oci_peer_group(ngx_http_oci_peer_t *peer);
static ngx_int_t ngx_http_oci_peer_get(ngx_peer_connection_t *pc,
    void *data);
static ngx_int_t ngx_http_oci_peer_get_addr(ngx_http_oci_peer_t *peer,
    ngx_peer_connection_t *pc);
static void ngx_http_oci_peer_use(ngx_http_oci_peer_t *peer,
    ngx_connection_t *c);
static void ngx_http_oci_peer_open(ngx_http_oci_peer_t *peer,
    ngx_int_t rc);
static void ngx_http_oci_peer_connect_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_oci_peer_test(ngx_connection_t *c);
static void ngx_http_oci_peer_tls(ngx_http_oci_peer_t *peer,
    ngx_str_t *name);
static void ngx_http_oci_peer_tls_handler(ngx_connection_t *c);
static void ngx_http_oci_peer_ready(ngx_http_oci_peer_t *peer,
    ngx_uint_t reused);
static ngx_int_t ngx_http_oci_peer_remember(ngx_http_oci_peer_t *peer);
static void ngx_http_oci_peer_release(ngx_http_oci_peer_t *peer,
    ngx_uint_t keepalive, ngx_uint_t failed);


void
ngx_http_oci_peer_connect(ngx_http_oci_peer_t *peer)
{
    ngx_connection_t  *c;

    if (ngx_http_oci_peer_key(peer) != NGX_OK) {
        peer->handler(peer, NGX_HTTP_OCI_FETCH_INTERNAL);
        return;
    }

    peer->absolute = (peer->conf->proxy && peer->group == NULL
                      && !peer->ssl);

    if (peer->conf->proxy && peer->group == NULL
        && ngx_http_oci_peer_proxied(peer) != NGX_OK)
    {
        peer->handler(peer, NGX_HTTP_OCI_FETCH_REDIRECT);
        return;
    }

    if (peer->group) {

        if (ngx_http_oci_peer_group(peer) != NGX_OK) {
            peer->handler(peer, NGX_HTTP_OCI_FETCH_INTERNAL);
            return;
        }

        ngx_http_oci_peer_attempt(peer);
        return;
    }

    peer->pc = &peer->own;
    peer->pc->log = peer->log;
    peer->pc->log_error = NGX_ERROR_ERR;
    peer->pc->get = ngx_http_oci_peer_get;
    peer->pc->data = peer;

    if (!peer->fresh) {

        c = ngx_http_oci_keepalive_get(&peer->key, NULL, 0, &peer->idle,
                                       &peer->idle_len, peer->log);
        if (c) {

            if (peer->conf->proxy
                || ngx_http_oci_peer_allowed(peer, &peer->idle.sockaddr))
            {

                if (!peer->conf->proxy) {
                    peer->class = oci_address_class(&peer->idle.sockaddr);
                }

                peer->pc->connection = c;
                peer->pc->sockaddr = &peer->idle.sockaddr;
                peer->pc->socklen = peer->idle_len;

                ngx_http_oci_peer_ready(peer, 1);
                return;
            }

            ngx_http_oci_keepalive_close(c);
        }
    }

    ngx_http_oci_peer_resolve(peer);
}


/* what makes two connections stand for each other */

static ngx_int_t
ngx_http_oci_peer_key(ngx_http_oci_peer_t *peer)
{
    u_char  *p;

    p = ngx_pnalloc(peer->pool, 4 * NGX_PTR_SIZE * 2 + sizeof("::::65535")
                                + peer->host.len + peer->ssl_name.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    peer->key.data = p;

    p = ngx_sprintf(p, "%p:%p:%p:%ui:%V",
                    peer->ssl ? peer->conf->ssl : NULL, peer->conf->proxy,
                    peer->group, (ngx_uint_t) peer->port, &peer->host);

    if (peer->ssl) {
        p = ngx_sprintf(p, ":%V", &peer->ssl_name);
    }

    peer->key.len = p - peer->key.data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_peer_group(ngx_http_oci_peer_t *peer)
{
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = ngx_http_oci_detached_create(peer->pool, peer->log, peer->conf,
                                     peer->method, &peer->uri, &peer->host);
    if (r == NULL) {
        return NGX_ERROR;
    }

    u = r->upstream;

    u->upstream = peer->group;
    u->ssl = peer->ssl;
    u->ssl_name = peer->ssl_name;
    u->start_time = ngx_current_msec;
    u->peer.start_time = ngx_current_msec;

    peer->request = r;

    if (peer->group->peer.init(r, peer->group) != NGX_OK) {
        return NGX_ERROR;
    }

    peer->get = u->peer.get;
    peer->get_data = u->peer.data;
    peer->pc = &u->peer;

    u->peer.get = ngx_http_oci_peer_get;
    u->peer.data = peer;

    return NGX_OK;
}


void
ngx_http_oci_peer_attempt(ngx_http_oci_peer_t *peer)
{
    ngx_int_t  rc;

    peer->connected = 0;
    peer->proxied = 0;
    peer->tunnelled = 0;
    peer->tls = 0;

    rc = ngx_event_connect_peer(peer->pc);

    if (rc == NGX_ERROR) {
        peer->handler(peer, NGX_HTTP_OCI_FETCH_INTERNAL);
        return;
    }

    if (rc == NGX_BUSY) {

        if (peer->refused) {
            peer->handler(peer, NGX_HTTP_OCI_FETCH_REDIRECT);
            return;
        }

        if (peer->group) {
            ngx_log_error(NGX_LOG_ERR, peer->log, 0,
                          "no live upstreams in \"%V\"", &peer->group->host);
        }

        peer->handler(peer, peer->error ? peer->error
                                        : NGX_HTTP_OCI_FETCH_CONNECT);
        return;
    }

    if (rc == NGX_DECLINED) {
        ngx_http_oci_peer_fail(peer, NGX_HTTP_OCI_FETCH_CONNECT);
        return;
    }

    /* rc == NGX_OK || rc == NGX_AGAIN || rc == NGX_DONE */

    ngx_http_oci_peer_open(peer, rc);
}


/*
 * Between nginx, which connects, and who says where to: an idle connection
 * of ours comes first.
 */

static ngx_int_t
ngx_http_oci_peer_get(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_oci_peer_t *peer = data;

    ngx_int_t          rc;
    ngx_connection_t  *c;

    if (peer->group == NULL) {
        return ngx_http_oci_peer_get_addr(peer, pc);
    }

    pc->cached = 0;
    pc->connection = NULL;

    if (peer->same) {
        peer->same = 0;
        return NGX_OK;
    }

    rc = peer->get(pc, peer->get_data);

    if (rc != NGX_OK && rc != NGX_DONE) {
        return rc;
    }

    peer->held = 1;
    peer->class = oci_address_class(pc->sockaddr);

    if (rc == NGX_DONE) {

        c = pc->connection;

        if (!peer->fresh
            && (peer->ssl ? ngx_http_oci_tls_same(c, peer->conf,
                                                  &peer->ssl_name)
                          : c->ssl == NULL))
        {
            return NGX_DONE;
        }

        /* others use the group in another way */

        ngx_http_oci_keepalive_close(c);
        pc->connection = NULL;
        pc->cached = 0;
    }

    if (peer->fresh) {
        return NGX_OK;
    }

    c = ngx_http_oci_keepalive_get(&peer->key, pc->sockaddr, pc->socklen,
                                   &peer->idle, &peer->idle_len, peer->log);
    if (c) {
        pc->connection = c;
        return NGX_DONE;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_peer_get_addr(ngx_http_oci_peer_t *peer,
    ngx_peer_connection_t *pc)
{
    ngx_addr_t  *addr;

    while (peer->next < peer->naddrs) {

        addr = &peer->addrs[peer->next++];

        if (peer->conf->proxy == NULL
            && !ngx_http_oci_peer_allowed(peer, addr->sockaddr))
        {
            ngx_log_error(NGX_LOG_ERR, peer->log, 0,
                          "an upstream led to \"%V\" at %V, where requests "
                          "must not go", &peer->host, &addr->name);
            peer->refused = 1;
            continue;
        }

        if (!peer->conf->proxy) {
            peer->class = oci_address_class(addr->sockaddr);
        }

        pc->sockaddr = addr->sockaddr;
        pc->socklen = addr->socklen;
        pc->name = &addr->name;
        pc->connection = NULL;

        return NGX_OK;
    }

    return NGX_BUSY;
}


ngx_uint_t
ngx_http_oci_peer_allowed(ngx_http_oci_peer_t *peer,
    struct sockaddr *sockaddr)
{
    ngx_uint_t             i;
    oci_address_class_t    class;
    ngx_http_oci_allow_t  *allow;

    if (!peer->check) {
        return 1;
    }

    class = oci_address_class(sockaddr);

    if (oci_address_allowed(class, peer->near)) {
        return 1;
    }

    if (class == OCI_ADDRESS_FORBIDDEN) {
        return 0;
    }

    if (peer->conf->redirect_cidrs
        && ngx_cidr_match(sockaddr, peer->conf->redirect_cidrs) == NGX_OK)
    {
        return 1;
    }

    allow = peer->conf->redirect_allow ? peer->conf->redirect_allow->elts
                                       : NULL;

    for (i = 0; allow && i < peer->conf->redirect_allow->nelts; i++) {

        if (allow[i].host.len == peer->host.len
            && ngx_memcmp(allow[i].host.data, peer->host.data,
                          peer->host.len)
               == 0
            && (allow[i].port == 0 || allow[i].port == peer->port))
        {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_oci_peer_open(ngx_http_oci_peer_t *peer, ngx_int_t rc)
{
    ngx_connection_t  *c;

    c = peer->pc->connection;

    if (rc == NGX_DONE) {
        ngx_http_oci_peer_ready(peer, 1);
        return;
    }

    c->pool = ngx_create_pool(512, peer->log);

    if (c->pool == NULL) {
        ngx_close_connection(c);
        peer->pc->connection = NULL;
        peer->handler(peer, NGX_HTTP_OCI_FETCH_INTERNAL);
        return;
    }

    ngx_http_oci_peer_use(peer, c);

    ngx_add_timer(c->write, peer->conf->connect_timeout);

    if (rc == NGX_AGAIN) {
        return;
    }

    peer->connected = 1;

    ngx_http_oci_peer_step(peer);
}


static void
ngx_http_oci_peer_use(ngx_http_oci_peer_t *peer, ngx_connection_t *c)
{
    c->data = peer;
    c->log = peer->log;
    c->pool->log = peer->log;
    c->read->log = peer->log;
    c->write->log = peer->log;
    c->read->handler = ngx_http_oci_peer_connect_handler;
    c->write->handler = ngx_http_oci_peer_connect_handler;
}


static void
ngx_http_oci_peer_connect_handler(ngx_event_t *ev)
{
    ngx_connection_t     *c;
    ngx_http_oci_peer_t  *peer;

    c = ev->data;
    peer = c->data;

    if (c->close) {
        ngx_http_oci_peer_fail(peer, NGX_HTTP_OCI_FETCH_CANCELLED);
        return;
    }

    if (ev->timedout) {
        ngx_log_error(NGX_LOG_ERR, peer->log, NGX_ETIMEDOUT,
                      "upstream timed out");
        ngx_http_oci_peer_fail(peer, NGX_HTTP_OCI_FETCH_TIMEOUT);
        return;
    }

    if (peer->connected) {
        return;
    }

    if (ngx_http_oci_peer_test(c) != NGX_OK) {
        ngx_http_oci_peer_fail(peer, NGX_HTTP_OCI_FETCH_CONNECT);
        return;
    }

    if (!c->write->ready) {
        return;
    }

    peer->connected = 1;

    ngx_http_oci_peer_step(peer);
}


static ngx_int_t
ngx_http_oci_peer_test(ngx_connection_t *c)
{
    int        err;
    socklen_t  len;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        (void) ngx_connection_error(c, err, "connect() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_oci_peer_step(ngx_http_oci_peer_t *peer)
{
    ngx_connection_t      *c;
    ngx_http_oci_proxy_t  *proxy;

    c = peer->pc->connection;
    proxy = peer->group ? NULL : peer->conf->proxy;

    if (proxy && proxy->ssl && !peer->proxied) {
        ngx_http_oci_peer_tls(peer, &proxy->host);
        return;
    }

    if (proxy && peer->ssl && !peer->tunnelled) {
        ngx_http_oci_peer_tunnel(peer);
        return;
    }

    if (peer->ssl && !peer->tls) {
        ngx_http_oci_peer_tls(peer, &peer->ssl_name);
        return;
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    ngx_http_oci_peer_ready(peer, 0);
}


static void
ngx_http_oci_peer_tls(ngx_http_oci_peer_t *peer, ngx_str_t *name)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = peer->pc->connection;

    peer->log->action = "SSL handshaking to upstream";

    rc = ngx_http_oci_tls_start(c, peer->conf, name,
                                ngx_http_oci_peer_tls_handler);

    if (rc == NGX_AGAIN) {

        /* the timer of the connect goes on to hold for all of it */

        return;
    }

    ngx_http_oci_peer_tls_handler(c);
}


static void
ngx_http_oci_peer_tls_handler(ngx_connection_t *c)
{
    ngx_str_t                *name;
    ngx_uint_t                outer;
    ngx_http_oci_peer_t      *peer;

    peer = c->data;

    c->read->handler = ngx_http_oci_peer_connect_handler;
    c->write->handler = ngx_http_oci_peer_connect_handler;

    if (c->close) {
        ngx_http_oci_peer_fail(peer, NGX_HTTP_OCI_FETCH_CANCELLED);
        return;
    }

    if (c->write->timedout || c->read->timedout) {
        ngx_log_error(NGX_LOG_ERR, peer->log, NGX_ETIMEDOUT,
                      "upstream timed out");
        ngx_http_oci_peer_fail(peer, NGX_HTTP_OCI_FETCH_TIMEOUT);
        return;
    }

    outer = (!peer->group && peer->conf->proxy && peer->conf->proxy->ssl
             && !peer->proxied);

    name = outer ? &peer->conf->proxy->host : &peer->ssl_name;

    if (ngx_http_oci_tls_verify(c, peer->conf, name) != NGX_OK) {
        ngx_http_oci_peer_fail(peer, NGX_HTTP_OCI_FETCH_TLS);
        return;
    }

    if (outer) {
        peer->proxied = 1;

    } else {
        peer->tls = 1;
    }

    ngx_http_oci_peer_step(peer);
}


static void
ngx_http_oci_peer_ready(ngx_http_oci_peer_t *peer, ngx_uint_t reused)
{
    ngx_connection_t  *c;

    c = peer->pc->connection;

    c->requests++;

    if (ngx_http_oci_peer_remember(peer) != NGX_OK) {
        ngx_http_oci_peer_fail(peer, NGX_HTTP_OCI_FETCH_INTERNAL);
        return;
    }

    ngx_http_oci_peer_use(peer, c);

    if (reused && c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    peer->connection = c;
    peer->reused = reused ? 1 : 0;

    peer->handler(peer, NGX_HTTP_OCI_FETCH_OK);
}


/* a group may let go of a peer, with its address, while it is in use */

static ngx_int_t
ngx_http_oci_peer_remember(ngx_http_oci_peer_t *peer)
{
    ngx_peer_connection_t  *pc;

    pc = peer->pc;

    if (pc->sockaddr != &peer->idle.sockaddr) {

        if ((size_t) pc->socklen > sizeof(ngx_sockaddr_t)) {
            return NGX_ERROR;
        }

        ngx_memcpy(&peer->idle, pc->sockaddr, pc->socklen);
        peer->idle_len = pc->socklen;
    }

    peer->name.data = ngx_pnalloc(peer->pool, NGX_SOCKADDR_STRLEN);
    if (peer->name.data == NULL) {
        return NGX_ERROR;
    }

    peer->name.len = ngx_sock_ntop(&peer->idle.sockaddr, peer->idle_len,
                                   peer->name.data, NGX_SOCKADDR_STRLEN, 1);

    return NGX_OK;
}


void
ngx_http_oci_peer_fail(ngx_http_oci_peer_t *peer, ngx_http_oci_fetch_rc_e rc)
{
    peer->error = rc;

    if (rc == NGX_HTTP_OCI_FETCH_CANCELLED
        || rc == NGX_HTTP_OCI_FETCH_INTERNAL
        || ngx_http_oci_peer_next(peer) != NGX_OK)
    {
        ngx_http_oci_peer_release(peer, 0, 1);
        peer->handler(peer, rc);
    }
}


void
ngx_http_oci_peer_again(ngx_http_oci_peer_t *peer)
{
    if (peer->pc->connection) {
        ngx_http_oci_keepalive_close(peer->pc->connection);
    }

    peer->pc->connection = NULL;
    peer->connection = NULL;
    peer->fresh = 1;

    if (peer->group == NULL) {
        peer->next = 0;
        ngx_http_oci_peer_resolve(peer);
        return;
    }

    /* the balancer still holds the place */

    peer->same = 1;

    ngx_http_oci_peer_attempt(peer);
}


ngx_int_t
ngx_http_oci_peer_next(ngx_http_oci_peer_t *peer)
{
    ngx_http_oci_peer_release(peer, 0, 1);

    if (peer->group ? peer->pc->tries == 0 : peer->next >= peer->naddrs) {
        return NGX_DECLINED;
    }

    ngx_http_oci_peer_attempt(peer);

    return NGX_OK;
}


static void
ngx_http_oci_peer_release(ngx_http_oci_peer_t *peer, ngx_uint_t keepalive,
    ngx_uint_t failed)
{
    ngx_connection_t     *c;
    ngx_http_upstream_t  *u;

    if (peer->pc == NULL) {
        return;
    }

    c = peer->pc->connection;

    if (c && c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    if (c && c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (peer->held) {
        u = peer->request->upstream;

        /* connections with TLS are not for others that use the group */

        u->keepalive = keepalive && !peer->ssl;
        u->request_body_sent = 1;

        peer->held = 0;

        u->peer.free(&u->peer, peer->get_data,
                     failed ? NGX_PEER_FAILED : 0);

        c = u->peer.connection;
    }

    if (c) {
        if (keepalive) {
            ngx_http_oci_keepalive_put(c, &peer->key, &peer->idle.sockaddr,
                                       peer->idle_len);

        } else {
            ngx_http_oci_keepalive_close(c);
        }
    }

    peer->pc->connection = NULL;
    peer->connection = NULL;
}


void
ngx_http_oci_peer_close(ngx_http_oci_peer_t *peer, ngx_uint_t keepalive,
    ngx_uint_t failed)
{
    ngx_resolver_ctx_t  *ctx;

    if (peer->resolving) {
        ctx = peer->resolving;
        peer->resolving = NULL;
        ngx_resolve_name_done(ctx);
    }

    ngx_http_oci_peer_release(peer, keepalive, failed);

    if (peer->request) {
        ngx_http_oci_detached_destroy(peer->request);
        peer->request = NULL;
    }

    peer->pc = NULL;
}
