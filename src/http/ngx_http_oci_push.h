
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * With "oci_push upstream": a push or a delete goes to the upstream as it
 * comes.
 */


#ifndef _NGX_HTTP_OCI_PUSH_H_INCLUDED_
#define _NGX_HTTP_OCI_PUSH_H_INCLUDED_


#include "ngx_http_oci_module.h"
#include "ngx_http_oci_body.h"
#include "ngx_http_oci_upstream.h"


#define NGX_HTTP_OCI_PUSH_PIECE  (128 * 1024)
#define NGX_HTTP_OCI_PUSH_TEXT   (16 * 1024)    /* of an error's body */


typedef struct {
    ngx_http_request_t       *request;
    ngx_http_oci_ctx_t       *ctx;
    ngx_http_oci_upstream_t  *u;
    ngx_http_oci_fetch_t     *fetch;        /* under way, NULL: none */

    ngx_str_t                 path;         /* at the upstream */
    ngx_str_t                 args;
    ngx_str_t                 scope;        /* of a mount's source */
    off_t                     length;       /* of the body, -1: not known */

    ngx_http_oci_body_t       body;
    u_char                   *piece[2];     /* one fills, one is sent */
    size_t                    len[2];
    size_t                    size;         /* of each */
    ngx_uint_t                fill;
    ngx_event_t               wake;

    u_char                   *text;         /* an error's body */
    size_t                    text_len;
    const oci_store_t        *store;
    ngx_uint_t                status;       /* to answer with */

    unsigned                  streamed:1;   /* there is a body */
    unsigned                  reading:1;    /* it was asked for */
    unsigned                  started:1;    /* and is being read */
    unsigned                  ended:1;      /* or was, or no more is wanted */
    unsigned                  mount:1;
    unsigned                  long_text:1;
} ngx_http_oci_push_t;


/*
 * The handler of every operation of a push or a delete in such a location.
 * NGX_DECLINED: this request has no upstream.
 */
ngx_int_t ngx_http_oci_push_upstream(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);

/* goes on, path and args being set; returns as a content handler does */
ngx_int_t ngx_http_oci_push_begin(ngx_http_oci_push_t *p);

/* the same for the start of an upload that asks for a mount */
ngx_int_t ngx_http_oci_push_mount(ngx_http_oci_push_t *p);

/* what was kept of the repository is asked for anew, by every worker */
void ngx_http_oci_push_refresh(ngx_http_oci_push_t *p);

/* what to send for what a fetch came to; ends as a content handler does */
ngx_int_t ngx_http_oci_push_answer(ngx_http_oci_push_t *p,
    ngx_http_oci_fetch_t *f, ngx_http_oci_fetch_rc_e rc);


/*
 * p->path and p->args of what the client asks for.  NGX_OK; NGX_DECLINED: no
 * such thing can be; NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_oci_push_path(ngx_http_oci_push_t *p);

/*
 * The Location of an upload on this server, for what the upstream said
 * (f->location).  NGX_OK; NGX_DECLINED: it leads to another host;
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_oci_push_location(ngx_http_oci_push_t *p,
    ngx_http_oci_fetch_t *f, ngx_str_t *location);


#endif /* _NGX_HTTP_OCI_PUSH_H_INCLUDED_ */
