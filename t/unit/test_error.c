
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
#include <jansson.h>

#include "oci_error.h"


/* what is behind the buffer has to stay as it is */

#define GUARD  64


static const struct {
    oci_error_t   error;
    const char   *code;
    unsigned      status;
} table[] = {
    { OCI_ERR_BLOB_UNKNOWN, "BLOB_UNKNOWN", 404 },
    { OCI_ERR_BLOB_UPLOAD_INVALID, "BLOB_UPLOAD_INVALID", 400 },
    { OCI_ERR_BLOB_UPLOAD_UNKNOWN, "BLOB_UPLOAD_UNKNOWN", 404 },
    { OCI_ERR_DIGEST_INVALID, "DIGEST_INVALID", 400 },
    { OCI_ERR_MANIFEST_BLOB_UNKNOWN, "MANIFEST_BLOB_UNKNOWN", 400 },
    { OCI_ERR_MANIFEST_INVALID, "MANIFEST_INVALID", 400 },
    { OCI_ERR_MANIFEST_UNKNOWN, "MANIFEST_UNKNOWN", 404 },
    { OCI_ERR_NAME_INVALID, "NAME_INVALID", 400 },
    { OCI_ERR_NAME_UNKNOWN, "NAME_UNKNOWN", 404 },
    { OCI_ERR_SIZE_INVALID, "SIZE_INVALID", 400 },
    { OCI_ERR_UNAUTHORIZED, "UNAUTHORIZED", 401 },
    { OCI_ERR_DENIED, "DENIED", 403 },
    { OCI_ERR_UNSUPPORTED, "UNSUPPORTED", 405 },
    { OCI_ERR_TOOMANYREQUESTS, "TOOMANYREQUESTS", 429 },
    { OCI_ERR_UNAVAILABLE, "UNAVAILABLE", 503 },
    { OCI_ERR_UNKNOWN, "UNKNOWN", 500 }
};


/* the one error of the body; the caller frees *root */

static json_t *
body(oci_error_t e, const char *message, const u_char *detail, size_t len,
    int has_detail, json_t **root)
{
    size_t      i, n;
    json_t     *errors;
    u_char      buf[OCI_ERROR_BODY_MAX + GUARD], *copy;
    oci_str_t   s;

    memset(buf, 0xa5, sizeof(buf));

    copy = malloc(len ? len : 1);
    assert_non_null(copy);
    if (len) {
        memcpy(copy, detail, len);
    }

    s.data = copy;
    s.len = len;

    n = oci_error_body(buf, e, message, has_detail ? &s : NULL);
    free(copy);

    assert_true(n > 0 && n <= OCI_ERROR_BODY_MAX);

    for (i = n; i < sizeof(buf); i++) {
        assert_int_equal(buf[i], 0xa5);
    }

    assert_int_equal(buf[n - 1], '\n');

    for (i = 0; i < n - 1; i++) {
        assert_true(buf[i] >= 0x20 && buf[i] <= 0x7e);
    }

    *root = json_loadb((char *) buf, n, JSON_REJECT_DUPLICATES
                                        |JSON_ALLOW_NUL, NULL);
    assert_non_null(*root);
    assert_int_equal(json_object_size(*root), 1);

    errors = json_object_get(*root, "errors");
    assert_int_equal(json_array_size(errors), 1);

    errors = json_array_get(errors, 0);
    assert_int_equal(json_object_size(errors), has_detail ? 3 : 2);
    assert_true(json_is_string(json_object_get(errors, "code")));
    assert_true(json_is_string(json_object_get(errors, "message")));

    return errors;
}


static const char *
text_of(json_t *error, const char *key)
{
    return json_string_value(json_object_get(error, key));
}


static void
test_table(void **state)
{
    size_t   i;
    json_t  *e, *root;

    (void) state;

    assert_int_equal(sizeof(table) / sizeof(table[0]), OCI_ERR_COUNT - 1);

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_string_equal(oci_error_code(table[i].error), table[i].code);
        assert_int_equal(oci_error_status(table[i].error), table[i].status);

        e = body(table[i].error, NULL, NULL, 0, 0, &root);
        assert_string_equal(text_of(e, "code"), table[i].code);
        assert_true(strlen(text_of(e, "message")) > 0);
        json_decref(root);
    }

    /* asked for by mistake: still an answer */

    assert_string_equal(oci_error_code(OCI_ERR_NONE), "UNKNOWN");
    assert_int_equal(oci_error_status(OCI_ERR_NONE), 500);
    assert_string_equal(oci_error_code(OCI_ERR_COUNT), "UNKNOWN");
    assert_string_equal(oci_error_code((oci_error_t) -1), "UNKNOWN");
}


static void
test_of_status(void **state)
{
    unsigned     status;
    const char  *code, *c;

    (void) state;

    assert_int_equal(oci_error_of_status(400), OCI_ERR_UNSUPPORTED);
    assert_int_equal(oci_error_of_status(401), OCI_ERR_UNAUTHORIZED);
    assert_int_equal(oci_error_of_status(403), OCI_ERR_DENIED);
    assert_int_equal(oci_error_of_status(404), OCI_ERR_NAME_UNKNOWN);
    assert_int_equal(oci_error_of_status(405), OCI_ERR_UNSUPPORTED);
    assert_int_equal(oci_error_of_status(413), OCI_ERR_SIZE_INVALID);
    assert_int_equal(oci_error_of_status(416), OCI_ERR_SIZE_INVALID);
    assert_int_equal(oci_error_of_status(429), OCI_ERR_TOOMANYREQUESTS);
    assert_int_equal(oci_error_of_status(500), OCI_ERR_UNKNOWN);
    assert_int_equal(oci_error_of_status(502), OCI_ERR_UNAVAILABLE);
    assert_int_equal(oci_error_of_status(503), OCI_ERR_UNAVAILABLE);
    assert_int_equal(oci_error_of_status(504), OCI_ERR_UNAVAILABLE);
    assert_int_equal(oci_error_of_status(507), OCI_ERR_UNAVAILABLE);

    for (status = 0; status < 700; status++) {
        code = oci_error_code(oci_error_of_status(status));

        for (c = code; *c; c++) {
            assert_true((*c >= 'A' && *c <= 'Z') || *c == '_');
        }

        /* a refusal of the client's is a code of the spec's table */

        if (status >= 400 && status < 500) {
            assert_string_not_equal(code, "UNKNOWN");
            assert_string_not_equal(code, "UNAVAILABLE");
        }
    }
}


static void
test_exact(void **state)
{
    size_t     n;
    u_char     buf[OCI_ERROR_BODY_MAX];
    oci_str_t  detail = oci_string("a\"b\\c\n\xc3\xa4/");

    static const char  want[] =
        "{\"errors\":[{\"code\":\"NAME_INVALID\",\"message\":\"no\","
        "\"detail\":\"a\\\"b\\\\c\\u000a\\u00c3\\u00a4/\"}]}\n";

    static const char  bare[] =
        "{\"errors\":[{\"code\":\"NAME_INVALID\",\"message\":\"no\"}]}\n";

    (void) state;

    n = oci_error_body(buf, OCI_ERR_NAME_INVALID, "no", &detail);
    assert_int_equal(n, sizeof(want) - 1);
    assert_memory_equal(buf, want, n);

    n = oci_error_body(buf, OCI_ERR_NAME_INVALID, "no", NULL);
    assert_int_equal(n, sizeof(bare) - 1);
    assert_memory_equal(buf, bare, n);
}


/* each byte by itself comes back as the character of that number */

static void
test_bytes(void **state)
{
    int          c;
    char         want[3];
    json_t      *e, *root, *s;
    u_char       byte;

    (void) state;

    for (c = 0; c < 256; c++) {
        byte = (u_char) c;
        e = body(OCI_ERR_DENIED, NULL, &byte, 1, 1, &root);
        s = json_object_get(e, "detail");

        if (c < 0x80) {
            want[0] = (char) c;
            want[1] = '\0';
            assert_int_equal(json_string_length(s), 1);

        } else {
            want[0] = (char) (0xc0 | (c >> 6));
            want[1] = (char) (0x80 | (c & 0x3f));
            want[2] = '\0';
            assert_int_equal(json_string_length(s), 2);
        }

        assert_memory_equal(json_string_value(s), want,
                            json_string_length(s));
        json_decref(root);
    }

    e = body(OCI_ERR_DENIED, "m\"\\\x01\xff", NULL, 0, 0, &root);
    assert_string_equal(text_of(e, "message"), "m\"\\\x01\xc3\xbf");
    json_decref(root);

    e = body(OCI_ERR_DENIED, "", NULL, 0, 1, &root);
    assert_string_equal(text_of(e, "message"), "");
    assert_string_equal(text_of(e, "detail"), "");
    json_decref(root);
}


/* every length around the limit, of bytes that take 1, 2 and 6 places */

static void
test_cut(void **state)
{
    size_t    len, i, last;
    char      message[1501];
    u_char    detail[1500];
    json_t   *e, *root, *s;

    static const u_char  kinds[] = { 'x', '"', 0x01, 0xe4 };

    (void) state;

    for (i = 0; i < sizeof(kinds); i++) {
        memset(detail, kinds[i], sizeof(detail));
        last = 0;

        for (len = 0; len <= sizeof(detail); len++) {
            e = body(OCI_ERR_MANIFEST_BLOB_UNKNOWN, NULL, detail, len, 1,
                     &root);
            s = json_object_get(e, "detail");

            assert_true(json_string_length(s) >= last);
            last = json_string_length(s);

            if (len <= 100) {
                assert_int_equal(last, kinds[i] == 0xe4 ? 2 * len : len);
            }

            json_decref(root);
        }
    }

    /* a plain detail fills the buffer to its last byte */

    memset(detail, 'x', sizeof(detail));
    e = body(OCI_ERR_DENIED, "m", detail, sizeof(detail), 1, &root);
    assert_int_equal(json_string_length(json_object_get(e, "detail")),
                     OCI_ERROR_BODY_MAX
                     - strlen("{\"errors\":[{\"code\":\"DENIED\","
                              "\"message\":\"m\",\"detail\":\"\"}]}\n"));
    json_decref(root);

    /* an escape that begins at each place in front of the limit */

    for (i = 0; i < sizeof(kinds); i++) {
        for (len = 0; len < 12; len++) {
            memset(detail, kinds[i], sizeof(detail));
            memset(detail, 'x', len);

            e = body(OCI_ERR_DENIED, "m", detail, sizeof(detail), 1, &root);
            json_decref(root);
        }
    }

    /* a message too long leaves room for a detail */

    memset(detail, 'x', sizeof(detail));

    for (i = 0; i < sizeof(kinds); i++) {
        for (len = 0; len < sizeof(message); len += 7) {
            memset(message, kinds[i], len);
            message[len] = '\0';

            e = body(OCI_ERR_MANIFEST_BLOB_UNKNOWN, message, detail, 100,
                     1, &root);
            assert_int_equal(json_string_length(json_object_get(e,
                                                                "detail")),
                             100);
            json_decref(root);

            e = body(OCI_ERR_MANIFEST_BLOB_UNKNOWN, message, detail,
                     sizeof(detail), 1, &root);
            json_decref(root);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_of_status),
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_cut)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
