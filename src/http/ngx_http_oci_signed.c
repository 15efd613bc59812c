
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A signed URL stands for a login: its handler in the access phase leads past
 * the handlers of nginx that ask for one.  What goes by the address (allow,
 * deny) holds for it as for any request.
 */


#include "ngx_http_oci_signed.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_target.h"

#include <openssl/sha.h>


#define NGX_HTTP_OCI_SIGNED_LIFETIME  3600
#define NGX_HTTP_OCI_SIGNED_LONGEST   (365 * 24 * 3600)

/* of a key file */

#define NGX_HTTP_OCI_SIGNED_KEY_MIN   16
#define NGX_HTTP_OCI_SIGNED_KEY_MAX   4096

/* of an Authorization that is kept */

#define NGX_HTTP_OCI_SIGNED_AUTH_MAX  (32 * 1024)


static ngx_int_t ngx_http_oci_signed_phase(ngx_http_request_t *r);
static ngx_int_t ngx_http_oci_signed_valid(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_loc_conf_t *olcf, oci_signed_t *s);
static ngx_int_t ngx_http_oci_signed_pass(ngx_http_request_t *r);
static ngx_int_t ngx_http_oci_signed_of(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_loc_conf_t *olcf, oci_signed_t *s);
static const u_char *ngx_http_oci_signed_key(ngx_http_oci_loc_conf_t *olcf);
static void ngx_http_oci_signed_zone_key(ngx_http_oci_zone_key_t *key,
    ngx_http_oci_ctx_t *ctx, oci_signed_t *s);
static void ngx_http_oci_signed_keep(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_loc_conf_t *olcf, oci_signed_t *s);
static ngx_int_t ngx_http_oci_signed_restore(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_loc_conf_t *olcf, oci_signed_t *s);
static ngx_int_t ngx_http_oci_signed_location(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_signed_conf_t *conf,
    oci_signed_t *s, ngx_str_t *location);
static ngx_int_t ngx_http_oci_signed_read_key(ngx_conf_t *cf,
    ngx_http_oci_signed_conf_t *conf, ngx_str_t *name);


/* of allow and deny; NULL: this nginx has none */

static ngx_http_handler_pt  ngx_http_oci_signed_addresses;

static ngx_str_t  ngx_http_oci_signed_no_store = ngx_string("no-store");


ngx_int_t
ngx_http_oci_signed_init(ngx_conf_t *cf)
{
    ngx_uint_t                  i, n;
    ngx_array_t                *handlers;
    ngx_module_t              **modules;
    ngx_http_module_t          *module;
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;
    ngx_http_oci_main_conf_t   *omcf;

    omcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_oci_module);

    if (!omcf->signed_urls) {

        /* a handler costs every request of this nginx something */

        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    handlers = &cmcf->phases[NGX_HTTP_ACCESS_PHASE].handlers;
    modules = cf->cycle->modules;

    ngx_http_oci_signed_addresses = NULL;

    /*
     * nginx tells nobody which handler is whose.  The module of allow and
     * deny is asked to name its own once more, and that is taken off again.
     */

    for (i = 0; modules[i]; i++) {

        if (modules[i]->type != NGX_HTTP_MODULE
            || ngx_strcmp(modules[i]->name, "ngx_http_access_module") != 0)
        {
            continue;
        }

        module = modules[i]->ctx;
        n = handlers->nelts;

        if (module->postconfiguration == NULL
            || module->postconfiguration(cf) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (handlers->nelts == n + 1) {
            h = handlers->elts;
            ngx_http_oci_signed_addresses = h[n];
        }

        handlers->nelts = n;
        break;
    }

    h = ngx_array_push(handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_oci_signed_phase;

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_signed_phase(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    oci_signed_t              s;
    ngx_http_oci_ctx_t       *ctx;
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (olcf->store == NULL || olcf->signed_urls == NULL) {
        return NGX_DECLINED;
    }

    if (r->args.len == 0) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_oci_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->op != NGX_HTTP_OCI_OP_BLOB_GET || ctx->route.rc != OCI_OK) {
        return NGX_DECLINED;
    }

    rc = ngx_http_oci_signed_valid(r, ctx, olcf, &s);

    if (rc != NGX_OK) {
        return rc;
    }

    if (s.has_client
        && ngx_http_oci_signed_restore(r, ctx, olcf, &s) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->signed_url = 1;

    return ngx_http_oci_signed_pass(r);
}


/* NGX_OK, NGX_DECLINED: as if it had no signature, or a status */

static ngx_int_t
ngx_http_oci_signed_valid(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_loc_conf_t *olcf, oci_signed_t *s)
{
    int          rc;
    const char  *why;

    rc = oci_signed_parse(s, (oci_str_t *) &r->args);

    if (rc == OCI_NOT_FOUND) {
        return NGX_DECLINED;
    }

    if (rc == OCI_OK) {

        if (ngx_http_oci_signed_of(r, ctx, olcf, s) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        rc = oci_signed_check(s, ngx_http_oci_signed_key(olcf), ngx_time());
    }

    switch (rc) {

    case OCI_OK:
        return NGX_OK;

    case OCI_RANGE:
        why = "the time of a signed URL is over";
        break;

    case OCI_ERROR:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;

    default: /* OCI_INVALID, OCI_MISMATCH */
        why = "a signed URL is not as it was signed";
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0, "oci: %s", why);

    /* a login, where there is one, gets it a new URL */

    return r->headers_in.authorization ? NGX_DECLINED : NGX_HTTP_FORBIDDEN;
}


/* what follows in the access phase is passed over */

static ngx_int_t
ngx_http_oci_signed_pass(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_core_main_conf_t  *cmcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->satisfy != NGX_HTTP_SATISFY_ALL) {
        return NGX_OK;
    }

    if (ngx_http_oci_signed_addresses) {
        rc = ngx_http_oci_signed_addresses(r);

        if (rc != NGX_OK && rc != NGX_DECLINED) {
            return rc;
        }
    }

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    /* nginx goes on to the next of a handler that declines */

    r->phase_handler = cmcf->phase_engine.handlers[r->phase_handler].next - 1;

    return NGX_DECLINED;
}


/* what the URL of this request is signed for, besides what its query says */

static ngx_int_t
ngx_http_oci_signed_of(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_loc_conf_t *olcf, oci_signed_t *s)
{
    ngx_str_t               value;
    ngx_http_oci_target_t  *target;

    ngx_str_null(&value);

    if (olcf->ns && ngx_http_complex_value(r, olcf->ns, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    s->ns.data = value.data;
    s->ns.len = value.len;
    s->name = ctx->route.name;
    s->digest = ctx->route.digest;

    s->upstream.len = 0;
    s->upstream.data = NULL;

    if (olcf->edge == NULL) {
        return NGX_OK;
    }

    value.data = ctx->route.name.data;
    value.len = ctx->route.name.len;

    switch (ngx_http_oci_target_eval(r, olcf->edge, &value, &target)) {

    case NGX_OK:
        s->upstream.data = target->key.data;
        s->upstream.len = target->key.len;
        return NGX_OK;

    case NGX_DECLINED:
        return NGX_OK;

    default:
        return NGX_ERROR;
    }
}


static const u_char *
ngx_http_oci_signed_key(ngx_http_oci_loc_conf_t *olcf)
{
    return olcf->signed_urls->keyed ? olcf->signed_urls->key
                                    : olcf->store->cache.sh->secret;
}


/*
 * Where the upstream is asked with each client's own Authorization, a signed
 * URL stands for one.  It is in the zone, and the URL has a name for it.
 */

static void
ngx_http_oci_signed_zone_key(ngx_http_oci_zone_key_t *key,
    ngx_http_oci_ctx_t *ctx, oci_signed_t *s)
{
    oci_repo_t  repo;
    oci_str_t   who;

    repo.ns = s->ns;
    repo.name = ctx->route.name;

    who.data = s->client;
    who.len = sizeof(s->client);

    ngx_http_oci_zone_key(key, NGX_HTTP_OCI_ZONE_SIGNED, &repo, &who,
                          &s->upstream);
}


static void
ngx_http_oci_signed_keep(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_loc_conf_t *olcf, oci_signed_t *s)
{
    ngx_str_t                  *value;
    ngx_http_oci_zone_t        *z;
    ngx_http_oci_zone_key_t     key;
    ngx_http_oci_zone_entry_t  *e;

    z = &olcf->store->cache;
    value = &r->headers_in.authorization->value;

    ngx_http_oci_signed_zone_key(&key, ctx, s);

    ngx_http_oci_zone_lock(z);
    ngx_http_oci_zone_change(z);

    e = ngx_http_oci_zone_add(z, &key, 0, NULL, 0, value->data, value->len);

    if (e != NULL) {
        e->checked = ngx_current_msec;
    }

    ngx_http_oci_zone_unlock(z);

    ngx_http_oci_zone_warn(z, r->connection->log);
}


static ngx_int_t
ngx_http_oci_signed_restore(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_loc_conf_t *olcf, oci_signed_t *s)
{
    u_char                     *p;
    size_t                      len;
    uint64_t                    life;
    ngx_table_elt_t            *h;
    ngx_http_oci_zone_t        *z;
    ngx_http_oci_zone_key_t     key;
    ngx_http_oci_zone_entry_t  *e;

    z = &olcf->store->cache;
    life = (uint64_t) olcf->signed_urls->lifetime * 1000;

    p = ngx_pnalloc(r->pool, NGX_HTTP_OCI_SIGNED_AUTH_MAX);
    h = ngx_pcalloc(r->pool, sizeof(ngx_table_elt_t));

    if (p == NULL || h == NULL) {
        return NGX_ERROR;
    }

    len = 0;

    ngx_http_oci_signed_zone_key(&key, ctx, s);

    ngx_http_oci_zone_lock(z);

    e = ngx_http_oci_zone_find(z, &key);

    if (e != NULL && ngx_current_msec > e->checked
        && ngx_current_msec - e->checked > life)
    {
        ngx_http_oci_zone_change(z);
        ngx_http_oci_zone_remove(z, e);
        e = NULL;
    }

    if (e != NULL && e->body_len <= NGX_HTTP_OCI_SIGNED_AUTH_MAX) {
        e->used = 1;
        len = e->body_len;
        ngx_http_oci_zone_copy(e, p);
    }

    ngx_http_oci_zone_unlock(z);

    /* lost: the upstream is asked as for who sends nothing */

    if (len) {
        h->hash = 1;
        ngx_str_set(&h->key, "Authorization");
        h->lowcase_key = (u_char *) "authorization";
        h->value.data = p;
        h->value.len = len;

        r->headers_in.authorization = h;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_oci_signed_redirect(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    ngx_str_t                    location, *auth;
    oci_signed_t                 s;
    ngx_http_oci_loc_conf_t     *olcf;
    ngx_http_oci_signed_conf_t  *conf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);
    conf = olcf->signed_urls;

    /* nothing of a HEAD is asked for in parts */

    if (conf == NULL || ctx->signed_url || r->method == NGX_HTTP_HEAD
        || r->headers_in.authorization == NULL)
    {
        return NGX_DECLINED;
    }

    if (ngx_http_oci_signed_of(r, ctx, olcf, &s) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    s.expires = (int64_t) ngx_time() + conf->lifetime;
    s.has_client = 0;

    if (olcf->edge && olcf->edge->auth == NGX_HTTP_OCI_AUTH_CLIENT) {
        auth = &r->headers_in.authorization->value;

        if (auth->len == 0 || auth->len > NGX_HTTP_OCI_SIGNED_AUTH_MAX) {
            return NGX_DECLINED;
        }

        if (oci_signed_client(&s, ngx_http_oci_signed_key(olcf), auth->data,
                              auth->len)
            != OCI_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ngx_http_oci_signed_keep(r, ctx, olcf, &s);
    }

    if (oci_signed_sign(&s, ngx_http_oci_signed_key(olcf)) != OCI_OK
        || ngx_http_oci_signed_location(r, ctx, conf, &s, &location)
           != NGX_OK
        || ngx_http_oci_add_header(r, "Location", &location) != NGX_OK
        || ngx_http_oci_add_header(r, "Cache-Control",
                                   &ngx_http_oci_signed_no_store)
           != NGX_OK
        || ngx_http_oci_add_digest(r, &ctx->route.digest) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_send_empty(r, NGX_HTTP_TEMPORARY_REDIRECT);
}


/* arguments of the request stay: variables may choose by them */

static ngx_int_t
ngx_http_oci_signed_location(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_signed_conf_t *conf, oci_signed_t *s, ngx_str_t *location)
{
    u_char     *p, *arg, *last, *end;
    ngx_str_t   path;

    path.data = ngx_pnalloc(r->pool, sizeof("/v2//blobs/?&") + OCI_DIGEST_MAX
                                     + ctx->route.name.len + r->args.len
                                     + OCI_SIGNED_QUERY_MAX);
    if (path.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(path.data, "/v2/%*s/blobs/", ctx->route.name.len,
                    ctx->route.name.data);
    p += oci_digest_text(&ctx->route.digest, p);

    *p++ = '?';

    arg = r->args.data;
    last = arg + r->args.len;

    for ( /* void */ ; arg < last; arg = end + 1) {

        end = ngx_strlchr(arg, last, '&');
        if (end == NULL) {
            end = last;
        }

        if (end > arg && !oci_signed_own(arg, end - arg)) {
            p = ngx_cpymem(p, arg, end - arg);
            *p++ = '&';
        }
    }

    p += oci_signed_query(s, p);

    path.len = p - path.data;

    if (conf->url.len == 0) {

        if (ngx_http_oci_public_url(r, &path, location) != NGX_OK) {
            return NGX_ERROR;
        }

        if (location->len == 0) {
            *location = path;
        }

        return NGX_OK;
    }

    location->len = conf->url.len + path.len;
    location->data = ngx_pnalloc(r->pool, location->len);
    if (location->data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(location->data, "%V%V", &conf->url, &path);

    return NGX_OK;
}


ngx_int_t
ngx_http_oci_signed_self(ngx_http_request_t *r, ngx_str_t *path)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, path->len + 1 + r->args.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(p, "%V?%V", path, &r->args);

    path->len += 1 + r->args.len;
    path->data = p;

    return NGX_OK;
}


/* oci_signed_urls on | off [lifetime=TIME] [url=URL] [key=FILE] */

char *
ngx_http_oci_signed_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_oci_loc_conf_t  *olcf = conf;

    ngx_str_t                   *value, s;
    ngx_uint_t                   i;
    ngx_http_oci_main_conf_t    *omcf;
    ngx_http_oci_signed_conf_t  *scf;

    if (olcf->signed_urls != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0 && cf->args->nelts == 2) {
        olcf->signed_urls = NULL;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "on") != 0) {
        return "must be \"on\" or \"off\"";
    }

    scf = ngx_pcalloc(cf->pool, sizeof(ngx_http_oci_signed_conf_t));
    if (scf == NULL) {
        return NGX_CONF_ERROR;
    }

    omcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_oci_module);
    omcf->signed_urls = 1;

    scf->lifetime = NGX_HTTP_OCI_SIGNED_LIFETIME;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "lifetime=", 9) == 0) {
            s.data = value[i].data + 9;
            s.len = value[i].len - 9;

            scf->lifetime = ngx_parse_time(&s, 1);

            if (scf->lifetime <= 0
                || scf->lifetime > NGX_HTTP_OCI_SIGNED_LONGEST)
            {
                goto invalid;
            }

        } else if (ngx_strncmp(value[i].data, "url=", 4) == 0) {
            scf->url.data = value[i].data + 4;
            scf->url.len = value[i].len - 4;

            if (ngx_strncasecmp(scf->url.data, (u_char *) "http://", 7) != 0
                && ngx_strncasecmp(scf->url.data, (u_char *) "https://", 8)
                   != 0)
            {
                goto invalid;
            }

            while (scf->url.data[scf->url.len - 1] == '/') {
                scf->url.len--;
            }

        } else if (ngx_strncmp(value[i].data, "key=", 4) == 0) {
            s.data = value[i].data + 4;
            s.len = value[i].len - 4;

            if (ngx_http_oci_signed_read_key(cf, scf, &s) != NGX_OK) {
                return NGX_CONF_ERROR;
            }

        } else {
            goto invalid;
        }
    }

    olcf->signed_urls = scf;

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                       &value[i]);

    return NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_oci_signed_read_key(ngx_conf_t *cf,
    ngx_http_oci_signed_conf_t *conf, ngx_str_t *name)
{
    ssize_t   n;
    ngx_fd_t  fd;
    u_char    buf[NGX_HTTP_OCI_SIGNED_KEY_MAX];

    if (ngx_conf_full_name(cf->cycle, name, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    fd = ngx_open_file(name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", name);
        return NGX_ERROR;
    }

    n = ngx_read_fd(fd, buf, sizeof(buf));

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_read_fd_n " \"%V\" failed", name);
    }

    (void) ngx_close_file(fd);

    if (n == -1) {
        return NGX_ERROR;
    }

    if (n < NGX_HTTP_OCI_SIGNED_KEY_MIN || n == (ssize_t) sizeof(buf)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is no key: it must have %d to %d bytes",
                           name, NGX_HTTP_OCI_SIGNED_KEY_MIN,
                           NGX_HTTP_OCI_SIGNED_KEY_MAX - 1);
        return NGX_ERROR;
    }

    (void) SHA256(buf, n, conf->key);

    ngx_explicit_memzero(buf, sizeof(buf));

    conf->keyed = 1;

    return NGX_OK;
}
