
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What lists have in common: tags, referrers, the catalog.
 */


#ifndef _NGX_HTTP_OCI_LIST_H_INCLUDED_
#define _NGX_HTTP_OCI_LIST_H_INCLUDED_


#include "ngx_http_oci_operations.h"
#include "ngx_http_oci_task.h"

#include "ngx_http_oci_cache.h"

#include "oci_list.h"


typedef struct {
    const oci_store_t          *store;
    const oci_repo_t           *repo;
    ngx_http_oci_cache_ask_t    ask;
    ngx_http_oci_cache_form_e   form;       /* of the body, with ask.zstd */
    oci_stamp_t                 origin;     /* the same */
    uint64_t                    token;      /* of a snapshot */
    unsigned                    wanted:1;   /* a snapshot is */
    unsigned                    fill:1;     /* once this is answered */
    unsigned                    gone:1;     /* the snapshot, meanwhile */

    const oci_digest_t         *subject;
    const oci_str_t            *reference;  /* the same as text */
    oci_str_t                   filter;     /* what else an answer hangs on */
    u_char                      filter_buf[3 * NGX_INT64_LEN + OCI_NAME_MAX
                                           + OCI_MEDIA_TYPE_MAX];
    int64_t                     n;
    oci_str_t                   last;
    u_char                      last_buf[OCI_NAME_MAX];
    oci_str_t                   type;
    u_char                      type_buf[OCI_MEDIA_TYPE_MAX];
    unsigned                    filtered:1;

    oci_list_t                  list;
    char                        next[OCI_DIGEST_MAX + 1];
} ngx_http_oci_list_ctx_t;


ngx_http_oci_list_ctx_t *ngx_http_oci_list_create(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);

/* n and last: NGX_DECLINED to go on, else what the handler returns */
ngx_int_t ngx_http_oci_list_args(ngx_http_request_t *r,
    ngx_http_oci_list_ctx_t *l);

/* reads in a thread; returns as a content handler does */
ngx_int_t ngx_http_oci_list_post(ngx_http_request_t *r,
    ngx_http_oci_list_ctx_t *l, ngx_http_oci_work_pt work,
    ngx_http_oci_done_pt done);

/* sends l->list, or the error for rc */
ngx_int_t ngx_http_oci_list_answer(ngx_http_request_t *r,
    ngx_http_oci_list_ctx_t *l, int rc);


#endif /* _NGX_HTTP_OCI_LIST_H_INCLUDED_ */
