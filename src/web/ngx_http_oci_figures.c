
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_figures.h"


#define ngx_http_oci_counter(c)                                               \
    offsetof(ngx_http_oci_figures_t, stats)                                   \
    + offsetof(ngx_http_oci_stats_t, counters)                                \
    + NGX_HTTP_OCI_STATS_##c * sizeof(uint64_t)

#define ngx_http_oci_gauge(f)                                                 \
    offsetof(ngx_http_oci_figures_t, zone)                                    \
    + offsetof(ngx_http_oci_zone_use_t, f)


const ngx_http_oci_figure_t  ngx_http_oci_figure_table[] = {

    { "oci_store_ready", "gauge", NULL, NULL,
      "Whether the worker that answers has the store open.",
      offsetof(ngx_http_oci_figures_t, ready) },

    { "oci_sent_bytes_total", "counter", "source", "memory",
      "Bytes of response bodies, by where they came from.",
      ngx_http_oci_counter(SENT_MEMORY) },

    { "oci_sent_bytes_total", "counter", "source", "file", NULL,
      ngx_http_oci_counter(SENT_FILE) },

    { "oci_sent_bytes_total", "counter", "source", "upstream", NULL,
      ngx_http_oci_counter(SENT_UPSTREAM) },

    { "oci_cache_requests_total", "counter", "status", "hit",
      "Requests for what is cached, by what the cache said.",
      ngx_http_oci_counter(HIT) },

    { "oci_cache_requests_total", "counter", "status", "miss", NULL,
      ngx_http_oci_counter(MISS) },

    { "oci_cache_requests_total", "counter", "status", "revalidated", NULL,
      ngx_http_oci_counter(REVALIDATED) },

    { "oci_cache_requests_total", "counter", "status", "stale", NULL,
      ngx_http_oci_counter(STALE) },

    { "oci_cache_requests_total", "counter", "status", "fill", NULL,
      ngx_http_oci_counter(FILL) },

    { "oci_uploads_started_total", "counter", NULL, NULL,
      "Upload sessions that were opened.",
      ngx_http_oci_counter(UPLOADS_STARTED) },

    { "oci_uploads_finished_total", "counter", NULL, NULL,
      "Upload sessions that ended with a blob.",
      ngx_http_oci_counter(UPLOADS_DONE) },

    { "oci_uploads_failed_total", "counter", NULL, NULL,
      "Upload sessions that ended with content of another digest, or a POST "
      "with content that broke off.",
      ngx_http_oci_counter(UPLOADS_FAILED) },

    { "oci_uploads_cancelled_total", "counter", NULL, NULL,
      "Upload sessions that their client gave up.",
      ngx_http_oci_counter(UPLOADS_CANCELLED) },

    { "oci_uploads_expired_total", "counter", NULL, NULL,
      "Upload sessions and other remains that were removed for their age.",
      ngx_http_oci_counter(UPLOADS_EXPIRED) },

    { "oci_uploads_received_bytes_total", "counter", NULL, NULL,
      "Bytes of the bodies of uploads.",
      ngx_http_oci_counter(RECEIVED) },

    { "oci_mounts_total", "counter", NULL, NULL,
      "Blobs that were mounted from another repository.",
      ngx_http_oci_counter(MOUNTS) },

    { "oci_upstream_requests_total", "counter", NULL, NULL,
      "Requests to upstream registries.",
      ngx_http_oci_counter(UPSTREAM_REQUESTS) },

    { "oci_upstream_errors_total", "counter", NULL, NULL,
      "Requests to upstream registries that failed.",
      ngx_http_oci_counter(UPSTREAM_ERRORS) },

    { "oci_upstream_received_bytes_total", "counter", NULL, NULL,
      "Bytes of bodies from upstream registries.",
      ngx_http_oci_counter(UPSTREAM_BYTES) },

    { "oci_upstream_circuit_opened_total", "counter", NULL, NULL,
      "How often an upstream was given up for a while.",
      ngx_http_oci_counter(CIRCUIT_OPENED) },

    { "oci_upstream_circuit_closed_total", "counter", NULL, NULL,
      "How often an upstream that had been given up has answered again.",
      ngx_http_oci_counter(CIRCUIT_CLOSED) },

    { "oci_fills_writing", "gauge", NULL, NULL,
      "Fetches of a blob into the store that bring bytes now; one that "
      "several workers share counts for each.",
      offsetof(ngx_http_oci_figures_t, stats)
      + offsetof(ngx_http_oci_stats_t, filling) },

    { "oci_fills_started_total", "counter", NULL, NULL,
      "Fetches of a blob into the store that began.",
      ngx_http_oci_counter(FILLS_STARTED) },

    { "oci_fills_finished_total", "counter", NULL, NULL,
      "Fetches of a blob into the store that ended with the blob.",
      ngx_http_oci_counter(FILLS_DONE) },

    { "oci_fills_failed_total", "counter", NULL, NULL,
      "Fetches of a blob into the store that failed.",
      ngx_http_oci_counter(FILLS_FAILED) },

    { "oci_evicted_files_total", "counter", NULL, NULL,
      "Blobs of upstream registries that were evicted from the store.",
      ngx_http_oci_counter(EVICTED_FILES) },

    { "oci_evicted_bytes_total", "counter", NULL, NULL,
      "Bytes of disk that evictions have freed.",
      ngx_http_oci_counter(EVICTED_BYTES) },

    { "oci_zone_size_bytes", "gauge", NULL, NULL,
      "Size of the shared memory that holds the cache.",
      ngx_http_oci_gauge(size) },

    { "oci_zone_free_bytes", "gauge", NULL, NULL,
      "Whole free pages of the shared memory.",
      ngx_http_oci_gauge(free) },

    { "oci_zone_entries", "gauge", NULL, NULL,
      "Cached tags, manifests, blobs and lists.",
      ngx_http_oci_gauge(entries) },

    { "oci_zone_negative_entries", "gauge", NULL, NULL,
      "Cached answers that something is not there.",
      ngx_http_oci_gauge(negatives) },

    { "oci_zone_evictions_total", "counter", NULL, NULL,
      "Entries that gave way to others in the full shared memory.",
      ngx_http_oci_gauge(evicted) },

    { "oci_zone_refusals_total", "counter", NULL, NULL,
      "Entries for which there was no room in the full shared memory.",
      ngx_http_oci_gauge(refused) },

    { "oci_zone_resets_total", "counter", NULL, NULL,
      "How often the cache was emptied after the death of a worker.",
      ngx_http_oci_gauge(resets) }
};


const ngx_uint_t  ngx_http_oci_figure_count =
    sizeof(ngx_http_oci_figure_table) / sizeof(ngx_http_oci_figure_table[0]);


const char *const  ngx_http_oci_figure_operations[] = {
    "other",
    "base",
    "catalog",
    "manifest_get",
    "manifest_put",
    "manifest_delete",
    "blob_get",
    "blob_delete",
    "upload_start",
    "upload_patch",
    "upload_put",
    "upload_status",
    "upload_cancel",
    "tags",
    "referrers",
    "hub_info",
    "hub_file"
};


const ngx_uint_t  ngx_http_oci_figure_noperations =
    sizeof(ngx_http_oci_figure_operations)
    / sizeof(ngx_http_oci_figure_operations[0]);


const char *const  ngx_http_oci_figure_statuses[] = {
    "none", "1xx", "2xx", "3xx", "4xx", "5xx"
};


ngx_http_oci_figures_t *
ngx_http_oci_figures_read(ngx_http_request_t *r, ngx_uint_t *n)
{
    ngx_uint_t                  i;
    ngx_http_oci_zone_t        *z;
    ngx_http_oci_store_t      **stores;
    ngx_http_oci_figures_t     *f;
    ngx_http_oci_main_conf_t   *omcf;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_oci_module);

    stores = omcf->stores.elts;
    *n = omcf->stores.nelts;

    f = ngx_palloc(r->pool, (*n + 1) * sizeof(ngx_http_oci_figures_t));
    if (f == NULL) {
        return NULL;
    }

    for (i = 0; i < *n; i++) {
        z = &stores[i]->cache;

        f[i].name = stores[i]->name;
        f[i].ready = stores[i]->ready;

        ngx_http_oci_stats_sum(z->sh->slots, z->sh->nslots, &f[i].stats);
        ngx_http_oci_zone_use(z, &f[i].zone);
    }

    return f;
}


ngx_int_t
ngx_http_oci_figures_begin(ngx_http_request_t *r)
{
    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    return ngx_http_discard_request_body(r);
}


ngx_int_t
ngx_http_oci_figures_send(ngx_http_request_t *r, ngx_str_t *type,
    size_t type_len, ngx_buf_t *b)
{
    ngx_int_t         rc;
    ngx_chain_t       out;
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_oci_header_init(h);
    ngx_str_set(&h->key, "Cache-Control");
    ngx_str_set(&h->value, "no-store");

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = b->last - b->pos;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type_len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}
