
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Deletes: a manifest with its tags, a tag alone, a repository's blob.
 */


#include "ngx_http_oci_operations.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_task.h"

#include "ngx_http_oci_tagset.h"

#include "oci_blob.h"
#include "oci_lock.h"
#include "oci_manifest_store.h"
#include "oci_tag.h"


typedef struct {
    ngx_http_oci_zone_t   *zone;
    const oci_store_t     *store;
    const oci_repo_t      *repo;
    const oci_route_t     *route;
} ngx_http_oci_delete_t;


static int ngx_http_oci_delete_work(void *data);
static int ngx_http_oci_delete_blob(ngx_http_oci_delete_t *del);
static void ngx_http_oci_delete_done(ngx_http_request_t *r, void *data,
    int rc);
static oci_error_t ngx_http_oci_delete_unknown(ngx_http_oci_ctx_t *ctx);


ngx_int_t
ngx_http_oci_delete_handler(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_http_oci_delete_t    *del;
    ngx_http_oci_loc_conf_t  *olcf;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ctx->route.rc != OCI_OK) {

        if (ctx->route.rc == OCI_INVALID
            && (ctx->route.is_digest
                || ctx->route.endpoint == OCI_ENDPOINT_BLOB))
        {
            return ngx_http_oci_send_error(r, OCI_ERR_DIGEST_INVALID, 0, NULL,
                                           &ctx->route.reference);
        }

        return ngx_http_oci_send_error(r, ngx_http_oci_delete_unknown(ctx), 0,
                                       NULL, &ctx->route.reference);
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    del = ngx_palloc(r->pool, sizeof(ngx_http_oci_delete_t));
    if (del == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    del->zone = &olcf->store->cache;
    del->store = &olcf->store->store;
    del->repo = &ctx->repo;
    del->route = &ctx->route;

    return ngx_http_oci_task_begin(r, olcf->write_pool,
                                   ngx_http_oci_delete_work,
                                   ngx_http_oci_delete_done, del, 1);
}


static int
ngx_http_oci_delete_work(void *data)
{
    ngx_http_oci_delete_t  *del = data;

    int               rc;
    const oci_str_t  *tag;

    oci_generation_span_start();

    if (del->route->endpoint == OCI_ENDPOINT_BLOB) {
        rc = ngx_http_oci_delete_blob(del);
        tag = NULL;

    } else if (del->route->is_digest) {

        /* with it go tags whose names are not known here */

        return oci_manifest_delete(del->store, del->repo,
                                   &del->route->digest);

    } else {
        tag = &del->route->reference;
        rc = oci_tag_delete(del->store, del->repo, tag);

        if (rc == OCI_NOT_FOUND) {

            /*
             * Who removed it may have died before saying so; now its client
             * is told that it is gone.
             */

            oci_generation_raise(del->store, del->repo);
        }
    }

    if (rc == OCI_OK || rc == OCI_NOT_FOUND) {
        ngx_http_oci_tagset_update(del->zone, del->store, del->repo, tag,
                                   tag ? 1 : 0, 1);
    }

    return rc;
}


static int
ngx_http_oci_delete_blob(ngx_http_oci_delete_t *del)
{
    int         rc;
    oci_lock_t  lock;

    rc = oci_lock_repo(&lock, del->store, del->repo, 1, 0);

    if (rc != OCI_OK) {
        return rc;
    }

    rc = oci_blob_delete(del->store, del->repo, &del->route->digest);

    oci_lock_release(&lock);

    return rc;
}


static void
ngx_http_oci_delete_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_int_t            n;
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    switch (rc) {

    case OCI_OK:
        n = ngx_http_oci_send_empty(r, NGX_HTTP_ACCEPTED);
        break;

    case OCI_NOT_FOUND:
        n = ngx_http_oci_send_error(r, ngx_http_oci_delete_unknown(ctx), 0,
                                    NULL, &ctx->route.reference);
        break;

    default:
        n = ngx_http_oci_send_failure(r, rc);
    }

    ngx_http_finalize_request(r, n);
}


static oci_error_t
ngx_http_oci_delete_unknown(ngx_http_oci_ctx_t *ctx)
{
    return (ctx->route.endpoint == OCI_ENDPOINT_BLOB)
           ? OCI_ERR_BLOB_UNKNOWN : OCI_ERR_MANIFEST_UNKNOWN;
}
