
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Counts each request once, when it is over: what the client saw of it, and
 * what became of its upload.
 */


#include "ngx_http_oci_module.h"
#include "ngx_http_oci_upload.h"


_Static_assert(NGX_HTTP_OCI_OP_HUB_FILE < NGX_HTTP_OCI_STATS_OPERATIONS,
               "an operation has no counter");


static ngx_uint_t ngx_http_oci_count_status(ngx_http_request_t *r);
static off_t ngx_http_oci_count_sent(ngx_http_request_t *r);


ngx_int_t
ngx_http_oci_count(ngx_http_request_t *r)
{
    ngx_http_oci_ctx_t       *ctx;
    ngx_http_oci_stats_t     *stats;
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (olcf->store == NULL || r != r->main) {
        return NGX_OK;
    }

    ctx = ngx_http_oci_get_ctx(r);

    if (ctx == NULL || ctx->route.endpoint == OCI_ENDPOINT_NONE) {
        return NGX_OK;
    }

    stats = olcf->store->cache.stats;

    stats->requests[ctx->op][ngx_http_oci_count_status(r)]++;

    ngx_http_oci_stats_add(stats, ctx->source, ngx_http_oci_count_sent(r));

    if (ctx->cache_status != NGX_HTTP_OCI_STATUS_NONE) {
        ngx_http_oci_stats_add(stats, NGX_HTTP_OCI_STATS_HIT
                                      + (ctx->cache_status
                                         - NGX_HTTP_OCI_STATUS_HIT), 1);
    }

    return NGX_OK;
}


/* not $status, which keeps the one that nginx had in mind */

static ngx_uint_t
ngx_http_oci_count_status(ngx_http_request_t *r)
{
    ngx_uint_t  class;

    class = r->header_sent ? r->headers_out.status / 100 : 0;

    return (class < NGX_HTTP_OCI_STATS_STATUSES) ? class : 0;
}


/*
 * What $body_bytes_sent says, save that nginx counts its "100 Continue" among
 * the bytes of the body.
 */

static off_t
ngx_http_oci_count_sent(ngx_http_request_t *r)
{
    off_t  sent, length;

    sent = r->connection->sent - (off_t) r->header_size;
    length = r->headers_out.content_length_n;

    if (!r->header_sent || r->header_only || sent < 0) {
        return 0;
    }

    return (length >= 0) ? ngx_min(sent, length) : sent;
}


void
ngx_http_oci_upload_count(ngx_http_oci_upload_t *u)
{
    ngx_http_oci_stats_t  *stats;

    stats = u->zone->stats;

    ngx_http_oci_stats_add(stats, NGX_HTTP_OCI_STATS_RECEIVED,
                           u->body.received);
    ngx_http_oci_stats_add(stats, NGX_HTTP_OCI_STATS_MOUNTS, u->mounted);
    ngx_http_oci_stats_add(stats, NGX_HTTP_OCI_STATS_UPLOADS_STARTED,
                           u->created);
    ngx_http_oci_stats_add(stats, NGX_HTTP_OCI_STATS_UPLOADS_DONE,
                           u->finished);
    ngx_http_oci_stats_add(stats, NGX_HTTP_OCI_STATS_UPLOADS_FAILED,
                           u->spoilt);
    ngx_http_oci_stats_add(stats, NGX_HTTP_OCI_STATS_UPLOADS_CANCELLED,
                           u->cancelled);
}
