
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

#include "oci_response.h"


#define OK      "HTTP/1.1 200 OK\r\n"


static oci_response_t  r;
static u_char         *text;


/* on an exact copy, which the views point into */

static int
parse(const char *head)
{
    size_t  len;

    free(text);

    len = strlen(head);
    text = malloc(len ? len : 1);
    assert_non_null(text);
    memcpy(text, head, len);

    return oci_response_parse(&r, text, len);
}


static void
good(const char *head)
{
    if (parse(head) != OCI_OK) {
        fail_msg("refused: %s", head);
    }
}


static void
bad(const char *head)
{
    if (parse(head) != OCI_INVALID) {
        fail_msg("taken: %s", head);
    }
}


static int
is(const oci_str_t *s, const char *want)
{
    return s->len == strlen(want) && memcmp(s->data, want, s->len) == 0;
}


static void
test_status(void **state)
{
    (void) state;

    good(OK "\r\n");
    assert_int_equal(r.status, 200);
    assert_int_equal(r.keepalive, 1);
    assert_int_equal(r.content_length, -1);
    assert_int_equal(r.chunked, 0);

    good("HTTP/1.0 404\r\n\r\n");
    assert_int_equal(r.status, 404);
    assert_int_equal(r.keepalive, 0);

    good("HTTP/1.1 599 \r\n\r\n");
    good("HTTP/1.1 100 Continue\r\n\r\n");

    bad("HTTP/1.1 600 x\r\n\r\n");
    bad("HTTP/1.1 099 x\r\n\r\n");
    bad("HTTP/1.1 20 x\r\n\r\n");
    bad("HTTP/1.1 2000 x\r\n\r\n");
    bad("HTTP/1.1  200 x\r\n\r\n");
    bad("HTTP/1.1 200OK\r\n\r\n");
    bad("HTTP/1.2 200 OK\r\n\r\n");
    bad("HTTP/2 200 OK\r\n\r\n");
    bad("http/1.1 200 OK\r\n\r\n");
    bad("ICY 200 OK\r\n\r\n");
    bad("HTTP/1.1 200 O\001K\r\n\r\n");
    bad("HTTP/1.1 200 OK\n\r\n");
    bad("HTTP/1.1 200 OK\r\n");
    bad("");
}


static void
test_headers(void **state)
{
    const oci_str_t  *v;

    (void) state;

    good(OK "ETag:  \"x\" \t\r\nDocker-Content-Digest: sha256:1\r\n"
         "Content-Type: a/b\r\nLink: <a>\r\nLINK: <b>\r\nX-Empty:\r\n"
         "Location: /x\r\nWWW-Authenticate: Basic\r\n"
         "Content-Encoding: gzip\r\nAccept-Ranges: bytes\r\n\r\n");

    assert_true(is(&r.etag, "\"x\""));
    assert_true(is(&r.digest, "sha256:1"));
    assert_true(is(&r.content_type, "a/b"));
    assert_true(is(&r.link, "<a>"));
    assert_true(is(&r.location, "/x"));
    assert_true(is(&r.www_authenticate, "Basic"));
    assert_true(is(&r.content_encoding, "gzip"));
    assert_int_equal(r.accept_ranges, 1);

    v = oci_response_header(&r, "link", 1);
    assert_non_null(v);
    assert_true(is(v, "<b>"));
    assert_null(oci_response_header(&r, "link", 2));
    assert_null(oci_response_header(&r, "lin", 0));

    v = oci_response_header(&r, "x-empty", 0);
    assert_non_null(v);
    assert_int_equal(v->len, 0);

    bad(OK "A : b\r\n\r\n");
    bad(OK " A: b\r\n\r\n");
    bad(OK "A: b\r\n c\r\n\r\n");
    bad(OK ": b\r\n\r\n");
    bad(OK "A\r\n\r\n");
    bad(OK "A(: b\r\n\r\n");
    bad(OK "A: b\nB: c\r\n\r\n");
    bad(OK "A: b\rc\r\n\r\n");
    bad(OK "A: b\001\r\n\r\n");
    bad(OK "A: \177\r\n\r\n");
    bad(OK "A: b\r\n\r\nX");
}


static void
test_too_many(void **state)
{
    int     i;
    size_t  len;
    char    head[OCI_RESPONSE_HEADERS_MAX * 8 + 64];

    (void) state;

    len = (size_t) sprintf(head, OK);

    for (i = 0; i < OCI_RESPONSE_HEADERS_MAX; i++) {
        len += (size_t) sprintf(head + len, "a: b\r\n");
    }

    memcpy(head + len, "\r\n", 3);
    good(head);

    memcpy(head + len, "a:b\r\n\r\n", 8);
    bad(head);
}


static void
test_lengths(void **state)
{
    (void) state;

    good(OK "Content-Length: 0\r\n\r\n");
    assert_int_equal(r.content_length, 0);

    good(OK "Content-Length: 9223372036854775807\r\n\r\n");
    assert_true(r.content_length == INT64_MAX);

    good(OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\n");
    assert_int_equal(r.content_length, 5);

    good(OK "Transfer-Encoding: Chunked\r\n\r\n");
    assert_int_equal(r.chunked, 1);

    bad(OK "Content-Length: 9223372036854775808\r\n\r\n");
    bad(OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\n");
    bad(OK "Content-Length: 5, 5\r\n\r\n");
    bad(OK "Content-Length: -1\r\n\r\n");
    bad(OK "Content-Length: +1\r\n\r\n");
    bad(OK "Content-Length: 0x10\r\n\r\n");
    bad(OK "Content-Length: \r\n\r\n");
    bad(OK "Content-Length: 1 1\r\n\r\n");
    bad(OK "Transfer-Encoding: gzip, chunked\r\n\r\n");
    bad(OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n");
    bad(OK "Transfer-Encoding: identity\r\n\r\n");
    bad(OK "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n");
}


static void
range(const char *value, int64_t start, int64_t end, int64_t total)
{
    char  head[256];

    sprintf(head, OK "Content-Range: %s\r\n\r\n", value);
    good(head);

    if (r.range_start != start || r.range_end != end
        || r.range_total != total)
    {
        fail_msg("%s is %ld-%ld/%ld", value, (long) r.range_start,
                 (long) r.range_end, (long) r.range_total);
    }
}


static void
test_ranges(void **state)
{
    (void) state;

    range("bytes 0-9/100", 0, 9, 100);
    range("Bytes 5-5/6", 5, 5, 6);
    range("bytes 0-9/*", 0, 9, -1);
    range("bytes */100", -1, -1, 100);
    range("bytes 9-0/100", -1, -1, -1);
    range("bytes 0-100/100", -1, -1, -1);
    range("bytes 0-9", -1, -1, -1);
    range("bytes -9/100", -1, -1, -1);
    range("bytes 0-/100", -1, -1, -1);
    range("bytes 0-9/x", -1, -1, -1);
    range("items 0-9/100", -1, -1, -1);
    range("bytes 0-9/9223372036854775808", -1, -1, -1);

    bad(OK "Content-Range: bytes 0-1/2\r\nContent-Range: bytes 0-1/2\r\n"
        "\r\n");
}


static void
test_connection(void **state)
{
    (void) state;

    good(OK "Connection: keep-alive, Close\r\n\r\n");
    assert_int_equal(r.keepalive, 0);

    good(OK "Connection: x\r\nConnection: close\r\n\r\n");
    assert_int_equal(r.keepalive, 0);

    good(OK "Connection: closed\r\n\r\n");
    assert_int_equal(r.keepalive, 1);

    good("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n");
    assert_int_equal(r.keepalive, 0);
}


static void
test_retry(void **state)
{
    (void) state;

    good(OK "Retry-After: 120\r\n\r\n");
    assert_int_equal(r.retry_after, 120);

    good(OK "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
         "Retry-After: Sun, 06 Nov 1994 08:50:07 GMT\r\n\r\n");
    assert_int_equal(r.retry_after, 30);

    good(OK "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
         "Retry-After: Sun, 06 Nov 1994 08:49:07 GMT\r\n\r\n");
    assert_int_equal(r.retry_after, 0);

    good(OK "Retry-After: Sun, 06 Nov 1994 08:50:07 GMT\r\n\r\n");
    assert_int_equal(r.retry_after, -1);

    good(OK "Retry-After: soon\r\n\r\n");
    assert_int_equal(r.retry_after, -1);
}


static void
test_end(void **state)
{
    int           rc;
    size_t        i, seen, size;
    u_char       *big;
    const char   *head;

    (void) state;

    head = OK "A: b\r\n\r\nbody\0\r\n\r\n";

    /* byte by byte */

    seen = 0;

    for (i = 0; i < strlen(OK "A: b\r\n\r\n"); i++) {
        assert_int_equal(oci_response_end((const u_char *) head, i, &seen,
                                          &size),
                         OCI_AGAIN);
    }

    rc = oci_response_end((const u_char *) head, i, &seen, &size);
    assert_int_equal(rc, OCI_OK);
    assert_int_equal(size, i);

    /* at once, with what comes behind */

    seen = 0;
    rc = oci_response_end((const u_char *) head, i + 9, &seen, &size);
    assert_int_equal(rc, OCI_OK);
    assert_int_equal(size, i);

    big = malloc(OCI_RESPONSE_HEAD_MAX);
    assert_non_null(big);
    memset(big, 'a', OCI_RESPONSE_HEAD_MAX);

    seen = 0;
    assert_int_equal(oci_response_end(big, OCI_RESPONSE_HEAD_MAX - 1, &seen,
                                      &size),
                     OCI_AGAIN);
    assert_int_equal(oci_response_end(big, OCI_RESPONSE_HEAD_MAX, &seen,
                                      &size),
                     OCI_INVALID);

    free(big);
}


/* feeds a body in pieces of step; what came is put together */

static int
feed(const char *head, int method, const char *body, size_t step,
    char *content, size_t *taken)
{
    int            rc;
    size_t         n, size, len, at;
    oci_body_t     b;
    const u_char  *p, *last, *data;
    u_char        *piece;

    good(head);
    oci_body_init(&b, &r, method);

    len = strlen(body);
    *taken = 0;
    at = 0;
    n = 0;
    rc = OCI_AGAIN;

    for ( /* void */ ; at < len && !b.done; at += n) {

        n = len - at < step ? len - at : step;

        piece = malloc(n);
        assert_non_null(piece);
        memcpy(piece, body + at, n);

        p = piece;
        last = piece + n;

        for ( ;; ) {
            rc = oci_body_next(&b, &p, last, &data, &size);

            if (rc == OCI_OK) {
                memcpy(content + *taken, data, size);
                *taken += size;
            }

            if (rc != OCI_OK || b.done) {
                break;
            }
        }

        n = (size_t) (p - piece);
        free(piece);

        if (rc == OCI_INVALID) {
            return OCI_INVALID;
        }
    }

    content[*taken] = '\0';
    assert_int_equal(b.received, *taken);

    if (b.done) {
        assert_int_equal(oci_body_eof(&b), OCI_OK);
        return OCI_OK;
    }

    return oci_body_eof(&b);
}


static void
body(const char *head, int method, const char *sent, int rc,
    const char *want)
{
    int     got;
    char    content[8192];
    size_t  step, taken;

    for (step = 1; step < 9; step++) {

        got = feed(head, method, sent, step, content, &taken);

        if (got != rc || (rc == OCI_OK && strcmp(content, want) != 0)) {
            fail_msg("\"%s\" by %zu is %d, \"%s\"", sent, step, got, content);
        }
    }
}


static void
test_bodies(void **state)
{
    (void) state;

    body(OK "Content-Length: 5\r\n\r\n", 0, "hello", OCI_OK, "hello");
    body(OK "Content-Length: 5\r\n\r\n", 0, "hello more", OCI_OK, "hello");
    body(OK "Content-Length: 5\r\n\r\n", 0, "hell", OCI_RANGE, NULL);
    body(OK "Content-Length: 0\r\n\r\n", 0, "x", OCI_OK, "");
    body(OK "\r\n", 0, "to the end", OCI_OK, "to the end");
    body(OK "Content-Length: 5\r\n\r\n", 1, "x", OCI_OK, "");
    body("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", 0, "x", OCI_OK, "");
    body("HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", 0, "x", OCI_OK, "");
}


static void
chunks(const char *sent, int rc, const char *want)
{
    body(OK "Transfer-Encoding: chunked\r\n\r\n", 0, sent, rc, want);
}


static void
test_chunks(void **state)
{
    (void) state;

    chunks("5\r\nhello\r\n0\r\n\r\n", OCI_OK, "hello");
    chunks("5\r\nhello\r\n0\r\n\r\nHTTP/1.1", OCI_OK, "hello");
    chunks("2\r\nhe\r\n003;a=\"b\"\r\nllo\r\n0;x\r\nA: b\r\nC: d\r\n\r\n",
           OCI_OK, "hello");
    chunks("A\r\n0123456789\r\n0\r\n\r\n", OCI_OK, "0123456789");
    chunks("a \r\n0123456789\r\n0\r\n\r\n", OCI_OK, "0123456789");
    chunks("0\r\n\r\n", OCI_OK, "");

    chunks("5\r\nhello\r\n0\r\n\r", OCI_RANGE, NULL);
    chunks("5\r\nhello\r\n", OCI_RANGE, NULL);
    chunks("5\r\nhel", OCI_RANGE, NULL);

    chunks("5\nhello\r\n0\r\n\r\n", OCI_INVALID, NULL);
    chunks("5\r\nhello\n0\r\n\r\n", OCI_INVALID, NULL);
    chunks("5\r\nhellox\r\n0\r\n\r\n", OCI_INVALID, NULL);
    chunks("5\r\nhello\r\n0\r\n\n", OCI_INVALID, NULL);
    chunks("5\r\nhello\r\n0\r\nA: b\n\r\n", OCI_INVALID, NULL);
    chunks("\r\nhello", OCI_INVALID, NULL);
    chunks("-1\r\nhello", OCI_INVALID, NULL);
    chunks("0x5\r\nhello", OCI_INVALID, NULL);
    chunks("g\r\n", OCI_INVALID, NULL);
    chunks("8000000000000000\r\n", OCI_INVALID, NULL);
    chunks("000000000000000000000000000000005\r\nhello", OCI_INVALID, NULL);
    chunks("7fffffffffffffff\r\nhello", OCI_RANGE, NULL);
}


static void
test_endless(void **state)
{
    char  sent[10000];

    (void) state;

    memset(sent, 'x', sizeof(sent) - 1);
    sent[sizeof(sent) - 1] = '\0';
    memcpy(sent, "5;", 2);
    chunks(sent, OCI_INVALID, NULL);

    memset(sent, 'x', sizeof(sent) - 1);
    memcpy(sent, "0\r\n", 3);
    chunks(sent, OCI_INVALID, NULL);
}


int
main(void)
{
    int  rc;

    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_connection),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_endless)
    };

    rc = cmocka_run_group_tests(tests, NULL, NULL);

    free(text);

    return rc;
}
