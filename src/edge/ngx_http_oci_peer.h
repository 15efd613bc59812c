
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * One connection to an upstream, ready for a request: from a group, from the
 * idle ones or made anew, with its TLS, through a proxy where there is one.
 */


#ifndef _NGX_HTTP_OCI_PEER_H_INCLUDED_
#define _NGX_HTTP_OCI_PEER_H_INCLUDED_


#include "ngx_http_oci_target.h"
#include "ngx_http_oci_fetch.h"

#include "oci_address.h"


typedef struct ngx_http_oci_peer_s  ngx_http_oci_peer_t;


/* there is a connection, if rc is NGX_HTTP_OCI_FETCH_OK */
typedef void (*ngx_http_oci_peer_handler_pt)(ngx_http_oci_peer_t *peer,
    ngx_http_oci_fetch_rc_e rc);


/* the outgoing proxy of oci_pass_proxy */

struct ngx_http_oci_proxy_s {
    ngx_str_t                        host;      /* terminated by NUL */
    in_port_t                        port;
    ngx_addr_t                      *addrs;     /* of the start, or NULL */
    ngx_uint_t                       naddrs;
    ngx_str_t                        authorization; /* "Basic ...", or empty */
    ngx_uint_t                       hosts_file;    /* names it */
    unsigned                         ssl:1;
};


struct ngx_http_oci_peer_s {

    /* inputs; all that is not set is zero */

    ngx_pool_t                      *pool;
    ngx_log_t                       *log;
    ngx_http_oci_edge_conf_t        *conf;

    ngx_str_t                        host;      /* terminated by NUL */
    in_port_t                        port;
    ngx_str_t                        ssl_name;  /* terminated by NUL */

    ngx_http_upstream_srv_conf_t    *group;
    ngx_addr_t                      *addrs;
    ngx_uint_t                       naddrs;

    ngx_uint_t                       method;    /* for the group's variables */
    ngx_str_t                        uri;

    oci_address_class_t              near;      /* of the upstream itself */

    void                            *data;
    ngx_http_oci_peer_handler_pt     handler;

    unsigned                         ssl:1;
    unsigned                         check:1;   /* hold addresses to near */
    unsigned                         fresh:1;   /* none of the idle ones */

    /* results */

    unsigned                         reused:1;
    unsigned                         absolute:1;    /* a proxy for http: the
                                                       request has an URL */
    oci_address_class_t              class;     /* of the address */
    ngx_connection_t                *connection;
    ngx_str_t                        name;      /* of the address */

    /* its own */

    unsigned                         connected:1;
    unsigned                         proxied:1;     /* TLS to it is done */
    unsigned                         asked:1;       /* of the proxy */
    unsigned                         tunnelled:1;
    unsigned                         tls:1;         /* so is that to host */
    unsigned                         held:1;        /* a peer of the group */
    unsigned                         same:1;        /* connect there again */
    unsigned                         refused:1;     /* by its address */

    ngx_http_request_t              *request;
    ngx_peer_connection_t           *pc;
    ngx_peer_connection_t            own;
    ngx_event_get_peer_pt            get;
    void                            *get_data;
    ngx_resolver_ctx_t              *resolving;
    ngx_uint_t                       next;          /* of addrs */
    ngx_sockaddr_t                   idle;          /* of the connection, to
                                                       keep it by */
    socklen_t                        idle_len;
    ngx_str_t                        key;
    ngx_buf_t                       *tunnel;
    size_t                           seen;
    ngx_http_oci_fetch_rc_e          error;
};


/* calls the handler, maybe before it returns */
void ngx_http_oci_peer_connect(ngx_http_oci_peer_t *peer);

/*
 * The reused connection was dead: the same address again, anew.  Calls the
 * handler.
 */
void ngx_http_oci_peer_again(ngx_http_oci_peer_t *peer);

/*
 * The connection or what came over it failed: the next address or peer.
 * NGX_OK: the handler is called; NGX_DECLINED: there is no other.
 */
ngx_int_t ngx_http_oci_peer_next(ngx_http_oci_peer_t *peer);

/*
 * Gives the connection back, to be used again if keepalive is set, or stops
 * whatever is under way; failed: the balancer is told.  May be called twice.
 */
void ngx_http_oci_peer_close(ngx_http_oci_peer_t *peer, ngx_uint_t keepalive,
    ngx_uint_t failed);


/* of the rooms around it */

/* finds addresses for peer->host, or the proxy's, then goes on */
void ngx_http_oci_peer_resolve(ngx_http_oci_peer_t *peer);

/* next step of a connection whose TCP, TLS or tunnel has come about */
void ngx_http_oci_peer_step(ngx_http_oci_peer_t *peer);

/* tries peer->addrs from peer->next on */
void ngx_http_oci_peer_attempt(ngx_http_oci_peer_t *peer);

/* this connection can't be had: the next, or the handler */
void ngx_http_oci_peer_fail(ngx_http_oci_peer_t *peer,
    ngx_http_oci_fetch_rc_e rc);

/*
 * What lies behind a proxy is for the proxy to find, save for what the name
 * itself says.  NGX_OK, or NGX_DECLINED: not to be asked for.
 */
ngx_int_t ngx_http_oci_peer_proxied(ngx_http_oci_peer_t *peer);

/* asks the proxy for a way to the host */
void ngx_http_oci_peer_tunnel(ngx_http_oci_peer_t *peer);

/* 1 where a request may go to the address */
ngx_uint_t ngx_http_oci_peer_allowed(ngx_http_oci_peer_t *peer,
    struct sockaddr *sockaddr);


#endif /* _NGX_HTTP_OCI_PEER_H_INCLUDED_ */
