
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Answers: JSON made of a table, and files, each a part of the blob that it
 * is in, by the handler of blobs with all that it knows.
 */


#include "ngx_http_oci_huggingface_part.h"
#include "ngx_http_oci_operations.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_task.h"

#include "oci_commit.h"


#define NGX_HTTP_OCI_HF_INLINE  256     /* files of an answer that is made at
                                           once, in the event loop */


static int ngx_http_oci_hf_work(void *data);
static void ngx_http_oci_hf_done(ngx_http_request_t *r, void *data, int rc);
static ngx_int_t ngx_http_oci_hf_send(ngx_http_oci_hf_t *hf, int rc);
static void ngx_http_oci_hf_text_cleanup(void *data);
static ngx_int_t ngx_http_oci_hf_file(ngx_http_oci_hf_t *hf);
static ngx_int_t ngx_http_oci_hf_file_headers(ngx_http_oci_hf_t *hf);
static int ngx_http_oci_hf_refs_work(void *data);
static void ngx_http_oci_hf_refs_done(ngx_http_request_t *r, void *data,
    int rc);


static ngx_str_t  ngx_http_oci_hf_no_cache = ngx_string("no-cache");


ngx_int_t
ngx_http_oci_hf_answer(ngx_http_oci_hf_t *hf)
{
    ngx_http_request_t       *r;
    ngx_pool_cleanup_t       *cln;
    ngx_http_oci_loc_conf_t  *olcf;

    hf->model.time = hf->table->time;

    if (ngx_http_oci_hf_file_op(hf)) {
        return ngx_http_oci_hf_file(hf);
    }

    r = hf->request;

    if (hf->route.bad_path) {
        return ngx_http_oci_hf_no_entry(hf);
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_oci_hf_text_cleanup;
    cln->data = hf;

    hf->args.data = r->args.len ? r->args.data : (u_char *) "";
    hf->args.len = r->args.len;

    if (hf->table->files->count <= NGX_HTTP_OCI_HF_INLINE) {
        return ngx_http_oci_hf_send(hf, ngx_http_oci_hf_work(hf));
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    return ngx_http_oci_task_begin(r, olcf->read_pool, ngx_http_oci_hf_work,
                                   ngx_http_oci_hf_done, hf, 0);
}


static void
ngx_http_oci_hf_text_cleanup(void *data)
{
    ngx_http_oci_hf_t  *hf = data;

    free(hf->text.data);
}


static int
ngx_http_oci_hf_work(void *data)
{
    ngx_http_oci_hf_t  *hf = data;

    int                       rc;
    const oci_model_table_t  *files;

    files = hf->table->files;

    switch (hf->route.endpoint) {

    case OCI_HUB_INFO:
        rc = oci_hub_info(&hf->text, &hf->model, files,
                          oci_hub_flag(&hf->args, "blobs"));
        break;

    case OCI_HUB_TREE:
        rc = oci_hub_tree(&hf->text, &hf->model, files, &hf->route.path,
                          oci_hub_flag(&hf->args, "recursive"),
                          oci_hub_flag(&hf->args, "expand"));
        break;

    case OCI_HUB_PATHS:
        rc = oci_hub_paths_info(&hf->text, &hf->model, files, &hf->paths);
        break;

    default: /* OCI_HUB_COMMITS */
        rc = oci_hub_commits(&hf->text, &hf->model);
    }

    return (rc == OCI_ERROR) ? oci_fail("malloc()", "") : rc;
}


static void
ngx_http_oci_hf_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_finalize_request(r, ngx_http_oci_hf_send(data, rc));
}


static ngx_int_t
ngx_http_oci_hf_send(ngx_http_oci_hf_t *hf, int rc)
{
    ngx_http_request_t  *r;

    r = hf->request;

    if (rc == OCI_NOT_FOUND) {
        return ngx_http_oci_hf_no_entry(hf);
    }

    if (rc != OCI_OK) {
        return ngx_http_oci_send_failure(r, rc);
    }

    if (ngx_http_oci_hf_add_commit(hf) != NGX_OK
        || ngx_http_oci_add_header(r, "Cache-Control",
                                   &ngx_http_oci_hf_no_cache)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_send_memory(r, NGX_HTTP_OK, &ngx_http_oci_type_json,
                                    hf->text.data, hf->text.len);
}


ngx_int_t
ngx_http_oci_hf_add_commit(ngx_http_oci_hf_t *hf)
{
    ngx_str_t  value;

    if (!hf->known) {
        return NGX_OK;
    }

    value.data = hf->model.commit;
    value.len = OCI_HUB_COMMIT;

    return ngx_http_oci_add_header(hf->request, "X-Repo-Commit", &value);
}


ngx_int_t
ngx_http_oci_hf_no_entry(ngx_http_oci_hf_t *hf)
{
    if (ngx_http_oci_hf_add_commit(hf) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_send_error(hf->request, OCI_ERR_BLOB_UNKNOWN, 0, NULL,
                                   NULL);
}


/*
 * A HEAD is answered from the table alone, as a client asks before each GET;
 * whether the blob is here is seen by the GET.
 */

static ngx_int_t
ngx_http_oci_hf_file(ngx_http_oci_hf_t *hf)
{
    size_t                   len;
    ngx_http_request_t      *r;
    ngx_http_oci_ctx_t      *ctx;
    ngx_http_oci_content_t   content;

    r = hf->request;
    ctx = hf->ctx;

    if (hf->route.bad_path
        || oci_model_find(hf->table->files, &hf->route.path, &hf->file)
           != OCI_OK)
    {
        return ngx_http_oci_hf_no_entry(hf);
    }

    if (ngx_http_oci_hf_route(hf, &hf->file.digest) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->digest.data = ctx->route.reference.data;
    ctx->digest.len = ctx->route.reference.len;

    len = oci_model_etag(&hf->file, hf->etag + 1);

    hf->etag[0] = '"';
    hf->etag[len + 1] = '"';

    hf->view.etag.data = hf->etag;
    hf->view.etag.len = len + 2;

    if (!hf->file.whole) {
        hf->view.part.start = hf->file.offset;
        hf->view.part.end = hf->file.offset + hf->file.size;
    }

    ctx->file = &hf->view;

    if (r->method != NGX_HTTP_HEAD
        && !ngx_http_oci_content_unmodified(r, &hf->file.digest))
    {
        return ngx_http_oci_blob_handler(r, ctx);
    }

    ngx_memzero(&content, sizeof(ngx_http_oci_content_t));

    content.fd = NGX_INVALID_FILE;
    content.size = hf->file.blob_size;

    return ngx_http_oci_hf_blob(r, ctx, &content);
}


ngx_int_t
ngx_http_oci_hf_blob(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    void *data)
{
    ngx_http_oci_content_t  *content = data;

    oci_model_file_t   *file;
    ngx_http_oci_hf_t  *hf;

    hf = ctx->viewed;
    file = &hf->file;

    if (content->size != file->blob_size
        || file->offset > content->size
        || file->size > content->size - file->offset)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "oci: %*s has %O bytes, its manifest says %L",
                      ctx->route.reference.len, ctx->route.reference.data,
                      content->size, file->blob_size);

        return ngx_http_oci_send_error(r, OCI_ERR_UNKNOWN, 0,
                                       "a layer is not what it should be",
                                       NULL);
    }

    if (content->data) {
        content->data += file->offset;

    } else {
        content->base += file->offset;
    }

    content->size = file->size;
    content->digest = &ctx->route.digest;
    content->type = ngx_http_oci_type_blob;
    content->immutable = (hf->route.rev == OCI_HUB_REV_COMMIT
                          || hf->route.rev == OCI_HUB_REV_DIGEST);

    ctx->media_type = content->type;

    if (ngx_http_oci_hf_file_headers(hf) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_content_send(r, content);
}


/* by these a client takes the file for one of the hub, and names it */

static ngx_int_t
ngx_http_oci_hf_file_headers(ngx_http_oci_hf_t *hf)
{
    ngx_str_t         size, commit;
    ngx_table_elt_t  *h;

    size.data = ngx_pnalloc(hf->request->pool, NGX_OFF_T_LEN);
    if (size.data == NULL) {
        return NGX_ERROR;
    }

    size.len = ngx_sprintf(size.data, "%O", (off_t) hf->file.size)
               - size.data;

    commit.data = hf->model.commit;
    commit.len = OCI_HUB_COMMIT;

    h = ngx_http_oci_header_run(hf->request, 3);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_http_oci_set_header(h, "X-Repo-Commit", &commit);
    h++;

    ngx_http_oci_set_header(h, "X-Linked-Etag", &hf->view.etag);
    h++;

    ngx_http_oci_set_header(h, "X-Linked-Size", &size);

    return NGX_OK;
}


ngx_int_t
ngx_http_oci_hf_refs(ngx_http_oci_hf_t *hf)
{
    ngx_int_t                 rc;
    ngx_http_request_t       *r;
    ngx_pool_cleanup_t       *cln;
    ngx_http_oci_loc_conf_t  *olcf;

    r = hf->request;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_oci_hf_text_cleanup;
    cln->data = hf;

    hf->args.data = r->args.len ? r->args.data : (u_char *) "";
    hf->args.len = r->args.len;

    return ngx_http_oci_task_begin(r, olcf->read_pool,
                                   ngx_http_oci_hf_refs_work,
                                   ngx_http_oci_hf_refs_done, hf, 0);
}


static int
ngx_http_oci_hf_refs_work(void *data)
{
    ngx_http_oci_hf_t  *hf = data;

    int                rc;
    size_t             i, n;
    oci_hub_ref_t     *refs, main_ref;
    oci_commit_tag_t  *tags;

    rc = oci_commit_tags(hf->load.store, &hf->ctx->repo, &tags, &n);

    if (rc != OCI_OK) {
        return rc;
    }

    refs = calloc(n + 1, sizeof(oci_hub_ref_t));

    if (refs == NULL) {
        free(tags);
        return oci_fail("calloc()", "");
    }

    memset(&main_ref, 0, sizeof(oci_hub_ref_t));

    for (i = 0; i < n; i++) {
        refs[i].name.data = (u_char *) tags[i].tag;
        refs[i].name.len = tags[i].tag_len;

        oci_hub_commit(&tags[i].digest, refs[i].commit);

        if (tags[i].tag_len == hf->main.len
            && memcmp(tags[i].tag, hf->main.data, hf->main.len) == 0)
        {
            main_ref = refs[i];
            main_ref.name.data = (u_char *) "main";
            main_ref.name.len = sizeof("main") - 1;
        }
    }

    rc = oci_hub_refs(&hf->text, &main_ref, refs, n,
                      oci_hub_flag(&hf->args, "include_prs"));

    free(refs);
    free(tags);

    return (rc == OCI_ERROR) ? oci_fail("malloc()", "") : rc;
}


static void
ngx_http_oci_hf_refs_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_hf_t  *hf = data;

    ngx_int_t  n;

    n = (rc == OCI_NOT_FOUND)
        ? ngx_http_oci_send_error(r, OCI_ERR_NAME_UNKNOWN, 0, NULL, NULL)
        : ngx_http_oci_hf_send(hf, rc);

    ngx_http_finalize_request(r, n);
}
