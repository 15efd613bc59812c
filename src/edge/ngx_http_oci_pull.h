
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A client's request for a blob that its repository does not hold: it joins
 * a fill and is answered from the growing file, or, where there can be no
 * file, from the upstream's own answer.
 */


#ifndef _NGX_HTTP_OCI_PULL_H_INCLUDED_
#define _NGX_HTTP_OCI_PULL_H_INCLUDED_


#include "ngx_http_oci_fill.h"


typedef struct ngx_http_oci_pull_s    ngx_http_oci_pull_t;
typedef struct ngx_http_oci_direct_s  ngx_http_oci_direct_t;


/*
 * Called once, when the answer may begin:
 *
 * NGX_OK       pull->size, pull->fd (NGX_INVALID_FILE where there is no
 *              file): headers and conditions are the caller's, the body, a
 *              chain of memory and of parts of that file that need not be
 *              there yet, is given to ngx_http_oci_pull_send()
 * NGX_DONE     its repository holds it by now
 * NGX_ERROR    pull->status, pull->retry_after (-1: none)
 *
 * Returns what ngx_http_finalize_request() takes, or what
 * ngx_http_oci_pull_send() returned.
 */
typedef ngx_int_t (*ngx_http_oci_pull_answer_pt)(ngx_http_request_t *r,
    ngx_http_oci_pull_t *pull, ngx_int_t rc);


struct ngx_http_oci_pull_s {

    /* set by the caller; ask.repo and ask.digest last like the request */

    ngx_http_oci_fill_ask_t        ask;
    ngx_http_oci_pull_answer_pt    answer;
    void                          *data;
    oci_range_t                    part;        /* of the blob, that the
                                                   answer is of; end 0: all */
    ngx_http_oci_stats_counter_e  *sent;        /* what counts its body:
                                                   ..._STATS_SENT_UPSTREAM, if
                                                   it comes without a file */

    /* what came of it */

    off_t                          size;
    ngx_fd_t                       fd;
    ngx_uint_t                     status;
    ngx_int_t                      retry_after;

    /* its own */

    ngx_http_request_t            *request;
    ngx_http_oci_reader_t          reader;
    ngx_http_oci_direct_t         *direct;
    oci_range_t                    first;       /* what it waits for */
    ngx_msec_t                     since;

    u_char                        *early;       /* what came before there was
                                                   a file, and was sent */
    off_t                          gone;        /* of it, without a gap */

    ngx_chain_t                   *plan;        /* what is still to be sent */
    ngx_buf_t                     *buf;         /* the part in flight */
    ngx_chain_t                    link;
    off_t                          left;        /* of parts of the file */

    unsigned                       whole:1;     /* from first byte to last */
    unsigned                       started:1;
    unsigned                       streaming:1;
    unsigned                       flushed:1;   /* the headers have gone */
};


/*
 * GET or HEAD.  Returns NGX_DONE, a status, or NGX_DECLINED, as
 * ngx_http_oci_fill_join() with ask.fresh.  answer() is not called from
 * inside; the request is held until it is finalized here.
 */
ngx_int_t ngx_http_oci_pull(ngx_http_request_t *r, ngx_http_oci_pull_t *pull);

/* after the headers were sent; data is the pull */
ngx_int_t ngx_http_oci_pull_send(ngx_http_request_t *r, ngx_chain_t *body,
    void *data);


/* for ngx_http_oci_stream.c and _direct.c */

#define NGX_HTTP_OCI_HOLD_BACK  (64 * 1024)

void ngx_http_oci_pull_finish(ngx_http_oci_pull_t *pull, ngx_int_t rc);
void ngx_http_oci_pull_begin(ngx_http_oci_pull_t *pull);

/* the pull of a request, NULL: none */
ngx_http_oci_pull_t *ngx_http_oci_pull_of(ngx_http_request_t *r);

/* sends what is there, or has come without a file */
void ngx_http_oci_stream(ngx_http_oci_pull_t *pull);
void ngx_http_oci_stream_write_handler(ngx_http_request_t *r);

/* NGX_BUSY: its upstream is known not to answer */
ngx_int_t ngx_http_oci_direct_start(ngx_http_oci_pull_t *pull);

/* no file can be had after all: the rest of the plan, unless memory is out */
void ngx_http_oci_direct_go_on(ngx_http_oci_pull_t *pull);

/* what has come of the part that the plan begins with, into b: how much */
off_t ngx_http_oci_direct_part(ngx_http_oci_pull_t *pull, ngx_buf_t *b);

ngx_uint_t ngx_http_oci_direct_failed(ngx_http_oci_pull_t *pull);
void ngx_http_oci_direct_cancel(ngx_http_oci_pull_t *pull);


#endif /* _NGX_HTTP_OCI_PULL_H_INCLUDED_ */
