
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What an upstream said to a push, as the client is to hear it.
 */


#include "ngx_http_oci_push.h"
#include "ngx_http_oci_circuit.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_task.h"

#include "oci_blob.h"
#include "oci_json.h"
#include "oci_lock.h"
#include "oci_manifest_store.h"
#include "oci_tag.h"


#define NGX_HTTP_OCI_PUSH_DEPTH  16


static ngx_int_t ngx_http_oci_push_failed(ngx_http_oci_push_t *p,
    ngx_http_oci_fetch_rc_e rc);
static ngx_int_t ngx_http_oci_push_success(ngx_http_oci_push_t *p,
    ngx_http_oci_fetch_t *f);
static ngx_int_t ngx_http_oci_push_created(ngx_http_oci_push_t *p,
    ngx_http_oci_fetch_t *f);
static ngx_uint_t ngx_http_oci_push_digest(ngx_http_oci_push_t *p,
    ngx_http_oci_fetch_t *f, oci_digest_t *d);
static ngx_int_t ngx_http_oci_push_session(ngx_http_oci_push_t *p,
    ngx_http_oci_fetch_t *f);
static ngx_int_t ngx_http_oci_push_copy(ngx_http_oci_push_t *p,
    ngx_http_oci_fetch_t *f, const char *lower, const char *name);
static ngx_int_t ngx_http_oci_push_forget(ngx_http_oci_push_t *p);
static int ngx_http_oci_push_forget_work(void *data);
static void ngx_http_oci_push_forgotten(ngx_http_request_t *r, void *data,
    int rc);
static ngx_int_t ngx_http_oci_push_refused(ngx_http_oci_push_t *p,
    ngx_http_oci_fetch_t *f, ngx_uint_t status);
static oci_error_t ngx_http_oci_push_code(ngx_http_oci_push_t *p,
    ngx_uint_t status);
static ngx_uint_t ngx_http_oci_push_valid(ngx_http_oci_push_t *p);


ngx_int_t
ngx_http_oci_push_answer(ngx_http_oci_push_t *p, ngx_http_oci_fetch_t *f,
    ngx_http_oci_fetch_rc_e rc)
{
    ngx_uint_t                status, failed;
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(p->request, ngx_http_oci_module);

    /* also where no answer came: the upstream may have done it */

    ngx_http_oci_push_refresh(p);

    if (rc != NGX_HTTP_OCI_FETCH_OK) {

        /* a body that broke off says less of the upstream than no answer */

        failed = (rc == NGX_HTTP_OCI_FETCH_RESOLVE
                  || rc == NGX_HTTP_OCI_FETCH_CONNECT
                  || rc == NGX_HTTP_OCI_FETCH_TLS
                  || rc == NGX_HTTP_OCI_FETCH_PROXY);

        if (failed) {
            ngx_http_oci_circuit_report(&olcf->store->cache, p->u->target, 1,
                                        p->request->connection->log);
        }

        return ngx_http_oci_push_failed(p, rc);
    }

    status = f->response->status;

    if (!ngx_http_oci_fetch_failed(f, rc)) {
        ngx_http_oci_circuit_report(&olcf->store->cache, p->u->target, 0,
                                    p->request->connection->log);
    }

    if (status < 300) {
        return ngx_http_oci_push_success(p, f);
    }

    if (status == NGX_HTTP_NOT_FOUND && !p->u->client
        && p->request->method == NGX_HTTP_DELETE
        && p->ctx->route.endpoint != OCI_ENDPOINT_UPLOAD)
    {
        /* so it is not to stay here either */

        p->status = status;

        return ngx_http_oci_push_forget(p);
    }

    return ngx_http_oci_push_refused(p, f, status);
}


void
ngx_http_oci_push_refresh(ngx_http_oci_push_t *p)
{
    ngx_http_oci_loc_conf_t  *olcf;

    switch (p->ctx->op) {

    case NGX_HTTP_OCI_OP_UPLOAD_PATCH:
    case NGX_HTTP_OCI_OP_UPLOAD_STATUS:
    case NGX_HTTP_OCI_OP_UPLOAD_CANCEL:
        return;

    case NGX_HTTP_OCI_OP_UPLOAD_START:

        if (p->args.len == 0) {

            /* neither a mount nor the content itself */

            return;
        }

        break;

    default:
        break;
    }

    olcf = ngx_http_get_module_loc_conf(p->request, ngx_http_oci_module);

    ngx_http_oci_zone_push(&olcf->store->cache, oci_repo_hash(&p->ctx->repo));
    oci_generation_raise(&olcf->store->store, &p->ctx->repo);
}


static ngx_int_t
ngx_http_oci_push_failed(ngx_http_oci_push_t *p, ngx_http_oci_fetch_rc_e rc)
{
    ngx_log_error(NGX_LOG_ERR, p->request->connection->log, 0,
                  "push to upstream failed: %s",
                  ngx_http_oci_fetch_error(rc));

    return ngx_http_oci_send_error(p->request, OCI_ERR_UNAVAILABLE,
               rc == NGX_HTTP_OCI_FETCH_TIMEOUT ? NGX_HTTP_GATEWAY_TIME_OUT
                                                : NGX_HTTP_BAD_GATEWAY,
               "the upstream does not answer", NULL);
}


static ngx_int_t
ngx_http_oci_push_success(ngx_http_oci_push_t *p, ngx_http_oci_fetch_t *f)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = p->request;

    p->status = f->response->status;

    switch (p->ctx->op) {

    case NGX_HTTP_OCI_OP_MANIFEST_DELETE:
    case NGX_HTTP_OCI_OP_BLOB_DELETE:
        return ngx_http_oci_push_forget(p);

    case NGX_HTTP_OCI_OP_MANIFEST_PUT:
        rc = ngx_http_oci_push_created(p, f);
        break;

    case NGX_HTTP_OCI_OP_UPLOAD_CANCEL:
        rc = NGX_OK;
        break;

    default:
        rc = (p->status == NGX_HTTP_CREATED)
             ? ngx_http_oci_push_created(p, f)
             : ngx_http_oci_push_session(p, f);
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_oci_send_error(r, OCI_ERR_UNAVAILABLE,
                                       NGX_HTTP_BAD_GATEWAY,
                                       "the upstream leads an upload to where "
                                       "it can't go on", NULL);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_send_empty(r, p->status);
}


static ngx_int_t
ngx_http_oci_push_created(ngx_http_oci_push_t *p, ngx_http_oci_fetch_t *f)
{
    oci_digest_t  d;

    if (ngx_http_oci_push_digest(p, f, &d)
        && (ngx_http_oci_add_digest(p->request, &d) != NGX_OK
            || ngx_http_oci_add_location(p->request,
                   p->ctx->route.endpoint == OCI_ENDPOINT_MANIFEST
                       ? "manifests" : "blobs", &d)
               != NGX_OK))
    {
        return NGX_ERROR;
    }

    if (ngx_http_oci_push_copy(p, f, "oci-subject", "OCI-Subject")
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_oci_push_copy(p, f, "oci-tag", "OCI-Tag");
}


/* as the upstream says, else as the client did */

static ngx_uint_t
ngx_http_oci_push_digest(ngx_http_oci_push_t *p, ngx_http_oci_fetch_t *f,
    oci_digest_t *d)
{
    oci_str_t  args, value;
    u_char     buf[OCI_DIGEST_MAX];

    if (f->response->digest.len
        && oci_digest_parse(d, f->response->digest.data,
                            f->response->digest.len)
           == OCI_OK)
    {
        return 1;
    }

    if (p->ctx->route.endpoint == OCI_ENDPOINT_MANIFEST) {

        if (!p->ctx->route.is_digest || p->ctx->route.rc != OCI_OK) {
            return 0;
        }

        *d = p->ctx->route.digest;
        return 1;
    }

    args.data = p->args.data;
    args.len = p->args.len;

    return (oci_query_arg(&args, "digest", 0, &value, buf, sizeof(buf))
                == OCI_OK
            || oci_query_arg(&args, "mount", 0, &value, buf, sizeof(buf))
               == OCI_OK)
           && oci_digest_parse(d, value.data, value.len) == OCI_OK;
}


/* where an upload is and how far it has come */

static ngx_int_t
ngx_http_oci_push_session(ngx_http_oci_push_t *p, ngx_http_oci_fetch_t *f)
{
    ngx_int_t            rc;
    ngx_str_t            location, url;
    ngx_http_request_t  *r;

    r = p->request;

    if (f->response->location.len || p->ctx->op
                                     == NGX_HTTP_OCI_OP_UPLOAD_START)
    {
        rc = ngx_http_oci_push_location(p, f, &location);

        if (rc != NGX_OK) {
            return rc;
        }

        if (ngx_http_oci_add_header(r, "Location", &location) != NGX_OK
            || ngx_http_oci_public_url(r, &location, &url) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (url.len
            && ngx_http_oci_add_header(r, "Docker-Upload-Location", &url)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_http_oci_push_copy(p, f, "range", "Range") != NGX_OK
        || ngx_http_oci_push_copy(p, f, "oci-chunk-min-length",
                                  "OCI-Chunk-Min-Length")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_oci_push_copy(p, f, "docker-upload-uuid",
                                  "Docker-Upload-UUID");
}


/* all of that name; what was parsed holds no control characters */

static ngx_int_t
ngx_http_oci_push_copy(ngx_http_oci_push_t *p, ngx_http_oci_fetch_t *f,
    const char *lower, const char *name)
{
    unsigned          i;
    ngx_str_t         value, text;
    const oci_str_t  *v;

    for (i = 0; (v = oci_response_header(f->response, lower, i)); i++) {

        text.data = v->data;
        text.len = v->len;

        value.len = text.len;
        value.data = ngx_pstrdup(p->request->pool, &text);

        if (value.data == NULL
            || ngx_http_oci_push_header(p->request, (u_char *) name,
                                        ngx_strlen(name), &value)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* what was deleted there goes from here, lest it be served as stale */

static ngx_int_t
ngx_http_oci_push_forget(ngx_http_oci_push_t *p)
{
    ngx_http_request_t       *r;
    ngx_http_oci_loc_conf_t  *olcf;

    r = p->request;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (ngx_http_oci_task_post(r, olcf->write_pool,
                               ngx_http_oci_push_forget_work,
                               ngx_http_oci_push_forgotten, p, 1)
        != NGX_OK)
    {
        return ngx_http_oci_send_failure(r, OCI_AGAIN);
    }

    ngx_http_oci_task_watch(r);

    return NGX_DONE;
}


static int
ngx_http_oci_push_forget_work(void *data)
{
    ngx_http_oci_push_t  *p = data;

    int                 rc;
    oci_lock_t          lock;
    oci_route_t        *route;
    const oci_repo_t   *repo;
    const oci_store_t  *store;

    route = &p->ctx->route;
    repo = p->u->right.repo;
    store = p->store;

    if (route->rc != OCI_OK) {

        /* of an algorithm that nothing here can have */

        return OCI_OK;
    }

    if (route->endpoint == OCI_ENDPOINT_BLOB) {

        rc = oci_lock_repo(&lock, store, repo, 1, 0);

        if (rc == OCI_OK) {
            rc = oci_blob_delete(store, repo, &route->digest);
            oci_lock_release(&lock);
        }

    } else if (route->is_digest) {
        rc = oci_manifest_delete(store, repo, &route->digest);

    } else {
        rc = oci_tag_delete(store, repo, &route->reference);
    }

    return (rc == OCI_NOT_FOUND) ? OCI_OK : rc;
}


static void
ngx_http_oci_push_forgotten(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_push_t  *p = data;

    ngx_int_t  n;

    if (rc != OCI_OK) {
        n = ngx_http_oci_send_failure(r, rc);

    } else if (p->status == NGX_HTTP_NOT_FOUND) {
        n = ngx_http_oci_push_refused(p, NULL, p->status);

    } else {
        n = ngx_http_oci_send_empty(r, p->status);
    }

    ngx_http_finalize_request(r, n);
}


static ngx_int_t
ngx_http_oci_push_refused(ngx_http_oci_push_t *p, ngx_http_oci_fetch_t *f,
    ngx_uint_t status)
{
    oci_error_t          e;
    ngx_http_request_t  *r;

    r = p->request;

    if (status < 400) {
        return ngx_http_oci_send_error(r, OCI_ERR_UNAVAILABLE,
                                       NGX_HTTP_BAD_GATEWAY,
                                       "the upstream leads elsewhere", NULL);
    }

    if (status == NGX_HTTP_UNAUTHORIZED && !p->u->client) {

        /* no login of the client's would help: this is our account's */

        return ngx_http_oci_send_error(r, OCI_ERR_DENIED, 0,
                                       "the upstream does not let this "
                                       "server do it", NULL);
    }

    if (f && (ngx_http_oci_push_copy(p, f, "retry-after", "Retry-After")
                  != NGX_OK
              || (p->u->client
                  && ngx_http_oci_push_copy(p, f, "www-authenticate",
                                            "WWW-Authenticate")
                     != NGX_OK)))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (f && p->ctx->route.endpoint == OCI_ENDPOINT_UPLOAD
        && (status == NGX_HTTP_RANGE_NOT_SATISFIABLE
            || status == NGX_HTTP_CONFLICT)
        && ngx_http_oci_push_session(p, f) == NGX_ERROR)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_oci_push_valid(p)) {

        if (f && ngx_http_oci_push_copy(p, f, "allow", "Allow") != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "oci: %ui, the upstream refused a push", status);

        return ngx_http_oci_send_memory(r, status, &ngx_http_oci_type_json,
                                        p->text, p->text_len);
    }

    e = ngx_http_oci_push_code(p, status);

    return ngx_http_oci_send_error(r, e, status, "the upstream refuses",
                                   NULL);
}


static oci_error_t
ngx_http_oci_push_code(ngx_http_oci_push_t *p, ngx_uint_t status)
{
    oci_endpoint_t  endpoint;

    endpoint = p->ctx->route.endpoint;

    switch (status) {

    case NGX_HTTP_NOT_FOUND:

        switch (endpoint) {

        case OCI_ENDPOINT_UPLOAD:
            return OCI_ERR_BLOB_UPLOAD_UNKNOWN;

        case OCI_ENDPOINT_MANIFEST:
            return OCI_ERR_MANIFEST_UNKNOWN;

        case OCI_ENDPOINT_BLOB:
            return OCI_ERR_BLOB_UNKNOWN;

        default:
            return OCI_ERR_NAME_UNKNOWN;
        }

    case NGX_HTTP_BAD_REQUEST:
    case NGX_HTTP_CONFLICT:
    case NGX_HTTP_RANGE_NOT_SATISFIABLE:
        return (endpoint == OCI_ENDPOINT_MANIFEST)
               ? OCI_ERR_MANIFEST_INVALID : OCI_ERR_BLOB_UPLOAD_INVALID;

    default:
        return oci_error_of_status(status);
    }
}


/* 1 if the body is an error as the specification has it */

static ngx_uint_t
ngx_http_oci_push_valid(ngx_http_oci_push_t *p)
{
    size_t       i;
    json_t      *root, *errors, *each;
    oci_str_t    code;
    ngx_uint_t   valid;
    const char  *reason;

    if (p->text_len == 0 || p->long_text
        || oci_json_load(&root, p->text, p->text_len, NGX_HTTP_OCI_PUSH_DEPTH,
                         &reason)
           != OCI_OK)
    {
        return 0;
    }

    errors = oci_json_get(root, "errors");

    valid = json_is_array(errors) && json_array_size(errors) > 0;

    for (i = 0; valid && i < json_array_size(errors); i++) {
        each = json_array_get(errors, i);

        valid = json_is_object(each)
                && oci_json_str(oci_json_get(each, "code"), &code)
                && code.len > 0;
    }

    json_decref(root);

    return valid;
}
