
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A client's request that has to ask the upstream of its location.
 */


#ifndef _NGX_HTTP_OCI_UPSTREAM_H_INCLUDED_
#define _NGX_HTTP_OCI_UPSTREAM_H_INCLUDED_


#include "ngx_http_oci_module.h"
#include "ngx_http_oci_ask.h"
#include "ngx_http_oci_right.h"


typedef struct ngx_http_oci_upstream_s  ngx_http_oci_upstream_t;


/* in the event loop; answer is valid for this call; ends by finalizing r */
typedef void (*ngx_http_oci_upstream_pt)(ngx_http_oci_upstream_t *u,
    const ngx_http_oci_answer_t *answer);


struct ngx_http_oci_upstream_s {
    ngx_http_request_t          *request;
    ngx_http_oci_ctx_t          *ctx;
    ngx_http_oci_edge_conf_t    *conf;
    ngx_http_oci_target_t       *target;
    ngx_http_oci_right_t         right;
    ngx_http_oci_ask_waiter_t    waiter;
    ngx_http_oci_upstream_pt     handler;
    void                        *data;
    unsigned                     client:1;  /* oci_pass_auth client */
};


/*
 * NGX_OK; NGX_DECLINED: there is no upstream for this request, what is here
 * is all; else what the handler returns.
 */
ngx_int_t ngx_http_oci_upstream_create(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_upstream_t **u);

/*
 * 1 if this client may read it as far as is known: always, unless each
 * client's own right counts.  reference NULL: anything of the repository.
 */
ngx_uint_t ngx_http_oci_upstream_allowed(ngx_http_oci_upstream_t *u,
    const oci_str_t *reference);

/*
 * Asks: fills in q what is the same for every question.  stale: there is
 * something to serve where no answer comes soon.  The caller holds a count
 * of the request.  NGX_OK; NGX_BUSY: the circuit is open and there is
 * something stale; NGX_ERROR.
 */
ngx_int_t ngx_http_oci_upstream_ask(ngx_http_oci_upstream_t *u,
    ngx_http_oci_question_t *q, ngx_uint_t stale,
    ngx_http_oci_upstream_pt handler);

/* remembers or withdraws the client's right by what was answered */
void ngx_http_oci_upstream_learn(ngx_http_oci_upstream_t *u,
    const ngx_http_oci_answer_t *answer, const oci_str_t *reference);

/* 1 if something stale may stand in for that answer */
ngx_uint_t ngx_http_oci_upstream_stale(ngx_http_oci_upstream_t *u,
    const ngx_http_oci_answer_t *answer, const oci_str_t *reference);

/* an answer without content, as an error to the client; e: of a 404 */
ngx_int_t ngx_http_oci_upstream_error(ngx_http_oci_upstream_t *u,
    const ngx_http_oci_answer_t *answer, oci_error_t e);

/* Retry-After, as the upstream has it; not if seconds is not above 0 */
ngx_int_t ngx_http_oci_upstream_retry(ngx_http_request_t *r, int64_t seconds);


#endif /* _NGX_HTTP_OCI_UPSTREAM_H_INCLUDED_ */
