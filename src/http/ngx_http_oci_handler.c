
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * From a request to an operation: one route, one gate, one dispatch.
 */


#include "ngx_http_oci_module.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_operations.h"
#include "ngx_http_oci_push.h"


typedef struct {
    oci_endpoint_t       endpoint;
    ngx_uint_t           method;            /* NGX_HTTP_GET covers HEAD */
    ngx_http_oci_op_e    op;
    ngx_uint_t           right;             /* 0: always */
    ngx_int_t          (*handler)(ngx_http_request_t *r,
                                  ngx_http_oci_ctx_t *ctx);
} ngx_http_oci_operation_t;


static ngx_int_t ngx_http_oci_parse(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);
static const ngx_http_oci_operation_t *ngx_http_oci_find(
    ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx);
static ngx_int_t ngx_http_oci_namespace(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);


static const ngx_http_oci_operation_t  ngx_http_oci_operations[] = {

    /* the order in which they are looked for: what is asked for most first */

    { OCI_ENDPOINT_MANIFEST, NGX_HTTP_GET, NGX_HTTP_OCI_OP_MANIFEST_GET,
      NGX_HTTP_OCI_PULL, ngx_http_oci_manifest_handler },

    { OCI_ENDPOINT_BLOB, NGX_HTTP_GET, NGX_HTTP_OCI_OP_BLOB_GET,
      NGX_HTTP_OCI_PULL, ngx_http_oci_blob_handler },

    { OCI_ENDPOINT_BASE, NGX_HTTP_GET, NGX_HTTP_OCI_OP_BASE,
      0, ngx_http_oci_base_handler },

    { OCI_ENDPOINT_CATALOG, NGX_HTTP_GET, NGX_HTTP_OCI_OP_CATALOG,
      NGX_HTTP_OCI_PULL, ngx_http_oci_catalog_handler },

    { OCI_ENDPOINT_MANIFEST, NGX_HTTP_PUT, NGX_HTTP_OCI_OP_MANIFEST_PUT,
      NGX_HTTP_OCI_PUSH, ngx_http_oci_manifest_put_handler },

    { OCI_ENDPOINT_MANIFEST, NGX_HTTP_DELETE, NGX_HTTP_OCI_OP_MANIFEST_DELETE,
      NGX_HTTP_OCI_DELETE, ngx_http_oci_delete_handler },

    { OCI_ENDPOINT_BLOB, NGX_HTTP_DELETE, NGX_HTTP_OCI_OP_BLOB_DELETE,
      NGX_HTTP_OCI_DELETE, ngx_http_oci_delete_handler },

    { OCI_ENDPOINT_UPLOADS, NGX_HTTP_POST, NGX_HTTP_OCI_OP_UPLOAD_START,
      NGX_HTTP_OCI_PUSH, ngx_http_oci_upload_start_handler },

    { OCI_ENDPOINT_UPLOAD, NGX_HTTP_PATCH, NGX_HTTP_OCI_OP_UPLOAD_PATCH,
      NGX_HTTP_OCI_PUSH, ngx_http_oci_upload_write_handler },

    { OCI_ENDPOINT_UPLOAD, NGX_HTTP_PUT, NGX_HTTP_OCI_OP_UPLOAD_PUT,
      NGX_HTTP_OCI_PUSH, ngx_http_oci_upload_write_handler },

    { OCI_ENDPOINT_UPLOAD, NGX_HTTP_GET, NGX_HTTP_OCI_OP_UPLOAD_STATUS,
      NGX_HTTP_OCI_PUSH, ngx_http_oci_upload_status_handler },

    { OCI_ENDPOINT_UPLOAD, NGX_HTTP_DELETE, NGX_HTTP_OCI_OP_UPLOAD_CANCEL,
      NGX_HTTP_OCI_PUSH, ngx_http_oci_upload_cancel_handler },

    { OCI_ENDPOINT_TAGS, NGX_HTTP_GET, NGX_HTTP_OCI_OP_TAGS,
      NGX_HTTP_OCI_PULL, ngx_http_oci_tags_handler },

    { OCI_ENDPOINT_REFERRERS, NGX_HTTP_GET, NGX_HTTP_OCI_OP_REFERRERS,
      NGX_HTTP_OCI_PULL, ngx_http_oci_referrers_handler }
};


#define NGX_HTTP_OCI_OPERATIONS                                               \
    (sizeof(ngx_http_oci_operations) / sizeof(ngx_http_oci_operations[0]))


ngx_http_oci_ctx_t *
ngx_http_oci_get_ctx(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_oci_ctx_t       *ctx;
    ngx_http_oci_loc_conf_t  *olcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);
    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    /* a variable may have asked before a rewrite, or outside its location */

    if (ctx && ctx->uri.data == r->uri.data && ctx->uri.len == r->uri.len
        && ctx->view == olcf->view)
    {
        return ctx;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_oci_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    ctx->uri = r->uri;
    ctx->view = olcf->view;

    rc = ctx->view ? ctx->view->parse(r, ctx) : ngx_http_oci_parse(r, ctx);

    if (rc != NGX_OK) {
        return NULL;
    }

    if (ctx->view == NULL) {
        ctx->operation = ngx_http_oci_find(r, ctx);
    }

    ngx_http_set_ctx(r, ctx, ngx_http_oci_module);

    return ctx;
}


static ngx_int_t
ngx_http_oci_parse(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    size_t      len;
    u_char     *p, *path;
    ngx_str_t  *uri;

    /*
     * As the client sent it, since nginx has decoded r->uri and merged its
     * slashes; after a rewrite that is all there is, and an escape that is
     * left in it was escaped twice.
     */

    if (r->uri.data == NULL) {

        /* the log of a connection that brought no request */

        return NGX_OK;
    }

    if (r->valid_unparsed_uri) {
        uri = &r->unparsed_uri;

        len = uri->len;

        if (r->args_start) {
            p = memchr(uri->data, '?', len);
            len = p ? (size_t) (p - uri->data) : len;
        }

        if (r->complex_uri) {
            p = memchr(uri->data, '#', len);
            len = p ? (size_t) (p - uri->data) : len;
        }

        if (oci_route_plain(&ctx->route, uri->data, len)) {
            ctx->repo.name = ctx->route.name;
            return NGX_OK;
        }

    } else {
        uri = &r->uri;
        len = uri->len;

        if (ngx_strlchr(uri->data, uri->data + len, '%')) {
            ctx->route.endpoint = OCI_ENDPOINT_UNKNOWN;
            ctx->route_error = OCI_ERR_NAME_INVALID;
            return NGX_OK;
        }
    }

    path = ngx_pnalloc(r->pool, len + 1);
    if (path == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(path, uri->data, len);
    path[len] = '\0';

    if (oci_route_parse(&ctx->route, path, len, &ctx->route_error) == OCI_OK) {
        ctx->route_error = OCI_ERR_NONE;
        ctx->repo.name = ctx->route.name;

    } else {
        ctx->route.endpoint = OCI_ENDPOINT_UNKNOWN;
    }

    return NGX_OK;
}


static const ngx_http_oci_operation_t *
ngx_http_oci_find(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    ngx_uint_t                       i, method;
    const ngx_http_oci_operation_t  *op;

    method = (r->method == NGX_HTTP_HEAD) ? NGX_HTTP_GET : r->method;

    for (i = 0; i < NGX_HTTP_OCI_OPERATIONS; i++) {
        op = &ngx_http_oci_operations[i];

        if (op->endpoint == ctx->route.endpoint && op->method == method) {
            ctx->op = op->op;
            return op;
        }
    }

    ctx->op = NGX_HTTP_OCI_OP_NONE;

    return NULL;
}


ngx_uint_t
ngx_http_oci_allow(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    ngx_uint_t                       i, allow;
    ngx_http_oci_loc_conf_t         *olcf;
    const ngx_http_oci_operation_t  *op;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (ctx->view) {
        return (olcf->methods & NGX_HTTP_OCI_PULL) ? ctx->allow : 0;
    }

    allow = 0;

    for (i = 0; i < NGX_HTTP_OCI_OPERATIONS; i++) {
        op = &ngx_http_oci_operations[i];

        if (op->endpoint != ctx->route.endpoint) {
            continue;
        }

        if (op->right == 0 || (olcf->methods & op->right)) {
            allow |= op->method;

            if (op->method == NGX_HTTP_GET) {
                allow |= NGX_HTTP_HEAD;
            }
        }
    }

    return allow;
}


ngx_int_t
ngx_http_oci_handler(ngx_http_request_t *r)
{
    ngx_int_t                        rc;
    ngx_http_oci_ctx_t              *ctx;
    ngx_http_oci_loc_conf_t         *olcf;
    const ngx_http_oci_operation_t  *op;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (olcf->store == NULL) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_oci_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->route.endpoint == OCI_ENDPOINT_NONE) {
        return NGX_DECLINED;
    }

    if (ctx->route_error != OCI_ERR_NONE) {
        return ngx_http_oci_send_error(r, ctx->route_error, 0, NULL, NULL);
    }

    if (ctx->route.endpoint == OCI_ENDPOINT_UNKNOWN) {
        return ngx_http_oci_send_error(r, OCI_ERR_NAME_UNKNOWN, 0,
                                       "no such endpoint", NULL);
    }

    op = ctx->operation;

    if (op == NULL) {
        return ngx_http_oci_send_error(r, OCI_ERR_UNSUPPORTED, 0,
                                       "the method is not allowed here",
                                       NULL);
    }

    rc = ngx_http_oci_gate(r, ctx, op->right);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if ((op->right & (NGX_HTTP_OCI_PUSH|NGX_HTTP_OCI_DELETE))
        && olcf->edge && olcf->edge->push == NGX_HTTP_OCI_PUSH_UPSTREAM)
    {
        rc = ngx_http_oci_push_upstream(r, ctx);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    return op->handler(r, ctx);
}


ngx_int_t
ngx_http_oci_gate(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_uint_t right)
{
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (right && !(olcf->methods & right)) {
        return ngx_http_oci_send_error(r, OCI_ERR_UNSUPPORTED, 0,
                                       "the operation is disabled here",
                                       NULL);
    }

    if (!olcf->store->ready) {
        return ngx_http_oci_send_error(r, OCI_ERR_UNAVAILABLE, 0,
                                       "the store is not available", NULL);
    }

    return ngx_http_oci_namespace(r, ctx);
}


/* NGX_DECLINED to go on, else what the handler returns */

static ngx_int_t
ngx_http_oci_namespace(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    ngx_str_t                 value, *allow;
    ngx_uint_t                i;
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (olcf->ns == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_http_complex_value(r, olcf->ns, &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (value.len == 0 && olcf->ns->lengths == NULL) {
        return NGX_DECLINED;
    }

    if (olcf->ns->lengths == NULL) {

        /* a constant was checked when the configuration was read */

        ctx->repo.ns.data = value.data;
        ctx->repo.ns.len = value.len;

        return NGX_DECLINED;
    }

    allow = olcf->ns_allow ? olcf->ns_allow->elts : NULL;

    for (i = 0; allow && i < olcf->ns_allow->nelts; i++) {

        if (allow[i].len == value.len
            && ngx_strncmp(allow[i].data, value.data, value.len) == 0)
        {
            ctx->repo.ns.data = allow[i].data;
            ctx->repo.ns.len = allow[i].len;

            return NGX_DECLINED;
        }
    }

    return ngx_http_oci_send_error(r, OCI_ERR_NAME_UNKNOWN, 0,
                                   "the namespace is not served here", NULL);
}
