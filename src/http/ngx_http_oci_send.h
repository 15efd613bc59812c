
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Answers: headers, JSON, errors.  Each returns what a content handler
 * returns or ngx_http_finalize_request() takes.
 */


#ifndef _NGX_HTTP_OCI_SEND_H_INCLUDED_
#define _NGX_HTTP_OCI_SEND_H_INCLUDED_


#include "ngx_http_oci_module.h"


/*
 * Adds a header of a constant name; value must live as long as the request.
 * A Location goes this way too: in nginx's own place it would be made
 * absolute with nginx's idea of scheme and port.
 */
#define ngx_http_oci_add_header(r, name, value)                               \
    ngx_http_oci_push_header(r, (u_char *) name, sizeof(name) - 1, value)

ngx_int_t ngx_http_oci_push_header(ngx_http_request_t *r, u_char *name,
    size_t len, ngx_str_t *value);

/*
 * The same for several at once, of which each is then set: n places in a
 * row, at most NGX_HTTP_OCI_HEADERS.  NULL: no memory.
 */
#define NGX_HTTP_OCI_HEADERS  8

#define ngx_http_oci_set_header(h, name, v)                                   \
    ngx_http_oci_header_init(h);                                              \
    (h)->key.data = (u_char *) name;                                          \
    (h)->key.len = sizeof(name) - 1;                                          \
    (h)->value = *(v);                                                        \
    (h)->lowcase_key = NULL

ngx_table_elt_t *ngx_http_oci_header_run(ngx_http_request_t *r,
    ngx_uint_t n);

/* Docker-Content-Digest, and what $oci_digest says from now on */
ngx_int_t ngx_http_oci_add_digest(ngx_http_request_t *r,
    const oci_digest_t *d);

/* Location: /v2/<name>/<kind>/<digest>, kind "blobs" or "manifests" */
ngx_int_t ngx_http_oci_add_location(ngx_http_request_t *r, const char *kind,
    const oci_digest_t *d);

/*
 * Link to the next page, rel="next": the path of this request, n if it is not
 * negative, last, and one more argument of this value (keep NULL: none).
 */
ngx_int_t ngx_http_oci_add_link(ngx_http_request_t *r, int64_t n,
    const char *last, const char *keep, const oci_str_t *value);

/* an absolute URL of a path, by oci_public_url or Host; len 0 without Host */
ngx_int_t ngx_http_oci_public_url(ngx_http_request_t *r, ngx_str_t *path,
    ngx_str_t *url);

/* headers that every answer has, and the filters that none may pass */
ngx_int_t ngx_http_oci_prepare(ngx_http_request_t *r, ngx_uint_t status,
    off_t length, ngx_str_t *type);

/* of an answer of ours that nothing waits before: to what writes it out */
ngx_int_t ngx_http_oci_filter_body(ngx_http_request_t *r, ngx_chain_t *in);

/* what an unread or half-read request body means for the connection */
void ngx_http_oci_leave_body(ngx_http_request_t *r);

ngx_int_t ngx_http_oci_send_empty(ngx_http_request_t *r, ngx_uint_t status);

/* body lives as long as the request */
ngx_int_t ngx_http_oci_send_memory(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, u_char *body, size_t len);

/* frees memory of malloc with the request's pool; NGX_OK or NGX_ERROR */
ngx_int_t ngx_http_oci_adopt(ngx_http_request_t *r, void *p);

/*
 * An OCI error: the code's usual status if status is 0, its usual text if
 * message is NULL; detail may be NULL.  Logs why at info level.
 */
ngx_int_t ngx_http_oci_send_error(ngx_http_request_t *r, oci_error_t e,
    ngx_uint_t status, const char *message, const oci_str_t *detail);

/* the body of an error, and its headers where a view has some */
ngx_int_t ngx_http_oci_error_body(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, oci_error_t e, ngx_uint_t status,
    const char *message, const oci_str_t *detail, ngx_str_t *body);

/*
 * The error for a code of the lower floor that has no meaning of its own to
 * the caller: OCI_ERROR by its errno (507 when the disk is full), OCI_AGAIN.
 */
ngx_int_t ngx_http_oci_send_failure(ngx_http_request_t *r, int rc);


extern ngx_str_t  ngx_http_oci_type_json;
extern ngx_str_t  ngx_http_oci_type_index;
extern ngx_str_t  ngx_http_oci_type_blob;


#endif /* _NGX_HTTP_OCI_SEND_H_INCLUDED_ */
