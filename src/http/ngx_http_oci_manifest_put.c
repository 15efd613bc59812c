
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * PUT of a manifest: the body into memory, everything else in a thread.
 */


#include "ngx_http_oci_operations.h"
#include "ngx_http_oci_body.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_task.h"

#include "ngx_http_oci_tagset.h"

#include "oci_manifest_store.h"


#define NGX_HTTP_OCI_TAGS_MAX    64
#define NGX_HTTP_OCI_BODY_START  8192


typedef struct {
    ngx_http_oci_zone_t    *zone;
    const oci_store_t      *store;
    const oci_repo_t       *repo;
    unsigned                by_digest:1;
    unsigned                sparse:1;
    unsigned                parsed:1;
    unsigned                too_large:1;
    oci_digest_t            digest;
    oci_digest_t            missing;
    oci_digest_t            subject;
    unsigned                has_subject:1;
    oci_str_t               type;           /* Content-Type as sent */
    oci_str_t               media_type;     /* as stored */
    u_char                  media_type_buf[OCI_MEDIA_TYPE_MAX];
    oci_str_t               tags[NGX_HTTP_OCI_TAGS_MAX];
    size_t                  ntags;
    const char             *reason;

    ngx_http_oci_body_t     body;
    u_char                 *data;
    size_t                  len;
    size_t                  size;
    size_t                  max;
} ngx_http_oci_manifest_put_t;


static void ngx_http_oci_manifest_put_cleanup(void *data);
static ngx_int_t ngx_http_oci_manifest_put_tags(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_manifest_put_t *put);
static ssize_t ngx_http_oci_manifest_put_data(ngx_http_request_t *r,
    void *sink, u_char *p, size_t len);
static void ngx_http_oci_manifest_put_end(ngx_http_request_t *r, void *sink,
    ngx_int_t rc);
static int ngx_http_oci_manifest_put_work(void *data);
static void ngx_http_oci_manifest_put_done(ngx_http_request_t *r, void *data,
    int rc);
static ngx_int_t ngx_http_oci_manifest_put_answer(ngx_http_request_t *r,
    ngx_http_oci_manifest_put_t *put);
static ngx_int_t ngx_http_oci_manifest_put_error(ngx_http_request_t *r,
    ngx_http_oci_manifest_put_t *put, int rc);
static ngx_int_t ngx_http_oci_manifest_put_too_large(ngx_http_request_t *r);


ngx_int_t
ngx_http_oci_manifest_put_handler(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx)
{
    ngx_int_t                     rc;
    ngx_pool_cleanup_t           *cln;
    ngx_http_oci_loc_conf_t      *olcf;
    ngx_http_oci_manifest_put_t  *put;

    if (ctx->route.rc != OCI_OK) {
        return ngx_http_oci_send_error(r,
                                       ctx->route.is_digest
                                           ? OCI_ERR_DIGEST_INVALID
                                           : OCI_ERR_MANIFEST_INVALID,
                                       NGX_HTTP_BAD_REQUEST,
                                       ctx->route.is_digest
                                           ? NULL : "the tag is invalid",
                                       &ctx->route.reference);
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (r->headers_in.content_length_n > (off_t) olcf->manifest_max_size) {
        return ngx_http_oci_manifest_put_too_large(r);
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_oci_manifest_put_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    put = cln->data;

    ngx_memzero(put, sizeof(ngx_http_oci_manifest_put_t));

    cln->handler = ngx_http_oci_manifest_put_cleanup;

    put->zone = &olcf->store->cache;
    put->store = &olcf->store->store;
    put->repo = &ctx->repo;
    put->sparse = olcf->sparse ? 1 : 0;
    put->max = olcf->manifest_max_size;
    put->by_digest = ctx->route.is_digest;

    if (ctx->route.is_digest) {
        put->digest = ctx->route.digest;
    }

    if (r->headers_in.content_type) {
        put->type.data = r->headers_in.content_type->value.data;
        put->type.len = r->headers_in.content_type->value.len;
    }

    rc = ngx_http_oci_manifest_put_tags(r, ctx, put);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    put->body.data = ngx_http_oci_manifest_put_data;
    put->body.end = ngx_http_oci_manifest_put_end;
    put->body.sink = put;

    r->main->count++;

    ngx_http_oci_body_read(r, &put->body);

    return NGX_DONE;
}


static void
ngx_http_oci_manifest_put_cleanup(void *data)
{
    ngx_http_oci_manifest_put_t  *put = data;

    if (put->data) {
        ngx_free(put->data);
    }
}


/* the tag of the path, or the ?tag= arguments of a push by digest */

/* NGX_DECLINED to go on, else what the handler returns */

static ngx_int_t
ngx_http_oci_manifest_put_tags(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_manifest_put_t *put)
{
    int         rc;
    u_char     *buf;
    oci_str_t   args, tag;

    if (!ctx->route.is_digest) {
        put->tags[0] = ctx->route.reference;
        put->ntags = 1;
        return NGX_DECLINED;
    }

    args.data = r->args.data;
    args.len = r->args.len;

    for ( ;; ) {

        buf = ngx_pnalloc(r->pool, OCI_TAG_MAX);
        if (buf == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        rc = oci_query_arg(&args, "tag", put->ntags, &tag, buf, OCI_TAG_MAX);

        if (rc == OCI_NOT_FOUND) {
            return NGX_DECLINED;
        }

        if (rc == OCI_OK && !oci_tag_valid(tag.data, tag.len)) {
            rc = OCI_INVALID;
        }

        if (rc != OCI_OK) {
            return ngx_http_oci_send_error(r, OCI_ERR_MANIFEST_INVALID, 0,
                                           "a tag is invalid", NULL);
        }

        if (put->ntags == NGX_HTTP_OCI_TAGS_MAX) {
            return ngx_http_oci_send_error(r, OCI_ERR_UNSUPPORTED,
                                           NGX_HTTP_REQUEST_URI_TOO_LARGE,
                                           "too many tags", NULL);
        }

        put->tags[put->ntags++] = tag;
    }
}


static ssize_t
ngx_http_oci_manifest_put_data(ngx_http_request_t *r, void *sink, u_char *p,
    size_t len)
{
    ngx_http_oci_manifest_put_t  *put = sink;

    size_t   size;
    u_char  *data;

    if (len > put->max - put->len) {
        put->too_large = 1;
        return NGX_ERROR;
    }

    if (put->len + len > put->size) {

        size = put->size ? put->size * 2 : NGX_HTTP_OCI_BODY_START;

        if (r->headers_in.content_length_n > 0) {
            size = ngx_max(size, (size_t) r->headers_in.content_length_n);
        }

        size = ngx_min(ngx_max(size, put->len + len), put->max);

        data = ngx_alloc(size, r->connection->log);
        if (data == NULL) {
            return NGX_ERROR;
        }

        if (put->data) {
            ngx_memcpy(data, put->data, put->len);
            ngx_free(put->data);
        }

        put->data = data;
        put->size = size;
    }

    ngx_memcpy(put->data + put->len, p, len);
    put->len += len;

    return len;
}


static void
ngx_http_oci_manifest_put_end(ngx_http_request_t *r, void *sink, ngx_int_t rc)
{
    ngx_http_oci_manifest_put_t  *put = sink;

    ngx_http_oci_loc_conf_t  *olcf;

    if (put->too_large) {
        rc = ngx_http_oci_manifest_put_too_large(r);
        ngx_http_finalize_request(r, rc);
        return;
    }

    if (rc != NGX_OK) {
        ngx_http_finalize_request(r, rc);
        return;
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (ngx_http_oci_task_post(r, olcf->write_pool,
                               ngx_http_oci_manifest_put_work,
                               ngx_http_oci_manifest_put_done, put, 1)
        != NGX_OK)
    {
        ngx_http_finalize_request(r, ngx_http_oci_send_failure(r, OCI_AGAIN));
    }
}


static int
ngx_http_oci_manifest_put_work(void *data)
{
    ngx_http_oci_manifest_put_t  *put = data;

    int             rc;
    oci_digest_t    digest;
    oci_manifest_t  m;

    oci_digest_of(&digest, put->by_digest ? put->digest.alg : OCI_SHA256,
                  put->data, put->len);

    if (put->by_digest && !oci_digest_equal(&digest, &put->digest)) {
        put->reason = NULL;
        return OCI_CONFLICT;
    }

    put->digest = digest;

    rc = oci_manifest_parse(&m, put->data, put->len, &put->type,
                            &put->reason);
    if (rc != OCI_OK) {
        return rc;
    }

    put->has_subject = m.has_subject;
    put->subject = m.subject;

    put->media_type.len = ngx_min(m.media_type.len, OCI_MEDIA_TYPE_MAX);
    put->media_type.data = put->media_type_buf;
    ngx_memcpy(put->media_type_buf, m.media_type.data, put->media_type.len);

    oci_generation_span_start();

    rc = oci_manifest_put(put->store, put->repo, &m, &put->digest, put->data,
                          put->len, put->tags, put->ntags, put->sparse,
                          &put->missing);

    if (rc == OCI_OK) {
        ngx_http_oci_tagset_update(put->zone, put->store, put->repo,
                                   put->tags, put->ntags, 0);
    }

    oci_manifest_free(&m);

    return rc;
}


static void
ngx_http_oci_manifest_put_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_manifest_put_t  *put = data;

    ngx_http_finalize_request(r, rc == OCI_OK
                               ? ngx_http_oci_manifest_put_answer(r, put)
                               : ngx_http_oci_manifest_put_error(r, put, rc));
}


static ngx_int_t
ngx_http_oci_manifest_put_answer(ngx_http_request_t *r,
    ngx_http_oci_manifest_put_t *put)
{
    size_t               i;
    ngx_str_t            value;
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    ctx->media_type.data = put->media_type.data;
    ctx->media_type.len = put->media_type.len;

    if (ngx_http_oci_add_digest(r, &put->digest) != NGX_OK
        || ngx_http_oci_add_location(r, "manifests", &put->digest) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (put->has_subject) {

        value.data = ngx_pnalloc(r->pool, OCI_DIGEST_MAX);
        if (value.data == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        value.len = oci_digest_text(&put->subject, value.data);

        if (ngx_http_oci_add_header(r, "OCI-Subject", &value) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    for (i = 0; put->by_digest && i < put->ntags; i++) {

        value.data = put->tags[i].data;
        value.len = put->tags[i].len;

        if (ngx_http_oci_add_header(r, "OCI-Tag", &value) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return ngx_http_oci_send_empty(r, NGX_HTTP_CREATED);
}


static ngx_int_t
ngx_http_oci_manifest_put_error(ngx_http_request_t *r,
    ngx_http_oci_manifest_put_t *put, int rc)
{
    u_char     buf[OCI_DIGEST_MAX];
    oci_str_t  detail;

    switch (rc) {

    case OCI_CONFLICT:
        return ngx_http_oci_send_error(r, OCI_ERR_DIGEST_INVALID, 0,
                                       "the manifest does not match the "
                                       "digest", NULL);

    case OCI_INVALID:
    case OCI_UNSUPPORTED:
        return ngx_http_oci_send_error(r, OCI_ERR_MANIFEST_INVALID, 0,
                                       put->reason, NULL);

    case OCI_MISMATCH:
        return ngx_http_oci_send_error(r, OCI_ERR_MANIFEST_INVALID, 0,
                                       "the same content is stored as "
                                       "another media type", NULL);

    case OCI_UNKNOWN_BLOB:
        detail.data = buf;
        detail.len = put->missing.hex_len ? oci_digest_text(&put->missing, buf)
                                          : 0;

        return ngx_http_oci_send_error(r, OCI_ERR_MANIFEST_BLOB_UNKNOWN, 0,
                                       NULL, &detail);

    default:
        return ngx_http_oci_send_failure(r, rc);
    }
}


static ngx_int_t
ngx_http_oci_manifest_put_too_large(ngx_http_request_t *r)
{
    return ngx_http_oci_send_error(r, OCI_ERR_SIZE_INVALID,
                                   NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                   "the manifest is too large", NULL);
}
