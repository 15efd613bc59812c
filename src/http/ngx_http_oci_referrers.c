
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Referrers of a manifest.
 */


#include "ngx_http_oci_list.h"
#include "ngx_http_oci_list_edge.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_zstd.h"

#include "oci_referrer.h"


static ngx_int_t ngx_http_oci_referrers_here(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);
static void ngx_http_oci_referrers_filter(ngx_http_oci_list_ctx_t *l);
static int ngx_http_oci_referrers_cached(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_list_ctx_t *l, ngx_str_t *body);
static int ngx_http_oci_referrers_work(void *data);
static void ngx_http_oci_referrers_done(ngx_http_request_t *r, void *data,
    int rc);
static ngx_int_t ngx_http_oci_referrers_answer(ngx_http_request_t *r,
    ngx_http_oci_list_ctx_t *l, ngx_str_t *body);


/* for what is copied at once */

static u_char  ngx_http_oci_referrers_buf[NGX_HTTP_OCI_CACHE_BODY];


ngx_int_t
ngx_http_oci_referrers_handler(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    if (ctx->route.rc == OCI_INVALID) {
        return ngx_http_oci_send_error(r, OCI_ERR_DIGEST_INVALID, 0, NULL,
                                       &ctx->route.reference);
    }

    return ngx_http_oci_list_edge(r, ctx, ngx_http_oci_referrers_here);
}


/* of what is stored */

static ngx_int_t
ngx_http_oci_referrers_here(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    int                       rc;
    oci_str_t                 args;
    ngx_str_t                 body;
    ngx_http_oci_list_ctx_t  *l;
    ngx_http_oci_loc_conf_t  *olcf;

    static u_char  empty[] =
        "{\"schemaVersion\":2,"
        "\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
        "\"manifests\":[]}";

    l = ngx_http_oci_list_create(r, ctx);
    if (l == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_oci_list_args(r, l);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ctx->route.rc == OCI_UNSUPPORTED) {

        /* a digest that nothing here can have */

        return ngx_http_oci_send_memory(r, NGX_HTTP_OK,
                                        &ngx_http_oci_type_index, empty,
                                        sizeof(empty) - 1);
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    l->ask.zstd = ngx_http_oci_zstd_wanted(r, olcf);

    l->subject = &ctx->route.digest;
    l->reference = &ctx->route.reference;

    args.data = r->args.data;
    args.len = r->args.len;

    rc = oci_query_arg(&args, "artifactType", 0, &l->type, l->type_buf,
                       sizeof(l->type_buf));

    if (rc == OCI_OK) {
        l->filtered = 1;

    } else if (rc != OCI_NOT_FOUND) {
        return ngx_http_oci_send_error(r, OCI_ERR_UNSUPPORTED,
                                       NGX_HTTP_BAD_REQUEST,
                                       "artifactType is malformed", NULL);
    }

    if (ngx_http_oci_referrers_cached(r, ctx, l, &body) == OCI_OK) {
        return ngx_http_oci_referrers_answer(r, l, &body);
    }

    return ngx_http_oci_list_post(r, l, ngx_http_oci_referrers_work,
                                  ngx_http_oci_referrers_done);
}


/* of any bytes, in an order that can't be mistaken */

static void
ngx_http_oci_referrers_filter(ngx_http_oci_list_ctx_t *l)
{
    u_char  *p;

    p = ngx_sprintf(l->filter_buf, "%d,%uz,", l->filtered ? 1 : 0,
                    l->last.len);

    if (l->last.len) {
        p = ngx_cpymem(p, l->last.data, l->last.len);
    }

    if (l->type.len) {
        p = ngx_cpymem(p, l->type.data, l->type.len);
    }

    l->filter.data = l->filter_buf;
    l->filter.len = p - l->filter_buf;
}


/* from the zone: OCI_OK, or OCI_AGAIN: the disk is to be asked */

static int
ngx_http_oci_referrers_cached(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_list_ctx_t *l, ngx_str_t *body)
{
    size_t                      len;
    oci_stamp_t                 now;
    ngx_http_oci_cache_value_t  v;
    ngx_http_oci_cache_e        found;

    ngx_http_oci_referrers_filter(l);

    len = OCI_DIGEST_MAX;

    found = ngx_http_oci_cache_answer(&l->ask, l->reference, &l->filter,
                                      (u_char *) l->next, &len,
                                      ngx_http_oci_referrers_buf, &v);

    ctx->cache_status = NGX_HTTP_OCI_STATUS_MISS;

    switch (found) {

    case NGX_HTTP_OCI_CACHE_HIT:
        ctx->cache_status = NGX_HTTP_OCI_STATUS_HIT;
        break;

    case NGX_HTTP_OCI_CACHE_EXPIRED:

        /* another machine may have changed them */

        if (oci_referrer_stat(l->store, l->repo, l->subject, &now) != OCI_OK
            || !oci_stamp_equal(&now, &v.stamp))
        {
            return OCI_AGAIN;
        }

        ngx_http_oci_cache_confirm_answer(&l->ask, l->reference, &l->filter);

        ctx->cache_status = NGX_HTTP_OCI_STATUS_REVALIDATED;
        break;

    default: /* NGX_HTTP_OCI_CACHE_MISS */
        return OCI_AGAIN;
    }

    l->next[len] = '\0';

    body->len = v.body_len;
    body->data = ngx_pnalloc(r->pool, v.body_len);

    if (body->data == NULL) {
        return OCI_AGAIN;
    }

    ngx_memcpy(body->data, v.body, v.body_len);

    if (l->ask.zstd) {
        l->form = v.form;
        l->origin = v.origin;
    }

    return OCI_OK;
}


static int
ngx_http_oci_referrers_work(void *data)
{
    ngx_http_oci_list_ctx_t  *l = data;

    int                          rc;
    ngx_http_oci_cache_value_t   v;

    /* as with tags: before they are read */

    rc = oci_referrer_stat(l->store, l->repo, l->subject, &v.stamp);

    if (rc != OCI_OK) {
        ngx_memzero(&v.stamp, sizeof(oci_stamp_t));
    }

    rc = oci_referrer_list(l->store, l->repo, l->subject,
                           l->filtered ? &l->type : NULL, &l->last,
                           &l->list.body, &l->list.len, l->next);

    if (rc == OCI_OK) {
        v.body = l->list.body;
        v.body_len = l->list.len;

        ngx_http_oci_cache_put_answer(&l->ask, l->reference, &l->filter,
                                      (u_char *) l->next,
                                      ngx_strlen(l->next), &v);
        l->origin = v.stamp;
    }

    return rc;
}


static void
ngx_http_oci_referrers_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_list_ctx_t  *l = data;

    ngx_int_t  n;
    ngx_str_t  body;

    if (rc == OCI_OK) {
        body.data = l->list.body;
        body.len = l->list.len;

        n = ngx_http_oci_referrers_answer(r, l, &body);

    } else {
        n = ngx_http_oci_send_failure(r, rc);
    }

    ngx_http_finalize_request(r, n);
}


static ngx_int_t
ngx_http_oci_referrers_answer(ngx_http_request_t *r,
    ngx_http_oci_list_ctx_t *l, ngx_str_t *body)
{
    ngx_str_t                 value;
    ngx_http_oci_loc_conf_t  *olcf;

    if (l->filtered) {
        ngx_str_set(&value, "artifactType");

        if (ngx_http_oci_add_header(r, "OCI-Filters-Applied", &value)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (l->next[0]
        && ngx_http_oci_add_link(r, l->n, l->next,
                                 l->filtered ? "artifactType" : NULL,
                                 &l->type)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (olcf->zstd && ngx_http_oci_zstd_list(r, l, body) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_send_memory(r, NGX_HTTP_OK, &ngx_http_oci_type_index,
                                    body->data, body->len);
}
