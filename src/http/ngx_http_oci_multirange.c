
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_content.h"
#include "ngx_http_oci_send.h"


#define NGX_HTTP_OCI_BOUNDARY_LEN  32


static u_char *ngx_http_oci_multirange_part(u_char *p, u_char *boundary,
    ngx_http_oci_content_t *content, oci_range_t *range);
static ngx_int_t ngx_http_oci_multirange_type(ngx_http_request_t *r,
    u_char *boundary, ngx_str_t *type);
static ngx_chain_t *ngx_http_oci_multirange_link(ngx_http_request_t *r,
    ngx_chain_t ***ll);


ngx_int_t
ngx_http_oci_multirange_send(ngx_http_request_t *r,
    ngx_http_oci_content_t *content, ngx_file_t *file, oci_range_t *ranges,
    ngx_uint_t n)
{
    off_t         length;
    size_t        part;
    u_char       *p, *start, boundary[NGX_HTTP_OCI_BOUNDARY_LEN];
    ngx_int_t     rc;
    ngx_uint_t    i;
    ngx_str_t     type;
    ngx_chain_t  *out, *cl, **ll;

    if (ngx_http_oci_multirange_type(r, boundary, &type) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* all heads of parts in one piece of memory, the content in file bufs */

    part = sizeof(CRLF "--" CRLF "Content-Type: " CRLF
                  "Content-Range: bytes -/" CRLF CRLF)
           + NGX_HTTP_OCI_BOUNDARY_LEN + content->type.len
           + 3 * NGX_OFF_T_LEN;

    p = ngx_pnalloc(r->pool, n * part + sizeof(CRLF "----" CRLF)
                             + NGX_HTTP_OCI_BOUNDARY_LEN);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    out = NULL;
    ll = &out;
    length = 0;

    for (i = 0; i < n; i++) {

        start = p;
        p = ngx_http_oci_multirange_part(p, boundary, content, &ranges[i]);

        cl = ngx_http_oci_multirange_link(r, &ll);
        if (cl == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        cl->buf->pos = start;
        cl->buf->last = p;
        cl->buf->memory = 1;

        cl = ngx_http_oci_multirange_link(r, &ll);
        if (cl == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        cl->buf->file = file;
        cl->buf->file_pos = content->base + ranges[i].start;
        cl->buf->file_last = content->base + ranges[i].end;
        cl->buf->in_file = 1;

        length += (p - start) + (ranges[i].end - ranges[i].start);
    }

    start = p;
    p = ngx_sprintf(p, CRLF "--%*s--" CRLF,
                    (size_t) NGX_HTTP_OCI_BOUNDARY_LEN, boundary);

    cl = ngx_http_oci_multirange_link(r, &ll);
    if (cl == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cl->buf->pos = start;
    cl->buf->last = p;
    cl->buf->memory = 1;
    cl->buf->last_buf = (r == r->main) ? 1 : 0;
    cl->buf->last_in_chain = 1;

    length += p - start;

    if (ngx_http_oci_prepare(r, NGX_HTTP_PARTIAL_CONTENT, length, &type)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_oci_content_body(r, content, out);
}


static u_char *
ngx_http_oci_multirange_part(u_char *p, u_char *boundary,
    ngx_http_oci_content_t *content, oci_range_t *range)
{
    return ngx_sprintf(p, CRLF "--%*s" CRLF
                       "Content-Type: %V" CRLF
                       "Content-Range: bytes %O-%O/%O" CRLF CRLF,
                       (size_t) NGX_HTTP_OCI_BOUNDARY_LEN, boundary,
                       &content->type, (off_t) range->start,
                       (off_t) range->end - 1, content->size);
}


static ngx_int_t
ngx_http_oci_multirange_type(ngx_http_request_t *r, u_char *boundary,
    ngx_str_t *type)
{
    u_char      *p;
    ngx_uint_t   i;

    /* long enough not to stand in the content by chance */

    p = boundary;

    for (i = 0; i < NGX_HTTP_OCI_BOUNDARY_LEN / 8; i++) {
        p = ngx_sprintf(p, "%08xD", (uint32_t) ngx_random() * 2654435761u);
    }

    type->data = ngx_pnalloc(r->pool,
                             sizeof("multipart/byteranges; boundary=")
                             + NGX_HTTP_OCI_BOUNDARY_LEN);
    if (type->data == NULL) {
        return NGX_ERROR;
    }

    type->len = ngx_sprintf(type->data, "multipart/byteranges; boundary=%*s",
                            (size_t) NGX_HTTP_OCI_BOUNDARY_LEN, boundary)
                - type->data;

    return NGX_OK;
}


static ngx_chain_t *
ngx_http_oci_multirange_link(ngx_http_request_t *r, ngx_chain_t ***ll)
{
    ngx_chain_t  *cl;

    cl = ngx_alloc_chain_link(r->pool);
    if (cl == NULL) {
        return NULL;
    }

    cl->buf = ngx_calloc_buf(r->pool);
    if (cl->buf == NULL) {
        return NULL;
    }

    cl->next = NULL;

    **ll = cl;
    *ll = &cl->next;

    return cl;
}
