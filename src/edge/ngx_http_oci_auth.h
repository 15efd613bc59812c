
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The Authorization header of requests to upstreams: challenges, tokens, the
 * credentials behind them.  Tokens are kept in a worker until they expire,
 * and fetched once for all who wait for them.
 */


#ifndef _NGX_HTTP_OCI_AUTH_H_INCLUDED_
#define _NGX_HTTP_OCI_AUTH_H_INCLUDED_


#include "ngx_http_oci_peer.h"

#include "oci_response.h"


typedef struct ngx_http_oci_auth_s  ngx_http_oci_auth_t;


/*
 * NGX_OK: value is set; NGX_DECLINED: the service refused; NGX_ERROR: it
 * could not be asked.
 */
typedef void (*ngx_http_oci_auth_handler_pt)(ngx_http_oci_auth_t *auth,
    ngx_int_t rc);


struct ngx_http_oci_auth_s {

    /* inputs; pool must outlive it */

    ngx_pool_t                    *pool;
    ngx_log_t                     *log;
    ngx_http_oci_edge_conf_t      *conf;
    ngx_http_oci_target_t         *target;
    ngx_str_t                      scope;       /* separated by spaces */
    ngx_str_t                      client;      /* the client's own header */

    oci_address_class_t            near;        /* of the upstream's address,
                                                   set before a challenge */

    void                          *data;
    ngx_http_oci_auth_handler_pt   handler;

    /* result: the header's value, empty for none */

    ngx_str_t                      value;
    unsigned                       secret:1;    /* not over plain HTTP */

    /* its own */

    unsigned                       waiting:1;
    unsigned                       fresh:1;     /* value was got for it */
    ngx_uint_t                     challenges;
    ngx_str_t                      asked;       /* the scope it was for */
    ngx_str_t                      key;         /* of the token in value */
    ngx_queue_t                    queue;
};


/*
 * What is known without a challenge.  NGX_OK: auth->value is set, or empty;
 * NGX_AGAIN: a token is fetched, the handler will be called; NGX_ERROR: it
 * could not be fetched a moment ago.
 */
ngx_int_t ngx_http_oci_auth_known(ngx_http_oci_auth_t *auth);

/* 1 if a 401 may be followed by an attempt with another value */
ngx_uint_t ngx_http_oci_auth_possible(ngx_http_oci_auth_t *auth,
    oci_response_t *response);

/*
 * After a 401.  As ngx_http_oci_auth_known(), and NGX_DECLINED: there is no
 * way to another answer.
 */
ngx_int_t ngx_http_oci_auth_challenge(ngx_http_oci_auth_t *auth,
    oci_response_t *response);

/* the handler is not to be called any more */
void ngx_http_oci_auth_cancel(ngx_http_oci_auth_t *auth);

/* 1 if secrets may be sent over the connection that peer has */
ngx_uint_t ngx_http_oci_auth_secure(ngx_http_oci_peer_t *peer);


#endif /* _NGX_HTTP_OCI_AUTH_H_INCLUDED_ */
