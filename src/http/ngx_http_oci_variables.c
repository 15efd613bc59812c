
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_module.h"


static ngx_int_t ngx_http_oci_operation_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_oci_repository_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_oci_reference_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_oci_digest_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_oci_media_type_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_oci_cache_status_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_oci_upstream_bytes_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static void ngx_http_oci_variable_set(ngx_http_variable_value_t *v,
    u_char *p, size_t len);


static ngx_http_variable_t  ngx_http_oci_vars[] = {

    { ngx_string("oci_operation"), NULL, ngx_http_oci_operation_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("oci_repository"), NULL, ngx_http_oci_repository_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("oci_reference"), NULL, ngx_http_oci_reference_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("oci_digest"), NULL, ngx_http_oci_digest_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("oci_media_type"), NULL, ngx_http_oci_media_type_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("oci_cache_status"), NULL,
      ngx_http_oci_cache_status_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("oci_upstream_bytes"), NULL,
      ngx_http_oci_upstream_bytes_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


/*
 * All speak of the main request: in a subrequest (auth_request) it is the
 * client's wish that is to be judged.
 */


/* by operation: what it needs the right for */

static ngx_str_t  ngx_http_oci_operation_names[] = {
    ngx_null_string,            /* none */
    ngx_string("base"),
    ngx_string("catalog"),
    ngx_string("pull"),         /* manifest_get */
    ngx_string("push"),         /* manifest_put */
    ngx_string("delete"),       /* manifest_delete */
    ngx_string("pull"),         /* blob_get */
    ngx_string("delete"),       /* blob_delete */
    ngx_string("push"),         /* upload_start */
    ngx_string("push"),         /* upload_patch */
    ngx_string("push"),         /* upload_put */
    ngx_string("push"),         /* upload_status */
    ngx_string("push"),         /* upload_cancel */
    ngx_string("pull"),         /* tags */
    ngx_string("pull"),         /* referrers */
    ngx_string("pull"),         /* hub_info */
    ngx_string("pull")          /* hub_file */
};


static ngx_str_t  ngx_http_oci_cache_status_names[] = {
    ngx_null_string,            /* nothing that is cached */
    ngx_string("HIT"),
    ngx_string("MISS"),
    ngx_string("REVALIDATED"),
    ngx_string("STALE"),
    ngx_string("FILL")
};


ngx_int_t
ngx_http_oci_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_oci_vars; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_operation_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t           *name;
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_oci_get_ctx(r->main);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    name = &ngx_http_oci_operation_names[ctx->op];

    ngx_http_oci_variable_set(v, name->data, name->len);

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_repository_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_oci_get_ctx(r->main);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_http_oci_variable_set(v, ctx->repo.name.data, ctx->repo.name.len);

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_reference_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_oci_get_ctx(r->main);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_http_oci_variable_set(v, ctx->route.reference.data,
                              ctx->route.reference.len);

    return NGX_OK;
}


/* of the answer once there is one, else of the request */

static ngx_int_t
ngx_http_oci_digest_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_oci_get_ctx(r->main);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx->digest.len) {
        ngx_http_oci_variable_set(v, ctx->digest.data, ctx->digest.len);

    } else if (ctx->route.is_digest && ctx->route.rc == OCI_OK) {

        /* a digest has one text, the one that was sent */

        ngx_http_oci_variable_set(v, ctx->route.reference.data,
                                  ctx->route.reference.len);

    } else {
        v->not_found = 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_media_type_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_oci_get_ctx(r->main);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_http_oci_variable_set(v, ctx->media_type.data, ctx->media_type.len);

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_cache_status_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t           *name;
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_oci_get_ctx(r->main);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    name = &ngx_http_oci_cache_status_names[ctx->cache_status];

    ngx_http_oci_variable_set(v, name->data, name->len);

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_upstream_bytes_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char              *p;
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_oci_get_ctx(r->main);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx->route.endpoint == OCI_ENDPOINT_NONE) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_OFF_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_http_oci_variable_set(v, p, ngx_sprintf(p, "%O", ctx->upstream_bytes)
                                    - p);

    return NGX_OK;
}


static void
ngx_http_oci_variable_set(ngx_http_variable_value_t *v, u_char *p, size_t len)
{
    if (len == 0) {
        v->not_found = 1;
        return;
    }

    v->data = p;
    v->len = len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
}
