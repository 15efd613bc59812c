
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * From the name of a host to its addresses, in the course of a connection.
 */


#include "ngx_http_oci_peer.h"


#define NGX_HTTP_OCI_RESOLVE_AGAIN  30


static ngx_int_t ngx_http_oci_resolve_known(ngx_http_oci_peer_t *peer,
    ngx_str_t *host, in_port_t port);
static ngx_uint_t ngx_http_oci_resolve_local(ngx_str_t *host);
static ngx_int_t ngx_http_oci_resolve_literal(ngx_pool_t *pool,
    ngx_addr_t *addr, const char *text, in_port_t port);
static void ngx_http_oci_resolve_handler(ngx_resolver_ctx_t *ctx);
static ngx_int_t ngx_http_oci_resolve_take(ngx_http_oci_peer_t *peer,
    ngx_resolver_ctx_t *ctx, in_port_t port);
static void ngx_http_oci_resolve_failed(ngx_http_oci_peer_t *peer,
    ngx_str_t *host, const char *why);
static ngx_int_t ngx_http_oci_resolve_name(ngx_pool_t *pool,
    ngx_addr_t *addr);


void
ngx_http_oci_peer_resolve(ngx_http_oci_peer_t *peer)
{
    ngx_int_t              rc;
    ngx_str_t             *host;
    in_port_t              port;
    ngx_resolver_ctx_t    *ctx;
    ngx_http_oci_proxy_t  *proxy;

    proxy = peer->conf->proxy;
    host = &peer->host;
    port = peer->port;

    if (proxy) {
        host = &proxy->host;
        port = proxy->port;
        peer->addrs = proxy->addrs;
        peer->naddrs = proxy->naddrs;
    }

    rc = ngx_http_oci_resolve_known(peer, host, port);

    if (rc == NGX_ERROR) {
        peer->handler(peer, NGX_HTTP_OCI_FETCH_INTERNAL);
        return;
    }

    if (rc == NGX_OK) {
        ngx_http_oci_peer_attempt(peer);
        return;
    }

    peer->log->action = "resolving the name of an upstream";

    ctx = peer->conf->resolver ? ngx_resolve_start(peer->conf->resolver, NULL)
                               : NGX_NO_RESOLVER;

    if (ctx == NULL) {
        peer->handler(peer, NGX_HTTP_OCI_FETCH_INTERNAL);
        return;
    }

    if (ctx == NGX_NO_RESOLVER) {
        ngx_http_oci_resolve_failed(peer, host, "there is no resolver");
        return;
    }

    ctx->name = *host;
    ctx->handler = ngx_http_oci_resolve_handler;
    ctx->data = peer;
    ctx->timeout = peer->conf->resolver_timeout;

    /* the handler may be called at once */

    peer->resolving = ctx;

    if (ngx_resolve_name(ctx) != NGX_OK) {
        peer->resolving = NULL;
        ngx_http_oci_resolve_failed(peer, host, "it can't be asked for");
    }
}


/*
 * NGX_OK with addresses for which no one need be asked, or NGX_DECLINED.
 * Names that the system knows by itself have kept their addresses since the
 * start.
 */

static ngx_int_t
ngx_http_oci_resolve_known(ngx_http_oci_peer_t *peer, ngx_str_t *host,
    in_port_t port)
{
    ngx_addr_t  *addrs;

    if (peer->addrs
        && (peer->conf->resolver == NULL || peer->conf->hosts_file
            || ngx_time() - peer->conf->resolver_failed
               < NGX_HTTP_OCI_RESOLVE_AGAIN))
    {
        return NGX_OK;
    }

    addrs = ngx_pcalloc(peer->pool, 2 * sizeof(ngx_addr_t));
    if (addrs == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_oci_resolve_local(host)) {

        if (ngx_http_oci_resolve_literal(peer->pool, &addrs[0], "127.0.0.1",
                                         port)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        peer->addrs = addrs;
        peer->naddrs = 1;

#if (NGX_HAVE_INET6)

        if (ngx_http_oci_resolve_literal(peer->pool, &addrs[1], "::1", port)
            == NGX_OK)
        {
            peer->naddrs = 2;
        }

#endif

        return NGX_OK;
    }

    if (ngx_parse_addr(peer->pool, &addrs[0], host->data, host->len)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_inet_set_port(addrs[0].sockaddr, port);

    peer->addrs = addrs;
    peer->naddrs = 1;

    return ngx_http_oci_resolve_name(peer->pool, &addrs[0]);
}


/* names of this host itself, which no server of names should be asked for */

static ngx_uint_t
ngx_http_oci_resolve_local(ngx_str_t *host)
{
    static ngx_str_t  local = ngx_string("localhost");

    if (host->len < local.len
        || ngx_strncasecmp(host->data + host->len - local.len, local.data,
                           local.len)
           != 0)
    {
        return 0;
    }

    return host->len == local.len
           || host->data[host->len - local.len - 1] == '.';
}


static ngx_int_t
ngx_http_oci_resolve_literal(ngx_pool_t *pool, ngx_addr_t *addr,
    const char *text, in_port_t port)
{
    if (ngx_parse_addr(pool, addr, (u_char *) text, ngx_strlen(text))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_inet_set_port(addr->sockaddr, port);

    return ngx_http_oci_resolve_name(pool, addr);
}


ngx_int_t
ngx_http_oci_peer_proxied(ngx_http_oci_peer_t *peer)
{
    ngx_addr_t  addr;

    peer->class = OCI_ADDRESS_PUBLIC;

    if (ngx_http_oci_resolve_local(&peer->host)) {

        if (ngx_http_oci_resolve_literal(peer->pool, &addr, "127.0.0.1",
                                         peer->port)
            != NGX_OK)
        {
            return NGX_DECLINED;
        }

    } else if (ngx_parse_addr(peer->pool, &addr, peer->host.data,
                              peer->host.len)
               != NGX_OK)
    {
        return NGX_OK;
    }

    peer->class = oci_address_class(addr.sockaddr);

    if (ngx_http_oci_peer_allowed(peer, addr.sockaddr)) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, peer->log, 0,
                  "an upstream led to \"%V\", where requests must not go",
                  &peer->host);

    return NGX_DECLINED;
}


static void
ngx_http_oci_resolve_handler(ngx_resolver_ctx_t *ctx)
{
    ngx_int_t              rc;
    ngx_str_t             *host;
    in_port_t              port;
    ngx_http_oci_peer_t   *peer;
    ngx_http_oci_proxy_t  *proxy;

    peer = ctx->data;
    proxy = peer->conf->proxy;

    host = proxy ? &proxy->host : &peer->host;
    port = proxy ? proxy->port : peer->port;

    if (ctx->state) {
        rc = ctx->state;

        peer->resolving = NULL;
        ngx_resolve_name_done(ctx);

        ngx_http_oci_resolve_failed(peer, host, ngx_resolver_strerror(rc));
        return;
    }

    rc = ngx_http_oci_resolve_take(peer, ctx, port);

    peer->resolving = NULL;
    ngx_resolve_name_done(ctx);

    if (rc != NGX_OK) {
        peer->handler(peer, NGX_HTTP_OCI_FETCH_INTERNAL);
        return;
    }

    ngx_http_oci_peer_attempt(peer);
}


static ngx_int_t
ngx_http_oci_resolve_take(ngx_http_oci_peer_t *peer, ngx_resolver_ctx_t *ctx,
    in_port_t port)
{
    ngx_uint_t   i;
    ngx_addr_t  *addr;

    peer->addrs = ngx_pcalloc(peer->pool, ctx->naddrs * sizeof(ngx_addr_t));
    if (peer->addrs == NULL) {
        return NGX_ERROR;
    }

    peer->naddrs = ctx->naddrs;
    peer->next = 0;

    for (i = 0; i < ctx->naddrs; i++) {

        addr = &peer->addrs[i];

        addr->socklen = ctx->addrs[i].socklen;
        addr->sockaddr = ngx_palloc(peer->pool, addr->socklen);
        if (addr->sockaddr == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(addr->sockaddr, ctx->addrs[i].sockaddr, addr->socklen);
        ngx_inet_set_port(addr->sockaddr, port);

        if (ngx_http_oci_resolve_name(peer->pool, addr) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* a name that was known at the start has addresses to fall back to */

static void
ngx_http_oci_resolve_failed(ngx_http_oci_peer_t *peer, ngx_str_t *host,
    const char *why)
{
    if (peer->addrs) {
        ngx_log_error(NGX_LOG_WARN, peer->log, 0,
                      "\"%V\" could not be resolved (%s), "
                      "using its addresses of the start", host, why);

        peer->conf->resolver_failed = ngx_time();

        ngx_http_oci_peer_attempt(peer);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, peer->log, 0,
                  "\"%V\" could not be resolved (%s)", host, why);

    peer->handler(peer, NGX_HTTP_OCI_FETCH_RESOLVE);
}


static ngx_int_t
ngx_http_oci_resolve_name(ngx_pool_t *pool, ngx_addr_t *addr)
{
    addr->name.data = ngx_pnalloc(pool, NGX_SOCKADDR_STRLEN);
    if (addr->name.data == NULL) {
        return NGX_ERROR;
    }

    addr->name.len = ngx_sock_ntop(addr->sockaddr, addr->socklen,
                                   addr->name.data, NGX_SOCKADDR_STRLEN, 1);

    return NGX_OK;
}
