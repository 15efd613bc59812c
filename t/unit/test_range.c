
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oci_range.h"


#define MAX_TEXT     "9223372036854775807"
#define OVER_TEXT    "9223372036854775808"
#define HUGE_TEXT    "99999999999999999999999999999999999999999999"


/* runs the parser on an exact copy, for AddressSanitizer */

static int
parse(const char *text, int64_t size, oci_range_t *ranges, unsigned max,
    unsigned *n)
{
    int      rc;
    size_t   len;
    u_char  *p;

    len = strlen(text);
    p = malloc(len ? len : 1);
    assert_non_null(p);
    memcpy(p, text, len);

    *n = 77;
    rc = oci_range_parse(p, len, size, ranges, max, n);

    free(p);

    return rc;
}


static void
one(const char *text, int64_t size, int rc, int64_t start, int64_t end)
{
    int          got;
    unsigned     n;
    oci_range_t  ranges[8];

    got = parse(text, size, ranges, 8, &n);

    if (got != rc) {
        fail_msg("\"%s\" of %ld is %d", text, (long) size, got);
    }

    if (rc != OCI_OK) {
        assert_int_equal(n, 0);
        return;
    }

    if (n != 1 || ranges[0].start != start || ranges[0].end != end) {
        fail_msg("\"%s\" of %ld is %u ranges, first %ld to %ld", text,
                 (long) size, n, (long) ranges[0].start,
                 (long) ranges[0].end);
    }
}


static void
test_spec(void **state)
{
    (void) state;

    one("bytes=500-1499", 2048, OCI_OK, 500, 1500);
    one("bytes=500-", 2048, OCI_OK, 500, 2048);
    one("bytes=-500", 2048, OCI_OK, 1548, 2048);
    one("bytes=2000-5000", 2048, OCI_OK, 2000, 2048);
    one("bytes=500-0", 2048, OCI_RANGE, 0, 0);
    one("bytes=5000-10000", 2048, OCI_RANGE, 0, 0);
}


static void
test_edges(void **state)
{
    (void) state;

    one("bytes=0-", 2048, OCI_OK, 0, 2048);
    one("bytes=0-0", 2048, OCI_OK, 0, 1);
    one("bytes=0-2047", 2048, OCI_OK, 0, 2048);
    one("bytes=0-2048", 2048, OCI_OK, 0, 2048);
    one("bytes=2047-", 2048, OCI_OK, 2047, 2048);
    one("bytes=2047-2047", 2048, OCI_OK, 2047, 2048);
    one("bytes=2048-", 2048, OCI_RANGE, 0, 0);
    one("bytes=2048-2048", 2048, OCI_RANGE, 0, 0);
    one("bytes=-1", 2048, OCI_OK, 2047, 2048);
    one("bytes=-2047", 2048, OCI_OK, 1, 2048);
    one("bytes=-2048", 2048, OCI_OK, 0, 2048);
    one("bytes=-2049", 2048, OCI_OK, 0, 2048);
    one("bytes=-0", 2048, OCI_RANGE, 0, 0);
    one("bytes=1-0", 2048, OCI_RANGE, 0, 0);
    one("bytes=5000-4999", 2048, OCI_RANGE, 0, 0);
    one("bytes=00000000000000000000000000005-6", 2048, OCI_OK, 5, 7);

    one("bytes=0-", 0, OCI_RANGE, 0, 0);
    one("bytes=0-0", 0, OCI_RANGE, 0, 0);
    one("bytes=-1", 0, OCI_RANGE, 0, 0);
    one("bytes=-0", 0, OCI_RANGE, 0, 0);
    one("bytes=0-", 1, OCI_OK, 0, 1);
    one("bytes=-1", 1, OCI_OK, 0, 1);
}


static void
test_numbers(void **state)
{
    (void) state;

    one("bytes=0-" MAX_TEXT, 2048, OCI_OK, 0, 2048);
    one("bytes=0-" OVER_TEXT, 2048, OCI_OK, 0, 2048);
    one("bytes=0-" HUGE_TEXT, 2048, OCI_OK, 0, 2048);
    one("bytes=0-18446744073709551616", 2048, OCI_OK, 0, 2048);
    one("bytes=5-18446744073709551617", 2048, OCI_OK, 5, 2048);
    one("bytes=-" MAX_TEXT, 2048, OCI_OK, 0, 2048);
    one("bytes=-" OVER_TEXT, 2048, OCI_OK, 0, 2048);
    one("bytes=-" HUGE_TEXT, 2048, OCI_OK, 0, 2048);
    one("bytes=" MAX_TEXT "-", 2048, OCI_RANGE, 0, 0);
    one("bytes=" OVER_TEXT "-", 2048, OCI_RANGE, 0, 0);
    one("bytes=" HUGE_TEXT "-", 2048, OCI_RANGE, 0, 0);
    one("bytes=18446744073709551616-", 2048, OCI_RANGE, 0, 0);
    one("bytes=18446744073709551616-5", 2048, OCI_RANGE, 0, 0);
    one("bytes=" HUGE_TEXT "-" HUGE_TEXT, 2048, OCI_RANGE, 0, 0);

    one("bytes=0-", INT64_MAX, OCI_OK, 0, INT64_MAX);
    one("bytes=0-" MAX_TEXT, INT64_MAX, OCI_OK, 0, INT64_MAX);
    one("bytes=0-9223372036854775806", INT64_MAX, OCI_OK, 0, INT64_MAX);
    one("bytes=0-9223372036854775805", INT64_MAX, OCI_OK, 0,
        INT64_MAX - 1);
    one("bytes=9223372036854775806-", INT64_MAX, OCI_OK, INT64_MAX - 1,
        INT64_MAX);
    one("bytes=" MAX_TEXT "-", INT64_MAX, OCI_RANGE, 0, 0);
    one("bytes=-" MAX_TEXT, INT64_MAX, OCI_OK, 0, INT64_MAX);
    one("bytes=-9223372036854775806", INT64_MAX, OCI_OK, 1, INT64_MAX);
}


static void
test_malformed(void **state)
{
    size_t  i;

    static const char *const  malformed[] = {
        "", "=", "bytes", "bytes=", "bytes= ", "bytes=,", "bytes=, ,",
        "bytes=-", "bytes=--", "bytes=--5", "bytes=5", "bytes=5--6",
        "bytes=5-6-", "bytes=5-6-7", "bytes=a-b", "bytes=5-a", "bytes=a-5",
        "bytes=0x5-6", "bytes=+5-6", "bytes=5-+6", "bytes=5.0-6",
        "bytes=*", "bytes=5-*", "bytes==5-6", "bytes=5-6;", "bytes=5-6/7",
        "bytes=5 -6", "bytes=5- 6", "bytes=5 - 6", "bytes=- 5",
        "bytes=5-6 7-8", "bytes=5-6,x", "bytes=x,5-6", "bytes=5-6,-",
        "bytes=5-6,7-6", "bytes=7-6,5-6", "bytes=5-6\n", "=0-5",
        "bytes 0-5", "bytes:0-5", "garbage", "bytes=5-6\x0b",
        "bytes=\xc2\xa0-6"
    };

    (void) state;

    for (i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        one(malformed[i], 2048, OCI_RANGE, 0, 0);
    }

    one("items=0-5", 2048, OCI_NOT_FOUND, 0, 0);
    one("byte=0-5", 2048, OCI_NOT_FOUND, 0, 0);
    one("bytess=0-5", 2048, OCI_NOT_FOUND, 0, 0);
    one(" bytes=0-5", 2048, OCI_NOT_FOUND, 0, 0);
    one("bytes =0-5", 2048, OCI_NOT_FOUND, 0, 0);
    one("seconds=", 2048, OCI_NOT_FOUND, 0, 0);
}


static void
test_nul(void **state)
{
    unsigned     n;
    oci_range_t  range;

    (void) state;

    assert_int_equal(oci_range_parse((u_char *) "bytes=0-5\0", 10, 2048,
                                     &range, 1, &n), OCI_RANGE);
    assert_int_equal(oci_range_parse((u_char *) "bytes\0=0-5", 10, 2048,
                                     &range, 1, &n), OCI_NOT_FOUND);
    assert_int_equal(oci_range_parse(NULL, 0, 2048, &range, 1, &n),
                     OCI_RANGE);
    assert_int_equal(n, 0);
    assert_int_equal(oci_range_count(NULL, 0), 1);
}


static void
test_spaces(void **state)
{
    unsigned     n;
    oci_range_t  r[8];

    (void) state;

    one("BYTES=0-5", 2048, OCI_OK, 0, 6);
    one("Bytes=-5", 2048, OCI_OK, 2043, 2048);
    one("bytes= 0-5", 2048, OCI_OK, 0, 6);
    one("bytes=0-5 ", 2048, OCI_OK, 0, 6);
    one("bytes=\t0-5\t ", 2048, OCI_OK, 0, 6);
    one("bytes=0-5,", 2048, OCI_OK, 0, 6);
    one("bytes=,0-5", 2048, OCI_OK, 0, 6);
    one("bytes=,, ,\t, 0-5 , ,,", 2048, OCI_OK, 0, 6);

    assert_int_equal(parse("bytes=0-0, 2-2 ,4-4\t,\t6-,-1", 2048, r, 8, &n),
                     OCI_OK);
    assert_int_equal(n, 5);
    assert_int_equal(r[1].start, 2);
    assert_int_equal(r[2].end, 5);
    assert_int_equal(r[3].start, 6);
    assert_int_equal(r[3].end, 2048);
    assert_int_equal(r[4].start, 2047);
}


/* in the order asked for, overlapping ones too; what is beyond left out */

static void
test_order(void **state)
{
    unsigned     n;
    oci_range_t  r[8];

    (void) state;

    assert_int_equal(parse("bytes=100-199,0-49,0-49,150-5000,5000-,-10,-0",
                           2048, r, 8, &n), OCI_OK);
    assert_int_equal(n, 5);
    assert_int_equal(r[0].start, 100);
    assert_int_equal(r[0].end, 200);
    assert_int_equal(r[1].start, 0);
    assert_int_equal(r[1].end, 50);
    assert_int_equal(r[2].start, 0);
    assert_int_equal(r[2].end, 50);
    assert_int_equal(r[3].start, 150);
    assert_int_equal(r[3].end, 2048);
    assert_int_equal(r[4].start, 2038);
    assert_int_equal(r[4].end, 2048);

    assert_int_equal(parse("bytes=5000-,6000-6001", 2048, r, 8, &n),
                     OCI_RANGE);
    assert_int_equal(n, 0);
}


static char *
many(unsigned count)
{
    char      *text, *p;
    unsigned   i;

    text = malloc(16 + 16 * (size_t) count);
    assert_non_null(text);

    p = text + sprintf(text, "bytes=");

    for (i = 0; i < count; i++) {
        p += sprintf(p, "%s%u-%u", i ? "," : "", 2 * i, 2 * i);
    }

    return text;
}


static void
test_many(void **state)
{
    char         *text;
    unsigned      i, n, count;
    oci_range_t  *r;

    (void) state;

    assert_int_equal(OCI_RANGES_MAX, 1024);

    for (count = 1; count <= 1026; count++) {
        text = many(count);

        assert_int_equal(oci_range_count((u_char *) text, strlen(text)),
                         count > 1025 ? 1025 : count);

        /* as a caller does it: an array of exactly that many */

        i = count > OCI_RANGES_MAX ? OCI_RANGES_MAX : count;
        r = malloc(i * sizeof(oci_range_t));
        assert_non_null(r);

        if (count > OCI_RANGES_MAX) {
            assert_int_equal(parse(text, 100000, r, i, &n), OCI_INVALID);
            assert_int_equal(n, 0);

        } else {
            assert_int_equal(parse(text, 100000, r, i, &n), OCI_OK);
            assert_int_equal(n, count);

            for (i = 0; i < n; i++) {
                assert_int_equal(r[i].start, 2 * i);
                assert_int_equal(r[i].end, 2 * i + 1);
            }
        }

        free(r);
        free(text);
    }

    /* ranges beyond the end count as well */

    text = many(5);
    r = malloc(4 * sizeof(oci_range_t));
    assert_non_null(r);
    assert_int_equal(parse(text, 3, r, 4, &n), OCI_INVALID);
    assert_int_equal(n, 0);
    assert_int_equal(parse(text, 3, r, 0, &n), OCI_INVALID);
    free(r);
    free(text);
}


static void
content(const char *text, int rc, int64_t want_start, int64_t want_end)
{
    int       got;
    size_t    len;
    u_char   *p;
    int64_t   start, end;

    len = strlen(text);
    p = malloc(len ? len : 1);
    assert_non_null(p);
    memcpy(p, text, len);

    start = end = -7;
    got = oci_content_range_parse(p, len, &start, &end);
    free(p);

    if (got != rc) {
        fail_msg("\"%s\" is %d", text, got);
    }

    if (rc != OCI_OK) {
        assert_int_equal(start, -7);
        assert_int_equal(end, -7);
        return;
    }

    assert_int_equal(start, want_start);
    assert_int_equal(end, want_end);
}


static void
test_content_range(void **state)
{
    size_t  i;

    static const char *const  malformed[] = {
        "", "-", "0", "0-", "-0", "-5-6", "5-4", "1-0", "a-b", "0-a",
        "0--1", "0-5-", "0-5 ", " 0-5", "0 -5", "0- 5", "0-5,6-7",
        "0-5/6", "0-5/*", "+0-5", "0-+5", "0x0-5", "bytes", "bytes ",
        "bytes 0-5", "bytes 0-5/", "bytes 0-5/5", "bytes 0-5/0",
        "bytes 0-5/a", "bytes 0-5/**", "bytes 0-5/6 ", "bytes 0-5/6/7",
        "bytes 0-5/-6", "bytes  0-5/6", "bytes=0-5", "bytes=0-5/6",
        "bytes */6", "bytes 5-4/6", "items 0-5/6", "bytes0-5/6",
        "0-" MAX_TEXT, "0-" OVER_TEXT, "0-" HUGE_TEXT,
        OVER_TEXT "-" OVER_TEXT, HUGE_TEXT "-" HUGE_TEXT,
        MAX_TEXT "-" MAX_TEXT, "0-18446744073709551617",
        "18446744073709551616-5", "bytes 0-5/" OVER_TEXT,
        "bytes 0-" MAX_TEXT "/*", "bytes 0-5/18446744073709551622"
    };

    (void) state;

    content("0-0", OCI_OK, 0, 0);
    content("0-99", OCI_OK, 0, 99);
    content("100-199", OCI_OK, 100, 199);
    content("5-5", OCI_OK, 5, 5);
    content("000-0099", OCI_OK, 0, 99);
    content("0-9223372036854775806", OCI_OK, 0, INT64_MAX - 1);
    content("9223372036854775806-9223372036854775806", OCI_OK,
            INT64_MAX - 1, INT64_MAX - 1);

    content("bytes 0-99/100", OCI_OK, 0, 99);
    content("bytes 0-99/*", OCI_OK, 0, 99);
    content("bytes 100-199/5000", OCI_OK, 100, 199);
    content("Bytes 0-0/1", OCI_OK, 0, 0);
    content("bytes 0-9223372036854775806/" MAX_TEXT, OCI_OK, 0,
            INT64_MAX - 1);

    for (i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        content(malformed[i], OCI_INVALID, 0, 0);
    }
}


static void
test_content_range_nul(void **state)
{
    int64_t  start, end;

    (void) state;

    assert_int_equal(oci_content_range_parse((u_char *) "0-5\0", 4, &start,
                                             &end), OCI_INVALID);
    assert_int_equal(oci_content_range_parse((u_char *) "0\0-5", 4, &start,
                                             &end), OCI_INVALID);
    assert_int_equal(oci_content_range_parse(NULL, 0, &start, &end),
                     OCI_INVALID);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spec),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_spaces),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_content_range),
        cmocka_unit_test(test_content_range_nul)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
