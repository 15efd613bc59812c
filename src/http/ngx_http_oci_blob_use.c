
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * When a filled blob was used last: the time of its inode, renewed once an
 * hour at most, by a thread that no request waits for.
 */


#include "ngx_http_oci_operations.h"
#include "ngx_http_oci_job.h"

#include "oci_blob.h"


#define NGX_HTTP_OCI_BLOB_USED  3600        /* seconds */


typedef struct {
    ngx_http_oci_job_t     job;
    const oci_store_t     *store;
    oci_repo_t             repo;
    oci_digest_t           digest;
    u_char                 names[OCI_NAMESPACE_MAX + OCI_NAME_MAX];
} ngx_http_oci_blob_use_t;


static int ngx_http_oci_blob_use_work(void *data);
static void ngx_http_oci_blob_use_done(void *data, int rc);


void
ngx_http_oci_blob_use(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    const oci_file_t *f)
{
    ngx_http_oci_loc_conf_t  *olcf;
    ngx_http_oci_blob_use_t  *use;

    if (!f->cached
        || ngx_time() - (time_t) f->mtime < NGX_HTTP_OCI_BLOB_USED)
    {
        return;
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    use = ngx_alloc(sizeof(ngx_http_oci_blob_use_t), r->connection->log);
    if (use == NULL) {
        return;
    }

    ngx_http_oci_job_init(&use->job, ngx_cycle->log,
                          ngx_http_oci_blob_use_work,
                          ngx_http_oci_blob_use_done, use);

    use->store = &olcf->store->store;
    use->digest = ctx->route.digest;

    use->repo.ns.len = ctx->repo.ns.len;
    use->repo.ns.data = use->names;
    use->repo.name.len = ctx->repo.name.len;
    use->repo.name.data = use->names + ctx->repo.ns.len;

    if (ctx->repo.ns.len) {
        ngx_memcpy(use->names, ctx->repo.ns.data, ctx->repo.ns.len);
    }

    ngx_memcpy(use->repo.name.data, ctx->repo.name.data, ctx->repo.name.len);

    if (ngx_http_oci_job_post(&use->job, olcf->read_pool) != NGX_OK) {
        ngx_free(use);
    }
}


static int
ngx_http_oci_blob_use_work(void *data)
{
    ngx_http_oci_blob_use_t  *use = data;

    return oci_blob_touch_cached(use->store, &use->repo, &use->digest);
}


static void
ngx_http_oci_blob_use_done(void *data, int rc)
{
    ngx_free(data);
}
