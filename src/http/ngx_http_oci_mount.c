
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A mount reads the repository that it names, which the rights to this one
 * say nothing about.  nginx attaches rights to locations, so a mount is made
 * only where the source's path leads to the same location; nginx itself
 * finds that out, in a subrequest that answers nothing.
 */


#include "ngx_http_oci_upload.h"


static ngx_int_t ngx_http_oci_mount_done(ngx_http_request_t *r, void *data,
    ngx_int_t rc);
static void ngx_http_oci_mount_resume(ngx_http_request_t *r);


ngx_int_t
ngx_http_oci_mount_check(ngx_http_request_t *r, ngx_http_oci_upload_t *u)
{
    u_char                      *p;
    ngx_str_t                    uri;
    ngx_http_oci_ctx_t          *ctx;
    ngx_http_post_subrequest_t  *ps;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    uri.data = ngx_pnalloc(r->pool, sizeof("/v2//blobs/") + OCI_DIGEST_MAX
                                    + u->from.name.len);
    ps = ngx_palloc(r->pool, sizeof(ngx_http_post_subrequest_t));

    if (uri.data == NULL || ps == NULL) {
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

    r->write_event_handler = ngx_http_oci_mount_resume;

    return NGX_OK;
}


/* the content handler of the subrequest: it came to a location of ours */

ngx_int_t
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

    ngx_http_finalize_request(r, ngx_http_oci_upload_start(r, u));
}
