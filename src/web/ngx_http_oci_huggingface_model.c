
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * From a revision to the table of a model's files: its manifest is found as
 * a pull finds it, with the rights and the upstream of one, and read in a
 * thread unless this worker has its table.
 */


#include "ngx_http_oci_huggingface_part.h"
#include "ngx_http_oci_blob_pull.h"
#include "ngx_http_oci_operations.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_task.h"

#include "oci_blob.h"
#include "oci_commit.h"
#include "oci_manifest_store.h"


#define NGX_HTTP_OCI_HF_STEP  1024          /* reads of a tar at a time */


static ngx_int_t ngx_http_oci_hf_commit(ngx_http_oci_hf_t *hf);
static int ngx_http_oci_hf_commit_work(void *data);
static void ngx_http_oci_hf_commit_done(ngx_http_request_t *r, void *data,
    int rc);
static ngx_int_t ngx_http_oci_hf_by_tag(ngx_http_oci_hf_t *hf,
    oci_str_t *tag);
static ngx_int_t ngx_http_oci_hf_by_digest(ngx_http_oci_hf_t *hf,
    const oci_digest_t *digest);
static ngx_int_t ngx_http_oci_hf_read(ngx_http_oci_hf_t *hf);
static void ngx_http_oci_hf_load_done(ngx_http_request_t *r, void *data,
    int rc);
static ngx_int_t ngx_http_oci_hf_loaded(ngx_http_oci_hf_t *hf, int rc);
static ngx_int_t ngx_http_oci_hf_bring(ngx_http_oci_hf_t *hf);
static void ngx_http_oci_hf_brought(ngx_http_request_t *r, void *data,
    ngx_uint_t status, ngx_int_t retry_after);
static void ngx_http_oci_hf_load_cleanup(void *data);
static int ngx_http_oci_hf_load(void *data);
static int ngx_http_oci_hf_load_data(ngx_http_oci_hf_load_t *load,
    u_char **data, size_t *len);
static int ngx_http_oci_hf_load_tars(ngx_http_oci_hf_load_t *load,
    const oci_model_t *m, oci_tar_t **tars);
static int ngx_http_oci_hf_load_tar(ngx_http_oci_hf_load_t *load,
    const oci_model_layer_t *layer, oci_tar_used_t *used, oci_tar_t **tar);


ngx_int_t
ngx_http_oci_hf_revision(ngx_http_oci_hf_t *hf)
{
    switch (hf->route.rev) {

    case OCI_HUB_REV_MAIN:
        return ngx_http_oci_hf_by_tag(hf, &hf->main);

    case OCI_HUB_REV_TAG:
        return ngx_http_oci_hf_by_tag(hf, &hf->route.revision);

    case OCI_HUB_REV_DIGEST:
        return ngx_http_oci_hf_by_digest(hf, &hf->route.digest);

    case OCI_HUB_REV_COMMIT:
        return ngx_http_oci_hf_commit(hf);

    default:
        return ngx_http_oci_send_error(hf->request, OCI_ERR_MANIFEST_UNKNOWN,
                                       0, NULL, NULL);
    }
}


static ngx_int_t
ngx_http_oci_hf_commit(ngx_http_oci_hf_t *hf)
{
    ngx_int_t                 rc;
    ngx_http_request_t       *r;
    const oci_digest_t       *digest;
    ngx_http_oci_loc_conf_t  *olcf;

    r = hf->request;

    digest = ngx_http_oci_hf_table_commit(hf->load.store, &hf->ctx->repo,
                                          hf->route.revision.data);

    if (digest) {
        return ngx_http_oci_hf_by_digest(hf, digest);
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    return ngx_http_oci_task_begin(r, olcf->read_pool,
                                   ngx_http_oci_hf_commit_work,
                                   ngx_http_oci_hf_commit_done, hf, 0);
}


static int
ngx_http_oci_hf_commit_work(void *data)
{
    ngx_http_oci_hf_t  *hf = data;

    return oci_commit_find(hf->load.store, &hf->ctx->repo,
                           hf->route.revision.data, &hf->digest);
}


static void
ngx_http_oci_hf_commit_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_hf_t  *hf = data;

    ngx_int_t                 n;
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    switch (rc) {

    case OCI_OK:
        n = ngx_http_oci_hf_by_digest(hf, &hf->digest);
        break;

    case OCI_NOT_FOUND:

        if (olcf->edge) {

            /* an upstream can't be asked for a commit, but for what is main */

            hf->guessed = 1;
            n = ngx_http_oci_hf_by_tag(hf, &hf->main);
            break;
        }

        /* fall through */

    case OCI_CONFLICT:
        n = ngx_http_oci_send_error(r, OCI_ERR_MANIFEST_UNKNOWN, 0, NULL,
                                    NULL);
        break;

    default:
        n = ngx_http_oci_send_failure(r, rc);
    }

    ngx_http_finalize_request(r, n);
}


static ngx_int_t
ngx_http_oci_hf_by_tag(ngx_http_oci_hf_t *hf, oci_str_t *tag)
{
    oci_route_t  *route;

    route = &hf->ctx->route;

    route->reference = *tag;
    route->is_digest = 0;
    route->rc = OCI_OK;

    return ngx_http_oci_manifest_handler(hf->request, hf->ctx);
}


static ngx_int_t
ngx_http_oci_hf_by_digest(ngx_http_oci_hf_t *hf, const oci_digest_t *digest)
{
    if (ngx_http_oci_hf_route(hf, digest) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_manifest_handler(hf->request, hf->ctx);
}


ngx_int_t
ngx_http_oci_hf_route(ngx_http_oci_hf_t *hf, const oci_digest_t *digest)
{
    oci_route_t  *route;

    route = &hf->ctx->route;

    route->reference.data = ngx_pnalloc(hf->request->pool, OCI_DIGEST_MAX);
    if (route->reference.data == NULL) {
        return NGX_ERROR;
    }

    route->reference.len = oci_digest_text(digest, route->reference.data);
    route->digest = *digest;
    route->is_digest = 1;
    route->rc = OCI_OK;

    return NGX_OK;
}


ngx_int_t
ngx_http_oci_hf_manifest(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    const oci_digest_t *digest, ngx_str_t *data)
{
    ngx_http_oci_hf_t  *hf;

    hf = ctx->viewed;

    if (hf->guessed
        && ngx_memcmp(digest->hex, hf->route.revision.data, OCI_HUB_COMMIT)
           != 0)
    {
        return ngx_http_oci_send_error(r, OCI_ERR_MANIFEST_UNKNOWN, 0, NULL,
                                       NULL);
    }

    hf->digest = *digest;
    oci_hub_commit(digest, hf->model.commit);
    hf->known = 1;

    if (hf->route.endpoint == OCI_HUB_REFS) {
        return ngx_http_oci_hf_refs(hf);
    }

    hf->table = ngx_http_oci_hf_table_find(hf);

    if (hf->table) {
        return ngx_http_oci_hf_answer(hf);
    }

    hf->load.data = *data;

    return ngx_http_oci_hf_read(hf);
}


static ngx_int_t
ngx_http_oci_hf_read(ngx_http_oci_hf_t *hf)
{
    ngx_http_request_t       *r;
    ngx_pool_cleanup_t       *cln;
    ngx_http_oci_loc_conf_t  *olcf;

    r = hf->request;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_oci_hf_load_cleanup;
    cln->data = &hf->load;

    hf->load.repo = &hf->ctx->repo;
    hf->load.digest = &hf->digest;
    hf->load.max = olcf->manifest_max_size;
    hf->load.wait = (olcf->edge != NULL);

    return ngx_http_oci_task_begin(r, olcf->read_pool, ngx_http_oci_hf_load,
                                   ngx_http_oci_hf_load_done, hf, 0);
}


static void
ngx_http_oci_hf_load_cleanup(void *data)
{
    ngx_http_oci_hf_load_t  *load = data;

    free(load->files);
    load->files = NULL;
}


static void
ngx_http_oci_hf_load_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_finalize_request(r, ngx_http_oci_hf_loaded(data, rc));
}


static ngx_int_t
ngx_http_oci_hf_loaded(ngx_http_oci_hf_t *hf, int rc)
{
    ngx_http_request_t  *r;

    r = hf->request;

    switch (rc) {

    case OCI_OK:
        break;

    case OCI_UNKNOWN_BLOB:
        return ngx_http_oci_hf_bring(hf);

    case OCI_NOT_FOUND:

        /* or it has gone since it was looked for */

        if (hf->load.reason == NULL) {
            return ngx_http_oci_send_error(r, OCI_ERR_MANIFEST_UNKNOWN, 0,
                                           NULL, NULL);
        }

        return ngx_http_oci_send_error(r, OCI_ERR_NAME_UNKNOWN, 0,
                                       hf->load.reason, NULL);

    case OCI_INVALID:
    case OCI_RANGE:
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "oci: the files of a model of \"%*s\" can't be told: "
                      "%s", hf->ctx->repo.name.len, hf->ctx->repo.name.data,
                      hf->load.reason ? hf->load.reason : "too many");

        return ngx_http_oci_send_error(r, OCI_ERR_UNKNOWN, 0,
                                       "the model is not readable", NULL);

    default:
        return ngx_http_oci_send_failure(r, rc);
    }

    hf->table = ngx_http_oci_hf_table_add(hf);

    if (hf->table == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_hf_answer(hf);
}


/* what a tar holds is known once it is here and verified */

static ngx_int_t
ngx_http_oci_hf_bring(ngx_http_oci_hf_t *hf)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = hf->request;

    if (hf->brought++ == hf->load.tars) {

        /* one was here, and has gone again: so little room is left */

        return ngx_http_oci_send_failure(r, OCI_AGAIN);
    }

    if (ngx_http_oci_hf_route(hf, &hf->load.missing) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_oci_blob_bring(r, hf->ctx, hf->load.missing_size,
                                 hf->load.stored,
                                 ngx_http_oci_hf_brought, hf);

    switch (rc) {

    case NGX_OK:
        r->main->count++;
        return NGX_DONE;

    case NGX_DECLINED:
        return ngx_http_oci_send_error(r, OCI_ERR_BLOB_UNKNOWN, 0,
                                       "a layer of the model is not here",
                                       NULL);

    default:
        return ngx_http_oci_send_error(r, OCI_ERR_UNAVAILABLE, rc, NULL,
                                       NULL);
    }
}


static void
ngx_http_oci_hf_brought(ngx_http_request_t *r, void *data, ngx_uint_t status,
    ngx_int_t retry_after)
{
    ngx_http_oci_hf_t  *hf = data;

    ngx_int_t  rc;

    hf->ctx->cache_status = NGX_HTTP_OCI_STATUS_FILL;

    if (status == NGX_HTTP_OK) {
        rc = ngx_http_oci_hf_read(hf);

    } else if (ngx_http_oci_upstream_retry(r, retry_after) != NGX_OK) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {

        switch (status) {

        case NGX_HTTP_UNAUTHORIZED:
        case NGX_HTTP_FORBIDDEN:
        case NGX_HTTP_NOT_FOUND:

            /* of the manifest it has said yes */

            status = NGX_HTTP_BAD_GATEWAY;
        }

        rc = ngx_http_oci_send_error(r,
                                     status == NGX_HTTP_TOO_MANY_REQUESTS
                                         ? OCI_ERR_TOOMANYREQUESTS
                                         : OCI_ERR_UNAVAILABLE,
                                     status,
                                     "a layer of the model can't be had",
                                     NULL);
    }

    ngx_http_finalize_request(r, rc);
}


/* OCI_UNKNOWN_BLOB: load->missing is to come first */

static int
ngx_http_oci_hf_load(void *data)
{
    ngx_http_oci_hf_t  *hf = data;

    int                      rc;
    size_t                   len, i;
    u_char                  *text;
    oci_tar_t              **tars;
    oci_model_t              m;
    ngx_http_oci_hf_load_t  *load;

    load = &hf->load;

    load->reason = NULL;
    load->partial = 0;
    load->stored = 0;

    text = NULL;
    len = 0;

    rc = ngx_http_oci_hf_load_data(load, &text, &len);

    if (rc != OCI_OK) {
        return rc;
    }

    rc = oci_model_parse(&m, text, len, &load->reason);

    if (text != load->data.data) {
        free(text);
    }

    if (rc != OCI_OK) {
        return (rc == OCI_ERROR) ? oci_fail("malloc()", "") : rc;
    }

    load->tars = m.tars;

    tars = calloc(m.tars + 1, sizeof(oci_tar_t *));

    if (tars == NULL) {
        oci_model_free(&m);
        return oci_fail("calloc()", "");
    }

    rc = ngx_http_oci_hf_load_tars(load, &m, tars);

    if (rc == OCI_OK) {
        rc = oci_model_build(&m, tars, &load->files);

        if (rc == OCI_ERROR) {
            (void) oci_fail("malloc()", "");
        }
    }

    for (i = 0; i < m.tars; i++) {
        if (tars[i]) {
            oci_tar_free(tars[i]);
            free(tars[i]);
        }
    }

    free(tars);
    oci_model_free(&m);

    return rc;
}


static int
ngx_http_oci_hf_load_data(ngx_http_oci_hf_load_t *load, u_char **data,
    size_t *len)
{
    int           rc;
    size_t        n;
    ssize_t       got;
    u_char       *p;
    oci_record_t  rec;

    rc = oci_manifest_open(load->store, load->repo, load->digest, NULL, 0,
                           &rec);

    if (rc == OCI_NOT_FOUND && load->data.len) {

        /* no room for it: it was sent through */

        *data = load->data.data;
        *len = load->data.len;

        return OCI_OK;
    }

    if (rc == OCI_INVALID) {
        load->reason = "its record is damaged";
    }

    if (rc != OCI_OK) {
        return rc;
    }

    load->stored = 1;
    load->time = rec.mtime;

    if (rec.size < 0 || (uint64_t) rec.size > load->max) {
        (void) close(rec.fd);
        load->reason = "its manifest is too large";
        return OCI_RANGE;
    }

    p = malloc((size_t) rec.size + 1);

    if (p == NULL) {
        (void) close(rec.fd);
        return oci_fail("malloc()", "");
    }

    for (n = 0; n < (size_t) rec.size; n += (size_t) got) {

        got = pread(rec.fd, p + n, (size_t) rec.size - n,
                    OCI_RECORD_HEADER + (off_t) n);

        if (got <= 0) {

            if (got == 0) {
                errno = EIO;
            }

            rc = oci_fail("pread()", "a manifest");
            break;
        }
    }

    (void) close(rec.fd);

    if (rc != OCI_OK) {
        free(p);
        return rc;
    }

    *data = p;
    *len = (size_t) rec.size;

    return OCI_OK;
}


static int
ngx_http_oci_hf_load_tars(ngx_http_oci_hf_load_t *load, const oci_model_t *m,
    oci_tar_t **tars)
{
    int             rc;
    size_t          i, n;
    oci_tar_used_t  used;

    memset(&used, 0, sizeof(oci_tar_used_t));

    n = 0;

    for (i = 0; i < m->count; i++) {

        if (m->layers[i].form != OCI_MODEL_TAR) {
            continue;
        }

        rc = ngx_http_oci_hf_load_tar(load, &m->layers[i], &used, &tars[n]);

        if (rc != OCI_OK) {
            return rc;
        }

        n++;
    }

    return OCI_OK;
}


/* *tar stays NULL where nothing can be told of it */

static int
ngx_http_oci_hf_load_tar(ngx_http_oci_hf_load_t *load,
    const oci_model_layer_t *layer, oci_tar_used_t *used, oci_tar_t **tar)
{
    int                rc;
    oci_file_t         f;
    oci_tar_parser_t  *parser;

    rc = oci_blob_open(load->store, load->repo, &layer->digest, &f);

    if (rc == OCI_NOT_FOUND) {

        if (load->wait) {
            load->missing = layer->digest;
            load->missing_size = layer->size;
            return OCI_UNKNOWN_BLOB;
        }

        load->partial = 1;
        return OCI_OK;
    }

    if (rc != OCI_OK) {
        return rc;
    }

    *tar = calloc(1, sizeof(oci_tar_t));
    parser = oci_tar_create(used);

    if (*tar == NULL || parser == NULL) {
        rc = oci_fail("malloc()", "");

    } else if (f.size != layer->size) {
        rc = OCI_INVALID;

    } else {
        do {
            rc = oci_tar_step(parser, f.fd, f.size, NGX_HTTP_OCI_HF_STEP,
                              *tar);
        } while (rc == OCI_AGAIN);

        if (rc == OCI_ERROR) {
            (void) oci_fail("pread()", "a tar");
        }
    }

    if (parser) {
        oci_tar_destroy(parser);
    }

    (void) close(f.fd);

    if (rc != OCI_OK) {
        free(*tar);
        *tar = NULL;
    }

    /* what is no tar has no files */

    return (rc == OCI_INVALID) ? OCI_OK : rc;
}
