
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What a push is called here and at the upstream.
 *
 * An upload's place at the upstream is told to the client as one of its own
 * repository here, and back again by the same rule, so that whatever a
 * client makes of it stays among the uploads of that repository.  A place
 * that has another form goes into an argument, under a seal that binds it to
 * the repository.
 */


#include "ngx_http_oci_push.h"
#include "ngx_http_oci_zone.h"

#include "oci_url.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>


#define NGX_HTTP_OCI_PUSH_ID_MAX  512

/* of a name of an argument that is looked at, with every byte escaped */

#define NGX_HTTP_OCI_PUSH_NAME_MAX  64

#define NGX_HTTP_OCI_PUSH_SEAL    "oci_at"


static ngx_int_t ngx_http_oci_push_args(ngx_http_oci_push_t *p);
static ngx_uint_t ngx_http_oci_push_own(u_char *arg, size_t len,
    const char *name);
static ngx_uint_t ngx_http_oci_push_id(const u_char *id, size_t len);
static ngx_int_t ngx_http_oci_push_unseal(ngx_http_oci_push_t *p,
    ngx_str_t *text);
static ngx_int_t ngx_http_oci_push_seal(ngx_http_oci_push_t *p,
    oci_str_t *place, ngx_str_t *location);
static void ngx_http_oci_push_sign(ngx_http_oci_push_t *p,
    const u_char *place, size_t len, u_char *id);
static ngx_uint_t ngx_http_oci_push_plain(ngx_http_oci_push_t *p,
    oci_str_t *place, oci_str_t *tail);


ngx_int_t
ngx_http_oci_push_path(ngx_http_oci_push_t *p)
{
    u_char       *at;
    ngx_str_t     seal;
    const char   *kind;
    oci_route_t  *route;

    route = &p->ctx->route;

    if (ngx_http_oci_push_args(p) != NGX_OK) {
        return NGX_ERROR;
    }

    switch (route->endpoint) {

    case OCI_ENDPOINT_UPLOADS:
        ngx_str_set(&p->path, "blobs/uploads/");
        return NGX_OK;

    case OCI_ENDPOINT_UPLOAD:

        if (ngx_http_arg(p->request, (u_char *) NGX_HTTP_OCI_PUSH_SEAL,
                         sizeof(NGX_HTTP_OCI_PUSH_SEAL) - 1, &seal)
            == NGX_OK)
        {
            return ngx_http_oci_push_unseal(p, &seal);
        }

        if (!ngx_http_oci_push_id(route->reference.data,
                                  route->reference.len))
        {
            return NGX_DECLINED;
        }

        kind = "blobs/uploads/";
        break;

    case OCI_ENDPOINT_MANIFEST:

        if (route->rc == OCI_INVALID) {
            return NGX_DECLINED;
        }

        kind = "manifests/";
        break;

    default:

        if (route->rc == OCI_INVALID) {
            return NGX_DECLINED;
        }

        kind = "blobs/";
    }

    at = ngx_pnalloc(p->request->pool, ngx_strlen(kind)
                                       + route->reference.len);
    if (at == NULL) {
        return NGX_ERROR;
    }

    p->path.data = at;
    p->path.len = ngx_sprintf(at, "%s%*s", kind, route->reference.len,
                              route->reference.data)
                  - at;

    return NGX_OK;
}


/*
 * All arguments but those that are between us and the client: "ns" is, and a
 * mount is looked at first.
 */

static ngx_int_t
ngx_http_oci_push_args(ngx_http_oci_push_t *p)
{
    size_t               len;
    u_char              *arg, *last, *end, *to;
    ngx_uint_t           start;
    ngx_http_request_t  *r;

    r = p->request;
    start = (p->ctx->route.endpoint == OCI_ENDPOINT_UPLOADS);

    to = ngx_pnalloc(r->pool, r->args.len + 1);
    if (to == NULL) {
        return NGX_ERROR;
    }

    p->args.data = to;

    arg = r->args.data;
    last = arg + r->args.len;

    for ( /* void */ ; arg < last; arg = end + 1) {

        end = ngx_strlchr(arg, last, '&');
        if (end == NULL) {
            end = last;
        }

        len = end - arg;

        if (start && ngx_strlchr(arg, end, ';') != NULL) {

            /* some take it for "&" */

            continue;
        }

        if (start
            && (ngx_http_oci_push_own(arg, len, "mount")
                || ngx_http_oci_push_own(arg, len, "from")))
        {
            p->mount = 1;
            continue;
        }

        if (len == 0
            || ngx_http_oci_push_own(arg, len, "ns")
            || ngx_http_oci_push_own(arg, len, NGX_HTTP_OCI_PUSH_SEAL))
        {
            continue;
        }

        if (to != p->args.data) {
            *to++ = '&';
        }

        to = ngx_cpymem(to, arg, len);
    }

    p->args.len = to - p->args.data;

    return NGX_OK;
}


/*
 * 1 if the argument has that name.  An upstream decodes names as well as
 * values, so an escape is never taken for something else.
 */

static ngx_uint_t
ngx_http_oci_push_own(u_char *arg, size_t len, const char *name)
{
    u_char  *p, *src, *dst, text[NGX_HTTP_OCI_PUSH_NAME_MAX];

    p = ngx_strlchr(arg, arg + len, '=');

    if (p != NULL) {
        len = p - arg;
    }

    if (len > sizeof(text)) {
        return 0;
    }

    src = arg;
    dst = text;

    ngx_unescape_uri(&dst, &src, len, 0);

    len = dst - text;

    return len == ngx_strlen(name) && ngx_memcmp(text, name, len) == 0;
}


/* one component of a path that no server reads as something else */

static ngx_uint_t
ngx_http_oci_push_id(const u_char *id, size_t len)
{
    size_t  i;

    if (len == 0 || len > NGX_HTTP_OCI_PUSH_ID_MAX || id[0] == '.') {
        return 0;
    }

    for (i = 0; i < len; i++) {

        if ((id[i] >= 'a' && id[i] <= 'z') || (id[i] >= 'A' && id[i] <= 'Z')
            || (id[i] >= '0' && id[i] <= '9'))
        {
            continue;
        }

        switch (id[i]) {

        case '-':
        case '_':
        case '.':
        case '~':
        case '=':
        case '+':
        case ':':
        case '@':
            break;

        default:
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_http_oci_push_location(ngx_http_oci_push_t *p, ngx_http_oci_fetch_t *f,
    ngx_str_t *location)
{
    u_char                 *at, *text;
    oci_str_t               tail;
    oci_url_t               url;
    ngx_http_oci_target_t  *t;

    t = p->u->target;

    text = ngx_pstrdup(p->request->pool, &f->location);
    if (text == NULL) {
        return NGX_ERROR;
    }

    if (f->location.len == 0
        || oci_url_parse(&url, text, f->location.len) != OCI_OK
        || url.user.len)
    {
        return NGX_DECLINED;
    }

    if (t->ssl != url.ssl || t->port != url.port
        || t->host.len != url.host.len
        || ngx_memcmp(t->host.data, url.host.data, t->host.len) != 0)
    {
        return NGX_DECLINED;
    }

    if (!ngx_http_oci_push_plain(p, &url.path, &tail)) {
        return ngx_http_oci_push_seal(p, &url.path, location);
    }

    at = ngx_pnalloc(p->request->pool, sizeof("/v2//blobs/uploads/")
                                       + p->ctx->repo.name.len + tail.len);
    if (at == NULL) {
        return NGX_ERROR;
    }

    location->data = at;
    location->len = ngx_sprintf(at, "/v2/%*s/blobs/uploads/%*s",
                                p->ctx->repo.name.len, p->ctx->repo.name.data,
                                tail.len, tail.data)
                    - at;

    return NGX_OK;
}


/* an id and perhaps a query, below the repository's own uploads */

static ngx_uint_t
ngx_http_oci_push_plain(ngx_http_oci_push_t *p, oci_str_t *place,
    oci_str_t *tail)
{
    size_t                  n;
    u_char                 *at, *last, *query, *end;
    ngx_http_oci_target_t  *t;

    static ngx_str_t  uploads = ngx_string("/blobs/uploads/");

    t = p->u->target;

    n = t->prefix.len + sizeof("/v2/") - 1 + t->repository.len + uploads.len;

    if (place->len <= n) {
        return 0;
    }

    at = place->data;

    if (ngx_memcmp(at, t->prefix.data, t->prefix.len) != 0) {
        return 0;
    }

    at += t->prefix.len;

    if (ngx_memcmp(at, "/v2/", 4) != 0
        || ngx_memcmp(at + 4, t->repository.data, t->repository.len) != 0
        || ngx_memcmp(at + 4 + t->repository.len, uploads.data, uploads.len)
           != 0)
    {
        return 0;
    }

    at = place->data + n;
    last = place->data + place->len;

    tail->data = at;
    tail->len = last - at;

    query = ngx_strlchr(at, last, '?');
    if (query == NULL) {
        query = last;
    }

    if (!ngx_http_oci_push_id(at, query - at)) {
        return 0;
    }

    /* names that would not come back */

    for (at = query + 1; at < last; at = end + 1) {

        end = ngx_strlchr(at, last, '&');
        if (end == NULL) {
            end = last;
        }

        if (ngx_http_oci_push_own(at, end - at, "ns")
            || ngx_http_oci_push_own(at, end - at, NGX_HTTP_OCI_PUSH_SEAL))
        {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_http_oci_push_seal(ngx_http_oci_push_t *p, oci_str_t *place,
    ngx_str_t *location)
{
    u_char     *at;
    ngx_str_t   from, to;
    u_char      id[OCI_UPLOAD_ID_LEN];

    from.data = place->data;
    from.len = place->len;

    at = ngx_pnalloc(p->request->pool,
                     sizeof("/v2//blobs/uploads/?" NGX_HTTP_OCI_PUSH_SEAL "=")
                     + p->ctx->repo.name.len + sizeof(id)
                     + ngx_base64_encoded_length(place->len));
    if (at == NULL) {
        return NGX_ERROR;
    }

    location->data = at;

    ngx_http_oci_push_sign(p, place->data, place->len, id);

    at = ngx_sprintf(at, "/v2/%*s/blobs/uploads/%*s?"
                         NGX_HTTP_OCI_PUSH_SEAL "=",
                     p->ctx->repo.name.len, p->ctx->repo.name.data,
                     sizeof(id), id);

    to.data = at;
    ngx_encode_base64url(&to, &from);

    location->len = to.data + to.len - location->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_push_unseal(ngx_http_oci_push_t *p, ngx_str_t *text)
{
    u_char                 *at;
    ngx_str_t               place;
    oci_str_t              *reference;
    ngx_http_oci_target_t  *t;
    u_char                  id[OCI_UPLOAD_ID_LEN];

    t = p->u->target;
    reference = &p->ctx->route.reference;

    if (text->len > OCI_URL_MAX * 2) {
        return NGX_DECLINED;
    }

    at = ngx_pnalloc(p->request->pool, sizeof("https://")
                                       + t->host_header.len
                                       + ngx_base64_decoded_length(text->len));
    if (at == NULL) {
        return NGX_ERROR;
    }

    p->path.data = at;

    at = ngx_sprintf(at, "%s://%V", t->ssl ? "https" : "http",
                     &t->host_header);

    place.data = at;

    if (ngx_decode_base64url(&place, text) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_http_oci_push_sign(p, place.data, place.len, id);

    if (reference->len != sizeof(id)
        || CRYPTO_memcmp(reference->data, id, sizeof(id)) != 0)
    {
        return NGX_DECLINED;
    }

    p->path.len = place.data + place.len - p->path.data;

    return NGX_OK;
}


/* of a place and of whose it is; as long as an id of ours */

static void
ngx_http_oci_push_sign(ngx_http_oci_push_t *p, const u_char *place,
    size_t len, u_char *id)
{
    unsigned                  n;
    HMAC_CTX                 *ctx;
    ngx_uint_t                i;
    ngx_http_oci_loc_conf_t  *olcf;
    u_char                    mac[EVP_MAX_MD_SIZE];

    struct {
        const u_char         *data;
        size_t                len;
    } parts[5];

    olcf = ngx_http_get_module_loc_conf(p->request, ngx_http_oci_module);

    parts[0].data = p->u->target->key.data;
    parts[0].len = p->u->target->key.len;
    parts[1].data = p->u->target->repository.data;
    parts[1].len = p->u->target->repository.len;
    parts[2].data = p->ctx->repo.ns.data;
    parts[2].len = p->ctx->repo.ns.len;
    parts[3].data = p->ctx->repo.name.data;
    parts[3].len = p->ctx->repo.name.len;
    parts[4].data = place;
    parts[4].len = len;

    ngx_memzero(mac, sizeof(mac));

    ctx = HMAC_CTX_new();

    if (ctx != NULL) {
        (void) HMAC_Init_ex(ctx, olcf->store->cache.sh->secret,
                            NGX_HTTP_OCI_ZONE_SECRET, EVP_sha256(), NULL);

        for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            (void) HMAC_Update(ctx, (u_char *) &parts[i].len,
                               sizeof(parts[i].len));
            (void) HMAC_Update(ctx, parts[i].data, parts[i].len);
        }

        n = sizeof(mac);
        (void) HMAC_Final(ctx, mac, &n);
        HMAC_CTX_free(ctx);
    }

    (void) ngx_hex_dump(id, mac, OCI_UPLOAD_ID_LEN / 2);
}
