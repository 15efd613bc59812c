
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * By HEAD; and by a GET of the first byte where that says 404 or tells no
 * length: a proxy that has not fetched a blob yet may deny it to a HEAD.
 */


#include "ngx_http_oci_inquiry.h"
#include "ngx_http_oci_circuit.h"


struct ngx_http_oci_inquiry_s {
    ngx_http_oci_edge_conf_t    *conf;
    ngx_http_oci_target_t       *target;
    ngx_http_oci_zone_t         *zone;
    ngx_str_t                   *path;
    ngx_str_t                   *authorization;
    ngx_http_oci_inquiry_pt      done;
    void                        *data;

    ngx_http_oci_fetch_t        *fetch;
    ngx_uint_t                   status;
    off_t                        size;
    ngx_int_t                    retry_after;
    unsigned                     sized:1;
    unsigned                     get:1;
    unsigned                     answered:1;
    unsigned                     cancelled:1;
};


static ngx_int_t ngx_http_oci_inquiry_start(ngx_http_oci_inquiry_t *in);
static ngx_int_t ngx_http_oci_inquiry_header(ngx_http_oci_fetch_t *f);
static void ngx_http_oci_inquiry_done(ngx_http_oci_fetch_t *f,
    ngx_http_oci_fetch_rc_e rc);


ngx_http_oci_inquiry_t *
ngx_http_oci_inquire(ngx_http_oci_edge_conf_t *conf,
    ngx_http_oci_target_t *target, ngx_http_oci_zone_t *zone,
    ngx_str_t *path, ngx_str_t *authorization, ngx_uint_t sized,
    ngx_http_oci_inquiry_pt done, void *data)
{
    ngx_http_oci_inquiry_t  *in;

    in = ngx_calloc(sizeof(ngx_http_oci_inquiry_t), ngx_cycle->log);
    if (in == NULL) {
        return NULL;
    }

    in->conf = conf;
    in->target = target;
    in->zone = zone;
    in->path = path;
    in->authorization = authorization;
    in->sized = sized ? 1 : 0;
    in->done = done;
    in->data = data;

    if (ngx_http_oci_inquiry_start(in) != NGX_OK) {
        ngx_free(in);
        return NULL;
    }

    return in;
}


void
ngx_http_oci_inquiry_cancel(ngx_http_oci_inquiry_t *in)
{
    in->cancelled = 1;

    ngx_http_oci_fetch_cancel(in->fetch);
}


static ngx_int_t
ngx_http_oci_inquiry_start(ngx_http_oci_inquiry_t *in)
{
    ngx_http_oci_fetch_t  *f;

    f = ngx_http_oci_fetch_create(in->conf, in->target);
    if (f == NULL) {
        return NGX_ERROR;
    }

    f->method = in->get ? NGX_HTTP_GET : NGX_HTTP_HEAD;
    f->path = *in->path;
    f->authorization = *in->authorization;

    if (in->get) {
        f->range_start = 0;
        f->range_end = 0;
    }

    f->header = ngx_http_oci_inquiry_header;
    f->done = ngx_http_oci_inquiry_done;
    f->data = in;

    in->fetch = f;
    in->answered = 0;

    in->zone->stats->counters[NGX_HTTP_OCI_STATS_UPSTREAM_REQUESTS]++;

    ngx_http_oci_fetch_start(f);

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_inquiry_header(ngx_http_oci_fetch_t *f)
{
    oci_response_t          *r;
    ngx_http_oci_inquiry_t  *in;

    in = f->data;
    r = f->response;

    in->answered = 1;
    in->size = -1;

    switch (r->status) {

    case 200:
        in->status = NGX_HTTP_OK;

        if (r->content_encoding.len == 0) {
            in->size = r->content_length;
        }

        break;

    case 206:
        in->status = NGX_HTTP_OK;
        in->size = r->range_total;
        break;

    case 416:

        if (r->range_total == 0) {
            in->status = NGX_HTTP_OK;
            in->size = 0;
            break;
        }

        /* fall through */

    default:
        in->status = ngx_http_oci_fetch_status(NGX_HTTP_OCI_FETCH_OK, r,
                                               &in->retry_after);
    }

    /* one byte is let in, a whole blob is not */

    return (in->get && r->status != 206) ? NGX_ERROR : NGX_OK;
}


static void
ngx_http_oci_inquiry_done(ngx_http_oci_fetch_t *f,
    ngx_http_oci_fetch_rc_e rc)
{
    ngx_uint_t               failed;
    ngx_http_oci_inquiry_t  *in;

    in = f->data;

    failed = ngx_http_oci_circuit_verdict(f, rc);

    if (failed || in->answered) {
        ngx_http_oci_circuit_report(in->zone, in->target,
                                    (failed || (in->get && f->received))
                                        ? failed
                                        : NGX_HTTP_OCI_CIRCUIT_HEADED,
                                    ngx_cycle->log);
    }

    if (failed) {
        in->zone->stats->counters[NGX_HTTP_OCI_STATS_UPSTREAM_ERRORS]++;
    }

    if (in->cancelled) {
        ngx_free(in);
        return;
    }

    if (!in->answered) {
        in->size = -1;
        in->status = ngx_http_oci_fetch_status(rc, NULL, &in->retry_after);

    } else if (!in->get
               && (in->status == NGX_HTTP_NOT_FOUND
                   || (in->sized && in->status == NGX_HTTP_OK
                       && in->size < 0)))
    {
        in->get = 1;

        if (ngx_http_oci_inquiry_start(in) == NGX_OK) {
            return;
        }
    }

    in->done(in->data, in->status, in->size, in->retry_after);

    ngx_free(in);
}
