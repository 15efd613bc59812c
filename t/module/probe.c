
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * For tests alone: a location whose requests are fetches.  What to fetch is
 * said by arguments, what came of it by the answer, one "name value" a line.
 * Loaded after the module itself, whose functions it calls.
 */


#include "ngx_http_oci_module.h"
#include "ngx_http_oci_fetch.h"

#include <openssl/sha.h>


typedef struct {
    ngx_http_request_t       *request;
    ngx_http_oci_fetch_t     *fetch;
    ngx_event_t               resume;
    SHA256_CTX                sha;
    ngx_buf_t                *out;
    off_t                     left;         /* to be sent */
    ngx_msec_t                pause;
    off_t                     cancel;       /* after so many bytes */
    ngx_uint_t                headers;      /* how often header() came */
    ngx_uint_t                abort;
    u_char                    piece[16384];
} ngx_http_oci_probe_t;


static char *ngx_http_oci_probe(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_command_t  ngx_http_oci_probe_commands[] = {

    { ngx_string("oci_fetch_probe"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_oci_probe,
      0,
      0,
      NULL },

      { ngx_null_string, 0, NULL, 0, 0, NULL }
};


static ngx_http_module_t  ngx_http_oci_probe_module_ctx = {
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
};


ngx_module_t  ngx_http_oci_probe_module = {
    NGX_MODULE_V1,
    &ngx_http_oci_probe_module_ctx,
    ngx_http_oci_probe_commands,
    NGX_HTTP_MODULE,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NGX_MODULE_V1_PADDING
};


ngx_module_t  *ngx_modules[] = { &ngx_http_oci_probe_module, NULL };
char  *ngx_module_names[] = { "ngx_http_oci_probe_module", NULL };
char  *ngx_module_order[] = { NULL };


static void
ngx_http_oci_probe_arg(ngx_http_request_t *r, const char *name,
    ngx_str_t *value, ngx_pool_t *pool)
{
    u_char  *dst, *src;

    ngx_str_null(value);

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), value) != NGX_OK) {
        return;
    }

    src = value->data;
    dst = ngx_pnalloc(pool, value->len + 1);
    value->data = dst;

    ngx_unescape_uri(&dst, &src, value->len, 0);

    value->len = dst - value->data;
}


static off_t
ngx_http_oci_probe_number(ngx_http_request_t *r, const char *name, off_t none)
{
    ngx_str_t  value;

    ngx_http_oci_probe_arg(r, name, &value, r->pool);

    return value.len ? ngx_atoof(value.data, value.len) : none;
}


static void
ngx_http_oci_probe_line(ngx_http_oci_probe_t *p, const char *name,
    u_char *data, size_t len)
{
    if (len) {
        p->out->last = ngx_slprintf(p->out->last, p->out->end, "%s %*s\n",
                                    name, len, data);
    }
}


static ngx_int_t
ngx_http_oci_probe_header(ngx_http_oci_fetch_t *f)
{
    oci_response_t        *r;
    ngx_http_oci_probe_t  *p;

    p = f->data;
    r = f->response;

    p->headers++;

    p->out->last = ngx_slprintf(p->out->last, p->out->end,
                                "status %ui\nlength %L\nretry_after %L\n"
                                "start %L\nend %L\ntotal %L\n",
                                (ngx_uint_t) r->status, r->content_length,
                                r->retry_after, r->range_start, r->range_end,
                                r->range_total);

    ngx_http_oci_probe_line(p, "etag", r->etag.data, r->etag.len);
    ngx_http_oci_probe_line(p, "digest", r->digest.data, r->digest.len);
    ngx_http_oci_probe_line(p, "type", r->content_type.data,
                            r->content_type.len);
    ngx_http_oci_probe_line(p, "challenge", r->www_authenticate.data,
                            r->www_authenticate.len);
    ngx_http_oci_probe_line(p, "location", f->location.data,
                            f->location.len);

    if (p->abort == 1) {
        return NGX_ERROR;
    }

    if (p->cancel == 0) {
        ngx_http_oci_fetch_cancel(f);
        return NGX_OK;
    }

    if (p->pause) {
        ngx_add_timer(&p->resume, p->pause);
        return NGX_AGAIN;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_probe_body(ngx_http_oci_fetch_t *f, u_char *data, size_t n)
{
    ngx_http_oci_probe_t  *p;

    p = f->data;

    SHA256_Update(&p->sha, data, n);

    if (p->abort == 2) {
        return NGX_ERROR;
    }

    if (p->cancel >= 0 && f->received >= p->cancel) {
        ngx_http_oci_fetch_cancel(f);
        return NGX_OK;
    }

    if (p->pause) {

        if (!p->resume.timer_set) {
            ngx_add_timer(&p->resume, p->pause);
        }

        return NGX_AGAIN;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_probe_send(ngx_http_oci_fetch_t *f, ngx_buf_t *b)
{
    ngx_http_oci_probe_t  *p;

    p = f->data;

    if (p->left == 0) {
        return NGX_DONE;
    }

    if (p->pause && !p->resume.timedout) {
        ngx_add_timer(&p->resume, p->pause);
        return NGX_AGAIN;
    }

    p->resume.timedout = 0;

    b->pos = p->piece;
    b->last = p->piece + ngx_min(p->left, (off_t) sizeof(p->piece));

    p->left -= b->last - b->pos;

    return NGX_OK;
}


static void
ngx_http_oci_probe_resume(ngx_event_t *ev)
{
    ngx_http_oci_probe_t  *p;

    p = ev->data;

    ev->timedout = 1;

    ngx_http_oci_fetch_resume(p->fetch);
}


static void
ngx_http_oci_probe_done(ngx_http_oci_fetch_t *f, ngx_http_oci_fetch_rc_e rc)
{
    u_char                 hash[SHA256_DIGEST_LENGTH], hex[64];
    ngx_chain_t            out;
    ngx_connection_t      *c;
    ngx_http_request_t    *r;
    ngx_http_oci_probe_t  *p;

    p = f->data;
    r = p->request;

    if (p->resume.timer_set) {
        ngx_del_timer(&p->resume);
    }

    p->fetch = NULL;

    if (r == NULL) {

        /* its client is gone */

        ngx_free(p);
        return;
    }

    SHA256_Final(hash, &p->sha);
    ngx_hex_dump(hex, hash, sizeof(hash));

    p->out->last = ngx_slprintf(p->out->last, p->out->end,
                                "rc %ui\nfailed %ui\nheaders %ui\n"
                                "received %O\nbytes %O\nhops %ui\n"
                                "sha256 %*s\n",
                                (ngx_uint_t) rc,
                                ngx_http_oci_fetch_failed(f, rc), p->headers,
                                f->received, f->bytes, f->hops,
                                (size_t) 64, hex);

    ngx_http_oci_probe_line(p, "peer", f->peer.data, f->peer.len);

    c = r->connection;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = p->out->last - p->out->pos;

    p->out->last_buf = 1;
    p->out->last_in_chain = 1;

    out.buf = p->out;
    out.next = NULL;

    ngx_http_send_header(r);
    ngx_http_finalize_request(r, ngx_http_output_filter(r, &out));
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_oci_probe_cleanup(void *data)
{
    ngx_http_oci_probe_t  *p = data;

    p->request = NULL;

    if (p->fetch) {
        ngx_http_oci_fetch_cancel(p->fetch);
        return;
    }

    ngx_free(p);
}


static void
ngx_http_oci_probe_inputs(ngx_http_request_t *r, ngx_http_oci_probe_t *p)
{
    ngx_str_t              method;
    ngx_uint_t             i;
    ngx_http_oci_fetch_t  *f;

    static const struct {
        const char  *name;
        ngx_uint_t   method;
    } methods[] = {
        { "HEAD", NGX_HTTP_HEAD }, { "POST", NGX_HTTP_POST },
        { "PUT", NGX_HTTP_PUT }, { "PATCH", NGX_HTTP_PATCH },
        { "DELETE", NGX_HTTP_DELETE }
    };

    f = p->fetch;

    ngx_http_oci_probe_arg(r, "method", &method, r->pool);

    for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (method.len == ngx_strlen(methods[i].name)
            && ngx_strncmp(method.data, methods[i].name, method.len) == 0)
        {
            f->method = methods[i].method;
        }
    }

    ngx_http_oci_probe_arg(r, "path", &f->path, f->pool);
    ngx_http_oci_probe_arg(r, "query", &f->args, f->pool);
    ngx_http_oci_probe_arg(r, "accept", &f->accept, f->pool);
    ngx_http_oci_probe_arg(r, "none_match", &f->if_none_match, f->pool);
    ngx_http_oci_probe_arg(r, "digest", &f->digest, f->pool);
    ngx_http_oci_probe_arg(r, "type", &f->content_type, f->pool);
    ngx_http_oci_probe_arg(r, "content", &f->content, f->pool);
    ngx_http_oci_probe_arg(r, "scope", &f->scope, f->pool);
    ngx_http_oci_probe_arg(r, "header", &f->headers, f->pool);

    ngx_http_oci_probe_arg(r, "actions", &method, f->pool);
    if (method.len) {
        f->actions = method;
    }

    if (r->headers_in.authorization) {
        f->authorization.len = r->headers_in.authorization->value.len;
        f->authorization.data = ngx_pstrdup(f->pool,
                                   &r->headers_in.authorization->value);
    }

    f->range_start = ngx_http_oci_probe_number(r, "start", -1);
    f->range_end = ngx_http_oci_probe_number(r, "end", -1);
    f->timeout = (ngx_msec_t) ngx_http_oci_probe_number(r, "timeout", 0);

    p->pause = (ngx_msec_t) ngx_http_oci_probe_number(r, "pause", 0);
    p->cancel = ngx_http_oci_probe_number(r, "cancel", -1);
    p->abort = (ngx_uint_t) ngx_http_oci_probe_number(r, "abort", 0);
    p->left = ngx_http_oci_probe_number(r, "send", -1);

    if (p->left >= 0) {
        f->send = ngx_http_oci_probe_send;
        f->content_length = ngx_http_oci_probe_number(r, "chunked", 0)
                            ? -1 : p->left;
        ngx_memset(p->piece, 'x', sizeof(p->piece));
    }

    f->header = ngx_http_oci_probe_header;
    f->body = ngx_http_oci_probe_body;
    f->done = ngx_http_oci_probe_done;
    f->data = p;
}


static ngx_int_t
ngx_http_oci_probe_handler(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_str_t                 name;
    ngx_http_cleanup_t       *cln;
    ngx_http_oci_probe_t     *p;
    ngx_http_oci_target_t    *target;
    ngx_http_oci_loc_conf_t  *olcf;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (olcf->edge == NULL) {
        return NGX_HTTP_NOT_FOUND;
    }

    ngx_http_oci_probe_arg(r, "repository", &name, r->pool);

    rc = ngx_http_oci_target_eval(r, olcf->edge, &name, &target);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_HTTP_NOT_FOUND
                                    : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_calloc(sizeof(ngx_http_oci_probe_t), r->connection->log);
    cln = ngx_http_cleanup_add(r, 0);

    if (p == NULL || cln == NULL) {
        return NGX_ERROR;
    }

    p->fetch = ngx_http_oci_fetch_create(olcf->edge, target);
    p->out = ngx_create_temp_buf(r->pool, 65536);
    p->request = r;

    p->resume.handler = ngx_http_oci_probe_resume;
    p->resume.data = p;
    p->resume.log = ngx_cycle->log;

    cln->handler = ngx_http_oci_probe_cleanup;
    cln->data = p;

    SHA256_Init(&p->sha);

    p->out->last = ngx_slprintf(p->out->last, p->out->end, "key %V\nname %V\n",
                                &target->key, &target->repository);

    ngx_http_oci_probe_inputs(r, p);

    r->main->count++;
    r->read_event_handler = ngx_http_test_reading;

    ngx_http_oci_fetch_start(p->fetch);

    return NGX_DONE;
}


static char *
ngx_http_oci_probe(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_oci_probe_handler;

    return NGX_CONF_OK;
}
