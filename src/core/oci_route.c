
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_route.h"
#include "oci_reference.h"


/* components counted from the right end of a path */

#define OCI_ROUTE_PARTS  3


static int oci_route_decode(u_char *path, size_t *len);
static int oci_route_components(const u_char *p, size_t len);
static void oci_route_suffix(oci_route_t *route, u_char *p, size_t len);
static void oci_route_reference(oci_route_t *route);
static u_char *oci_route_last_slash(u_char *p, u_char *last);
static int oci_escape(const u_char *p, const u_char *last);
static int oci_hex_digit(u_char c);
static int oci_query_key(const u_char *p, const u_char *last,
    const char *key);
static int oci_query_value(const u_char *p, const u_char *last,
    oci_str_t *value, u_char *buf, size_t size);


int
oci_route_parse(oci_route_t *route, u_char *path, size_t len,
    oci_error_t *error)
{
    memset(route, 0, sizeof(oci_route_t));

    *error = OCI_ERR_NONE;

    if (len < sizeof("/v2") - 1
        || memcmp(path, "/v2", sizeof("/v2") - 1) != 0
        || (len > sizeof("/v2") - 1 && path[sizeof("/v2") - 1] != '/'))
    {
        return OCI_OK;
    }

    if (len <= sizeof("/v2/") - 1) {
        route->endpoint = OCI_ENDPOINT_BASE;
        return OCI_OK;
    }

    route->endpoint = OCI_ENDPOINT_UNKNOWN;

    path += sizeof("/v2/") - 1;
    len -= sizeof("/v2/") - 1;

    if (oci_route_decode(path, &len) != OCI_OK
        || oci_route_components(path, len) != OCI_OK)
    {
        *error = OCI_ERR_NAME_INVALID;
        return OCI_INVALID;
    }

    oci_route_suffix(route, path, len);

    if (route->name.len
        && !oci_name_valid(route->name.data, route->name.len))
    {
        route->name.len = 0;
        route->name.data = NULL;

        *error = OCI_ERR_NAME_INVALID;
        return OCI_INVALID;
    }

    oci_route_reference(route);

    return OCI_OK;
}


/*
 * Names, tags and digests have no escape, no NUL and no component of dots, so
 * where all parts are inside their grammar there is nothing else to refuse.
 */

int
oci_route_plain(oci_route_t *route, const u_char *path, size_t len)
{
    size_t         n;
    const u_char  *p, *ref;

    if (len <= sizeof("/v2/") - 1
        || memcmp(path, "/v2/", sizeof("/v2/") - 1) != 0)
    {
        return 0;
    }

    p = path + sizeof("/v2/") - 1;

    ref = memrchr(p, '/', (size_t) (path + len - p));
    if (ref == NULL) {
        return 0;
    }

    n = (size_t) (ref - p);

    if (n >= sizeof("/manifests") - 1
        && memcmp(ref - (sizeof("/manifests") - 1), "/manifests",
                  sizeof("/manifests") - 1) == 0)
    {
        route->endpoint = OCI_ENDPOINT_MANIFEST;
        n -= sizeof("/manifests") - 1;

    } else if (n >= sizeof("/blobs") - 1
               && memcmp(ref - (sizeof("/blobs") - 1), "/blobs",
                         sizeof("/blobs") - 1) == 0)
    {
        route->endpoint = OCI_ENDPOINT_BLOB;
        n -= sizeof("/blobs") - 1;

    } else {
        return 0;
    }

    if (!oci_name_valid(p, n)) {
        return 0;
    }

    route->name.data = (u_char *) p;
    route->name.len = n;

    ref++;
    len = (size_t) (path + len - ref);

    route->reference.data = (u_char *) ref;
    route->reference.len = len;
    route->rc = OCI_OK;

    /* the names of all algorithms that are known have six letters */

    route->is_digest = (len > 6 && ref[6] == ':');

    if (route->is_digest) {
        return oci_digest_parse(&route->digest, ref, len) == OCI_OK;
    }

    return route->endpoint == OCI_ENDPOINT_MANIFEST
           && oci_tag_valid(ref, len);
}


int
oci_query_arg(const oci_str_t *args, const char *key, unsigned index,
    oci_str_t *value, u_char *buf, size_t size)
{
    const u_char  *p, *last, *end, *eq;

    value->len = 0;
    value->data = buf;

    if (args->len == 0) {
        return OCI_NOT_FOUND;
    }

    p = args->data;
    last = p + args->len;

    while (p < last) {

        end = memchr(p, '&', (size_t) (last - p));
        if (end == NULL) {
            end = last;
        }

        eq = memchr(p, '=', (size_t) (end - p));
        if (eq == NULL) {
            eq = end;
        }

        if (oci_query_key(p, eq, key) && index-- == 0) {
            return oci_query_value(eq < end ? eq + 1 : end, end,
                                   value, buf, size);
        }

        p = end < last ? end + 1 : last;
    }

    return OCI_NOT_FOUND;
}


/* the only escape that is taken is that of the colon in a digest */

static int
oci_route_decode(u_char *path, size_t *len)
{
    u_char  *p, *last, *dst;

    last = path + *len;

    if (memchr(path, '\0', *len) != NULL) {
        return OCI_INVALID;
    }

    p = memchr(path, '%', *len);
    if (p == NULL) {
        return OCI_OK;
    }

    for (dst = p; p < last; p++) {

        if (*p == '%') {
            if (oci_escape(p, last) != ':') {
                return OCI_INVALID;
            }

            *dst++ = ':';
            p += 2;
            continue;
        }

        *dst++ = *p;
    }

    *len = (size_t) (dst - path);

    return OCI_OK;
}


/*
 * No component is empty or made of one or two dots; the slash at the end
 * of an uploads endpoint is the one exception.
 */

static int
oci_route_components(const u_char *p, size_t len)
{
    size_t                   n;
    const u_char            *last, *end;
    static const oci_str_t   uploads = oci_string("blobs/uploads/");

    if (len >= uploads.len
        && memcmp(p + len - uploads.len, uploads.data, uploads.len) == 0
        && (len == uploads.len || p[len - uploads.len - 1] == '/'))
    {
        len--;
    }

    last = p + len;

    for ( ;; ) {

        end = memchr(p, '/', (size_t) (last - p));
        if (end == NULL) {
            end = last;
        }

        n = (size_t) (end - p);

        if (n == 0
            || (n == 1 && p[0] == '.')
            || (n == 2 && p[0] == '.' && p[1] == '.'))
        {
            return OCI_INVALID;
        }

        if (end == last) {
            return OCI_OK;
        }

        p = end + 1;

        if (p == last) {
            return OCI_INVALID;
        }
    }
}


/*
 * Finds the endpoint by the last two or three components.  A path without
 * a component left for the name is no endpoint.
 */

static void
oci_route_suffix(oci_route_t *route, u_char *p, size_t len)
{
    u_char     *last, *slash;
    unsigned    n;
    oci_str_t   part[OCI_ROUTE_PARTS], before[OCI_ROUTE_PARTS];

    if (len == sizeof("_catalog") - 1
        && memcmp(p, "_catalog", sizeof("_catalog") - 1) == 0)
    {
        route->endpoint = OCI_ENDPOINT_CATALOG;
        return;
    }

    last = p + len;

    if (last[-1] == '/') {
        last--;
    }

    /* part[0] is the last component, before[0] all in front of it */

    for (n = 0; n < OCI_ROUTE_PARTS; n++) {

        slash = oci_route_last_slash(p, last);
        if (slash == NULL) {
            break;
        }

        part[n].data = slash + 1;
        part[n].len = (size_t) (last - slash - 1);

        before[n].data = p;
        before[n].len = (size_t) (slash - p);

        last = slash;
    }

    /* with n of them split off, before[n - 1] is not empty */

    if (n < 2) {
        return;
    }

    if (oci_str_eq(&part[1], "blobs") && oci_str_eq(&part[0], "uploads")) {
        route->endpoint = OCI_ENDPOINT_UPLOADS;
        route->name = before[1];
        return;
    }

    if (oci_str_eq(&part[1], "tags") && oci_str_eq(&part[0], "list")) {
        route->endpoint = OCI_ENDPOINT_TAGS;
        route->name = before[1];
        return;
    }

    if (oci_str_eq(&part[1], "manifests")) {
        route->endpoint = OCI_ENDPOINT_MANIFEST;

    } else if (oci_str_eq(&part[1], "blobs")) {
        route->endpoint = OCI_ENDPOINT_BLOB;

    } else if (oci_str_eq(&part[1], "referrers")) {
        route->endpoint = OCI_ENDPOINT_REFERRERS;

    } else if (n == 3 && oci_str_eq(&part[2], "blobs")
               && oci_str_eq(&part[1], "uploads"))
    {
        route->endpoint = OCI_ENDPOINT_UPLOAD;
        route->name = before[2];
        route->reference = part[0];
        return;

    } else {
        return;
    }

    route->name = before[1];
    route->reference = part[0];
}


static void
oci_route_reference(oci_route_t *route)
{
    int         valid;
    oci_str_t  *ref;

    ref = &route->reference;

    switch (route->endpoint) {

    case OCI_ENDPOINT_MANIFEST:

        if (memchr(ref->data, ':', ref->len) == NULL) {
            valid = oci_tag_valid(ref->data, ref->len);
            route->rc = valid ? OCI_OK : OCI_INVALID;
            return;
        }

        break;

    case OCI_ENDPOINT_BLOB:
    case OCI_ENDPOINT_REFERRERS:
        break;

    case OCI_ENDPOINT_UPLOAD:
        valid = oci_upload_id_valid(ref->data, ref->len);
        route->rc = valid ? OCI_OK : OCI_INVALID;
        return;

    default:
        return;
    }

    route->is_digest = 1;
    route->rc = oci_digest_parse(&route->digest, ref->data, ref->len);
}


static u_char *
oci_route_last_slash(u_char *p, u_char *last)
{
    return memrchr(p, '/', (size_t) (last - p));
}


/* the byte that the escape at p stands for, or -1 */

static int
oci_escape(const u_char *p, const u_char *last)
{
    int  high, low;

    if (last - p < 3) {
        return -1;
    }

    high = oci_hex_digit(p[1]);
    low = oci_hex_digit(p[2]);

    if (high == -1 || low == -1) {
        return -1;
    }

    return high * 16 + low;
}


static int
oci_hex_digit(u_char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }

    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }

    return -1;
}


/* an escaped letter of a key is the same letter (RFC 3986, section 6.2.2) */

static int
oci_query_key(const u_char *p, const u_char *last, const char *key)
{
    int  c;

    for ( /* void */ ; p < last; p++) {

        c = *p;

        if (c == '%') {
            c = oci_escape(p, last);
            if (c == -1) {
                return 0;
            }

            p += 2;
        }

        if (c == '\0' || c != (u_char) *key++) {
            return 0;
        }
    }

    return *key == '\0';
}


static int
oci_query_value(const u_char *p, const u_char *last, oci_str_t *value,
    u_char *buf, size_t size)
{
    int      c;
    size_t   n;

    n = 0;

    for ( /* void */ ; p < last; p++) {

        c = *p;

        if (c == '%') {
            c = oci_escape(p, last);
            if (c == -1) {
                return OCI_INVALID;
            }

            p += 2;
        }

        if (c < 0x20 || c == 0x7f || n == size) {
            return OCI_INVALID;
        }

        buf[n++] = (u_char) c;
    }

    value->len = n;

    return OCI_OK;
}
