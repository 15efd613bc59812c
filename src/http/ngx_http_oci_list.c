
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Lists: tags, referrers, the catalog.
 */


#include "ngx_http_oci_operations.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_task.h"

#include "oci_list.h"
#include "oci_referrer.h"


typedef struct {
    const oci_store_t     *store;
    const oci_repo_t      *repo;
    const oci_digest_t    *subject;
    int64_t                n;
    oci_str_t              last;
    u_char                 last_buf[OCI_NAME_MAX];
    oci_str_t              type;
    u_char                 type_buf[OCI_MEDIA_TYPE_MAX];
    unsigned               filtered:1;

    oci_list_t             list;
    char                   next[OCI_DIGEST_MAX + 1];
} ngx_http_oci_list_ctx_t;


static ngx_http_oci_list_ctx_t *ngx_http_oci_list_create(
    ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx);
static void ngx_http_oci_list_cleanup(void *data);
static ngx_int_t ngx_http_oci_list_args(ngx_http_request_t *r,
    ngx_http_oci_list_ctx_t *l);
static ngx_int_t ngx_http_oci_list_post(ngx_http_request_t *r,
    ngx_http_oci_list_ctx_t *l, ngx_http_oci_work_pt work,
    ngx_http_oci_done_pt done);
static int ngx_http_oci_tags_work(void *data);
static int ngx_http_oci_catalog_work(void *data);
static void ngx_http_oci_list_done(ngx_http_request_t *r, void *data, int rc);
static int ngx_http_oci_referrers_work(void *data);
static void ngx_http_oci_referrers_done(ngx_http_request_t *r, void *data,
    int rc);


ngx_int_t
ngx_http_oci_tags_handler(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
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

    return ngx_http_oci_list_post(r, l, ngx_http_oci_tags_work,
                                  ngx_http_oci_list_done);
}


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


static ngx_http_oci_list_ctx_t *
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


/* NGX_DECLINED to go on, else what the handler returns */

static ngx_int_t
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


static ngx_int_t
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

    if (ngx_http_oci_task_post(r, olcf->read_pool, work, done, l, 1)
        != NGX_OK)
    {
        return ngx_http_oci_send_failure(r, OCI_AGAIN);
    }

    ngx_http_oci_task_watch(r);

    r->main->count++;

    return NGX_DONE;
}


static int
ngx_http_oci_tags_work(void *data)
{
    ngx_http_oci_list_ctx_t  *l = data;

    return oci_list_tags(l->store, l->repo, &l->last, l->n, &l->list);
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
    ngx_http_oci_list_ctx_t  *l = data;

    ngx_int_t  n;

    switch (rc) {

    case OCI_OK:

        if (l->list.next[0]
            && ngx_http_oci_add_link(r, l->n, l->list.next, NULL, NULL)
               != NGX_OK)
        {
            n = NGX_HTTP_INTERNAL_SERVER_ERROR;
            break;
        }

        n = ngx_http_oci_send_memory(r, NGX_HTTP_OK, &ngx_http_oci_type_json,
                                     l->list.body, l->list.len);
        break;

    case OCI_NOT_FOUND:
        n = ngx_http_oci_send_error(r, OCI_ERR_NAME_UNKNOWN, 0, NULL,
                                    &l->repo->name);
        break;

    default:
        n = ngx_http_oci_send_failure(r, rc);
    }

    ngx_http_finalize_request(r, n);
}


ngx_int_t
ngx_http_oci_referrers_handler(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    int                       rc;
    oci_str_t                 args;
    ngx_http_oci_list_ctx_t  *l;

    static u_char  empty[] =
        "{\"schemaVersion\":2,"
        "\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
        "\"manifests\":[]}";

    if (ctx->route.rc == OCI_INVALID) {
        return ngx_http_oci_send_error(r, OCI_ERR_DIGEST_INVALID, 0, NULL,
                                       &ctx->route.reference);
    }

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

    l->subject = &ctx->route.digest;

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

    return ngx_http_oci_list_post(r, l, ngx_http_oci_referrers_work,
                                  ngx_http_oci_referrers_done);
}


static int
ngx_http_oci_referrers_work(void *data)
{
    ngx_http_oci_list_ctx_t  *l = data;

    return oci_referrer_list(l->store, l->repo, l->subject,
                             l->filtered ? &l->type : NULL, &l->last,
                             &l->list.body, &l->list.len, l->next);
}


static void
ngx_http_oci_referrers_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_list_ctx_t  *l = data;

    ngx_int_t  n;
    ngx_str_t  value;

    if (rc != OCI_OK) {
        ngx_http_finalize_request(r, ngx_http_oci_send_failure(r, rc));
        return;
    }

    n = NGX_OK;

    if (l->filtered) {
        ngx_str_set(&value, "artifactType");
        n = ngx_http_oci_add_header(r, "OCI-Filters-Applied", &value);
    }

    if (n == NGX_OK && l->next[0]) {
        n = ngx_http_oci_add_link(r, l->n, l->next,
                                  l->filtered ? "artifactType" : NULL,
                                  &l->type);
    }

    if (n == NGX_OK) {
        n = ngx_http_oci_send_memory(r, NGX_HTTP_OK,
                                     &ngx_http_oci_type_index, l->list.body,
                                     l->list.len);

    } else {
        n = NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_finalize_request(r, n);
}
