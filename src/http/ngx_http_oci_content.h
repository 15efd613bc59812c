
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Content of a file with everything that HTTP can ask of it: HEAD,
 * conditions, one range, many ranges.
 */


#ifndef _NGX_HTTP_OCI_CONTENT_H_INCLUDED_
#define _NGX_HTTP_OCI_CONTENT_H_INCLUDED_


#include "ngx_http_oci_module.h"
#include "ngx_http_oci_cache.h"


/*
 * Takes the body after the headers, in place of the filters: parts of a file
 * that are not all there yet.
 */
typedef ngx_int_t (*ngx_http_oci_content_pt)(ngx_http_request_t *r,
    ngx_chain_t *body, void *sender);


typedef struct {
    ngx_fd_t         fd;            /* NGX_INVALID_FILE for a HEAD */
    off_t            base;          /* where the content starts in the file */
    off_t            size;          /* of the content */
    u_char          *data;          /* the content, else NULL: in the file;
                                       not where ..._parts() says 1 */
    const oci_digest_t  *digest;
    ngx_str_t        type;          /* lives as long as the request */
    ngx_str_t        location;      /* the same; len 0: none */
    ngx_http_oci_content_pt  send;  /* NULL: the filters */
    void            *sender;
    const ngx_http_oci_cache_ask_t  *ask;   /* where its compressed form is to
                                       be kept; NULL: it is not wanted */
    oci_stamp_t      origin;        /* and of what */
    unsigned         immutable:1;   /* asked for by digest */
    unsigned         scratch:1;     /* data is the next request's as well */
    unsigned         zstd:1;        /* the file or data is the compressed
                                       form: for a whole GET only */
} ngx_http_oci_content_t;


/* closes fd with the request's pool; NGX_OK or NGX_ERROR (closed already) */
ngx_int_t ngx_http_oci_content_own(ngx_http_request_t *r, ngx_fd_t fd);

/* 1 if the request asks for several ranges, which are sent from a file */
ngx_uint_t ngx_http_oci_content_parts(ngx_http_request_t *r);

/*
 * 1 if the answer will be 304, so that nobody need open the content: also
 * for who has it as its companion was
 */
ngx_uint_t ngx_http_oci_content_unmodified(ngx_http_request_t *r,
    const oci_digest_t *d);

/*
 * 1 if data may be scratch: what does not leave at once is copied then.  Where
 * anybody may keep a pointer to a part of a body, it may not: that is TLS,
 * HTTP/2 and later, and a request with subrequests.
 */
ngx_uint_t ngx_http_oci_content_scratch(ngx_http_request_t *r);

/*
 * Answers 200, 206, 304, 400 or 416.  Headers of the endpoint's own are
 * added before; digest, ETag, Cache-Control and Accept-Ranges are added here.
 */
ngx_int_t ngx_http_oci_content_send(ngx_http_request_t *r,
    ngx_http_oci_content_t *content);

/* the body, after the headers */
ngx_int_t ngx_http_oci_content_body(ngx_http_request_t *r,
    ngx_http_oci_content_t *content, ngx_chain_t *body);

/*
 * The body of a 206 with n ranges: multipart/byteranges, one part a range,
 * in the order asked for, none merged (RFC 9110 14.6; containers/storage
 * counts them).
 */
ngx_int_t ngx_http_oci_multirange_send(ngx_http_request_t *r,
    ngx_http_oci_content_t *content, ngx_file_t *file, oci_range_t *ranges,
    ngx_uint_t n);


#endif /* _NGX_HTTP_OCI_CONTENT_H_INCLUDED_ */
