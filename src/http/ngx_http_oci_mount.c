
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A mount reads the repository that it names, which the rights to this one
 * say nothing about.  nginx attaches rights to locations, so a mount is made
 * only where the source's path leads to the same location; nginx itself
 * finds that out, in a subrequest that ends before anything has an effect.
 */


#include "ngx_http_oci_upload.h"


static ngx_int_t ngx_http_oci_mount_probe(ngx_http_request_t *r);
static ngx_int_t ngx_http_oci_mount_done(ngx_http_request_t *r, void *data,
    ngx_int_t rc);
static void ngx_http_oci_mount_resume(ngx_http_request_t *r);


ngx_int_t
ngx_http_oci_mount_check(ngx_http_request_t *r, ngx_http_oci_upload_t *u)
{
    u_char                      *p;
    ngx_str_t                    uri;
    ngx_http_oci_ctx_t          *ctx;
    ngx_http_variable_value_t   *variables;
    ngx_http_core_main_conf_t   *cmcf;
    ngx_http_post_subrequest_t  *ps;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);
    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    uri.data = ngx_pnalloc(r->pool, sizeof("/v2//blobs/") + OCI_DIGEST_MAX
                                    + u->from.name.len);
    ps = ngx_palloc(r->pool, sizeof(ngx_http_post_subrequest_t));

    /* captures of its path are not to stand in for those of ours */

    variables = ngx_pcalloc(r->pool, cmcf->variables.nelts
                                     * sizeof(ngx_http_variable_value_t));

    if (uri.data == NULL || ps == NULL || variables == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(uri.data, "/v2/%*s/blobs/", u->from.name.len,
                    u->from.name.data);
    p += oci_digest_text(&u->digest, p);
    uri.len = p - uri.data;

    ps->handler = ngx_http_oci_mount_done;
    ps->data = u;

    u->mount = 0;

    if (ngx_http_subrequest(r, &uri, NULL, &ctx->probe, ps,
                            NGX_HTTP_SUBREQUEST_IN_MEMORY
                            |NGX_HTTP_SUBREQUEST_WAITED)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->probe->variables = variables;

    r->write_event_handler = ngx_http_oci_mount_resume;

    return NGX_OK;
}


/* of every subrequest: access is not checked in one, nor content made yet */

ngx_int_t
ngx_http_oci_mount_phase(ngx_http_request_t *r)
{
    ngx_http_oci_ctx_t  *ctx;

    if (r == r->main) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_get_module_ctx(r->parent, ngx_http_oci_module);

    if (ctx == NULL || ctx->probe != r) {
        return NGX_DECLINED;
    }

    ngx_http_finalize_request(r, ngx_http_oci_mount_probe(r));

    return NGX_DONE;
}


static ngx_int_t
ngx_http_oci_mount_probe(ngx_http_request_t *r)
{
    ngx_http_oci_ctx_t        *ctx;
    ngx_http_core_loc_conf_t  *own, *from;

    ctx = ngx_http_get_module_ctx(r->parent, ngx_http_oci_module);

    own = ngx_http_get_module_loc_conf(r->parent, ngx_http_core_module);
    from = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    /* a limit_except or an "if" within a location shares its name */

    ctx->mountable = (own->name.data == from->name.data
                      && own->name.len == from->name.len);

#if (NGX_PCRE)

    /* rights may hang on what a regular expression captured */

    if (own->regex && own->regex->ncaptures) {
        ctx->mountable = 0;
    }

#endif

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_mount_done(ngx_http_request_t *r, void *data, ngx_int_t rc)
{
    /* whatever became of it elsewhere is not this request's end */

    return NGX_OK;
}


static void
ngx_http_oci_mount_resume(ngx_http_request_t *r)
{
    ngx_http_oci_ctx_t     *ctx;
    ngx_http_oci_upload_t  *u;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    if (ctx->probe == NULL || !ctx->probe->done) {
        return;
    }

    u = ctx->probe->post_subrequest->data;

    ctx->probe = NULL;
    u->mount = ctx->mountable;

    r->write_event_handler = ngx_http_request_empty_handler;

    ngx_http_finalize_request(r, u->proceed ? u->proceed(r, u)
                                            : ngx_http_oci_upload_start(r, u));
}
