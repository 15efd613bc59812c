
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "oci_manifest.h"


#define IMAGE   "application/vnd.oci.image.manifest.v1+json"
#define INDEX   "application/vnd.oci.image.index.v1+json"
#define DOCKER  "application/vnd.docker.distribution.manifest.v2+json"
#define LIST    "application/vnd.docker.distribution.manifest.list.v2+json"
#define OTHER   "application/vnd.example.thing.v1+json"

#define H1  "1111111111111111111111111111111111111111111111111111111111111111"
#define H2  "2222222222222222222222222222222222222222222222222222222222222222"
#define D1  "sha256:" H1
#define D2  "sha512:" H2 H2

#define DESC  "{\"mediaType\":\"a/b\",\"digest\":\"" D1 "\",\"size\":3}"


static oci_manifest_t   m;
static const char      *reason;


static int
parse_data(const char *type, const void *data, size_t len)
{
    int         rc;
    u_char     *copy;
    oci_str_t   content_type;

    content_type.data = (u_char *) (uintptr_t) type;
    content_type.len = type ? strlen(type) : 0;

    /* neither the body nor the type may be needed after the call */

    copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, data, len);

    rc = oci_manifest_parse(&m, copy, len, &content_type, &reason);

    memset(copy, 'x', len);
    free(copy);

    assert_int_equal(rc == OCI_OK || rc == OCI_ERROR, reason == NULL);

    return rc;
}


static int
parse(const char *type, const char *text)
{
    return parse_data(type, text, strlen(text));
}


static void
ok(const char *type, const char *text)
{
    if (parse(type, text) != OCI_OK) {
        fail_msg("%s: %s", text, reason);
    }
}


static void
invalid(const char *type, const char *text)
{
    int  rc;

    rc = parse(type, text);

    if (rc != OCI_INVALID) {
        fail_msg("%d instead of OCI_INVALID: %s", rc, text);
    }
}


static void
accepted(const char *type, const char *text)
{
    ok(type, text);
    oci_manifest_free(&m);
}


static void
same(const oci_str_t *s, const char *text)
{
    assert_int_equal(s->len, strlen(text));
    assert_memory_equal(s->data, text, s->len);
}


static void
test_image(void **state)
{
    (void) state;

    ok(IMAGE, "{\"schemaVersion\":2,\"mediaType\":\"" IMAGE "\","
       "\"config\":{\"mediaType\":\"c/d\",\"digest\":\"" D1 "\",\"size\":7},"
       "\"layers\":[" DESC ",{\"digest\":\"" D2 "\",\"size\":0}]}");

    same(&m.media_type, IMAGE);
    same(&m.artifact_type, "c/d");

    assert_true(m.has_artifact_type);
    assert_false(m.is_index);
    assert_false(m.has_subject);
    assert_int_equal(m.count, 3);

    assert_int_equal(m.descriptors[0].kind, OCI_DESC_CONFIG);
    assert_int_equal(m.descriptors[0].size, 7);
    assert_string_equal(m.descriptors[0].digest.hex, H1);

    assert_int_equal(m.descriptors[1].kind, OCI_DESC_LAYER);
    assert_int_equal(m.descriptors[1].size, 3);

    assert_int_equal(m.descriptors[2].kind, OCI_DESC_LAYER);
    assert_int_equal(m.descriptors[2].digest.alg, OCI_SHA512);
    assert_int_equal(m.descriptors[2].size, 0);
    assert_false(m.descriptors[2].foreign);
    assert_false(m.descriptors[2].unsupported);

    oci_manifest_free(&m);
}


static void
test_index(void **state)
{
    (void) state;

    ok(LIST, "{\"schemaVersion\":2,\"manifests\":[" DESC "," DESC "]}");

    assert_true(m.is_index);
    assert_false(m.has_artifact_type);
    assert_int_equal(m.count, 2);
    assert_int_equal(m.descriptors[1].kind, OCI_DESC_MANIFEST);

    oci_manifest_free(&m);

    ok(INDEX, "{\"manifests\":[],\"artifactType\":\"x/y\"}");
    assert_int_equal(m.count, 0);
    same(&m.artifact_type, "x/y");
    oci_manifest_free(&m);
}


static void
test_accepted(void **state)
{
    (void) state;

    /* what Go's encoder makes of empty slices, and no config at all */

    accepted(IMAGE, "{\"layers\":null,\"config\":null}");
    accepted(IMAGE, "{\"layers\":[]}");
    accepted(IMAGE, "{}");
    accepted(IMAGE, "{\"layers\":[],\"manifests\":null}");
    accepted(IMAGE, "{\"mediaType\":null,\"schemaVersion\":null}");
    accepted(IMAGE, "{\"mediaType\":\"\"}");
    accepted(IMAGE, " \r\n\t{ } \n");

    /* custom fields, whatever they are called */

    accepted(IMAGE, "{\"blobs\":[7],\"x\":{\"digest\":1},\"layers\":[]}");
    accepted(IMAGE, "{\"layers\":[{\"digest\":\"" D1 "\",\"size\":1,"
             "\"data\":\"e30=\",\"platform\":{},\"urls\":null,"
             "\"annotations\":null,\"mediaType\":null}]}");
    accepted(IMAGE, "{\"annotations\":{\"a\":\"\\u0000\"}}");
    accepted(IMAGE, "{\"a\":\"[[[{{{\\\"[[[\\\\\"}");

    /* unknown types: descriptors only where there are some */

    accepted(OTHER, "{\"config\":7,\"layers\":{},\"blobs\":null}");
    accepted(OTHER, "{\"schemaVersion\":1,\"subject\":\"none\","
             "\"artifactType\":[]}");
    accepted("application/json", "{}");
}


static void
test_other_type(void **state)
{
    (void) state;

    ok(OTHER, "{\"blobs\":[" DESC ",7,{},{\"digest\":\"" D1 "\"},"
       "{\"digest\":\"" D1 "\",\"size\":-1},"
       "{\"digest\":\"md5\",\"size\":1}],\"layers\":[[]],"
       "\"config\":{\"mediaType\":\"c/d\"},"
       "\"subject\":{\"digest\":\"" D2 "\"}}");

    same(&m.media_type, OTHER);
    assert_int_equal(m.count, 1);
    assert_int_equal(m.descriptors[0].kind, OCI_DESC_LAYER);
    assert_true(m.has_subject);
    assert_int_equal(m.subject.alg, OCI_SHA512);
    same(&m.artifact_type, "c/d");
    assert_false(m.is_index);
    oci_manifest_free(&m);

    ok(OTHER, "{\"manifests\":[" DESC "],\"config\":{\"mediaType\":\"c/d\"},"
       "\"subject\":{\"digest\":\"sha256:7\"}}");
    assert_true(m.is_index);
    assert_int_equal(m.count, 1);
    assert_false(m.has_artifact_type);
    assert_false(m.has_subject);
    oci_manifest_free(&m);
}


static void
test_bytes(void **state)
{
    (void) state;

    invalid(IMAGE, "");
    invalid(IMAGE, " ");
    invalid(IMAGE, "[]");
    invalid(IMAGE, "7");
    invalid(IMAGE, "null");
    invalid(IMAGE, "\"{}\"");
    invalid(IMAGE, "{");
    invalid(IMAGE, "{}}");
    invalid(IMAGE, "{} {}");
    invalid(IMAGE, "{\"a\":1,}");
    invalid(IMAGE, "{\"a\":\"\\");
    invalid(IMAGE, "{\"a\":\"\xff\"}");
    invalid(IMAGE, "\xef\xbb\xbf{}");
    invalid(IMAGE, "<manifest/>");

    assert_int_equal(parse_data(IMAGE, "{}\0", 3), OCI_INVALID);
    assert_int_equal(parse_data(IMAGE, "{\"a\0\":1}", 8), OCI_INVALID);

    invalid(IMAGE, "{\"layers\":[],\"layers\":[]}");
    assert_string_equal(reason, "duplicate keys");
    invalid(IMAGE, "{\"x\":{\"a\":1,\"\\u0061\":2}}");
    assert_string_equal(reason, "duplicate keys");
    invalid(OTHER, "{\"subject\":null,\"subject\":{}}");
}


static void
nested(unsigned depth, int want)
{
    char      *p;
    unsigned   i;

    p = malloc(8 * depth + 16);
    assert_non_null(p);

    p[0] = '\0';
    strcat(p, "{\"a\":");

    for (i = 1; i < depth; i++) {
        strcat(p, "[");
    }

    if (depth == 1) {
        strcat(p, "1");
    }

    for (i = 1; i < depth; i++) {
        strcat(p, "]");
    }

    strcat(p, "}");

    assert_int_equal(parse(OTHER, p), want);

    if (want == OCI_OK) {
        oci_manifest_free(&m);
    }

    free(p);
}


static void
test_depth(void **state)
{
    (void) state;

    nested(1, OCI_OK);
    nested(OCI_MANIFEST_DEPTH_MAX, OCI_OK);
    nested(OCI_MANIFEST_DEPTH_MAX + 1, OCI_INVALID);
    assert_string_equal(reason, "nested too deep");
    nested(5000, OCI_INVALID);
    assert_string_equal(reason, "nested too deep");
}


/* n times the text between two others */

static char *
repeat(const char *begin, const char *text, size_t n, const char *end)
{
    char    *p, *out;
    size_t   len;

    len = strlen(text);

    out = malloc(strlen(begin) + n * len + strlen(end) + 1);
    assert_non_null(out);

    p = stpcpy(out, begin);

    while (n--) {
        memcpy(p, text, len);
        p += len;
    }

    (void) strcpy(p, end);

    return out;
}


static void
test_bounds(void **state)
{
    char  *p;

    (void) state;

    p = repeat("{\"layers\":[", DESC ",", OCI_MANIFEST_DESCRIPTORS_MAX - 2,
               DESC "]}");
    ok(IMAGE, p);
    assert_int_equal(m.count, OCI_MANIFEST_DESCRIPTORS_MAX - 1);
    oci_manifest_free(&m);
    free(p);

    p = repeat("{\"layers\":[", DESC ",", OCI_MANIFEST_DESCRIPTORS_MAX,
               DESC "]}");
    invalid(IMAGE, p);
    assert_string_equal(reason, "too many descriptors");
    invalid(OTHER, p);
    free(p);

    /* small text, large in memory */

    p = repeat("{\"a\":[", "{},", 1024 * 1024, "{}]}");
    invalid(OTHER, p);
    assert_string_equal(reason, "too many values");
    free(p);

    p = repeat("{\"a\":[", "0,", 2 * 1024 * 1024, "0]}");
    invalid(OTHER, p);
    assert_string_equal(reason, "too many values");
    free(p);

    /* inside a string they are nothing */

    p = repeat("{\"a\":\"", "{,[", 1024 * 1024, "\"}");
    accepted(OTHER, p);
    free(p);
}


static void
test_confusion(void **state)
{
    (void) state;

    invalid(IMAGE, "{\"layers\":[],\"manifests\":[]}");
    invalid(INDEX, "{\"layers\":[],\"manifests\":[]}");
    invalid(OTHER, "{\"layers\":[],\"manifests\":[]}");
    invalid(NULL, "{\"layers\":[],\"manifests\":[]}");
    invalid(INDEX, "{\"layers\":[]}");
    invalid(INDEX, "{\"manifests\":[],\"config\":" DESC "}");
    invalid(IMAGE, "{\"manifests\":[]}");

    invalid(IMAGE, "{\"mediaType\":\"" INDEX "\"}");
    invalid(OTHER, "{\"mediaType\":\"" IMAGE "\"}");
    invalid(OTHER, "{\"mediaType\":\"" OTHER "x\"}");
    invalid(OTHER, "{\"mediaType\":\"Application/vnd.example.thing.v1+json\"}");
    invalid(OTHER, "{\"mediaType\":7}");
    invalid(OTHER, "{\"mediaType\":{}}");
    accepted(OTHER, "{\"mediaType\":\"" OTHER "\"}");
}


static void
test_content_type(void **state)
{
    (void) state;

    ok(IMAGE "; charset=utf-8", "{\"mediaType\":\"" IMAGE "\"}");
    same(&m.media_type, IMAGE);
    oci_manifest_free(&m);

    ok(" " OTHER "\t ;a=b", "{}");
    same(&m.media_type, OTHER);
    oci_manifest_free(&m);

    ok("Application/X.Thing", "{\"mediaType\":\"Application/X.Thing\"}");
    same(&m.media_type, "Application/X.Thing");
    oci_manifest_free(&m);

    invalid("nonsense", "{}");
    invalid("a/b c", "{}");
    invalid("a/b\n", "{}");
    invalid("a/", "{}");

    /* none: what the JSON says, then its shape */

    ok(NULL, "{\"mediaType\":\"" DOCKER "\"}");
    same(&m.media_type, DOCKER);
    oci_manifest_free(&m);

    ok(";charset=utf-8", "{\"mediaType\":\"" DOCKER "\"}");
    same(&m.media_type, DOCKER);
    oci_manifest_free(&m);

    ok(NULL, "{\"manifests\":[" DESC "]}");
    same(&m.media_type, INDEX);
    assert_true(m.is_index);
    oci_manifest_free(&m);

    ok(NULL, "{\"layers\":[]}");
    same(&m.media_type, IMAGE);
    oci_manifest_free(&m);

    ok(NULL, "{\"config\":" DESC "}");
    same(&m.media_type, IMAGE);
    oci_manifest_free(&m);

    invalid(NULL, "{}");
    invalid(NULL, "{\"mediaType\":\"a b\"}");
    invalid(NULL, "{\"mediaType\":\"a/b\\u0000\"}");
}


static void
test_schema1(void **state)
{
    (void) state;

    assert_int_equal(
        parse("application/vnd.docker.distribution.manifest.v1+json", "{}"),
        OCI_UNSUPPORTED);
    assert_int_equal(
        parse("application/vnd.docker.distribution.manifest.v1+prettyjws",
              "{}"),
        OCI_UNSUPPORTED);
    assert_int_equal(
        parse(NULL, "{\"mediaType\":"
              "\"application/vnd.docker.distribution.manifest.v1+json\"}"),
        OCI_UNSUPPORTED);
    assert_int_equal(parse(NULL, "{\"schemaVersion\":1,\"fsLayers\":[]}"),
                     OCI_UNSUPPORTED);
    assert_int_equal(parse("application/json",
                           "{\"schemaVersion\":1,\"fsLayers\":[]}"),
                     OCI_UNSUPPORTED);
}


static void
layer(const char *text, int want)
{
    char         buf[1024];
    unsigned     i;
    const char  *types[] = { IMAGE, DOCKER };

    for (i = 0; i < 2; i++) {
        (void) snprintf(buf, sizeof(buf), "{\"layers\":[%s]}", text);
        assert_int_equal(parse(types[i], buf), want);

        if (want == OCI_OK) {
            oci_manifest_free(&m);
        }

        (void) snprintf(buf, sizeof(buf), "{\"config\":%s}", text);
        assert_int_equal(parse(types[i], buf), want);

        if (want == OCI_OK) {
            oci_manifest_free(&m);
        }
    }

    types[0] = INDEX;
    types[1] = LIST;

    for (i = 0; i < 2; i++) {
        (void) snprintf(buf, sizeof(buf), "{\"manifests\":[%s]}", text);
        assert_int_equal(parse(types[i], buf), want);

        if (want == OCI_OK) {
            oci_manifest_free(&m);
        }
    }
}


static void
test_descriptors(void **state)
{
    (void) state;

    layer(DESC, OCI_OK);
    layer("{\"digest\":\"" D1 "\",\"size\":9223372036854775807}", OCI_OK);
    layer("{\"digest\":\"" D1 "\",\"size\":9223372036854775808}",
          OCI_INVALID);
    layer("{\"digest\":\"" D1 "\",\"size\":-1}", OCI_INVALID);
    layer("{\"digest\":\"" D1 "\",\"size\":1.0}", OCI_INVALID);
    layer("{\"digest\":\"" D1 "\",\"size\":\"1\"}", OCI_INVALID);
    layer("{\"digest\":\"" D1 "\",\"size\":null}", OCI_INVALID);
    layer("{\"digest\":\"" D1 "\"}", OCI_INVALID);
    layer("{\"size\":1}", OCI_INVALID);
    layer("{\"digest\":\"\",\"size\":1}", OCI_INVALID);
    layer("{\"digest\":\"sha256:11\",\"size\":1}", OCI_INVALID);
    layer("{\"digest\":\"../../etc/passwd\",\"size\":1}", OCI_INVALID);
    layer("{\"digest\":[],\"size\":1}", OCI_INVALID);
    layer("{\"digest\":\"" D1 "\\u0000\",\"size\":1}", OCI_INVALID);
    layer("{\"digest\":\"" D1 "\",\"size\":1,\"mediaType\":1}", OCI_INVALID);
    layer("{\"digest\":\"" D1 "\",\"size\":1,\"urls\":\"x\"}", OCI_INVALID);
    layer("{}", OCI_INVALID);
    layer("[]", OCI_INVALID);
    layer("7", OCI_INVALID);
    layer("{\"digest\":\"blake3:" H1 "\",\"size\":1}", OCI_OK);

    invalid(IMAGE, "{\"layers\":{}}");
    invalid(IMAGE, "{\"layers\":7}");
    invalid(IMAGE, "{\"layers\":[null]}");
    invalid(INDEX, "{\"manifests\":\"\"}");

    invalid(IMAGE, "{\"schemaVersion\":1}");
    invalid(IMAGE, "{\"schemaVersion\":2.0}");
    invalid(IMAGE, "{\"schemaVersion\":\"2\"}");
    accepted(IMAGE, "{\"schemaVersion\":2}");

    ok(IMAGE, "{\"layers\":[{\"digest\":\"blake3:" H1 "\",\"size\":1}]}");
    assert_true(m.descriptors[0].unsupported);
    assert_int_equal(m.descriptors[0].digest.hex_len, 0);
    oci_manifest_free(&m);
}


static void
foreign(const char *fields, unsigned want)
{
    char  buf[1024];

    (void) snprintf(buf, sizeof(buf),
                    "{\"layers\":[{%s,\"digest\":\"" D1 "\",\"size\":1}]}",
                    fields);

    ok(IMAGE, buf);
    assert_int_equal(m.descriptors[0].foreign, want);
    oci_manifest_free(&m);
}


static void
test_foreign(void **state)
{
    (void) state;

#define NONDIST  "application/vnd.oci.image.layer.nondistributable.v1.tar"

    foreign("\"mediaType\":\"" NONDIST "\"", 1);
    foreign("\"mediaType\":\"" NONDIST "+gzip\"", 1);
    foreign("\"mediaType\":\"" NONDIST "+zstd\"", 1);
    foreign("\"mediaType\":"
            "\"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip\"",
            1);
    foreign("\"mediaType\":\"" NONDIST "x\"", 0);
    foreign("\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\"", 0);
    foreign("\"mediaType\":\"application/vnd.oci.empty.v1+json\"", 0);
    foreign("\"urls\":[\"http://127.0.0.1/\"]", 1);
    foreign("\"urls\":[]", 0);
    foreign("\"urls\":null", 0);
}


static void
test_subject(void **state)
{
    (void) state;

    ok(IMAGE, "{\"subject\":" DESC "}");
    assert_true(m.has_subject);
    assert_string_equal(m.subject.hex, H1);
    assert_int_equal(m.count, 0);
    oci_manifest_free(&m);

    ok(INDEX, "{\"subject\":{\"digest\":\"" D2 "\"}}");
    assert_true(m.has_subject);
    oci_manifest_free(&m);

    invalid(IMAGE, "{\"subject\":{}}");
    invalid(IMAGE, "{\"subject\":\"" D1 "\"}");
    invalid(IMAGE, "{\"subject\":{\"digest\":7}}");
    invalid(IMAGE, "{\"subject\":{\"digest\":\"sha256:1\"}}");
    invalid(IMAGE, "{\"subject\":{\"digest\":\"blake3:" H1 "\"}}");
    invalid(IMAGE, "{\"subject\":{\"digest\":\"" D1 "\",\"size\":-1}}");
    invalid(INDEX, "{\"subject\":[]}");
    accepted(IMAGE, "{\"subject\":null}");
}


static void
test_artifact_type(void **state)
{
    (void) state;

#define CONFIG  "\"config\":{\"mediaType\":\"c/d\",\"digest\":\"" D1 \
                "\",\"size\":2}"

    ok(IMAGE, "{" CONFIG ",\"artifactType\":\"x/y\"}");
    same(&m.artifact_type, "x/y");
    oci_manifest_free(&m);

    ok(IMAGE, "{" CONFIG ",\"artifactType\":\"\"}");
    same(&m.artifact_type, "c/d");
    oci_manifest_free(&m);

    ok(IMAGE, "{" CONFIG ",\"artifactType\":null}");
    same(&m.artifact_type, "c/d");
    oci_manifest_free(&m);

    ok(IMAGE, "{\"layers\":[]}");
    assert_false(m.has_artifact_type);
    assert_int_equal(m.artifact_type.len, 0);
    oci_manifest_free(&m);

    ok(INDEX, "{\"artifactType\":\"\"}");
    assert_false(m.has_artifact_type);
    oci_manifest_free(&m);

    invalid(IMAGE, "{\"artifactType\":7}");
}


static void
descriptor(const char *type, const char *text, size_t size, const char *want)
{
    char          *out;
    size_t         len;
    oci_digest_t   d;

    ok(type, text);

    assert_int_equal(oci_digest_parse(&d, (const u_char *) D1,
                                      sizeof(D1) - 1),
                     OCI_OK);

    out = oci_manifest_descriptor(&m, &d, size, &len);
    assert_non_null(out);
    assert_int_equal(len, strlen(out));
    assert_string_equal(out, want);

    free(out);
    oci_manifest_free(&m);
}


static void
test_descriptor(void **state)
{
    (void) state;

    descriptor(INDEX, "{}", 2,
               "{\"mediaType\":\"" INDEX "\",\"digest\":\"" D1 "\","
               "\"size\":2}");

    descriptor(IMAGE, "{\"annotations\":{\"z\":\"1\",\"a\":\"\\\"\\u00e9\"},"
               "\"artifactType\":\"x/\\\"y\"}", 5000000000,
               "{\"mediaType\":\"" IMAGE "\",\"digest\":\"" D1 "\","
               "\"size\":5000000000,\"artifactType\":\"x/\\\"y\","
               "\"annotations\":{\"z\":\"1\",\"a\":\"\\\"\xc3\xa9\"}}");

    /* one bad value must not spoil the list for everybody */

    descriptor(IMAGE, "{\"annotations\":{\"a\":7,\"b\":\"c\",\"d\":{}}}", 1,
               "{\"mediaType\":\"" IMAGE "\",\"digest\":\"" D1 "\","
               "\"size\":1,\"annotations\":{\"b\":\"c\"}}");
    descriptor(IMAGE, "{\"annotations\":[1]}", 1,
               "{\"mediaType\":\"" IMAGE "\",\"digest\":\"" D1 "\","
               "\"size\":1}");
    descriptor(IMAGE, "{\"annotations\":{}}", 1,
               "{\"mediaType\":\"" IMAGE "\",\"digest\":\"" D1 "\","
               "\"size\":1}");
}


/* no answer but an error, and nothing lost, when memory runs out anywhere */

static long  budget;


static void *
short_malloc(size_t size)
{
    if (budget-- > 0) {
        return malloc(size);
    }

    errno = ENOMEM;

    return NULL;
}


static void
test_no_memory(void **state)
{
    int            rc;
    char          *out;
    long           n;
    size_t         len;
    oci_digest_t   d;

    (void) state;

    assert_int_equal(oci_digest_parse(&d, (const u_char *) D1,
                                      sizeof(D1) - 1),
                     OCI_OK);

    rc = OCI_ERROR;

    for (n = 0; rc != OCI_OK && n < 1000; n++) {
        budget = n;
        json_set_alloc_funcs(short_malloc, free);
        rc = parse(IMAGE, "{\"layers\":[" DESC "],\"annotations\":"
                   "{\"a\":\"b\"}}");
        json_set_alloc_funcs(malloc, free);
        assert_true(rc == OCI_OK || rc == OCI_ERROR);
    }

    assert_int_equal(rc, OCI_OK);
    assert_true(n > 5);

    out = NULL;

    for (n = 0; out == NULL && n < 1000; n++) {
        budget = n;
        json_set_alloc_funcs(short_malloc, free);
        out = oci_manifest_descriptor(&m, &d, 1, &len);
        json_set_alloc_funcs(malloc, free);
    }

    assert_non_null(out);
    assert_non_null(strstr(out, "\"annotations\":{\"a\":\"b\"}"));
    assert_true(n > 5);

    free(out);
    oci_manifest_free(&m);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_other_type),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_confusion),
        cmocka_unit_test(test_content_type),
        cmocka_unit_test(test_schema1),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_subject),
        cmocka_unit_test(test_artifact_type),
        cmocka_unit_test(test_descriptor),
        cmocka_unit_test(test_no_memory)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
