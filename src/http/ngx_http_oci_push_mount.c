
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A mount at the upstream.
 */


#include "ngx_http_oci_push.h"
#include "ngx_http_oci_upload.h"


static ngx_int_t ngx_http_oci_push_source(ngx_http_oci_push_t *p,
    ngx_http_oci_upload_t *source);
static ngx_int_t ngx_http_oci_push_mounted(ngx_http_request_t *r,
    ngx_http_oci_upload_t *source);


/*
 * The edge's own account may read more than who asks for a mount, so the
 * source has to be what this location shows; an upload without it is what
 * the client gets otherwise.
 */

ngx_int_t
ngx_http_oci_push_mount(ngx_http_oci_push_t *p)
{
    ngx_int_t               rc;
    ngx_http_oci_upload_t  *source;

    source = ngx_http_oci_upload_create(p->request, p->ctx);
    if (source == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_oci_push_source(p, source);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_oci_push_begin(p);
    }

    source->proceed = ngx_http_oci_push_mounted;
    source->owner = p;

    if (p->u->client) {

        /* its own right there is for the upstream to judge */

        source->mount = 1;

        return ngx_http_oci_push_mounted(p->request, source);
    }

    if (ngx_http_oci_mount_check(p->request, source) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p->request->main->count++;

    return NGX_DONE;
}


/*
 * NGX_DECLINED: there is none, or which repository of the upstream it stands
 * for hangs on more than its name.
 */

static ngx_int_t
ngx_http_oci_push_source(ngx_http_oci_push_t *p,
    ngx_http_oci_upload_t *source)
{
    u_char                   *buf;
    oci_str_t                 args, value;
    ngx_http_request_t       *r;
    ngx_http_oci_loc_conf_t  *olcf;
    u_char                    digest[OCI_DIGEST_MAX];

    r = p->request;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (olcf->mount == NGX_HTTP_OCI_MOUNT_OFF
        || p->streamed
        || p->u->conf->target == NULL
        || p->u->conf->repository != NULL)
    {
        return NGX_DECLINED;
    }

    buf = ngx_pnalloc(r->pool, OCI_NAME_MAX);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    args.data = r->args.data;
    args.len = r->args.len;

    if (oci_query_arg(&args, "mount", 0, &value, digest, sizeof(digest))
            != OCI_OK
        || oci_digest_parse(&source->digest, value.data, value.len)
           != OCI_OK
        || oci_query_arg(&args, "from", 0, &source->from.name, buf,
                         OCI_NAME_MAX)
           != OCI_OK
        || !oci_name_valid(source->from.name.data, source->from.name.len))
    {
        return NGX_DECLINED;
    }

    source->from.ns = p->ctx->repo.ns;

    return NGX_OK;
}


/* the location was looked at: source->mount is what came of it */

static ngx_int_t
ngx_http_oci_push_mounted(ngx_http_request_t *r,
    ngx_http_oci_upload_t *source)
{
    u_char                 *at;
    size_t                  len;
    ngx_str_t               name;
    ngx_http_oci_push_t    *p;
    ngx_http_oci_target_t  *t;

    p = source->owner;

    if (!source->mount) {
        return ngx_http_oci_push_begin(p);
    }

    name.data = source->from.name.data;
    name.len = source->from.name.len;

    if (ngx_http_oci_target_eval(r, p->u->conf, &name, &t) != NGX_OK) {
        return ngx_http_oci_push_begin(p);
    }

    len = sizeof("mount=&from=&") - 1 + OCI_DIGEST_MAX + t->repository.len
          + p->args.len;

    at = ngx_pnalloc(r->pool, len);

    p->scope.data = ngx_pnalloc(r->pool, sizeof("repository::pull")
                                         + t->repository.len);

    if (at == NULL || p->scope.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p->scope.len = ngx_sprintf(p->scope.data, "repository:%V:pull",
                               &t->repository)
                   - p->scope.data;

    name.data = at;

    at = ngx_cpymem(at, "mount=", sizeof("mount=") - 1);
    at += oci_digest_text(&source->digest, at);
    at = ngx_sprintf(at, "&from=%V", &t->repository);

    if (p->args.len) {
        at = ngx_sprintf(at, "&%V", &p->args);
    }

    p->args.data = name.data;
    p->args.len = at - name.data;

    return ngx_http_oci_push_begin(p);
}
