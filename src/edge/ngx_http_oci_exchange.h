
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * One request of HTTP/1.1 and its response, on whatever connection of a peer
 * brings it about.
 */


#ifndef _NGX_HTTP_OCI_EXCHANGE_H_INCLUDED_
#define _NGX_HTTP_OCI_EXCHANGE_H_INCLUDED_


#include "ngx_http_oci_peer.h"

#include "oci_response.h"


#define NGX_HTTP_OCI_EXCHANGE_BUFFER  (64 * 1024)
#define NGX_HTTP_OCI_EXCHANGE_LINKS   3

#define NGX_HTTP_OCI_USER_AGENT       "nginx-oci"


typedef struct ngx_http_oci_exchange_s  ngx_http_oci_exchange_t;


struct ngx_http_oci_exchange_s {

    /* inputs; peer's as well */

    ngx_http_oci_peer_t          peer;

    /* a request's head, and content in memory; called for each connection */
    ngx_buf_t                 *(*compose)(ngx_http_oci_exchange_t *x);

    /* a body behind it, as ngx_http_oci_fetch_send_pt */
    ngx_int_t                  (*send)(ngx_http_oci_exchange_t *x,
                                       ngx_buf_t *b);

    /* NULL, or called when all of it has been written; posts, no more */
    void                       (*asked)(ngx_http_oci_exchange_t *x);

    /* as ngx_http_oci_fetch_header_pt; NGX_DECLINED: without its body */
    ngx_int_t                  (*header)(ngx_http_oci_exchange_t *x);

    ngx_int_t                  (*body)(ngx_http_oci_exchange_t *x, u_char *p,
                                       size_t n);

    /* the end, once; nothing is touched after it */
    void                       (*done)(ngx_http_oci_exchange_t *x,
                                       ngx_http_oci_fetch_rc_e rc);

    void                        *data;

    ngx_buf_t                   *buffer;        /* kept between exchanges */

    unsigned                     head:1;        /* no body comes */
    unsigned                     idempotent:1;
    unsigned                     streamed:1;    /* send is to be called */
    unsigned                     chunks:1;      /* its pieces as chunks */

    /* results */

    oci_response_t              *response;
    off_t                        bytes;         /* all that was received */

    /* its own */

    oci_body_t                   content;
    size_t                       seen;
    ngx_buf_t                   *out;
    ngx_chain_t                 *pieces;        /* of send, under way */
    ngx_chain_t                  links[NGX_HTTP_OCI_EXCHANGE_LINKS];
    ngx_uint_t                   nlinks;
    ngx_uint_t                   interim;       /* responses of 1xx */
    ngx_msec_t                   paced;         /* since when, and after how */
    off_t                        paced_bytes;   /* many bytes, it is timed */
    ngx_buf_t                    piece;
    u_char                       chunk[32];
    ngx_http_oci_fetch_rc_e      rc;

    unsigned                     inside:1;      /* a callback runs */
    unsigned                     ending:1;      /* finish when it returns */
    unsigned                     started:1;     /* bytes came */
    unsigned                     headed:1;
    unsigned                     drained:1;     /* the body is not wanted */
    unsigned                     paused:1;
    unsigned                     waiting:1;     /* for a 100 */
    unsigned                     starved:1;     /* send had nothing */
    unsigned                     consumed:1;    /* a piece was taken */
    unsigned                     last:1;        /* no more of them */
    unsigned                     sent:1;        /* the request is out */
};


/* calls done() later or now */
void ngx_http_oci_exchange_start(ngx_http_oci_exchange_t *x);

/* after NGX_AGAIN of a callback; calls none before it returns */
void ngx_http_oci_exchange_resume(ngx_http_oci_exchange_t *x);

/* calls done() with rc, now or after the callback that this is called in */
void ngx_http_oci_exchange_end(ngx_http_oci_exchange_t *x,
    ngx_http_oci_fetch_rc_e rc);


/* for ngx_http_oci_exchange*.c */

/*
 * NGX_OK: all is sent; NGX_AGAIN: the socket is full, or a piece or a 100 is
 * waited for; NGX_ERROR; NGX_DONE: x is finished.
 */
ngx_int_t ngx_http_oci_exchange_write(ngx_http_oci_exchange_t *x);

/* the end of x, now */
void ngx_http_oci_exchange_finish(ngx_http_oci_exchange_t *x,
    ngx_http_oci_fetch_rc_e rc);


#endif /* _NGX_HTTP_OCI_EXCHANGE_H_INCLUDED_ */
