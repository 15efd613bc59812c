
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The path up to the first '?' and the query behind it.
 */


#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci_reference.h"
#include "oci_route.h"


#define VALUE_MAX  64


#define check(expr)                                                           \
    if (!(expr)) {                                                            \
        abort();                                                              \
    }


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static u_char *copy(const uint8_t *data, size_t size);
static void fuzz_path(const uint8_t *data, size_t size);
static void fuzz_query(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t          n;
    const uint8_t  *mark;

    mark = size ? memchr(data, '?', size) : NULL;
    n = mark ? (size_t) (mark - data) : size;

    fuzz_path(data, n);

    if (mark != NULL) {
        fuzz_query(mark + 1, size - n - 1);
    }

    return 0;
}


static void
fuzz_path(const uint8_t *data, size_t size)
{
    int           rc, plain;
    u_char       *path;
    oci_str_t     name, ref;
    oci_error_t   error;
    oci_route_t   route, short_way;

    path = copy(data, size);
    error = OCI_ERR_UNKNOWN;

    plain = oci_route_plain(&short_way, path, size);

    check(memcmp(path, data, size) == 0);

    rc = oci_route_parse(&route, path, size, &error);

    if (plain) {
        check(rc == OCI_OK && route.rc == OCI_OK && short_way.rc == OCI_OK);
        check(short_way.endpoint == route.endpoint);
        check(short_way.is_digest == route.is_digest);
        check(short_way.name.data == route.name.data);
        check(short_way.name.len == route.name.len);
        check(short_way.reference.data == route.reference.data);
        check(short_way.reference.len == route.reference.len);
        check(!route.is_digest
              || oci_digest_equal(&short_way.digest, &route.digest));
    }

    check(rc == OCI_OK || rc == OCI_INVALID);
    check((rc == OCI_OK) == (error == OCI_ERR_NONE));

    name = route.name;
    ref = route.reference;

    if (rc != OCI_OK) {
        check(name.len == 0);
        free(path);
        return;
    }

    if (route.endpoint == OCI_ENDPOINT_NONE) {
        check(memcmp(path, data, size) == 0);
    }

    switch (route.endpoint) {

    case OCI_ENDPOINT_MANIFEST:
    case OCI_ENDPOINT_BLOB:
    case OCI_ENDPOINT_REFERRERS:
    case OCI_ENDPOINT_UPLOAD:
        check(ref.len > 0 && memchr(ref.data, '/', ref.len) == NULL);
        check(memchr(ref.data, '\0', ref.len) == NULL);
        check(ref.data >= path && ref.data + ref.len <= path + size);

        /* fall through */

    case OCI_ENDPOINT_UPLOADS:
    case OCI_ENDPOINT_TAGS:
        check(oci_name_valid(name.data, name.len));
        check(name.data == path + 4 && name.len < size);
        break;

    default:
        check(name.len == 0 && ref.len == 0);
        break;
    }

    if (route.is_digest && route.rc == OCI_OK) {
        check(memchr(ref.data, ':', ref.len) != NULL);
        check(strlen(route.digest.hex) == route.digest.hex_len);

    } else if (route.endpoint == OCI_ENDPOINT_MANIFEST
               && route.rc == OCI_OK)
    {
        check(oci_tag_valid(ref.data, ref.len));
    }

    free(path);
}


static void
fuzz_query(const uint8_t *data, size_t size)
{
    int         rc;
    size_t      i, k;
    u_char     *text, *buf;
    unsigned    index;
    oci_str_t   args, value;

    static const char *const  keys[] = {
        "digest", "tag", "n", "last", "artifactType", "digest-algorithm", ""
    };

    text = copy(data, size);
    buf = malloc(VALUE_MAX);
    check(buf != NULL);

    args.data = text;
    args.len = size;

    for (k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
        for (index = 0; index < 4; index++) {

            rc = oci_query_arg(&args, keys[k], index, &value, buf,
                               index == 3 ? 0 : VALUE_MAX);

            if (rc == OCI_NOT_FOUND) {
                break;
            }

            check(rc == OCI_OK || rc == OCI_INVALID);

            if (rc == OCI_INVALID) {
                check(value.len == 0);
                continue;
            }

            check(value.data == buf && value.len <= VALUE_MAX);

            for (i = 0; i < value.len; i++) {
                check(value.data[i] >= 0x20 && value.data[i] != 0x7f);
            }
        }
    }

    free(buf);
    free(text);
}


/* exactly that much memory, so that a step too far is seen */

static u_char *
copy(const uint8_t *data, size_t size)
{
    u_char  *p;

    p = malloc(size ? size : 1);
    check(p != NULL);

    if (size) {
        memcpy(p, data, size);
    }

    return p;
}
