
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_content.h"
#include "ngx_http_oci_send.h"


/* as in nginx's cache of open files */

#define NGX_HTTP_OCI_MIN_READ_AHEAD  (128 * 1024)

#define NGX_HTTP_OCI_ETAG_ZSTD       "-zstd"
#define NGX_HTTP_OCI_ETAG_MAX                                                 \
    (OCI_DIGEST_MAX + sizeof("\"" NGX_HTTP_OCI_ETAG_ZSTD "\""))


static ngx_int_t ngx_http_oci_content_headers(ngx_http_request_t *r,
    ngx_http_oci_content_t *content, ngx_str_t *etag);
static ngx_int_t ngx_http_oci_content_of_file(ngx_http_request_t *r,
    ngx_http_oci_content_t *content, ngx_str_t *etag);
static ngx_int_t ngx_http_oci_content_known(ngx_http_request_t *r,
    const oci_digest_t *d);
static size_t ngx_http_oci_content_etag(const oci_digest_t *d,
    ngx_uint_t zstd, u_char *p);
static ngx_int_t ngx_http_oci_content_at_once(ngx_http_request_t *r,
    ngx_chain_t *body);
static ngx_uint_t ngx_http_oci_content_matches(ngx_str_t *list,
    ngx_str_t *etag);
static ngx_table_elt_t *ngx_http_oci_content_range_header(
    ngx_http_request_t *r, ngx_str_t *etag);
static ngx_int_t ngx_http_oci_content_unsatisfiable(ngx_http_request_t *r,
    ngx_http_oci_content_t *content);
static ngx_file_t *ngx_http_oci_content_file(ngx_http_request_t *r,
    ngx_http_oci_content_t *content);
static ngx_int_t ngx_http_oci_content_single(ngx_http_request_t *r,
    ngx_http_oci_content_t *content, oci_range_t *range, ngx_uint_t status);


/* not "public": what needed a login is nobody else's to keep (RFC 9111 3.5) */

static ngx_str_t  ngx_http_oci_immutable =
    ngx_string("max-age=31536000, immutable");
static ngx_str_t  ngx_http_oci_revalidate = ngx_string("no-cache");
static ngx_str_t  ngx_http_oci_bytes = ngx_string("bytes");
static ngx_str_t  ngx_http_oci_coding = ngx_string("zstd");


ngx_int_t
ngx_http_oci_content_own(ngx_http_request_t *r, ngx_fd_t fd)
{
    ngx_pool_cleanup_t       *cln;
    ngx_pool_cleanup_file_t  *clnf;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_pool_cleanup_file_t));
    if (cln == NULL) {
        (void) ngx_close_file(fd);
        return NGX_ERROR;
    }

    cln->handler = ngx_pool_cleanup_file;

    clnf = cln->data;
    clnf->fd = fd;
    clnf->name = (u_char *) "content of a store";
    clnf->log = r->pool->log;

    return NGX_OK;
}


ngx_uint_t
ngx_http_oci_content_parts(ngx_http_request_t *r)
{
    ngx_str_t  *value;

    if (r->headers_in.range == NULL) {
        return 0;
    }

    value = &r->headers_in.range->value;

    return ngx_strlchr(value->data, value->data + value->len, ',') != NULL;
}


ngx_uint_t
ngx_http_oci_content_unmodified(ngx_http_request_t *r, const oci_digest_t *d)
{
    return ngx_http_oci_content_known(r, d) != NGX_DECLINED;
}


/* what the client has: 0 the content, 1 its companion, or NGX_DECLINED */

static ngx_int_t
ngx_http_oci_content_known(ngx_http_request_t *r, const oci_digest_t *d)
{
    u_char               buf[NGX_HTTP_OCI_ETAG_MAX];
    ngx_str_t            etag, *value;
    ngx_uint_t           zstd;
    ngx_http_oci_ctx_t  *ctx;

    if (r->headers_in.if_none_match == NULL) {
        return NGX_DECLINED;
    }

    value = &r->headers_in.if_none_match->value;
    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    if (ctx->file) {
        return ngx_http_oci_content_matches(value, &ctx->file->etag)
               ? 0 : NGX_DECLINED;
    }

    for (zstd = 0; zstd < 2; zstd++) {
        etag.data = buf;
        etag.len = ngx_http_oci_content_etag(d, zstd, buf);

        if (ngx_http_oci_content_matches(value, &etag)) {
            return zstd;
        }
    }

    return NGX_DECLINED;
}


static size_t
ngx_http_oci_content_etag(const oci_digest_t *d, ngx_uint_t zstd, u_char *p)
{
    u_char  *start;

    start = p;

    *p++ = '"';
    p += oci_digest_text(d, p);

    if (zstd) {
        p = ngx_cpymem(p, NGX_HTTP_OCI_ETAG_ZSTD,
                       sizeof(NGX_HTTP_OCI_ETAG_ZSTD) - 1);
    }

    *p++ = '"';

    return p - start;
}


ngx_int_t
ngx_http_oci_content_send(ngx_http_request_t *r,
    ngx_http_oci_content_t *content)
{
    int               rc;
    unsigned          n, max;
    ngx_int_t         known;
    ngx_str_t         etag;
    ngx_file_t       *file;
    oci_range_t      *ranges, whole;
    ngx_table_elt_t  *h;

    known = ngx_http_oci_content_known(r, content->digest);

    if (known != NGX_DECLINED) {
        content->zstd = known;
    }

    if (ngx_http_oci_content_headers(r, content, &etag) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (known != NGX_DECLINED) {
        if (ngx_http_oci_prepare(r, NGX_HTTP_NOT_MODIFIED, -1, NULL)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        r->header_only = 1;

        return ngx_http_send_header(r);
    }

    whole.start = 0;
    whole.end = content->size;

    h = ngx_http_oci_content_range_header(r, &etag);

    if (h == NULL) {
        return ngx_http_oci_content_single(r, content, &whole, NGX_HTTP_OK);
    }

    max = oci_range_count(h->value.data, h->value.len);
    max = ngx_min(max, OCI_RANGES_MAX);

    ranges = ngx_palloc(r->pool, max * sizeof(oci_range_t));
    if (ranges == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = oci_range_parse(h->value.data, h->value.len, content->size, ranges,
                         max, &n);

    switch (rc) {

    case OCI_OK:
        break;

    case OCI_NOT_FOUND:
        return ngx_http_oci_content_single(r, content, &whole, NGX_HTTP_OK);

    case OCI_INVALID:
        ngx_http_clean_header(r);

        return ngx_http_oci_send_error(r, OCI_ERR_SIZE_INVALID, 0,
                                       "too many ranges", NULL);

    default: /* OCI_RANGE */
        return ngx_http_oci_content_unsatisfiable(r, content);
    }

    if (n == 1) {
        return ngx_http_oci_content_single(r, content, &ranges[0],
                                           NGX_HTTP_PARTIAL_CONTENT);
    }

    file = ngx_http_oci_content_file(r, content);
    if (file == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_multirange_send(r, content, file, ranges, n);
}


static ngx_int_t
ngx_http_oci_content_headers(ngx_http_request_t *r,
    ngx_http_oci_content_t *content, ngx_str_t *etag)
{
    ngx_table_elt_t     *h;
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    if (ctx->file) {
        *etag = ctx->file->etag;
        return ngx_http_oci_content_of_file(r, content, etag);
    }

    etag->data = ngx_pnalloc(r->pool, NGX_HTTP_OCI_ETAG_MAX - OCI_HEX_MAX
                                      + content->digest->hex_len);
    if (etag->data == NULL) {
        return NGX_ERROR;
    }

    etag->len = ngx_http_oci_content_etag(content->digest, content->zstd,
                                          etag->data);

    /* the same text without its quotes */

    ctx->digest.data = etag->data + 1;
    ctx->digest.len = etag->len - 2;

    if (content->zstd) {
        ctx->digest.len -= sizeof(NGX_HTTP_OCI_ETAG_ZSTD) - 1;
    }

    h = ngx_http_oci_header_run(r, 4 + (content->location.len != 0));
    if (h == NULL) {
        return NGX_ERROR;
    }

    r->headers_out.etag = h;

    ngx_http_oci_set_header(h, "ETag", etag);
    h++;

    ngx_http_oci_set_header(h, "Docker-Content-Digest", &ctx->digest);
    h++;

    if (content->zstd) {
        ngx_http_oci_set_header(h, "Content-Encoding", &ngx_http_oci_coding);

    } else {
        ngx_http_oci_set_header(h, "Accept-Ranges", &ngx_http_oci_bytes);
    }

    h++;

    ngx_http_oci_set_header(h, "Cache-Control",
                            content->immutable ? &ngx_http_oci_immutable
                                               : &ngx_http_oci_revalidate);

    if (content->location.len) {
        h++;
        ngx_http_oci_set_header(h, "Location", &content->location);
    }

    return NGX_OK;
}


/* no digest: it speaks of the blob */

static ngx_int_t
ngx_http_oci_content_of_file(ngx_http_request_t *r,
    ngx_http_oci_content_t *content, ngx_str_t *etag)
{
    ngx_table_elt_t  *h;

    h = ngx_http_oci_header_run(r, 3);
    if (h == NULL) {
        return NGX_ERROR;
    }

    r->headers_out.etag = h;

    ngx_http_oci_set_header(h, "ETag", etag);
    h++;

    ngx_http_oci_set_header(h, "Accept-Ranges", &ngx_http_oci_bytes);
    h++;

    ngx_http_oci_set_header(h, "Cache-Control",
                            content->immutable ? &ngx_http_oci_immutable
                                               : &ngx_http_oci_revalidate);

    return NGX_OK;
}


/* a list of entity tags, compared weakly (RFC 9110 13.1.2) */

static ngx_uint_t
ngx_http_oci_content_matches(ngx_str_t *list, ngx_str_t *etag)
{
    u_char  *p, *last, *end;

    p = list->data;
    last = list->data + list->len;

    if (list->len == 1 && *p == '*') {
        return 1;
    }

    while (p < last) {

        if (last - p > 2 && p[0] == 'W' && p[1] == '/') {
            p += 2;
        }

        if ((size_t) (last - p) >= etag->len
            && ngx_strncmp(p, etag->data, etag->len) == 0)
        {
            p += etag->len;

            while (p < last && (*p == ' ' || *p == '\t')) {
                p++;
            }

            if (p == last || *p == ',') {
                return 1;
            }
        }

        end = ngx_strlchr(p, last, ',');
        if (end == NULL) {
            return 0;
        }

        p = end + 1;

        while (p < last && (*p == ' ' || *p == '\t')) {
            p++;
        }
    }

    return 0;
}


static ngx_table_elt_t *
ngx_http_oci_content_range_header(ngx_http_request_t *r, ngx_str_t *etag)
{
    ngx_str_t  *value;

    if (r->headers_in.range == NULL) {
        return NULL;
    }

    if (r->headers_in.if_range == NULL) {
        return r->headers_in.range;
    }

    value = &r->headers_in.if_range->value;

    /* strong comparison; a date never matches, no Last-Modified is sent */

    if (value->len == etag->len
        && ngx_strncmp(value->data, etag->data, etag->len) == 0)
    {
        return r->headers_in.range;
    }

    return NULL;
}


static ngx_int_t
ngx_http_oci_content_unsatisfiable(ngx_http_request_t *r,
    ngx_http_oci_content_t *content)
{
    ngx_str_t  value;

    /* what was added speaks of the content, not of this answer */

    ngx_http_clean_header(r);

    value.data = ngx_pnalloc(r->pool, sizeof("bytes */") + NGX_OFF_T_LEN);
    if (value.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    value.len = ngx_sprintf(value.data, "bytes */%O", content->size)
                - value.data;

    if (ngx_http_oci_add_header(r, "Content-Range", &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_send_error(r, OCI_ERR_SIZE_INVALID,
                                   NGX_HTTP_RANGE_NOT_SATISFIABLE,
                                   "the range is not satisfiable", NULL);
}


static ngx_file_t *
ngx_http_oci_content_file(ngx_http_request_t *r,
    ngx_http_oci_content_t *content)
{
    ngx_file_t                *file;
    ngx_http_oci_ctx_t        *ctx;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    file = ngx_pcalloc(r->pool, sizeof(ngx_file_t));
    if (file == NULL) {
        return NULL;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);
    ctx->source = NGX_HTTP_OCI_STATS_SENT_FILE;

    file->fd = content->fd;
    file->log = r->connection->log;
    ngx_str_set(&file->name, "content of a store");

    if (content->fd == NGX_INVALID_FILE || content->send) {
        return file;
    }

    if (clcf->read_ahead && content->size > NGX_HTTP_OCI_MIN_READ_AHEAD) {
        if (ngx_read_ahead(content->fd, clcf->read_ahead) == NGX_ERROR) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, ngx_errno,
                          ngx_read_ahead_n " failed");
        }
    }

    if (clcf->directio <= content->size) {
        if (ngx_directio_on(content->fd) == NGX_FILE_ERROR) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, ngx_errno,
                          ngx_directio_on_n " failed");

        } else {
            file->directio = 1;
        }
    }

    return file;
}


static ngx_int_t
ngx_http_oci_content_single(ngx_http_request_t *r,
    ngx_http_oci_content_t *content, oci_range_t *range, ngx_uint_t status)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_str_t     value;
    ngx_chain_t   out;

    if (status == NGX_HTTP_PARTIAL_CONTENT) {
        value.data = ngx_pnalloc(r->pool, sizeof("bytes -/")
                                          + 3 * NGX_OFF_T_LEN);
        if (value.data == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        value.len = ngx_sprintf(value.data, "bytes %O-%O/%O",
                                (off_t) range->start,
                                (off_t) range->end - 1, content->size)
                    - value.data;

        if (ngx_http_oci_add_header(r, "Content-Range", &value) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (ngx_http_oci_prepare(r, status, range->end - range->start,
                             &content->type)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (content->data == NULL) {
        b->file = ngx_http_oci_content_file(r, content);
        if (b->file == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    if (content->data) {
        b->pos = content->data + range->start;
        b->last = content->data + range->end;
        b->memory = (b->last > b->pos) ? 1 : 0;

    } else {
        b->file_pos = content->base + range->start;
        b->file_last = content->base + range->end;
        b->in_file = (b->file_last > b->file_pos) ? 1 : 0;
    }

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;
    b->sync = (b->last_buf || b->in_file || b->memory) ? 0 : 1;

    out.buf = b;
    out.next = NULL;

    if (content->scratch && b->memory) {
        return ngx_http_oci_content_at_once(r, &out);
    }

    return ngx_http_oci_content_body(r, content, &out);
}


ngx_uint_t
ngx_http_oci_content_scratch(ngx_http_request_t *r)
{
#if (NGX_HTTP_SSL)
    if (r->connection->ssl) {
        return 0;
    }
#endif

    return r->http_version < NGX_HTTP_VERSION_20
           && r == r->main
           && r == r->connection->data
           && r->postponed == NULL;
}


/*
 * Past all filters but those that write; of these, one that has not sent a
 * buffer to its end keeps this very buffer.
 */

static ngx_int_t
ngx_http_oci_content_at_once(ngx_http_request_t *r, ngx_chain_t *body)
{
    u_char     *p;
    size_t      left;
    ngx_int_t   rc;
    ngx_buf_t  *b;

    b = body->buf;

    rc = ngx_http_oci_filter_body(r, body);

    if (rc == NGX_ERROR) {
        r->connection->error = 1;
    }

    left = b->last - b->pos;

    if (left == 0) {
        return rc;
    }

    p = ngx_pnalloc(r->pool, left);
    if (p == NULL) {
        b->pos = b->last;
        r->connection->error = 1;
        return NGX_ERROR;
    }

    b->last = ngx_cpymem(p, b->pos, left);
    b->pos = p;

    return rc;
}


ngx_int_t
ngx_http_oci_content_body(ngx_http_request_t *r,
    ngx_http_oci_content_t *content, ngx_chain_t *body)
{
    if (content->send) {
        return content->send(r, body, content->sender);
    }

    return ngx_http_output_filter(r, body);
}
