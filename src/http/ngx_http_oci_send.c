
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_send.h"
#include "ngx_http_oci_task.h"


/* more than this of an unread body is not worth reading for a connection */

#define NGX_HTTP_OCI_DISCARD_MAX  (64 * 1024)


ngx_str_t  ngx_http_oci_type_json = ngx_string("application/json");
ngx_str_t  ngx_http_oci_type_index =
    ngx_string("application/vnd.oci.image.index.v1+json");
ngx_str_t  ngx_http_oci_type_blob = ngx_string("application/octet-stream");


static ngx_str_t  ngx_http_oci_api_version = ngx_string("registry/2.0");
static ngx_str_t  ngx_http_oci_retry_after = ngx_string("1");


static ngx_int_t ngx_http_oci_add_allow(ngx_http_request_t *r);
static ngx_uint_t ngx_http_oci_has_header(ngx_http_request_t *r,
    const char *name);


ngx_int_t
ngx_http_oci_push_header(ngx_http_request_t *r, u_char *name, size_t len,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_http_oci_header_init(h);

    h->key.data = name;
    h->key.len = len;
    h->value = *value;
    h->lowcase_key = NULL;

    return NGX_OK;
}


ngx_table_elt_t *
ngx_http_oci_header_run(ngx_http_request_t *r, ngx_uint_t n)
{
    ngx_list_t       *list;
    ngx_list_part_t  *part;

    list = &r->headers_out.headers;
    part = list->last;

    if (list->nalloc - part->nelts < n) {

        /* the rest of that part stays empty */

        part = ngx_palloc(list->pool, sizeof(ngx_list_part_t));
        if (part == NULL) {
            return NULL;
        }

        part->elts = ngx_palloc(list->pool, list->nalloc * list->size);
        if (part->elts == NULL) {
            return NULL;
        }

        part->nelts = 0;
        part->next = NULL;

        list->last->next = part;
        list->last = part;
    }

    part->nelts += n;

    return (ngx_table_elt_t *) part->elts + part->nelts - n;
}


static ngx_uint_t
ngx_http_oci_has_header(ngx_http_request_t *r, const char *name)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash && h[i].key.len == ngx_strlen(name)
                && ngx_strncasecmp(h[i].key.data, (u_char *) name,
                                   h[i].key.len)
                   == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


ngx_int_t
ngx_http_oci_add_digest(ngx_http_request_t *r, const oci_digest_t *d)
{
    ngx_str_t            text;
    ngx_http_oci_ctx_t  *ctx;

    text.data = ngx_pnalloc(r->pool, OCI_DIGEST_MAX);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    text.len = oci_digest_text(d, text.data);

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);
    ctx->digest = text;

    return ngx_http_oci_add_header(r, "Docker-Content-Digest", &text);
}


ngx_int_t
ngx_http_oci_add_location(ngx_http_request_t *r, const char *kind,
    const oci_digest_t *d)
{
    u_char              *p;
    ngx_str_t            value;
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    p = ngx_pnalloc(r->pool, sizeof("/v2///") + ctx->repo.name.len
                             + ngx_strlen(kind) + OCI_DIGEST_MAX);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;

    p = ngx_sprintf(p, "/v2/%*s/%s/", ctx->repo.name.len, ctx->repo.name.data,
                    kind);
    p += oci_digest_text(d, p);

    value.len = p - value.data;

    return ngx_http_oci_add_header(r, "Location", &value);
}


ngx_int_t
ngx_http_oci_add_link(ngx_http_request_t *r, int64_t n, const char *last,
    const char *keep, const oci_str_t *value)
{
    u_char     *p;
    size_t      len;
    ngx_str_t   path, link;

    path = r->valid_unparsed_uri ? r->unparsed_uri : r->uri;

    for (len = 0; len < path.len; len++) {
        if (path.data[len] == '?' || path.data[len] == '#') {
            break;
        }
    }

    path.len = len;

    /* a last holds nothing but characters of names, tags and hex */

    len = sizeof("<?n=&last=&=>; rel=\"next\"") + path.len + NGX_INT64_LEN
          + ngx_strlen(last);

    if (keep) {
        len += ngx_strlen(keep) + 3 * value->len;
    }

    link.data = ngx_pnalloc(r->pool, len);
    if (link.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(link.data, "<%V?", &path);

    if (n >= 0) {
        p = ngx_sprintf(p, "n=%L&", n);
    }

    p = ngx_sprintf(p, "last=%s", last);

    if (keep) {
        p = ngx_sprintf(p, "&%s=", keep);
        p = (u_char *) ngx_escape_uri(p, value->data, value->len,
                                      NGX_ESCAPE_URI_COMPONENT);
    }

    p = ngx_sprintf(p, ">; rel=\"next\"");

    link.len = p - link.data;

    return ngx_http_oci_add_header(r, "Link", &link);
}


ngx_int_t
ngx_http_oci_public_url(ngx_http_request_t *r, ngx_str_t *path,
    ngx_str_t *url)
{
    u_char                   *p;
    ngx_str_t                 scheme, *base, *host;
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    base = &olcf->public_url;

    if (base->len) {
        p = ngx_pnalloc(r->pool, base->len + path->len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        url->data = p;
        p = ngx_cpymem(p, base->data, base->len);
        p = ngx_cpymem(p, path->data, path->len);
        url->len = p - url->data;

        return NGX_OK;
    }

    if (r->headers_in.host) {
        host = &r->headers_in.host->value;

    } else {
        /* HTTP/2 has it as a pseudo header */
        host = &r->headers_in.server;
    }

    ngx_str_null(url);

    if (host->len == 0) {
        return NGX_OK;
    }

    ngx_str_set(&scheme, "http");

#if (NGX_HTTP_SSL)
    if (r->connection->ssl) {
        ngx_str_set(&scheme, "https");
    }
#endif

    url->len = scheme.len + sizeof("://") - 1 + host->len + path->len;

    url->data = ngx_pnalloc(r->pool, url->len);
    if (url->data == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(url->data, "%V://%V%V", &scheme, host, path);

    return NGX_OK;
}


ngx_int_t
ngx_http_oci_prepare(ngx_http_request_t *r, ngx_uint_t status, off_t length,
    ngx_str_t *type)
{
    u_char              *p;
    ngx_str_t            text;
    ngx_uint_t           n, counted;
    ngx_table_elt_t     *h;
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);
    ctx->answered = 1;

    r->headers_out.status = status;
    r->headers_out.content_length_n = length;
    r->headers_out.last_modified_time = -1;

    r->allow_ranges = 0;
    r->disable_not_modified = 1;

    /*
     * The bytes are what the digest says and the length is what clients
     * check.  Our filter leads past those that change a body; where it can't
     * (a module compiled in has no place below them), they choose by content
     * type, so that goes out as a header that they don't look at, and gzip
     * is told no.
     */

    ngx_str_null(&r->headers_out.content_type);
    r->headers_out.content_type_len = 0;
    r->headers_out.content_type_lowcase = NULL;

#if (NGX_HTTP_GZIP)
    r->gzip_tested = 1;
    r->gzip_ok = 0;
#endif

    /* of the answers that are many: nginx's own way to it is a long one */

    counted = (status == NGX_HTTP_OK || status == NGX_HTTP_PARTIAL_CONTENT)
              && length >= 0;

    n = 1 + (type != NULL) + counted;

    h = ngx_http_oci_header_run(r, n);
    if (h == NULL) {
        return NGX_ERROR;
    }

    if (ctx->view == NULL) {
        ngx_http_oci_set_header(h, "Docker-Distribution-Api-Version",
                                &ngx_http_oci_api_version);

    } else {
        h->hash = 0;
    }

    if (type) {
        h++;
        ngx_http_oci_set_header(h, "Content-Type", type);
    }

    if (counted) {
        h++;
        h->hash = 0;

        p = ngx_pnalloc(r->pool, NGX_OFF_T_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        text.data = p + NGX_OFF_T_LEN;
        text.len = 0;

        do {
            *--text.data = (u_char) ('0' + length % 10);
            text.len++;
            length /= 10;
        } while (length);

        ngx_http_oci_set_header(h, "Content-Length", &text);

        r->headers_out.content_length = h;
    }

    return NGX_OK;
}


void
ngx_http_oci_leave_body(ngx_http_request_t *r)
{
    if (r->reading_body) {
        r->keepalive = 0;
    }

    if (r->request_body || r->discard_body) {
        return;
    }

    if (r->headers_in.content_length_n <= 0 && !r->headers_in.chunked) {
        return;
    }

    if (r->headers_in.expect && !r->expect_tested
        && r->http_version < NGX_HTTP_VERSION_20)
    {
        /*
         * The refusal takes the place of "100 Continue".  Whether the client
         * sends the body all the same can't be known, so nothing else may
         * follow on this connection.
         */

        r->expect_tested = 1;
        r->keepalive = 0;
        r->lingering_close = 1;
        return;
    }

    if (r->headers_in.content_length_n > NGX_HTTP_OCI_DISCARD_MAX) {
        r->keepalive = 0;
        r->lingering_close = 1;
    }

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        r->keepalive = 0;
    }
}


ngx_int_t
ngx_http_oci_send_empty(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_http_oci_leave_body(r);

    if (ngx_http_oci_prepare(r, status, 0, NULL) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->header_only = 1;

    return ngx_http_send_header(r);
}


ngx_int_t
ngx_http_oci_send_memory(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, u_char *body, size_t len)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    ngx_http_oci_leave_body(r);

    if (ngx_http_oci_prepare(r, status, len, type) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->pos = body;
    b->last = body + len;
    b->memory = 1;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


ngx_int_t
ngx_http_oci_adopt(ngx_http_request_t *r, void *p)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        free(p);
        return NGX_ERROR;
    }

    cln->handler = free;
    cln->data = p;

    return NGX_OK;
}


ngx_int_t
ngx_http_oci_error_body(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    oci_error_t e, ngx_uint_t status, const char *message,
    const oci_str_t *detail, ngx_str_t *body)
{
    if (ctx->view) {
        return ctx->view->error(r, ctx, e, status, message, body);
    }

    body->data = ngx_pnalloc(r->pool, OCI_ERROR_BODY_MAX);
    if (body->data == NULL) {
        return NGX_ERROR;
    }

    body->len = oci_error_body(body->data, e, message, detail);

    return NGX_OK;
}


ngx_int_t
ngx_http_oci_send_error(ngx_http_request_t *r, oci_error_t e,
    ngx_uint_t status, const char *message, const oci_str_t *detail)
{
    ngx_str_t            body;
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    if (status == 0) {
        status = oci_error_status(e);
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "oci: %ui %s: %s", status, oci_error_code(e),
                  message ? message : "refused");

    if (ngx_http_oci_error_body(r, ctx, e, status, message, detail, &body)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (status == NGX_HTTP_NOT_ALLOWED) {
        if (ngx_http_oci_add_allow(r) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

    } else if (status == NGX_HTTP_SERVICE_UNAVAILABLE
               || status == NGX_HTTP_TOO_MANY_REQUESTS)
    {
        /* unless the caller knows better */

        if (!ngx_http_oci_has_header(r, "Retry-After")
            && ngx_http_oci_add_header(r, "Retry-After",
                                       &ngx_http_oci_retry_after)
               != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    ctx->digest.len = 0;

    return ngx_http_oci_send_memory(r, status, &ngx_http_oci_type_json,
                                    body.data, body.len);
}


static ngx_int_t
ngx_http_oci_add_allow(ngx_http_request_t *r)
{
    u_char              *p;
    ngx_str_t            value;
    ngx_uint_t           i, allow;
    ngx_http_oci_ctx_t  *ctx;

    static struct {
        ngx_uint_t       method;
        const char      *name;
    } methods[] = {
        { NGX_HTTP_GET, "GET" },
        { NGX_HTTP_HEAD, "HEAD" },
        { NGX_HTTP_POST, "POST" },
        { NGX_HTTP_PUT, "PUT" },
        { NGX_HTTP_PATCH, "PATCH" },
        { NGX_HTTP_DELETE, "DELETE" }
    };

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);
    allow = ngx_http_oci_allow(r, ctx);

    value.data = ngx_pnalloc(r->pool,
                             sizeof("GET, HEAD, POST, PUT, PATCH, DELETE"));
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    p = value.data;

    for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (allow & methods[i].method) {
            p = ngx_sprintf(p, "%s%s", p == value.data ? "" : ", ",
                            methods[i].name);
        }
    }

    value.len = p - value.data;

    return ngx_http_oci_add_header(r, "Allow", &value);
}


ngx_int_t
ngx_http_oci_send_failure(ngx_http_request_t *r, int rc)
{
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    if (rc == OCI_AGAIN) {
        return ngx_http_oci_send_error(r, OCI_ERR_UNAVAILABLE, 0,
                                       "the repository is busy", NULL);
    }

    if (rc == OCI_ERROR) {

        switch (ctx->err) {

        case ENOSPC:
        case EDQUOT:
        case EFBIG:
            return ngx_http_oci_send_error(r, OCI_ERR_UNKNOWN,
                                           NGX_HTTP_INSUFFICIENT_STORAGE,
                                           "no space left in the store",
                                           NULL);

        case EMFILE:
        case ENFILE:
            return ngx_http_oci_send_error(r, OCI_ERR_UNAVAILABLE, 0,
                                           "too many open files", NULL);
        }
    }

    return ngx_http_oci_send_error(r, OCI_ERR_UNKNOWN, 0, NULL, NULL);
}
