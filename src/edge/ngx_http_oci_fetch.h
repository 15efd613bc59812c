
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * One logical request to an upstream registry: with its tokens, redirects
 * and retries.  A fetch is detached: it has a pool of its own and outlives
 * whatever client asked for it.
 */


#ifndef _NGX_HTTP_OCI_FETCH_H_INCLUDED_
#define _NGX_HTTP_OCI_FETCH_H_INCLUDED_


#include "ngx_http_oci_target.h"

#include "oci_response.h"


typedef struct ngx_http_oci_fetch_s    ngx_http_oci_fetch_t;
typedef struct ngx_http_oci_fetch_x_s  ngx_http_oci_fetch_x_t;


/* how a fetch ended; any status of HTTP is NGX_HTTP_OCI_FETCH_OK */

typedef enum {
    NGX_HTTP_OCI_FETCH_OK = 0,      /* head and body came whole */
    NGX_HTTP_OCI_FETCH_RESOLVE,     /* the name has no address */
    NGX_HTTP_OCI_FETCH_CONNECT,     /* refused, unreachable, no live peer */
    NGX_HTTP_OCI_FETCH_TIMEOUT,     /* connecting, or no byte for too long */
    NGX_HTTP_OCI_FETCH_TLS,         /* handshake or certificate */
    NGX_HTTP_OCI_FETCH_PROXY,       /* the proxy refused */
    NGX_HTTP_OCI_FETCH_RESET,       /* the connection broke */
    NGX_HTTP_OCI_FETCH_SHORT,       /* it ended before the body did */
    NGX_HTTP_OCI_FETCH_PROTOCOL,    /* what came is no valid response */
    NGX_HTTP_OCI_FETCH_AUTH,        /* no token could be had */
    NGX_HTTP_OCI_FETCH_REDIRECT,    /* too many, or to where none may go */
    NGX_HTTP_OCI_FETCH_ABORTED,     /* a callback said NGX_ERROR */
    NGX_HTTP_OCI_FETCH_CANCELLED,   /* ngx_http_oci_fetch_cancel(), or the
                                       worker ends */
    NGX_HTTP_OCI_FETCH_INTERNAL     /* no memory, no connection left */
} ngx_http_oci_fetch_rc_e;


/*
 * The final response's head is in f->response (after redirects and tokens;
 * a 401 comes here when there is no way to another answer).  NGX_OK: go on
 * with the body; NGX_AGAIN: go on after ngx_http_oci_fetch_resume();
 * NGX_ERROR: end, done() gets ..._ABORTED.
 */
typedef ngx_int_t (*ngx_http_oci_fetch_header_pt)(ngx_http_oci_fetch_t *f);

/*
 * n > 0 bytes of the body, all of which are taken.  NGX_OK; NGX_AGAIN: they
 * are taken, but the next come after ngx_http_oci_fetch_resume(), until then
 * nothing is read from the connection; NGX_ERROR as above.
 */
typedef ngx_int_t (*ngx_http_oci_fetch_body_pt)(ngx_http_oci_fetch_t *f,
    u_char *p, size_t n);

/*
 * The end, called exactly once for every fetch that was started, never from
 * inside of ngx_http_oci_fetch_start().  f and f->pool are gone after it.
 */
typedef void (*ngx_http_oci_fetch_done_pt)(ngx_http_oci_fetch_t *f,
    ngx_http_oci_fetch_rc_e rc);

/*
 * All of a request has been written: once for each that is sent for this
 * fetch.  It may post events, and nothing else.
 */
typedef void (*ngx_http_oci_fetch_asked_pt)(ngx_http_oci_fetch_t *f);

/*
 * The next piece of a request body: NGX_OK with b->pos to b->last, which
 * stay untouched until the next call; NGX_AGAIN: none yet, go on after
 * ngx_http_oci_fetch_resume(); NGX_DONE: no more; NGX_ERROR as above.
 */
typedef ngx_int_t (*ngx_http_oci_fetch_send_pt)(ngx_http_oci_fetch_t *f,
    ngx_buf_t *b);


struct ngx_http_oci_fetch_s {

    /* set by ngx_http_oci_fetch_create() */

    ngx_pool_t                     *pool;
    ngx_log_t                      *log;
    ngx_http_oci_edge_conf_t       *conf;
    ngx_http_oci_target_t          *target;     /* a copy in pool */

    /*
     * Inputs, set between create() and start().  Strings must lie in
     * f->pool or be static.
     */

    ngx_uint_t                      method;     /* NGX_HTTP_GET by default */

    /*
     * "blobs/sha256:..." is below the target's repository, "/v2/" below its
     * prefix; both may hold a query.  "https://..." and "?..." stand for a
     * Location that the upstream gave: whole URLs are held to the rules of
     * redirects.
     */
    ngx_str_t                       path;
    ngx_str_t                       args;       /* without "?" */

    ngx_str_t                       accept;         /* empty: none */
    ngx_str_t                       if_none_match;
    ngx_str_t                       content_type;
    ngx_str_t                       headers;    /* more lines, each with CRLF */

    off_t                           range_start;    /* -1: no range */
    off_t                           range_end;      /* inclusive; -1: open */

    /*
     * The right that is needed: "pull" by default, "pull,push", "delete"...
     * scope: more scopes, separated by spaces.
     */
    ngx_str_t                       actions;
    ngx_str_t                       scope;

    /* with oci_pass_auth client: the client's own header, empty if none */
    ngx_str_t                       authorization;

    /*
     * A digest for the variables of a group's balancer ($oci_digest), where
     * path holds none; the path does otherwise.
     */
    ngx_str_t                       digest;

    /*
     * Until the body has come, unless at least some of it comes in each such
     * time; 0: none.  For whoever never pauses it.
     */
    ngx_msec_t                      timeout;

    /*
     * A request body: in memory, sent again where a token or a redirect
     * asks for it; or streamed by send, content_length -1 for chunks.  Only
     * what was not yet asked for can be sent again.
     */
    ngx_str_t                       content;
    off_t                           content_length; /* -1: not known */
    ngx_http_oci_fetch_send_pt      send;

    void                           *data;       /* the owner's */

    ngx_http_oci_fetch_asked_pt     asked;      /* may be NULL */
    ngx_http_oci_fetch_header_pt    header;     /* may be NULL */
    ngx_http_oci_fetch_body_pt      body;       /* NULL: body is dropped */
    ngx_http_oci_fetch_done_pt      done;

    /* what it has found */

    oci_response_t                 *response;   /* valid from header() on */
    ngx_str_t                       location;   /* resolved, of a response
                                                   that is not followed */
    off_t                           received;   /* of the body */
    off_t                           bytes;      /* of all, as they came */
    ngx_uint_t                      hops;       /* redirects followed */
    ngx_str_t                       peer;       /* address, for logs */

    ngx_http_oci_fetch_x_t         *x;          /* its own */
};


/* NULL: no memory.  target may be of a request's pool. */
ngx_http_oci_fetch_t *ngx_http_oci_fetch_create(
    ngx_http_oci_edge_conf_t *conf, ngx_http_oci_target_t *target);

/* from here on done() will be called, once */
void ngx_http_oci_fetch_start(ngx_http_oci_fetch_t *f);

/* a fetch that was created and is not to be started */
void ngx_http_oci_fetch_destroy(ngx_http_oci_fetch_t *f);

/* goes on reading or sending; never calls a callback before it returns */
void ngx_http_oci_fetch_resume(ngx_http_oci_fetch_t *f);

/*
 * Ends a fetch that was started: done() is called with ..._CANCELLED before
 * this returns, or, if called in one of its callbacks, after that one.
 */
void ngx_http_oci_fetch_cancel(ngx_http_oci_fetch_t *f);

/* a text for logs */
const char *ngx_http_oci_fetch_error(ngx_http_oci_fetch_rc_e rc);

/* 1 where the upstream itself failed, not the request: stale may be served */
ngx_uint_t ngx_http_oci_fetch_failed(ngx_http_oci_fetch_t *f,
    ngx_http_oci_fetch_rc_e rc);

/* the status of an answer that stands for how a fetch ended */
ngx_uint_t ngx_http_oci_fetch_status(ngx_http_oci_fetch_rc_e rc,
    oci_response_t *response, ngx_int_t *retry_after);


#endif /* _NGX_HTTP_OCI_FETCH_H_INCLUDED_ */
