
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What nginx itself refuses in a location of ours (401, 403, 413, 429, ...)
 * leaves as OCI error JSON; and no answer of ours meets a filter that would
 * change its bytes.
 *
 * Two places in the chain: this filter comes after add_header's, and hands
 * what is ours to the low one, which stands below all filters that look into
 * a body (gzip, sub, ssi, charset, ...).
 */


#include "ngx_http_oci_module.h"
#include "ngx_http_oci_send.h"


/* values of r->limit_req_status and r->limit_conn_status */

#define NGX_HTTP_OCI_LIMIT_REQ_REJECTED   3
#define NGX_HTTP_OCI_LIMIT_CONN_REJECTED  2


static ngx_int_t ngx_http_oci_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_oci_filter_page(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);
static ngx_uint_t ngx_http_oci_filter_status(ngx_http_request_t *r);
static ngx_int_t ngx_http_oci_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_oci_filter_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_oci_low_filter_init(ngx_conf_t *cf);


static ngx_http_module_t  ngx_http_oci_filter_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_oci_filter_init,              /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_oci_filter_module = {
    NGX_MODULE_V1,
    &ngx_http_oci_filter_module_ctx,       /* module context */
    NULL,                                  /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_http_module_t  ngx_http_oci_low_filter_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_oci_low_filter_init,          /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_oci_low_filter_module = {
    NGX_MODULE_V1,
    &ngx_http_oci_low_filter_module_ctx,   /* module context */
    NULL,                                  /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;

static ngx_http_output_header_filter_pt  ngx_http_low_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_low_body_filter;


static ngx_int_t
ngx_http_oci_header_filter(ngx_http_request_t *r)
{
    ngx_http_oci_ctx_t       *ctx;
    ngx_http_oci_loc_conf_t  *olcf;

    if (r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    if (ctx && ctx->answered) {
        return ngx_http_low_header_filter(r);
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (r->headers_out.status < NGX_HTTP_BAD_REQUEST || olcf->store == NULL) {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_oci_get_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx->route.endpoint == OCI_ENDPOINT_NONE) {
        return ngx_http_next_header_filter(r);
    }

    if (ngx_http_oci_filter_page(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_low_header_filter(r);
}


static ngx_int_t
ngx_http_oci_filter_page(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    ngx_buf_t   *b;
    ngx_str_t    value, body;
    ngx_uint_t   status;

    status = ngx_http_oci_filter_status(r);

    if (ngx_http_oci_error_body(r, ctx, oci_error_of_status(status), status,
                                NULL, NULL, &body)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = body.data;
    b->last = body.data + body.len;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    ctx->page = b;

    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);

    r->headers_out.status_line.len = 0;

    if (status == NGX_HTTP_TOO_MANY_REQUESTS
        || status == NGX_HTTP_SERVICE_UNAVAILABLE)
    {
        ngx_str_set(&value, "1");

        if (ngx_http_oci_add_header(r, "Retry-After", &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_oci_prepare(r, status, body.len, &ngx_http_oci_type_json);
}


/*
 * Overload: a client that uses this place as a mirror (ns=) goes on to the
 * next one at a 503 at once, while it repeats a 429; all others wait at a
 * 429 and give up at a 503.
 */

static ngx_uint_t
ngx_http_oci_filter_status(ngx_http_request_t *r)
{
    ngx_str_t   ns;
    ngx_uint_t  status;

    status = r->headers_out.status;

    if (status != NGX_HTTP_SERVICE_UNAVAILABLE
        && status != NGX_HTTP_TOO_MANY_REQUESTS)
    {
        return status;
    }

    if (status == NGX_HTTP_SERVICE_UNAVAILABLE
        && r->main->limit_req_status != NGX_HTTP_OCI_LIMIT_REQ_REJECTED
        && r->main->limit_conn_status != NGX_HTTP_OCI_LIMIT_CONN_REJECTED)
    {
        return status;
    }

    if (ngx_http_arg(r, (u_char *) "ns", 2, &ns) == NGX_OK) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    return NGX_HTTP_TOO_MANY_REQUESTS;
}


static ngx_int_t
ngx_http_oci_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_chain_t          out, *cl;
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    if (ctx == NULL || !ctx->answered || r != r->main || r->postponed) {
        return ngx_http_next_body_filter(r, in);
    }

    if (ctx->page == NULL) {
        return ngx_http_low_body_filter(r, in);
    }

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
        cl->buf->file_pos = cl->buf->file_last;
    }

    if (ctx->paged) {
        return ngx_http_low_body_filter(r, NULL);
    }

    ctx->paged = 1;

    out.buf = ctx->page;
    out.next = NULL;

    return ngx_http_low_body_filter(r, &out);
}


ngx_int_t
ngx_http_oci_filter_body(ngx_http_request_t *r, ngx_chain_t *in)
{
    return ngx_http_low_body_filter(r, in);
}


static ngx_int_t
ngx_http_oci_filter_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_oci_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_oci_body_filter;

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_low_filter_init(ngx_conf_t *cf)
{
    ngx_http_low_header_filter = ngx_http_top_header_filter;
    ngx_http_low_body_filter = ngx_http_top_body_filter;

    return NGX_OK;
}
