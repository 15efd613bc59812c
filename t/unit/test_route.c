
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oci_reference.h"
#include "oci_route.h"


#define HEX64  "e3b0c44298fc1c149afbf4c8996fb924" \
               "27ae41e4649b934ca495991b7852b855"
#define HEX64U "E3B0C44298FC1C149AFBF4C8996FB924" \
               "27AE41E4649B934CA495991B7852B855"
#define ID     "0123456789abcdef0123456789abcdef"

#define NONE       OCI_ENDPOINT_NONE
#define BASE       OCI_ENDPOINT_BASE
#define CATALOG    OCI_ENDPOINT_CATALOG
#define MANIFEST   OCI_ENDPOINT_MANIFEST
#define BLOB       OCI_ENDPOINT_BLOB
#define UPLOADS    OCI_ENDPOINT_UPLOADS
#define UPLOAD     OCI_ENDPOINT_UPLOAD
#define TAGS       OCI_ENDPOINT_TAGS
#define REFERRERS  OCI_ENDPOINT_REFERRERS
#define UNKNOWN    OCI_ENDPOINT_UNKNOWN


typedef struct {
    const char      *path;
    oci_endpoint_t   endpoint;
    const char      *name;
    const char      *reference;
    int              rc;
    unsigned         is_digest;
} route_case_t;


/* an exact allocation, so that AddressSanitizer sees a step too far */

static u_char *
copy(const void *text, size_t len)
{
    u_char  *p;

    p = malloc(len ? len : 1);
    assert_non_null(p);
    memcpy(p, text, len);

    return p;
}


static void
str_is(const char *path, const oci_str_t *s, const char *want)
{
    if (want == NULL) {
        want = "";
    }

    if (s->len != strlen(want) || memcmp(s->data ? s->data : (u_char *) "",
                                         want, s->len) != 0)
    {
        fail_msg("%s: \"%.*s\" is not \"%s\"", path, (int) s->len,
                 s->data ? (char *) s->data : "", want);
    }
}


/* where the short way takes a path, it says what the long one says */

static int
plain(const void *text, size_t len)
{
    int           is;
    u_char       *path, *again;
    oci_error_t   error;
    oci_route_t   a, b;

    path = copy(text, len);
    again = copy(text, len);

    memset(&a, 0x5a, sizeof(a));

    is = oci_route_plain(&a, path, len);

    assert_memory_equal(path, text, len);

    if (is) {
        assert_int_equal(oci_route_parse(&b, again, len, &error), OCI_OK);
        assert_int_equal(a.endpoint, b.endpoint);
        assert_int_equal(a.rc, OCI_OK);
        assert_int_equal(b.rc, OCI_OK);
        assert_int_equal(a.is_digest, b.is_digest);
        assert_int_equal(a.name.len, b.name.len);
        assert_int_equal(a.name.data - path, b.name.data - again);
        assert_int_equal(a.reference.len, b.reference.len);
        assert_int_equal(a.reference.data - path, b.reference.data - again);

        if (a.is_digest) {
            assert_true(oci_digest_equal(&a.digest, &b.digest));
        }
    }

    free(path);
    free(again);

    return is;
}


static void
routes_are(const route_case_t *cases, size_t n)
{
    size_t               i, len;
    u_char              *path;
    oci_error_t          error;
    oci_route_t          route;
    const route_case_t  *c;

    for (i = 0; i < n; i++) {
        c = &cases[i];
        len = strlen(c->path);
        path = copy(c->path, len);

        memset(&route, 0x5a, sizeof(route));
        error = OCI_ERR_UNKNOWN;

        if (oci_route_parse(&route, path, len, &error) != OCI_OK) {
            fail_msg("%s is refused", c->path);
        }

        if (route.endpoint != c->endpoint || route.rc != c->rc
            || route.is_digest != c->is_digest)
        {
            fail_msg("%s: endpoint %d, rc %d, is_digest %d", c->path,
                     route.endpoint, route.rc, route.is_digest);
        }

        assert_int_equal(error, OCI_ERR_NONE);
        str_is(c->path, &route.name, c->name);
        str_is(c->path, &route.reference, c->reference);

        if (route.is_digest && route.rc == OCI_OK) {
            assert_string_equal(route.digest.hex,
                                strchr(c->reference, ':') + 1);
        }

        assert_int_equal(plain(c->path, len),
                         (route.endpoint == OCI_ENDPOINT_MANIFEST
                          || route.endpoint == OCI_ENDPOINT_BLOB)
                         && route.rc == OCI_OK
                         && strchr(c->path, '%') == NULL);

        free(path);
    }
}


static void
test_endpoints(void **state)
{
    static const route_case_t  cases[] = {
        { "/v2", BASE, NULL, NULL, OCI_OK, 0 },
        { "/v2/", BASE, NULL, NULL, OCI_OK, 0 },
        { "/v2/_catalog", CATALOG, NULL, NULL, OCI_OK, 0 },

        { "/v2/a/manifests/latest", MANIFEST, "a", "latest", OCI_OK, 0 },
        { "/v2/library/alpine/manifests/3.19", MANIFEST, "library/alpine",
          "3.19", OCI_OK, 0 },
        { "/v2/a/manifests/sha256:" HEX64, MANIFEST, "a", "sha256:" HEX64,
          OCI_OK, 1 },
        { "/v2/a/manifests/sha512:" HEX64 HEX64, MANIFEST, "a",
          "sha512:" HEX64 HEX64, OCI_OK, 1 },

        { "/v2/a/blobs/sha256:" HEX64, BLOB, "a", "sha256:" HEX64,
          OCI_OK, 1 },
        { "/v2/a/b/c/blobs/sha512:" HEX64 HEX64, BLOB, "a/b/c",
          "sha512:" HEX64 HEX64, OCI_OK, 1 },

        { "/v2/a/blobs/uploads", UPLOADS, "a", NULL, OCI_OK, 0 },
        { "/v2/a/blobs/uploads/", UPLOADS, "a", NULL, OCI_OK, 0 },
        { "/v2/a/blobs/uploads/" ID, UPLOAD, "a", ID, OCI_OK, 0 },

        { "/v2/a/tags/list", TAGS, "a", NULL, OCI_OK, 0 },
        { "/v2/a/b/tags/list", TAGS, "a/b", NULL, OCI_OK, 0 },

        { "/v2/a/referrers/sha256:" HEX64, REFERRERS, "a",
          "sha256:" HEX64, OCI_OK, 1 }
    };

    (void) state;

    routes_are(cases, sizeof(cases) / sizeof(cases[0]));
}


static void
test_not_ours(void **state)
{
    static const route_case_t  cases[] = {
        { "", NONE, NULL, NULL, OCI_OK, 0 },
        { "/", NONE, NULL, NULL, OCI_OK, 0 },
        { "/v", NONE, NULL, NULL, OCI_OK, 0 },
        { "/v1/", NONE, NULL, NULL, OCI_OK, 0 },
        { "/v22/", NONE, NULL, NULL, OCI_OK, 0 },
        { "/v2x", NONE, NULL, NULL, OCI_OK, 0 },
        { "/v2%2f", NONE, NULL, NULL, OCI_OK, 0 },
        { "/V2/", NONE, NULL, NULL, OCI_OK, 0 },
        { "v2/", NONE, NULL, NULL, OCI_OK, 0 },
        { "//v2/", NONE, NULL, NULL, OCI_OK, 0 },
        { "/x/v2/a/manifests/b", NONE, NULL, NULL, OCI_OK, 0 },
        { "/index.html", NONE, NULL, NULL, OCI_OK, 0 },
        { "/%zz", NONE, NULL, NULL, OCI_OK, 0 },
        { "*", NONE, NULL, NULL, OCI_OK, 0 }
    };

    (void) state;

    routes_are(cases, sizeof(cases) / sizeof(cases[0]));
}


static void
test_unknown(void **state)
{
    static const route_case_t  cases[] = {
        { "/v2/a", UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/a/b", UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/a/b/c/d", UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/A/b/c", UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/a/tags", UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/a/tags/lists", UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/a/tags/list/x", UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/a/manifest/b", UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/a/manifests", UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/a/manifests/b/c", UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/a/uploads/" ID, UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/a/blobs/uploads/" ID "/x", UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/a/_catalog", UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/_catalogs", UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/_oci/ext/discover", UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/a/_oci/ext/discover", UNKNOWN, NULL, NULL, OCI_OK, 0 },

        /* nothing is left for the name */

        { "/v2/manifests/latest", UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/blobs/sha256:" HEX64, UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/tags/list", UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/blobs/uploads", UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/blobs/uploads/", UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/blobs/uploads/" ID, UNKNOWN, NULL, NULL, OCI_OK, 0 },
        { "/v2/referrers/sha256:" HEX64, UNKNOWN, NULL, NULL, OCI_OK, 0 }
    };

    (void) state;

    routes_are(cases, sizeof(cases) / sizeof(cases[0]));
}


/* components of a name that are words of the API */

static void
test_words_as_names(void **state)
{
    size_t        i, j, k, len;
    u_char        path[512], *p;
    oci_error_t   error;
    oci_route_t   route;

    static const char *const  words[] = {
        "blobs", "manifests", "tags", "uploads", "referrers", "v2", "list",
        "catalog"
    };

    static const struct {
        const char      *suffix;
        oci_endpoint_t   endpoint;
    } ends[] = {
        { "/manifests/latest", MANIFEST },
        { "/manifests/uploads", MANIFEST },
        { "/manifests/list", MANIFEST },
        { "/manifests/manifests", MANIFEST },
        { "/manifests/sha256:" HEX64, MANIFEST },
        { "/blobs/sha256:" HEX64, BLOB },
        { "/blobs/uploads", UPLOADS },
        { "/blobs/uploads/", UPLOADS },
        { "/blobs/uploads/" ID, UPLOAD },
        { "/tags/list", TAGS },
        { "/referrers/sha256:" HEX64, REFERRERS }
    };

    static const route_case_t  cases[] = {
        { "/v2/blobs/uploads/tags/list", TAGS, "blobs/uploads", NULL,
          OCI_OK, 0 },
        { "/v2/blobs/uploads/blobs/uploads/", UPLOADS, "blobs/uploads",
          NULL, OCI_OK, 0 },
        { "/v2/a/blobs/uploads/blobs/uploads", UPLOADS, "a/blobs/uploads",
          NULL, OCI_OK, 0 },
        { "/v2/blobs/uploads/blobs/uploads/" ID, UPLOAD, "blobs/uploads",
          ID, OCI_OK, 0 },
        { "/v2/a/manifests/tags/list", TAGS, "a/manifests", NULL,
          OCI_OK, 0 },
        { "/v2/a/manifests/blobs/uploads", UPLOADS, "a/manifests", NULL,
          OCI_OK, 0 },
        { "/v2/manifests/manifests/manifests", MANIFEST, "manifests",
          "manifests", OCI_OK, 0 },
        { "/v2/tags/list/tags/list", TAGS, "tags/list", NULL, OCI_OK, 0 },
        { "/v2/v2/tags/list", TAGS, "v2", NULL, OCI_OK, 0 },
        { "/v2/a/blobs/uploads/manifests/x", MANIFEST, "a/blobs/uploads",
          "x", OCI_OK, 0 },
        { "/v2/a/blobs/uploads/uploads", UPLOAD, "a", "uploads",
          OCI_INVALID, 0 },
        { "/v2/a/uploads/blobs/uploads", UPLOADS, "a/uploads", NULL,
          OCI_OK, 0 }
    };

    (void) state;

    routes_are(cases, sizeof(cases) / sizeof(cases[0]));

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        for (j = 0; j < sizeof(words) / sizeof(words[0]); j++) {
            for (k = 0; k < sizeof(ends) / sizeof(ends[0]); k++) {

                strcpy((char *) path, "/v2/");
                strcat((char *) path, words[i]);
                strcat((char *) path, "/");
                strcat((char *) path, words[j]);
                len = strlen((char *) path);
                strcat((char *) path, ends[k].suffix);

                p = copy(path, strlen((char *) path));

                assert_int_equal(oci_route_parse(&route, p,
                                                 strlen((char *) path),
                                                 &error), OCI_OK);
                assert_int_equal(route.endpoint, ends[k].endpoint);
                assert_int_equal(route.rc, OCI_OK);
                assert_int_equal(route.name.len, len - 4);
                assert_memory_equal(route.name.data, path + 4, len - 4);

                free(p);
            }
        }
    }
}


static void
test_references(void **state)
{
    static const route_case_t  cases[] = {
        { "/v2/a/manifests/.INVALID_MANIFEST_NAME", MANIFEST, "a",
          ".INVALID_MANIFEST_NAME", OCI_INVALID, 0 },
        { "/v2/a/manifests/-a", MANIFEST, "a", "-a", OCI_INVALID, 0 },
        { "/v2/a/manifests/a+b", MANIFEST, "a", "a+b", OCI_INVALID, 0 },
        { "/v2/a/manifests/a b", MANIFEST, "a", "a b", OCI_INVALID, 0 },
        { "/v2/a/manifests/...", MANIFEST, "a", "...", OCI_INVALID, 0 },
        { "/v2/a/manifests/a\n", MANIFEST, "a", "a\n", OCI_INVALID, 0 },
        { "/v2/a/manifests/sha256:baddigeststring", MANIFEST, "a",
          "sha256:baddigeststring", OCI_INVALID, 1 },
        { "/v2/a/manifests/sha256:" HEX64U, MANIFEST, "a",
          "sha256:" HEX64U, OCI_INVALID, 1 },
        { "/v2/a/manifests/sha256:" HEX64 "0", MANIFEST, "a",
          "sha256:" HEX64 "0", OCI_INVALID, 1 },
        { "/v2/a/manifests/blake3:" HEX64, MANIFEST, "a",
          "blake3:" HEX64, OCI_UNSUPPORTED, 1 },
        { "/v2/a/manifests/:", MANIFEST, "a", ":", OCI_INVALID, 1 },
        { "/v2/a/manifests/latest:", MANIFEST, "a", "latest:",
          OCI_INVALID, 1 },

        /* a blob or a subject has no name but a digest */

        { "/v2/a/blobs/latest", BLOB, "a", "latest", OCI_INVALID, 1 },
        { "/v2/a/blobs/" HEX64, BLOB, "a", HEX64, OCI_INVALID, 1 },
        { "/v2/a/blobs/sha256:" HEX64U, BLOB, "a", "sha256:" HEX64U,
          OCI_INVALID, 1 },
        { "/v2/a/blobs/sha512:" HEX64, BLOB, "a", "sha512:" HEX64,
          OCI_INVALID, 1 },
        { "/v2/a/blobs/blake3:" HEX64, BLOB, "a", "blake3:" HEX64,
          OCI_UNSUPPORTED, 1 },
        { "/v2/a/referrers/latest", REFERRERS, "a", "latest",
          OCI_INVALID, 1 },
        { "/v2/a/referrers/md5:0", REFERRERS, "a", "md5:0",
          OCI_UNSUPPORTED, 1 },

        { "/v2/a/blobs/uploads/0", UPLOAD, "a", "0", OCI_INVALID, 0 },
        { "/v2/a/blobs/uploads/" ID "0", UPLOAD, "a", ID "0",
          OCI_INVALID, 0 },
        { "/v2/a/blobs/uploads/0123456789ABCDEF0123456789ABCDEF", UPLOAD,
          "a", "0123456789ABCDEF0123456789ABCDEF", OCI_INVALID, 0 }
    };

    (void) state;

    routes_are(cases, sizeof(cases) / sizeof(cases[0]));
}


static void
test_colon_escape(void **state)
{
    static const route_case_t  cases[] = {
        { "/v2/a/blobs/sha256%3A" HEX64, BLOB, "a", "sha256:" HEX64,
          OCI_OK, 1 },
        { "/v2/a/blobs/sha256%3a" HEX64, BLOB, "a", "sha256:" HEX64,
          OCI_OK, 1 },
        { "/v2/a/manifests/sha512%3A" HEX64 HEX64, MANIFEST, "a",
          "sha512:" HEX64 HEX64, OCI_OK, 1 },
        { "/v2/a/manifests/sha256%3Abad", MANIFEST, "a", "sha256:bad",
          OCI_INVALID, 1 },
        { "/v2/a/referrers/sha256%3a" HEX64, REFERRERS, "a",
          "sha256:" HEX64, OCI_OK, 1 },
        { "/v2/a/manifests/%3a%3A", MANIFEST, "a", "::", OCI_INVALID, 1 }
    };

    (void) state;

    routes_are(cases, sizeof(cases) / sizeof(cases[0]));
}


static void
refused(const void *text, size_t len)
{
    u_char       *path;
    oci_error_t   error;
    oci_route_t   route;

    path = copy(text, len);
    error = OCI_ERR_NONE;

    if (oci_route_parse(&route, path, len, &error) != OCI_INVALID) {
        fail_msg("\"%.*s\" is taken", (int) len, (const char *) text);
    }

    assert_int_equal(error, OCI_ERR_NAME_INVALID);
    assert_int_equal(route.name.len, 0);
    assert_int_not_equal(route.endpoint, OCI_ENDPOINT_NONE);
    assert_false(plain(text, len));

    free(path);
}


static void
test_refused(void **state)
{
    size_t  i;

    static const char *const  paths[] = {
        "/v2//", "/v2//a", "/v2/a/", "/v2/a//manifests/b",
        "/v2/a/manifests//b", "/v2/a/manifests/", "/v2/a/manifests/b/",
        "/v2/a/blobs/", "/v2/a/tags/list/", "/v2/_catalog/",
        "/v2/a/blobs/uploads//", "/v2/a/blobs/uploads/" ID "/",
        "/v2//a/manifests/b", "/v2//manifests/b", "/v2//blobs/uploads/",
        "/v2/a/blobs//uploads/", "/v2/a/xblobs/uploads/",

        "/v2/.", "/v2/..", "/v2/./a", "/v2/../etc/passwd",
        "/v2/a/../b/manifests/c", "/v2/a/./manifests/c",
        "/v2/a/manifests/..", "/v2/a/manifests/.", "/v2/a/blobs/..",
        "/v2/a/blobs/uploads/..", "/v2/a/b/..",

        "/v2/a%2Fb/manifests/c", "/v2/a%2fb/manifests/c",
        "/v2/a/manifests/%2e", "/v2/a/manifests/%2E%2e",
        "/v2/%2e%2e/manifests/c", "/v2/a/manifests/a%00",
        "/v2/%00", "/v2/a/manifests/%61", "/v2/%61/manifests/b",
        "/v2/a/manifests/a%20b", "/v2/a/manifests/%",
        "/v2/a/manifests/a%3", "/v2/a/manifests/a%zz",
        "/v2/a/manifests/%253A", "/v2/a/manifests/%3", "/v2/%",
        "/v2/%5fcatalog", "/v2/a/manifests/a%3", "/v2/a/b%2",
        "/v2/a/blobs%2fuploads/", "/v2/a/blobs/sha256%3B" HEX64,

        "/v2/A/manifests/b", "/v2/a..b/manifests/c",
        "/v2/a___b/manifests/c", "/v2/a._b/manifests/c",
        "/v2/-a/manifests/c", "/v2/a-/blobs/sha256:" HEX64,
        "/v2/.a/tags/list", "/v2/a./tags/list", "/v2/_a/tags/list",
        "/v2/a_/blobs/uploads/", "/v2/a:b/manifests/c",
        "/v2/a%3Ab/manifests/c", "/v2/@a/manifests/c",
        "/v2/a/_blobs/manifests/c", "/v2/a b/tags/list",
        "/v2/_catalog/tags/list", "/v2/a\\b/tags/list",
        "/v2/a/manifests/A/tags/list", "/v2/\xc3\xa4/tags/list"
    };

    (void) state;

    for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        refused(paths[i], strlen(paths[i]));
    }

    refused("/v2/\0", 5);
    refused("/v2/a\0/tags/list", 16);
    refused("/v2/a/manifests/a\0", 18);
    refused("/v2/a/manifests/\0a", 18);
    refused("/v2/a/blobs/uploads/\0", 21);
}


static void
test_name_length(void **state)
{
    u_char        path[400];
    oci_error_t   error;
    oci_route_t   route;

    (void) state;

    memset(path, 'a', sizeof(path));
    memcpy(path, "/v2/", 4);
    memcpy(path + 4 + 255, "/tags/list", 10);

    assert_int_equal(oci_route_parse(&route, path, 4 + 255 + 10, &error),
                     OCI_OK);
    assert_int_equal(route.endpoint, TAGS);
    assert_int_equal(route.name.len, 255);

    memset(path + 4, 'a', sizeof(path) - 4);
    memcpy(path + 4 + 256, "/tags/list", 10);
    refused(path, 4 + 256 + 10);
}


/* what was decoded is inside the path that was given */

static void
test_in_place(void **state)
{
    u_char       path[] = "/v2/a/blobs/sha256%3A" HEX64;
    oci_error_t  error;
    oci_route_t  route;

    (void) state;

    assert_int_equal(oci_route_parse(&route, path, sizeof(path) - 1,
                                     &error), OCI_OK);
    assert_ptr_equal(route.name.data, path + 4);
    assert_ptr_equal(route.reference.data, path + 12);
    assert_int_equal(route.reference.len, 71);
    assert_memory_equal(path + 12, "sha256:" HEX64, 71);
}


static void
arg_is(const char *args, const char *key, unsigned index, int rc,
    const char *want)
{
    u_char     *text, *buf;
    oci_str_t   in, value;

    in.len = strlen(args);
    in.data = text = copy(args, in.len);
    buf = malloc(16);
    assert_non_null(buf);

    if (oci_query_arg(&in, key, index, &value, buf, 16) != rc) {
        fail_msg("%u. %s of \"%s\" is not %d", index, key, args, rc);
    }

    str_is(args, &value, want);

    if (rc == OCI_OK) {
        assert_ptr_equal(value.data, buf);
    }

    free(buf);
    free(text);
}


static void
test_query(void **state)
{
    (void) state;

    arg_is("", "n", 0, OCI_NOT_FOUND, NULL);
    arg_is("&", "n", 0, OCI_NOT_FOUND, NULL);
    arg_is("&&&", "n", 0, OCI_NOT_FOUND, NULL);
    arg_is("=", "n", 0, OCI_NOT_FOUND, NULL);
    arg_is("n=5", "n", 0, OCI_OK, "5");
    arg_is("n=5", "n", 1, OCI_NOT_FOUND, NULL);
    arg_is("n=", "n", 0, OCI_OK, "");
    arg_is("n", "n", 0, OCI_OK, "");
    arg_is("n&last=a", "n", 0, OCI_OK, "");
    arg_is("n=5&last=a", "last", 0, OCI_OK, "a");
    arg_is("&n=5&", "n", 0, OCI_OK, "5");
    arg_is("last=n=5", "n", 0, OCI_NOT_FOUND, NULL);
    arg_is("last=n=5", "last", 0, OCI_OK, "n=5");
    arg_is("nn=5", "n", 0, OCI_NOT_FOUND, NULL);
    arg_is("N=5", "n", 0, OCI_NOT_FOUND, NULL);
    arg_is("n=5", "nn", 0, OCI_NOT_FOUND, NULL);
    arg_is("n;n=5", "n", 0, OCI_NOT_FOUND, NULL);

    /* repeated */

    arg_is("tag=a&tag=b&x=1&tag=c", "tag", 0, OCI_OK, "a");
    arg_is("tag=a&tag=b&x=1&tag=c", "tag", 1, OCI_OK, "b");
    arg_is("tag=a&tag=b&x=1&tag=c", "tag", 2, OCI_OK, "c");
    arg_is("tag=a&tag=b&x=1&tag=c", "tag", 3, OCI_NOT_FOUND, NULL);
    arg_is("tag&tag=&tag=c", "tag", 1, OCI_OK, "");
    arg_is("tag&tag=&tag=c", "tag", 2, OCI_OK, "c");

    /* encoded */

    arg_is("digest=sha256%3Aab", "digest", 0, OCI_OK, "sha256:ab");
    arg_is("digest=sha256%3aab", "digest", 0, OCI_OK, "sha256:ab");
    arg_is("digest=sha256:ab", "digest", 0, OCI_OK, "sha256:ab");
    arg_is("from=a%2Fb/c", "from", 0, OCI_OK, "a/b/c");
    arg_is("artifactType=a%2Fb%2Bc+d", "artifactType", 0, OCI_OK,
           "a/b+c+d");
    arg_is("%64igest=x", "digest", 0, OCI_OK, "x");
    arg_is("diges%74=x", "digest", 0, OCI_OK, "x");
    arg_is("digest%=x&digest=y", "digest", 0, OCI_OK, "y");
    arg_is("digest%00=x", "digest", 0, OCI_NOT_FOUND, NULL);
    arg_is("n=%26%3D%25", "n", 0, OCI_OK, "&=%");
    arg_is("n=%2541", "n", 0, OCI_OK, "%41");
    arg_is("n=%20", "n", 0, OCI_OK, " ");
    arg_is("n=%C3%A4", "n", 0, OCI_OK, "\xc3\xa4");

    /* refused */

    arg_is("n=%", "n", 0, OCI_INVALID, NULL);
    arg_is("n=%4", "n", 0, OCI_INVALID, NULL);
    arg_is("n=%4&1=a", "n", 0, OCI_INVALID, NULL);
    arg_is("n=%zz", "n", 0, OCI_INVALID, NULL);
    arg_is("n=%4g", "n", 0, OCI_INVALID, NULL);
    arg_is("n=a%00", "n", 0, OCI_INVALID, NULL);
    arg_is("n=%0d%0aX", "n", 0, OCI_INVALID, NULL);
    arg_is("n=%7f", "n", 0, OCI_INVALID, NULL);
    arg_is("n=%1F", "n", 0, OCI_INVALID, NULL);
    arg_is("n=a\tb", "n", 0, OCI_INVALID, NULL);
    arg_is("n=a\x7f", "n", 0, OCI_INVALID, NULL);

    /* a bad value is bad only where it is asked for */

    arg_is("x=%00&n=1", "n", 0, OCI_OK, "1");
    arg_is("n=%00&n=1", "n", 1, OCI_OK, "1");
    arg_is("n=%00&n=1", "n", 0, OCI_INVALID, NULL);

    /* the buffer holds 16 */

    arg_is("n=0123456789abcdef", "n", 0, OCI_OK, "0123456789abcdef");
    arg_is("n=0123456789abcde%66", "n", 0, OCI_OK, "0123456789abcdef");
    arg_is("n=0123456789abcdefg", "n", 0, OCI_INVALID, NULL);
}


static void
test_query_bytes(void **state)
{
    u_char     text[] = "n=a\0b", buf[16];
    oci_str_t  args, value;

    (void) state;

    args.data = text;
    args.len = 5;
    assert_int_equal(oci_query_arg(&args, "n", 0, &value, buf, 16),
                     OCI_INVALID);
    assert_int_equal(value.len, 0);

    args.data = NULL;
    args.len = 0;
    assert_int_equal(oci_query_arg(&args, "n", 0, &value, buf, 16),
                     OCI_NOT_FOUND);

    /* the key is not found by a NUL that ends it early */

    args.data = (u_char *) "n\0=1";
    args.len = 4;
    assert_int_equal(oci_query_arg(&args, "n", 0, &value, buf, 16),
                     OCI_NOT_FOUND);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_not_ours),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_words_as_names),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_colon_escape),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_name_length),
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_query_bytes)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
