
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A WWW-Authenticate header, whose realm is taken for an URL; the whole
 * input for a reference beside the first URL that was found.
 */


#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci_challenge.h"
#include "oci_url.h"


#define check(expr)                                                           \
    if (!(expr)) {                                                            \
        abort();                                                              \
    }


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_view(const oci_str_t *s, const u_char *p, size_t len);
static void fuzz_url(const oci_str_t *text, const oci_str_t *ref);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int              rc;
    size_t           n;
    u_char          *copy, *p, *last;
    oci_str_t        ref;
    oci_challenge_t  c;

    copy = malloc(size ? size : 1);
    check(copy != NULL);
    memcpy(copy, data, size);

    ref.data = (u_char *) data;
    ref.len = size;

    p = copy;
    last = copy + size;
    n = 0;

    for ( ;; ) {
        rc = oci_challenge_next(&c, &p, last);

        check(p >= copy && p <= last);

        if (rc != OCI_OK) {
            break;
        }

        /* each takes at least its name */

        check(++n <= size);

        fuzz_view(&c.realm, copy, size);
        fuzz_view(&c.service, copy, size);
        fuzz_view(&c.scope, copy, size);
        fuzz_view(&c.error, copy, size);

        fuzz_url(&c.realm, &ref);
    }

    check(rc == OCI_NOT_FOUND || rc == OCI_INVALID);
    check(p == last);

    free(copy);

    fuzz_url(&ref, &ref);

    return 0;
}


static void
fuzz_view(const oci_str_t *s, const u_char *p, size_t len)
{
    size_t  i;

    check(s->len == 0 || (s->data >= p && s->data + s->len <= p + len));

    for (i = 0; i < s->len; i++) {
        check(s->data[i] >= ' ' || s->data[i] == '\t');
    }
}


static void
fuzz_url(const oci_str_t *text, const oci_str_t *ref)
{
    size_t      i, len;
    u_char     *copy, *buf;
    oci_url_t   url, next;

    static const oci_str_t  other = oci_string("registry.corp.test");

    copy = malloc(text->len ? text->len : 1);
    check(copy != NULL);

    if (text->len) {
        memcpy(copy, text->data, text->len);
    }

    if (oci_url_parse(&url, copy, text->len) != OCI_OK) {
        free(copy);
        return;
    }

    check(url.host.len > 0 && url.host.len <= 255);
    check(url.port > 0 && url.port < 65536);
    check(url.path.len == 0 || url.path.data[0] == '/'
          || url.path.data[0] == '?');

    for (i = 0; i < url.host.len; i++) {
        check(url.host.data[i] > ' ' && url.host.data[i] != '/'
              && url.host.data[i] != '@');
    }

    (void) oci_url_host_related(&url.host, &other);
    check(oci_url_host_related(&url.host, &url.host));

    buf = malloc(OCI_URL_MAX);
    check(buf != NULL);

    if (oci_url_resolve(&url, ref, buf, OCI_URL_MAX, &len) == OCI_OK) {
        check(len < OCI_URL_MAX);
        check(oci_url_parse(&next, buf, len) == OCI_OK);
    }

    free(buf);
    free(copy);
}
