
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Upload sessions: from the arguments of a request to the call of the store.
 */


#include "ngx_http_oci_operations.h"
#include "ngx_http_oci_upload.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_task.h"

#include "ngx_http_oci_tagset.h"
#include "oci_blob.h"


static void ngx_http_oci_upload_cleanup(void *data);
static ngx_int_t ngx_http_oci_upload_post(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u, ngx_http_oci_work_pt work,
    ngx_http_oci_done_pt done);
static ngx_int_t ngx_http_oci_upload_digest_arg(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u, const char *name);
static ngx_int_t ngx_http_oci_upload_start_args(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u);
static ngx_int_t ngx_http_oci_upload_algorithm(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u);
static int ngx_http_oci_upload_start_work(void *data);
static void ngx_http_oci_upload_start_done(ngx_http_request_t *r, void *data,
    int rc);
static ngx_int_t ngx_http_oci_upload_content_range(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u);
static int ngx_http_oci_upload_acquire_work(void *data);
static void ngx_http_oci_upload_acquire_done(ngx_http_request_t *r,
    void *data, int rc);
static int ngx_http_oci_upload_close_work(void *data);
static void ngx_http_oci_upload_range_done(ngx_http_request_t *r, void *data,
    int rc);
static ngx_int_t ngx_http_oci_upload_bodyless(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_work_pt work,
    ngx_http_oci_done_pt done);
static int ngx_http_oci_upload_status_work(void *data);
static void ngx_http_oci_upload_status_done(ngx_http_request_t *r, void *data,
    int rc);
static int ngx_http_oci_upload_cancel_work(void *data);
static void ngx_http_oci_upload_cancel_done(ngx_http_request_t *r, void *data,
    int rc);


ngx_http_oci_upload_t *
ngx_http_oci_upload_create(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_oci_upload_t    *u;
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_oci_upload_t));
    if (cln == NULL) {
        return NULL;
    }

    u = cln->data;

    ngx_memzero(u, sizeof(ngx_http_oci_upload_t));

    cln->handler = ngx_http_oci_upload_cleanup;

    u->request = r;
    u->store = &olcf->store->store;
    u->zone = &olcf->store->cache;
    u->repo = &ctx->repo;
    u->session.fd = -1;
    u->alg = OCI_SHA256;

    if (ctx->route.endpoint == OCI_ENDPOINT_UPLOAD) {
        u->id = ctx->route.reference;
    }

    /*
     * Who opened the session: what nginx's own login has verified, or what
     * the request says to whoever verifies it (auth_request).
     */

    if (r->headers_in.user.len == 0) {
        (void) ngx_http_auth_basic_user(r);
    }

    if (r->headers_in.user.data && r->headers_in.user.len) {
        u->user.data = r->headers_in.user.data;
        u->user.len = r->headers_in.user.len;
    }

    return u;
}


static void
ngx_http_oci_upload_cleanup(void *data)
{
    ngx_http_oci_upload_t  *u = data;

    if (u->flush.timer_set) {
        ngx_del_timer(&u->flush);
    }

    if (u->open) {
        oci_upload_close(&u->session);
    }

    ngx_http_oci_upload_release(u);
    ngx_http_oci_upload_count(u);
}


static ngx_int_t
ngx_http_oci_upload_post(ngx_http_request_t *r, ngx_http_oci_upload_t *u,
    ngx_http_oci_work_pt work, ngx_http_oci_done_pt done)
{
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (ngx_http_oci_task_post(r, olcf->write_pool, work, done, u, 1)
        != NGX_OK)
    {
        return ngx_http_oci_send_failure(r, OCI_AGAIN);
    }

    /* a body may be waiting in the socket: not to be read nor peeked at */

    if (!r->discard_body) {
        r->read_event_handler = ngx_http_block_reading;
    }

    r->main->count++;

    return NGX_DONE;
}


ngx_int_t
ngx_http_oci_upload_start_handler(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx)
{
    ngx_int_t               rc;
    ngx_http_oci_upload_t  *u;

    u = ngx_http_oci_upload_create(r, ctx);
    if (u == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_oci_upload_start_args(r, u);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (r->headers_in.content_length_n > 0 || r->headers_in.chunked) {

        /* a mount has no body, and a subrequest would say that it has one */

        u->mount = 0;
    }

    if (!u->mount || u->from.name.len == 0) {
        return ngx_http_oci_upload_start(r, u);
    }

    if (ngx_http_oci_mount_check(r, u) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->main->count++;

    return NGX_DONE;
}


ngx_int_t
ngx_http_oci_upload_start(ngx_http_request_t *r, ngx_http_oci_upload_t *u)
{
    return ngx_http_oci_upload_post(r, u, ngx_http_oci_upload_start_work,
                                    ngx_http_oci_upload_start_done);
}


/*
 * NGX_DECLINED to go on, with digested set if the argument is there; else
 * what the handler returns.
 */

static ngx_int_t
ngx_http_oci_upload_digest_arg(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u, const char *name)
{
    int        rc;
    u_char     buf[OCI_DIGEST_MAX];
    oci_str_t  args, value;

    args.len = r->args.len;
    args.data = r->args.data;

    rc = oci_query_arg(&args, name, 0, &value, buf, sizeof(buf));

    if (rc == OCI_NOT_FOUND) {
        return NGX_DECLINED;
    }

    if (rc == OCI_OK) {
        rc = oci_digest_parse(&u->digest, value.data, value.len);
    }

    if (rc == OCI_OK) {
        u->digested = 1;
        u->alg = u->digest.alg;
        return NGX_DECLINED;
    }

    return ngx_http_oci_send_error(r, OCI_ERR_DIGEST_INVALID, 0,
                                   rc == OCI_UNSUPPORTED
                                       ? "the digest's algorithm is unknown"
                                       : NULL,
                                   NULL);
}


static ngx_int_t
ngx_http_oci_upload_start_args(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u)
{
    u_char                   *buf;
    ngx_int_t                 rc;
    oci_str_t                 args;
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    args.len = r->args.len;
    args.data = r->args.data;

    rc = ngx_http_oci_upload_digest_arg(r, u, "mount");

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (u->digested) {

        buf = ngx_pnalloc(r->pool, OCI_NAME_MAX);
        if (buf == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (oci_query_arg(&args, "from", 0, &u->from.name, buf, OCI_NAME_MAX)
            == OCI_OK)
        {
            u->from.ns = u->repo->ns;
            u->mount = (olcf->mount != NGX_HTTP_OCI_MOUNT_OFF)
                       && oci_name_valid(u->from.name.data, u->from.name.len);

        } else {
            ngx_memzero(&u->from, sizeof(oci_repo_t));
            u->mount = (olcf->mount == NGX_HTTP_OCI_MOUNT_ANY);
        }

        return NGX_DECLINED;
    }

    rc = ngx_http_oci_upload_digest_arg(r, u, "digest");

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (u->digested) {
        u->whole = (r->headers_in.content_length_n > 0
                    || r->headers_in.chunked);
    }

    return ngx_http_oci_upload_algorithm(r, u);
}


static ngx_int_t
ngx_http_oci_upload_algorithm(ngx_http_request_t *r, ngx_http_oci_upload_t *u)
{
    int           rc;
    u_char        buf[32];
    oci_str_t     args, value;
    oci_digest_t  empty;

    args.len = r->args.len;
    args.data = r->args.data;

    rc = oci_query_arg(&args, "digest-algorithm", 0, &value, buf,
                       sizeof(buf));

    if (rc == OCI_OK) {
        rc = oci_alg_find(&u->alg, value.data, value.len);
    }

    if (rc != OCI_OK && rc != OCI_NOT_FOUND) {
        return ngx_http_oci_send_error(r, OCI_ERR_DIGEST_INVALID, 0,
                                       "the digest algorithm is unknown",
                                       NULL);
    }

    if (u->digested && !u->whole) {

        /* no body: content only if it is to be empty */

        oci_digest_of(&empty, u->digest.alg, (u_char *) "", 0);
        u->whole = oci_digest_equal(&empty, &u->digest);
    }

    return NGX_DECLINED;
}


static int
ngx_http_oci_upload_start_work(void *data)
{
    ngx_http_oci_upload_t  *u = data;

    int         rc;
    oci_file_t  f;

    if (u->mount) {
        oci_generation_span_start();
        rc = u->from.name.len
             ? oci_blob_mount(u->store, &u->from, u->repo, &u->digest)
             : oci_blob_mount_any(u->store, u->repo, &u->digest);

        if (rc == OCI_OK) {
            ngx_http_oci_tagset_carry(u->zone, u->store, u->repo);
            u->linked = 1;
            u->mounted = 1;
            return rc;
        }

        if (rc != OCI_NOT_FOUND) {
            return rc;
        }

    } else if (u->digested && !u->whole) {

        rc = oci_blob_touch(u->store, u->repo, &u->digest);

        if (rc == OCI_OK) {
            rc = oci_blob_stat(u->store, u->repo, &u->digest, &f);
        }

        if (rc == OCI_OK) {
            u->linked = 1;
            return rc;
        }

        if (rc != OCI_NOT_FOUND) {
            return rc;
        }
    }

    /* a second try goes on with the session of the first */

    if (u->id.len == 0) {

        rc = oci_upload_create(&u->session, u->store, u->repo, &u->user,
                               u->alg);

        if (rc != OCI_OK) {
            return rc;
        }

        ngx_memcpy(u->id_buf, u->session.id, OCI_UPLOAD_ID_LEN);
        u->id.data = u->id_buf;
        u->id.len = OCI_UPLOAD_ID_LEN;
        u->created = 1;
    }

    if (!u->whole) {
        return OCI_OK;
    }

    return ngx_http_oci_upload_acquire_work(u);
}


static void
ngx_http_oci_upload_start_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_upload_t  *u = data;

    ngx_int_t  n;

    if (rc != OCI_OK) {
        n = ngx_http_oci_send_failure(r, rc);

    } else if (u->linked) {
        n = ngx_http_oci_upload_created(r, u);

    } else if (u->whole) {
        u->put = 1;
        ngx_http_oci_upload_receive(r, u);
        return;

    } else if (ngx_http_oci_upload_headers(r, u) != NGX_OK) {
        n = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {
        n = ngx_http_oci_send_empty(r, NGX_HTTP_ACCEPTED);
    }

    ngx_http_finalize_request(r, n);
}


ngx_int_t
ngx_http_oci_upload_write_handler(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx)
{
    ngx_int_t               rc;
    ngx_http_oci_upload_t  *u;

    u = ngx_http_oci_upload_create(r, ctx);
    if (u == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->route.rc != OCI_OK) {
        return ngx_http_oci_upload_error(r, u, OCI_NOT_FOUND);
    }

    if (ctx->op == NGX_HTTP_OCI_OP_UPLOAD_PUT) {

        u->put = 1;

        rc = ngx_http_oci_upload_digest_arg(r, u, "digest");

        if (rc != NGX_DECLINED) {
            return rc;
        }

        if (!u->digested) {
            return ngx_http_oci_send_error(r, OCI_ERR_DIGEST_INVALID, 0,
                                           "the digest is missing", NULL);
        }
    }

    rc = ngx_http_oci_upload_content_range(r, u);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    return ngx_http_oci_upload_post(r, u, ngx_http_oci_upload_acquire_work,
                                    ngx_http_oci_upload_acquire_done);
}


static ngx_int_t
ngx_http_oci_upload_content_range(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u)
{
    int64_t           end;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NGX_DECLINED;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len == sizeof("Content-Range") - 1
            && ngx_strncasecmp(h[i].key.data, (u_char *) "Content-Range",
                               sizeof("Content-Range") - 1)
               == 0)
        {
            break;
        }
    }

    if (oci_content_range_parse(h[i].value.data, h[i].value.len, &u->start,
                                &end)
        != OCI_OK)
    {
        return ngx_http_oci_send_error(r, OCI_ERR_BLOB_UPLOAD_INVALID, 0,
                                       "the Content-Range is malformed",
                                       NULL);
    }

    u->ranged = 1;
    u->length = end - u->start + 1;

    if (r->headers_in.content_length_n >= 0
        && r->headers_in.content_length_n != u->length)
    {
        return ngx_http_oci_upload_error(r, u, OCI_RANGE);
    }

    return NGX_DECLINED;
}


static int
ngx_http_oci_upload_acquire_work(void *data)
{
    ngx_http_oci_upload_t  *u = data;

    int  rc;

    rc = oci_upload_acquire(&u->session, u->store, u->repo, &u->user, &u->id);

    if (rc == OCI_OK) {
        u->open = 1;
    }

    return rc;
}


static void
ngx_http_oci_upload_acquire_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_upload_t  *u = data;

    if (rc != OCI_OK) {
        ngx_http_finalize_request(r, ngx_http_oci_upload_error(r, u, rc));
        return;
    }

    if (u->ranged && u->start != u->session.offset) {

        rc = ngx_http_oci_upload_post(r, u, ngx_http_oci_upload_close_work,
                                      ngx_http_oci_upload_range_done);
        ngx_http_finalize_request(r, rc);
        return;
    }

    ngx_http_oci_upload_receive(r, u);
}


static int
ngx_http_oci_upload_close_work(void *data)
{
    ngx_http_oci_upload_t  *u = data;

    u->open = 0;
    oci_upload_close(&u->session);

    return OCI_OK;
}


/* out of order: the session goes on from where it is */

static void
ngx_http_oci_upload_range_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_upload_t  *u = data;

    ngx_int_t  n;

    if (ngx_http_oci_upload_headers(r, u) != NGX_OK) {
        n = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {
        n = ngx_http_oci_send_error(r, OCI_ERR_BLOB_UPLOAD_INVALID,
                                    NGX_HTTP_RANGE_NOT_SATISFIABLE,
                                    "the chunk does not continue the upload",
                                    NULL);
    }

    ngx_http_finalize_request(r, n);
}


/* a request that asks or ends a session and brings nothing */

static ngx_int_t
ngx_http_oci_upload_bodyless(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_work_pt work, ngx_http_oci_done_pt done)
{
    ngx_int_t               rc;
    ngx_http_oci_upload_t  *u;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    u = ngx_http_oci_upload_create(r, ctx);
    if (u == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->route.rc != OCI_OK) {
        return ngx_http_oci_upload_error(r, u, OCI_NOT_FOUND);
    }

    return ngx_http_oci_upload_post(r, u, work, done);
}


ngx_int_t
ngx_http_oci_upload_status_handler(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx)
{
    return ngx_http_oci_upload_bodyless(r, ctx,
                                        ngx_http_oci_upload_status_work,
                                        ngx_http_oci_upload_status_done);
}


static int
ngx_http_oci_upload_status_work(void *data)
{
    ngx_http_oci_upload_t  *u = data;

    return oci_upload_status(&u->session, u->store, u->repo, &u->user,
                             &u->id);
}


static void
ngx_http_oci_upload_status_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_upload_t  *u = data;

    ngx_int_t  n;

    if (rc != OCI_OK) {
        n = ngx_http_oci_upload_error(r, u, rc);

    } else if (ngx_http_oci_upload_headers(r, u) != NGX_OK) {
        n = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {
        n = ngx_http_oci_send_empty(r, NGX_HTTP_NO_CONTENT);
    }

    ngx_http_finalize_request(r, n);
}


ngx_int_t
ngx_http_oci_upload_cancel_handler(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx)
{
    return ngx_http_oci_upload_bodyless(r, ctx,
                                        ngx_http_oci_upload_cancel_work,
                                        ngx_http_oci_upload_cancel_done);
}


static int
ngx_http_oci_upload_cancel_work(void *data)
{
    ngx_http_oci_upload_t  *u = data;

    int  rc;

    rc = oci_upload_acquire(&u->session, u->store, u->repo, &u->user, &u->id);

    if (rc != OCI_OK) {
        return rc;
    }

    rc = oci_upload_remove(&u->session);

    if (rc == OCI_OK) {
        u->cancelled = 1;
    }

    return rc;
}


static void
ngx_http_oci_upload_cancel_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_upload_t  *u = data;

    ngx_http_finalize_request(r, rc == OCI_OK
                                 ? ngx_http_oci_send_empty(r,
                                                       NGX_HTTP_NO_CONTENT)
                                 : ngx_http_oci_upload_error(r, u, rc));
}


ngx_int_t
ngx_http_oci_upload_headers(ngx_http_request_t *r, ngx_http_oci_upload_t *u)
{
    u_char     *p;
    ngx_str_t   path, range, id, url;

    path.data = ngx_pnalloc(r->pool, sizeof("/v2//blobs/uploads/")
                                     + u->repo->name.len + u->id.len);
    range.data = ngx_pnalloc(r->pool, sizeof("0-") + NGX_INT64_LEN);

    if (path.data == NULL || range.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(path.data, "/v2/%*s/blobs/uploads/%*s", u->repo->name.len,
                    u->repo->name.data, u->id.len, u->id.data);
    path.len = p - path.data;

    /* nothing yet can't be told from one byte: "0-0" is what all send */

    p = ngx_sprintf(range.data, "0-%L", u->session.offset > 0
                                        ? u->session.offset - 1 : 0);
    range.len = p - range.data;

    id.data = u->id.data;
    id.len = u->id.len;

    if (ngx_http_oci_public_url(r, &path, &url) != NGX_OK) {
        return NGX_ERROR;
    }

    if (url.len
        && ngx_http_oci_add_header(r, "Docker-Upload-Location", &url)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_oci_add_header(r, "Location", &path) != NGX_OK
        || ngx_http_oci_add_header(r, "Range", &range) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_oci_add_header(r, "Docker-Upload-UUID", &id);
}


ngx_int_t
ngx_http_oci_upload_created(ngx_http_request_t *r, ngx_http_oci_upload_t *u)
{
    if (ngx_http_oci_add_digest(r, &u->digest) != NGX_OK
        || ngx_http_oci_add_location(r, "blobs", &u->digest) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_send_empty(r, NGX_HTTP_CREATED);
}


ngx_int_t
ngx_http_oci_upload_error(ngx_http_request_t *r, ngx_http_oci_upload_t *u,
    int rc)
{
    switch (rc) {

    case OCI_NOT_FOUND:
        return ngx_http_oci_send_error(r, OCI_ERR_BLOB_UPLOAD_UNKNOWN, 0, NULL,
                                       NULL);

    case OCI_RANGE:
        return ngx_http_oci_send_error(r, OCI_ERR_SIZE_INVALID, 0,
                                       "the body is not as long as its "
                                       "Content-Range says", NULL);

    case OCI_MISMATCH:
        return ngx_http_oci_send_error(r, OCI_ERR_DIGEST_INVALID, 0,
                                       "the content does not match the digest",
                                       NULL);

    case OCI_CONFLICT:
        if (ngx_http_oci_upload_headers(r, u) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_oci_send_error(r, OCI_ERR_BLOB_UPLOAD_INVALID,
                                       NGX_HTTP_CONFLICT,
                                       "another request writes to the upload",
                                       NULL);

    default:
        return ngx_http_oci_send_failure(r, rc);
    }
}
