
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The directive; what a path asks for, and of which repository; refusals in
 * the words that clients of the hub know.
 */


#include "ngx_http_oci_huggingface_part.h"
#include "ngx_http_oci_send.h"

#include "oci_list.h"


static ngx_int_t ngx_http_oci_hf_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_oci_hf_refuse(ngx_http_oci_hf_t *hf);
static ngx_int_t ngx_http_oci_hf_post(ngx_http_oci_hf_t *hf);
static void ngx_http_oci_hf_posted(ngx_http_request_t *r);
static ngx_int_t ngx_http_oci_hf_body(ngx_http_oci_hf_t *hf);
static ngx_int_t ngx_http_oci_hf_body_text(ngx_http_request_t *r,
    ngx_str_t *body);
static void ngx_http_oci_hf_paths_cleanup(void *data);
static ngx_int_t ngx_http_oci_hf_parse(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);
static ngx_int_t ngx_http_oci_hf_path(ngx_http_request_t *r,
    ngx_http_oci_hf_conf_t *conf, ngx_str_t *path);
static void ngx_http_oci_hf_parsed(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_hf_t *hf,
    ngx_http_oci_hf_conf_t *conf);
static ngx_int_t ngx_http_oci_hf_error(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, oci_error_t e, ngx_uint_t status,
    const char *message, ngx_str_t *body);
static const char *ngx_http_oci_hf_code(ngx_http_request_t *r,
    ngx_http_oci_hf_t *hf, oci_error_t e, ngx_uint_t status,
    const char **text);
static ngx_uint_t ngx_http_oci_hf_repository(ngx_http_request_t *r,
    ngx_http_oci_hf_t *hf);


static const ngx_http_oci_view_t  ngx_http_oci_hf_view = {
    ngx_http_oci_hf_parse,
    ngx_http_oci_hf_handler,
    ngx_http_oci_hf_manifest,
    ngx_http_oci_hf_blob,
    ngx_http_oci_hf_error
};


static ngx_int_t
ngx_http_oci_hf_handler(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_oci_hf_t        *hf;
    ngx_http_oci_ctx_t       *ctx;
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (olcf->view != &ngx_http_oci_hf_view) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_oci_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    hf = ctx->viewed;
    hf->load.store = &olcf->store->store;

    if (!(ctx->allow & r->method)) {
        return ngx_http_oci_send_error(r, OCI_ERR_UNSUPPORTED, 0,
                                       "the method is not allowed here",
                                       NULL);
    }

    rc = ngx_http_oci_gate(r, ctx, NGX_HTTP_OCI_PULL);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    rc = ngx_http_oci_hf_refuse(hf);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (hf->route.endpoint == OCI_HUB_PATHS) {
        return ngx_http_oci_hf_post(hf);
    }

    if (hf->route.endpoint == OCI_HUB_REFS && olcf->edge == NULL) {

        /* an edge asks its upstream for main first, and by what right */

        return ngx_http_oci_hf_refs(hf);
    }

    return ngx_http_oci_hf_revision(hf);
}


/* what no repository need be asked for; NGX_DECLINED to go on */

static ngx_int_t
ngx_http_oci_hf_refuse(ngx_http_oci_hf_t *hf)
{
    ngx_http_request_t  *r;

    r = hf->request;

    if (hf->ctx->route_error != OCI_ERR_NONE) {
        return ngx_http_oci_send_error(r, hf->ctx->route_error, 0,
                                       "the path is not well-formed", NULL);
    }

    switch (hf->route.endpoint) {

    case OCI_HUB_UNKNOWN:
        return ngx_http_oci_send_error(r, OCI_ERR_NAME_UNKNOWN, 0,
                                       "no such endpoint", NULL);

    case OCI_HUB_WHOAMI:
        return ngx_http_oci_send_error(r, OCI_ERR_UNAUTHORIZED, 0,
                                       "nobody is logged in here", NULL);

    case OCI_HUB_OTHER:
        return ngx_http_oci_send_error(r, OCI_ERR_NAME_UNKNOWN, 0,
                                       "only models are served here", NULL);

    default:
        break;
    }

    if (hf->route.bad_id) {
        return ngx_http_oci_send_error(r, OCI_ERR_NAME_UNKNOWN, 0, NULL,
                                       NULL);
    }

    return NGX_DECLINED;
}


/* a short body, which names paths */

static ngx_int_t
ngx_http_oci_hf_post(ngx_http_oci_hf_t *hf)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = hf->request;

    rc = ngx_http_read_client_request_body(r, ngx_http_oci_hf_posted);

    return (rc >= NGX_HTTP_SPECIAL_RESPONSE) ? rc : NGX_DONE;
}


static void
ngx_http_oci_hf_posted(ngx_http_request_t *r)
{
    ngx_int_t            rc;
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    rc = ngx_http_oci_hf_body(ctx->viewed);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_oci_hf_revision(ctx->viewed);
    }

    ngx_http_finalize_request(r, rc);
}


/* NGX_DECLINED to go on, else what finalizes the request */

static ngx_int_t
ngx_http_oci_hf_body(ngx_http_oci_hf_t *hf)
{
    ngx_str_t            body;
    ngx_uint_t           json;
    ngx_table_elt_t     *type;
    ngx_pool_cleanup_t  *cln;
    ngx_http_request_t  *r;

    r = hf->request;

    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (cln == NULL || ngx_http_oci_hf_body_text(r, &body) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    type = r->headers_in.content_type;

    json = (type && type->value.len >= sizeof("application/json") - 1
            && ngx_strncasecmp(type->value.data,
                               (u_char *) "application/json",
                               sizeof("application/json") - 1)
               == 0);

    switch (oci_hub_paths(&hf->paths, body.data, body.len, json)) {

    case OCI_OK:
        cln->handler = ngx_http_oci_hf_paths_cleanup;
        cln->data = hf;
        return NGX_DECLINED;

    case OCI_RANGE:
        return ngx_http_oci_send_error(r, OCI_ERR_SIZE_INVALID, 0,
                                       "too many paths", NULL);

    case OCI_INVALID:
        return ngx_http_oci_send_error(r, OCI_ERR_SIZE_INVALID, 0,
                                       "the body does not name paths", NULL);

    default:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}


/* no longer than client_max_body_size; a file of it was written just now */

static ngx_int_t
ngx_http_oci_hf_body_text(ngx_http_request_t *r, ngx_str_t *body)
{
    u_char       *p;
    off_t         size;
    ngx_buf_t    *b;
    ngx_chain_t  *cl, *bufs;

    bufs = r->request_body ? r->request_body->bufs : NULL;
    size = 0;

    for (cl = bufs; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    p = ngx_pnalloc(r->pool, (size_t) size + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    body->data = p;
    body->len = (size_t) size;

    for (cl = bufs; cl; cl = cl->next) {
        b = cl->buf;

        if (ngx_buf_in_memory(b)) {
            p = ngx_cpymem(p, b->pos, b->last - b->pos);
            continue;
        }

        size = b->in_file ? ngx_buf_size(b) : 0;

        if (size == 0) {
            continue;
        }

        if (ngx_read_file(b->file, p, (size_t) size, b->file_pos)
            != (ssize_t) size)
        {
            return NGX_ERROR;
        }

        p += size;
    }

    return NGX_OK;
}


static void
ngx_http_oci_hf_paths_cleanup(void *data)
{
    ngx_http_oci_hf_t  *hf = data;

    oci_hub_paths_free(&hf->paths);
}


static ngx_int_t
ngx_http_oci_hf_parse(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_str_t                 path;
    ngx_http_oci_hf_t        *hf;
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    hf = ngx_pcalloc(r->pool, sizeof(ngx_http_oci_hf_t));
    if (hf == NULL) {
        return NGX_ERROR;
    }

    hf->request = r;
    hf->ctx = ctx;

    ctx->viewed = hf;
    ctx->allow = NGX_HTTP_GET|NGX_HTTP_HEAD;
    ctx->route.endpoint = OCI_ENDPOINT_UNKNOWN;

    rc = ngx_http_oci_hf_path(r, olcf->view_conf, &path);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        return NGX_OK;
    }

    if (rc != NGX_OK
        || oci_hub_parse(&hf->route, path.data, path.len) != OCI_OK)
    {
        ctx->route_error = OCI_ERR_NAME_INVALID;
        hf->route.endpoint = OCI_HUB_UNKNOWN;
        return NGX_OK;
    }

    ngx_http_oci_hf_parsed(r, ctx, hf, olcf->view_conf);

    return NGX_OK;
}


/*
 * As the client sent it, since escapes tell a slash within a revision from
 * one behind it; after a rewrite nginx' own is all there is.  NGX_DECLINED:
 * it does not begin as the location does; NGX_ABORT: what is left in it was
 * escaped twice.
 */

static ngx_int_t
ngx_http_oci_hf_path(ngx_http_request_t *r, ngx_http_oci_hf_conf_t *conf,
    ngx_str_t *path)
{
    size_t      len;
    ngx_str_t  *uri;

    uri = r->valid_unparsed_uri ? &r->unparsed_uri : &r->uri;

    for (len = 0; len < uri->len; len++) {

        if (!r->valid_unparsed_uri) {

            if (uri->data[len] == '%') {
                return NGX_ABORT;
            }

        } else if (uri->data[len] == '?' || uri->data[len] == '#') {
            break;
        }
    }

    if (len < conf->base.len
        || ngx_strncmp(uri->data, conf->base.data, conf->base.len) != 0)
    {
        return NGX_DECLINED;
    }

    path->len = len - conf->base.len;

    path->data = ngx_pnalloc(r->pool, path->len + 1);
    if (path->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(path->data, uri->data + conf->base.len, path->len);
    path->data[path->len] = '\0';

    return NGX_OK;
}


static void
ngx_http_oci_hf_parsed(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_hf_t *hf, ngx_http_oci_hf_conf_t *conf)
{
    oci_hub_route_t  *route;

    route = &hf->route;

    hf->model.id = route->id;
    hf->main.data = conf->main.data;
    hf->main.len = conf->main.len;

    switch (route->endpoint) {

    case OCI_HUB_UNKNOWN:
    case OCI_HUB_OTHER:
    case OCI_HUB_WHOAMI:
        return;

    case OCI_HUB_PATHS:
        ctx->allow = NGX_HTTP_POST;
        break;

    default:
        break;
    }

    if (!route->bad_id
        && oci_hub_repository(&route->id, (oci_str_t *) &conf->prefix,
                              hf->name, &ctx->repo.name)
           != OCI_OK)
    {
        route->bad_id = 1;
    }

    if (route->bad_id) {
        ctx->repo.name.len = 0;
        return;
    }

    ctx->route.name = ctx->repo.name;
    ctx->route.reference = route->revision;

    if (ctx->allow & r->method) {
        ctx->op = ngx_http_oci_hf_file_op(hf) ? NGX_HTTP_OCI_OP_HUB_FILE
                                              : NGX_HTTP_OCI_OP_HUB_INFO;
    }
}


/* X-Error-Code is what clients choose their exception by */

static ngx_int_t
ngx_http_oci_hf_error(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    oci_error_t e, ngx_uint_t status, const char *message, ngx_str_t *body)
{
    ngx_str_t           value;
    oci_text_t          text;
    const char         *code, *usual;
    ngx_http_oci_hf_t  *hf;

    hf = ctx->viewed;

    code = ngx_http_oci_hf_code(r, hf, e, status, &usual);

    if (message == NULL) {
        message = usual;
    }

    if (code) {
        value.data = (u_char *) code;
        value.len = ngx_strlen(code);

        if (ngx_http_oci_add_header(r, "X-Error-Code", &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    value.data = (u_char *) message;
    value.len = ngx_strlen(message);

    if (ngx_http_oci_add_header(r, "X-Error-Message", &value) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&text, sizeof(oci_text_t));

    if (oci_hub_error(&text, message) != OCI_OK) {
        free(text.data);
        return NGX_ERROR;
    }

    body->data = text.data;
    body->len = text.len;

    return ngx_http_oci_adopt(r, text.data);
}


/* NULL: none; text is what is said where nobody knows better */

static const char *
ngx_http_oci_hf_code(ngx_http_request_t *r, ngx_http_oci_hf_t *hf,
    oci_error_t e, ngx_uint_t status, const char **text)
{
    switch (status) {

    case NGX_HTTP_UNAUTHORIZED:
        *text = "a login is needed";

        return (hf->route.endpoint == OCI_HUB_WHOAMI) ? NULL : "RepoNotFound";

    case NGX_HTTP_FORBIDDEN:
        *text = "access is denied";
        return "GatedRepo";

    case NGX_HTTP_NOT_FOUND:
        break;

    case NGX_HTTP_NOT_ALLOWED:
        *text = "the method is not allowed here";
        return NULL;

    case NGX_HTTP_TOO_MANY_REQUESTS:
        *text = "too many requests";
        return NULL;

    default:
        *text = (status >= NGX_HTTP_INTERNAL_SERVER_ERROR)
                ? "it can't be served now" : "the request is refused";
        return NULL;
    }

    switch (e) {

    case OCI_ERR_BLOB_UNKNOWN:
        *text = "no such file";
        return "EntryNotFound";

    case OCI_ERR_MANIFEST_UNKNOWN:

        if (ngx_http_oci_hf_repository(r, hf)) {
            *text = "no such revision";
            return "RevisionNotFound";
        }

        break;

    default:
        break;
    }

    *text = "no such repository";

    return (hf->route.endpoint == OCI_HUB_UNKNOWN) ? NULL : "RepoNotFound";
}


/* 1 if who asks may know that there is such a repository, and there is */

static ngx_uint_t
ngx_http_oci_hf_repository(ngx_http_request_t *r, ngx_http_oci_hf_t *hf)
{
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (olcf->edge && olcf->edge->auth == NGX_HTTP_OCI_AUTH_CLIENT) {
        return 0;
    }

    return oci_repo_known(&olcf->store->store, &hf->ctx->repo);
}


/* oci_huggingface NAME [main=TAG] [prefix=PATH] */

char *
ngx_http_oci_huggingface_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_oci_loc_conf_t  *olcf = conf;

    ngx_str_t                 *value, s;
    ngx_uint_t                 i;
    ngx_http_core_loc_conf_t  *clcf;
    ngx_http_oci_hf_conf_t    *hcf;

    if (olcf->name.data) {
        return "is duplicate, or stands beside \"oci\"";
    }

    hcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_oci_hf_conf_t));
    if (hcf == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_str_set(&hcf->main, "latest");
    ngx_str_set(&hcf->prefix, "");
    ngx_str_set(&hcf->base, "");

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        return "needs the zone of a store";
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "main=", 5) == 0) {
            s.data = value[i].data + 5;
            s.len = value[i].len - 5;

            if (!oci_tag_valid(s.data, s.len)) {
                goto invalid;
            }

            hcf->main = s;

        } else if (ngx_strncmp(value[i].data, "prefix=", 7) == 0) {
            s.data = value[i].data + 7;
            s.len = value[i].len - 7;

            while (s.len && s.data[s.len - 1] == '/') {
                s.len--;
            }

            if (!oci_name_valid(s.data, s.len)) {
                goto invalid;
            }

            hcf->prefix.len = s.len + 1;
            hcf->prefix.data = ngx_pnalloc(cf->pool, s.len + 1);
            if (hcf->prefix.data == NULL) {
                return NGX_CONF_ERROR;
            }

            (void) ngx_sprintf(hcf->prefix.data, "%V/", &s);

        } else {
            goto invalid;
        }
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* what clients have behind the host in HF_ENDPOINT */

    if (!clcf->named
#if (NGX_PCRE)
        && clcf->regex == NULL
#endif
       )
    {
        hcf->base = clcf->name;

        while (hcf->base.len && hcf->base.data[hcf->base.len - 1] == '/') {
            hcf->base.len--;
        }
    }

    olcf->name = value[1];
    olcf->view = &ngx_http_oci_hf_view;
    olcf->view_conf = hcf;

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                       &value[i]);

    return NGX_CONF_ERROR;
}
