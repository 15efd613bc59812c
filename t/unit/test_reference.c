
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "oci_reference.h"


#define all(valid, list, want)                                                \
    all_are(valid, #valid, list, sizeof(list) / sizeof(list[0]), want)


typedef int (*valid_pt)(const u_char *p, size_t len);


static void
all_are(valid_pt valid, const char *name, const char *const *list, size_t n,
    int want)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (valid((const u_char *) list[i], strlen(list[i])) != want) {
            fail_msg("%s(\"%s\") is not %d", name, list[i], want);
        }
    }
}


/* which bytes are taken at a place of the text, the others being 'a' */

static void
bytes_are(valid_pt valid, size_t len, size_t pos, const char *set)
{
    int     c, want;
    u_char  text[64];

    for (c = 0; c < 256; c++) {
        memset(text, 'a', sizeof(text));
        text[pos] = (u_char) c;

        want = c != 0 && strchr(set, c) != NULL;

        if (valid(text, len) != want) {
            fail_msg("byte %d at %d of %d is not %d",
                     c, (int) pos, (int) len, want);
        }
    }
}


#define DIGITS  "0123456789"
#define LOWER   "abcdefghijklmnopqrstuvwxyz"
#define UPPER   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


static void
test_name(void **state)
{
    static const char *const  good[] = {
        "a", "0", "a0", "0a", "library/alpine", "a/b/c/d/e/f/g",
        "a.b", "a_b", "a__b", "a-b", "a--b", "a-----b", "a.b_c__d-e--f",
        "a.b/c_d/e__f/g--h", "0.0.0", "1-2-3",
        "blobs", "manifests", "tags", "uploads", "referrers", "v2", "list",
        "v2/blobs/uploads/manifests/tags/list/referrers",
        "blobs/blobs", "blobs/uploads", "tags/list"
    };

    static const char *const  bad[] = {
        "", "/", "//", ".", "..", "_", "__", "-", "--",
        "a..b", "a___b", "a____b", "a._b", "a_.b", "a.-b", "a-.b", "a-_b",
        "a_-b", "a__-b", "a--_b", "a__.b", "a.__b",
        "a//b", "a///b", "/a", "a/", "/a/", "a/b/",
        "A", "aB", "Ab", "a/B", "LIBRARY/alpine",
        ".a", "_a", "__a", "-a", "a.", "a_", "a__", "a-", "a--",
        "a/.b", "a/_b", "a/__b", "a/-b", "a./b", "a_/b", "a__/b", "a-/b",
        "a/./b", "a/../b", "../a", "a/..", "./a", "a/.",
        "_catalog", "a/_blobs", "_blobs/a", "@ns/a", "a@b", "a:b", "a b",
        " a", "a ", "a\n", "\na", "a\tb", "a%2fb", "a\\b", "a?b", "a#b",
        "a+b", "a~b", "a*b", "a=b", "a&b", "a;b", "a,b", "a'b", "a\"b",
        "\xc3\xa4", "a\xff"
    };

    (void) state;

    all(oci_name_valid, good, 1);
    all(oci_name_valid, bad, 0);

    assert_int_equal(oci_name_valid((u_char *) "a\0b", 3), 0);
    assert_int_equal(oci_name_valid((u_char *) "a\0", 2), 0);
    assert_int_equal(oci_name_valid((u_char *) "\0", 1), 0);

    bytes_are(oci_name_valid, 1, 0, LOWER DIGITS);
    bytes_are(oci_name_valid, 3, 0, LOWER DIGITS);
    bytes_are(oci_name_valid, 3, 1, LOWER DIGITS "._-/");
    bytes_are(oci_name_valid, 3, 2, LOWER DIGITS);
}


static void
test_name_length(void **state)
{
    size_t  i;
    u_char  text[300];

    (void) state;

    memset(text, 'a', sizeof(text));

    for (i = 1; i <= 255; i++) {
        assert_int_equal(oci_name_valid(text, i), 1);
    }

    assert_int_equal(oci_name_valid(text, 256), 0);
    assert_int_equal(oci_name_valid(text, 300), 0);

    /* the longest run of separators, and of components */

    memset(text + 1, '-', 253);
    assert_int_equal(oci_name_valid(text, 255), 1);
    assert_int_equal(oci_name_valid(text, 254), 0);

    for (i = 0; i < 255; i++) {
        text[i] = i % 2 ? '/' : 'a';
    }

    assert_int_equal(oci_name_valid(text, 255), 1);
    assert_int_equal(oci_name_valid(text, 254), 0);
}


static void
test_tag(void **state)
{
    size_t  i;
    u_char  text[200];

    static const char *const  good[] = {
        "a", "A", "0", "_", "latest", "v1.2.3", "1.0", "a.", "a-", "a_",
        "a..b", "_.", "_-", "__", "a--b", "A.b_C-d", "sha256-abc"
    };

    static const char *const  bad[] = {
        "", ".", "..", "-", ".INVALID_MANIFEST_NAME", "-a", ".a",
        "a:b", "a/b", "a b", "a+b", "a@b", "a%", "a\n", "\n", "a\\",
        "\xc3\xa4", "a\x7f"
    };

    (void) state;

    all(oci_tag_valid, good, 1);
    all(oci_tag_valid, bad, 0);

    assert_int_equal(oci_tag_valid((u_char *) "a\0", 2), 0);

    bytes_are(oci_tag_valid, 2, 0, LOWER UPPER DIGITS "_");
    bytes_are(oci_tag_valid, 2, 1, LOWER UPPER DIGITS "_.-");

    memset(text, 'a', sizeof(text));

    for (i = 1; i <= 128; i++) {
        assert_int_equal(oci_tag_valid(text, i), 1);
    }

    assert_int_equal(oci_tag_valid(text, 129), 0);
}


static void
test_namespace(void **state)
{
    u_char  text[129];

    static const char *const  good[] = {
        "docker.io", "localhost:5000", "a", "0", "-", ":", "...", ".a",
        "..a", "a..", "registry-1.docker.io"
    };

    static const char *const  bad[] = {
        "", ".", "..", "A", "a/b", "/", "../a", "a_b", "@a", "a b", "[::1]",
        "a%", "a\n"
    };

    (void) state;

    all(oci_namespace_valid, good, 1);
    all(oci_namespace_valid, bad, 0);

    assert_int_equal(oci_namespace_valid((u_char *) "a\0", 2), 0);

    bytes_are(oci_namespace_valid, 2, 1, LOWER DIGITS ".:-");

    memset(text, 'a', sizeof(text));
    assert_int_equal(oci_namespace_valid(text, 128), 1);
    assert_int_equal(oci_namespace_valid(text, 129), 0);
}


static void
test_media_type(void **state)
{
    u_char  text[300];

    static const char *const  good[] = {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/octet-stream", "a/b", "A/B", "0/1",
        "text/x!#$&-^_.+", "application/vnd.cncf.model.weight.v1.raw"
    };

    static const char *const  bad[] = {
        "", "/", "a", "a/", "/a", "a/b/c", "a//b", "a/b;c=d", "a/b; c=d",
        "a/b ", " a/b", "a /b", "a/ b", "a/*", "*/*", "a/b,c", "a/.b",
        ".a/b", "a/+b", "a/b\"", "a/b\r\n", "a/b%", "a/b@c", "a/b:c",
        "a/\xc3\xa4"
    };

    (void) state;

    all(oci_media_type_valid, good, 1);
    all(oci_media_type_valid, bad, 0);

    assert_int_equal(oci_media_type_valid((u_char *) "a/b\0", 4), 0);

    memset(text, 'a', sizeof(text));
    text[127] = '/';
    assert_int_equal(oci_media_type_valid(text, 255), 1);
    assert_int_equal(oci_media_type_valid(text, 256), 0);

    text[127] = 'a';
    text[128] = '/';
    assert_int_equal(oci_media_type_valid(text, 200), 0);

    text[128] = 'a';
    text[1] = '/';
    assert_int_equal(oci_media_type_valid(text, 2 + 127), 1);
    assert_int_equal(oci_media_type_valid(text, 2 + 128), 0);
}


static void
test_upload_id(void **state)
{
    static const char *const  good[] = {
        "0123456789abcdef0123456789abcdef",
        "00000000000000000000000000000000",
        "ffffffffffffffffffffffffffffffff"
    };

    static const char *const  bad[] = {
        "", "0", "0123456789abcdef0123456789abcde",
        "0123456789abcdef0123456789abcdef0",
        "0123456789ABCDEF0123456789ABCDEF",
        "0123456789abcdef0123456789abcdeg",
        "01234567-89ab-cdef-0123-456789abc",
        "../../../../../../../../../../..",
        "0123456789abcdef/123456789abcdef"
    };

    (void) state;

    all(oci_upload_id_valid, good, 1);
    all(oci_upload_id_valid, bad, 0);

    bytes_are(oci_upload_id_valid, 32, 0, DIGITS "abcdef");
    bytes_are(oci_upload_id_valid, 32, 31, DIGITS "abcdef");
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_name_length),
        cmocka_unit_test(test_tag),
        cmocka_unit_test(test_namespace),
        cmocka_unit_test(test_media_type),
        cmocka_unit_test(test_upload_id)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
