
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_url.h"

#include <stdio.h>
#include <arpa/inet.h>


static int oci_url_authority(oci_url_t *url, u_char *p, u_char *last);
static int oci_url_port(oci_url_t *url, const u_char *p, const u_char *last);
static size_t oci_url_merge(const oci_url_t *base, const u_char *ref,
    size_t len, u_char *buf, size_t size);
static void oci_url_dots(u_char *buf, size_t *len);
static size_t oci_url_label(const oci_str_t *host, size_t end);
static int oci_url_shared(const u_char *p, size_t len);


int
oci_url_parse(oci_url_t *url, u_char *text, size_t len)
{
    u_char  *p, *last, *end;

    memset(url, 0, sizeof(oci_url_t));

    if (len > OCI_URL_MAX) {
        return OCI_INVALID;
    }

    last = text + len;

    for (p = text; p < last; p++) {
        if (*p <= ' ' || *p >= 0x7f) {
            return OCI_INVALID;
        }
    }

    p = memchr(text, '#', len);

    if (p != NULL) {
        last = p;
        len = (size_t) (p - text);
    }

    if (len > 8 && strncasecmp((char *) text, "https://", 8) == 0) {
        url->ssl = 1;
        p = text + 8;

    } else if (len > 7 && strncasecmp((char *) text, "http://", 7) == 0) {
        p = text + 7;

    } else {
        return OCI_INVALID;
    }

    for (end = p; end < last && *end != '/' && *end != '?'; end++) {
        /* void */
    }

    url->path.data = end;
    url->path.len = (size_t) (last - end);

    return oci_url_authority(url, p, end);
}


static int
oci_url_authority(oci_url_t *url, u_char *p, u_char *last)
{
    u_char  *at, *end;

    at = memrchr(p, '@', (size_t) (last - p));

    if (at != NULL) {
        url->user.data = p;
        url->user.len = (size_t) (at - p);
        p = at + 1;
    }

    if (p < last && *p == '[') {

        end = memchr(p, ']', (size_t) (last - p));

        if (end == NULL) {
            return OCI_INVALID;
        }

        url->v6 = 1;
        url->host.data = p + 1;
        url->host.len = (size_t) (end - p - 1);
        end++;

        if (strnlen((char *) p, (size_t) (end - p)) != (size_t) (end - p)
            || !oci_url_host_literal(&url->host))
        {
            return OCI_INVALID;
        }

    } else {

        for (end = p; end < last && *end != ':'; end++) {

            if (*end >= 'A' && *end <= 'Z') {
                *end |= 0x20;
            }

            if ((*end < 'a' || *end > 'z') && (*end < '0' || *end > '9')
                && *end != '-' && *end != '.' && *end != '_')
            {
                return OCI_INVALID;
            }
        }

        url->host.data = p;
        url->host.len = (size_t) (end - p);

        /* the root's dot makes no other host */

        if (url->host.len > 1 && end[-1] == '.') {
            url->host.len--;
        }
    }

    if (url->host.len == 0 || url->host.len > 255) {
        return OCI_INVALID;
    }

    return oci_url_port(url, end, last);
}


static int
oci_url_port(oci_url_t *url, const u_char *p, const u_char *last)
{
    unsigned  standard;

    standard = url->ssl ? 443 : 80;

    if (p == last || (*p == ':' && p + 1 == last)) {
        url->port = standard;
        url->default_port = 1;
        return OCI_OK;
    }

    if (*p++ != ':' || last - p > 5) {
        return OCI_INVALID;
    }

    for ( /* void */ ; p < last; p++) {

        if (*p < '0' || *p > '9') {
            return OCI_INVALID;
        }

        url->port = url->port * 10 + (unsigned) (*p - '0');
    }

    url->default_port = (url->port == standard);

    return (url->port == 0 || url->port > 65535) ? OCI_INVALID : OCI_OK;
}


int
oci_url_resolve(const oci_url_t *base, const oci_str_t *ref, u_char *buf,
    size_t size, size_t *len)
{
    int            n;
    size_t         i, rest;
    const u_char  *p, *hash;
    oci_url_t      check;

    p = ref->data;
    rest = ref->len;

    for (i = 0; i < rest; i++) {
        if (p[i] <= ' ' || p[i] >= 0x7f || p[i] == '\\') {
            return OCI_INVALID;
        }
    }

    hash = rest ? memchr(p, '#', rest) : NULL;

    if (hash != NULL) {
        rest = (size_t) (hash - p);
    }

    for (i = 0; i < rest && p[i] != ':' && p[i] != '/' && p[i] != '?'; i++) {
        /* void */
    }

    if (i > 0 && i < rest && p[i] == ':') {

        if (rest >= size) {
            return OCI_INVALID;
        }

        memcpy(buf, p, rest);
        *len = rest;

    } else if (rest >= 2 && p[0] == '/' && p[1] == '/') {

        n = snprintf((char *) buf, size, "http%s:%.*s", base->ssl ? "s" : "",
                     (int) rest, (const char *) p);

        if (n < 0 || (size_t) n >= size) {
            return OCI_INVALID;
        }

        *len = (size_t) n;

    } else {

        n = snprintf((char *) buf, size, "http%s://%s%.*s%s:%u",
                     base->ssl ? "s" : "", base->v6 ? "[" : "",
                     (int) base->host.len, (const char *) base->host.data,
                     base->v6 ? "]" : "", base->port);

        if (n < 0 || (size_t) n >= size) {
            return OCI_INVALID;
        }

        *len = (size_t) n;

        rest = oci_url_merge(base, p, rest, buf + n, size - (size_t) n);

        if (rest == 0) {
            return OCI_INVALID;
        }

        *len += rest;
    }

    return oci_url_parse(&check, buf, *len);
}


/* a reference that has no host: its path with that of the base; 0: no room */

static size_t
oci_url_merge(const oci_url_t *base, const u_char *ref, size_t len,
    u_char *buf, size_t size)
{
    size_t         keep, total;
    const u_char  *end, *slash;

    /* of the base: all up to its query, or up to its last slash */

    end = base->path.len ? memchr(base->path.data, '?', base->path.len)
                         : NULL;
    keep = end ? (size_t) (end - base->path.data) : base->path.len;

    if (len == 0) {
        keep = base->path.len;

    } else if (ref[0] == '/') {
        keep = 0;

    } else if (ref[0] != '?') {
        slash = keep ? memrchr(base->path.data, '/', keep) : NULL;
        keep = slash ? (size_t) (slash - base->path.data) + 1 : 0;
    }

    total = 0;

    if (keep == 0 ? (len == 0 || ref[0] != '/')
                  : base->path.data[0] != '/')
    {
        if (size == 0) {
            return 0;
        }

        buf[total++] = '/';
    }

    if (total + keep + len >= size) {
        return 0;
    }

    if (keep) {
        memcpy(buf + total, base->path.data, keep);
        total += keep;
    }

    if (len) {
        memcpy(buf + total, ref, len);
        total += len;
    }

    oci_url_dots(buf, &total);

    return total;
}


/* takes "." and ".." out of the path of a merged reference */

static void
oci_url_dots(u_char *buf, size_t *len)
{
    size_t   part;
    u_char  *p, *d, *last, *end;

    last = buf + *len;
    end = memchr(buf, '?', *len);

    if (end == NULL) {
        end = last;
    }

    d = buf;
    p = buf;

    while (p < end) {

        /* *p is a slash */

        for (part = 1; p + part < end && p[part] != '/'; part++) {
            /* void */
        }

        if (part == 2 && p[1] == '.') {

            if (p + part == end) {
                *d++ = '/';
            }

        } else if (part == 3 && p[1] == '.' && p[2] == '.') {

            while (d > buf && *--d != '/') {
                /* void */
            }

            if (p + part == end) {
                *d++ = '/';
            }

        } else {
            memmove(d, p, part);
            d += part;
        }

        p += part;
    }

    memmove(d, end, (size_t) (last - end));

    *len = (size_t) (d - buf) + (size_t) (last - end);
}


int
oci_url_same_origin(const oci_url_t *a, const oci_url_t *b)
{
    return a->ssl == b->ssl && a->port == b->port
           && a->host.len == b->host.len
           && memcmp(a->host.data, b->host.data, a->host.len) == 0;
}


int
oci_url_host_literal(const oci_str_t *host)
{
    char             text[INET6_ADDRSTRLEN];
    struct in6_addr  addr;

    if (host->len == 0 || host->len >= sizeof(text)) {
        return 0;
    }

    memcpy(text, host->data, host->len);
    text[host->len] = '\0';

    return inet_pton(AF_INET6, text, &addr) == 1
           || inet_pton(AF_INET, text, &addr) == 1;
}


int
oci_url_host_related(const oci_str_t *a, const oci_str_t *b)
{
    size_t    la, lb, sa, sb, top;
    unsigned  labels, need;

    if (a->len == b->len && memcmp(a->data, b->data, a->len) == 0) {
        return 1;
    }

    if (oci_url_host_literal(a) || oci_url_host_literal(b)) {
        return 0;
    }

    la = a->len;
    lb = b->len;
    top = 0;
    need = 2;

    for (labels = 0; /* void */ ; la = sa - 1, lb = sb - 1) {

        sa = oci_url_label(a, la);
        sb = oci_url_label(b, lb);

        if (sa == la || la - sa != lb - sb
            || memcmp(a->data + sa, b->data + sb, la - sa) != 0)
        {
            break;
        }

        if (++labels == 1) {
            top = la - sa;
        }

        if (labels == 2 && top == 2
            && oci_url_shared(a->data + sa, la - sa))
        {
            need = 3;
        }

        if (sa == 0 || sb == 0) {
            break;
        }
    }

    return labels >= need;
}


/* where the label begins that ends at end */

static size_t
oci_url_label(const oci_str_t *host, size_t end)
{
    while (end > 0 && host->data[end - 1] != '.') {
        end--;
    }

    return end;
}


/* second labels below which countries let anyone register */

static int
oci_url_shared(const u_char *p, size_t len)
{
    size_t  i;

    static const char  *const  shared[] = {
        "ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org"
    };

    for (i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) {
        if (strlen(shared[i]) == len && memcmp(p, shared[i], len) == 0) {
            return 1;
        }
    }

    return 0;
}
