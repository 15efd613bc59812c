
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Lists: what they have in common, and the catalog.
 */


#include "ngx_http_oci_list.h"
#include "ngx_http_oci_send.h"


static void ngx_http_oci_list_cleanup(void *data);
static int ngx_http_oci_catalog_work(void *data);
static void ngx_http_oci_list_done(ngx_http_request_t *r, void *data, int rc);


ngx_int_t
ngx_http_oci_catalog_handler(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_http_oci_list_ctx_t  *l;

    l = ngx_http_oci_list_create(r, ctx);
    if (l == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_oci_list_args(r, l);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    return ngx_http_oci_list_post(r, l, ngx_http_oci_catalog_work,
                                  ngx_http_oci_list_done);
}


ngx_http_oci_list_ctx_t *
ngx_http_oci_list_create(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_oci_list_ctx_t  *l;
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_oci_list_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    l = cln->data;

    ngx_memzero(l, sizeof(ngx_http_oci_list_ctx_t));

    cln->handler = ngx_http_oci_list_cleanup;

    l->store = &olcf->store->store;
    l->repo = &ctx->repo;
    l->n = OCI_LIST_ALL;

    ngx_http_oci_cache_ask(&l->ask, &olcf->store->cache, l->store, l->repo,
                           olcf->valid, olcf->valid_missing);

    return l;
}


static void
ngx_http_oci_list_cleanup(void *data)
{
    ngx_http_oci_list_ctx_t  *l = data;

    if (l->list.body) {
        free(l->list.body);
    }
}


ngx_int_t
ngx_http_oci_list_args(ngx_http_request_t *r, ngx_http_oci_list_ctx_t *l)
{
    int         rc;
    u_char      buf[NGX_INT64_LEN];
    oci_str_t   args, value;
    ngx_int_t   n;

    args.data = r->args.data;
    args.len = r->args.len;

    rc = oci_query_arg(&args, "n", 0, &value, buf, sizeof(buf));

    if (rc == OCI_OK) {
        n = ngx_atoi(value.data, value.len);

        if (n == NGX_ERROR) {
            rc = OCI_INVALID;

        } else {
            l->n = n;
        }
    }

    if (rc != OCI_OK && rc != OCI_NOT_FOUND) {
        return ngx_http_oci_send_error(r, OCI_ERR_UNSUPPORTED,
                                       NGX_HTTP_BAD_REQUEST,
                                       "n is not a number", NULL);
    }

    rc = oci_query_arg(&args, "last", 0, &l->last, l->last_buf,
                       sizeof(l->last_buf));

    if (rc == OCI_NOT_FOUND) {
        l->last.len = 0;
        return NGX_DECLINED;
    }

    if (rc != OCI_OK) {
        return ngx_http_oci_send_error(r, OCI_ERR_UNSUPPORTED,
                                       NGX_HTTP_BAD_REQUEST,
                                       "last is malformed", NULL);
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_oci_list_post(ngx_http_request_t *r, ngx_http_oci_list_ctx_t *l,
    ngx_http_oci_work_pt work, ngx_http_oci_done_pt done)
{
    ngx_int_t                 rc;
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_oci_task_begin(r, olcf->read_pool, work, done, l, 1);
}


static int
ngx_http_oci_catalog_work(void *data)
{
    ngx_http_oci_list_ctx_t  *l = data;

    return oci_list_catalog(l->store, &l->repo->ns, &l->last, l->n, &l->list);
}


static void
ngx_http_oci_list_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_finalize_request(r, ngx_http_oci_list_answer(r, data, rc));
}


ngx_int_t
ngx_http_oci_list_answer(ngx_http_request_t *r, ngx_http_oci_list_ctx_t *l,
    int rc)
{
    ngx_http_oci_ctx_t  *ctx;

    switch (rc) {

    case OCI_OK:
        break;

    case OCI_NOT_FOUND:

        ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

        if (ctx->cache_status == NGX_HTTP_OCI_STATUS_STALE) {

            /* nobody has said that there is none */

            return ngx_http_oci_send_error(r, OCI_ERR_UNAVAILABLE,
                                           NGX_HTTP_BAD_GATEWAY,
                                           "the upstream does not answer",
                                           NULL);
        }

        return ngx_http_oci_send_error(r, OCI_ERR_NAME_UNKNOWN, 0, NULL,
                                       &l->repo->name);

    default:
        return ngx_http_oci_send_failure(r, rc);
    }

    if (l->list.next[0]
        && ngx_http_oci_add_link(r, l->n, l->list.next, NULL, NULL) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_send_memory(r, NGX_HTTP_OK, &ngx_http_oci_type_json,
                                    l->list.body, l->list.len);
}
