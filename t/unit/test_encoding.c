
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "oci_encoding.h"


static void
test_accepts(void **state)
{
    size_t  i;

    static const struct {
        const char  *value;
        int          says;
    } cases[] = {
        { "zstd", 1 },
        { "ZSTD", 1 },
        { "gzip, zstd", 1 },
        { " \tzstd\t ", 1 },
        { "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5", 1 },
        { "gzip;q=0 , zstd ; q=0.001", 1 },
        { "zstd;q=1", 1 },
        { "zstd;q=0.", -1 },
        { "zstd;q=0", -1 },
        { "zstd;q=0.000", -1 },
        { "zstd;q=0.0000", -1 },
        { "zstd;q=2", -1 },
        { "zstd;q=", -1 },
        { "zstd;", -1 },
        { "zstd;x=1", -1 },
        { "zstd;q=1x", -1 },
        { "zstd, zstd;q=0", -1 },
        { "", 0 },
        { ",", 0 },
        { ";q=1", 0 },
        { "*", 0 },
        { "gzip", 0 },
        { "xzstd", 0 },
        { "zstd2", 0 },
        { "zst", 0 },
        { "gzip;zstd", 0 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {

        if (oci_encoding_accepts((u_char *) cases[i].value,
                                 strlen(cases[i].value), "zstd")
            != cases[i].says)
        {
            fail_msg("%s", cases[i].value);
        }
    }
}


static void
test_packed(void **state)
{
    (void) state;

    assert_true(oci_encoding_packed((u_char *) "\x1f\x8b\x08\0", 4));
    assert_true(oci_encoding_packed((u_char *) "\x28\xb5\x2f\xfd", 4));
    assert_true(oci_encoding_packed((u_char *) "\x5f\x2a\x4d\x18", 4));
    assert_true(oci_encoding_packed((u_char *) "\xfd" "7zXZ\0", 6));
    assert_true(oci_encoding_packed((u_char *) "BZh9", 4));

    assert_false(oci_encoding_packed((u_char *) "\x1f", 1));
    assert_false(oci_encoding_packed((u_char *) "\x28\xb5\x2f", 3));
    assert_false(oci_encoding_packed((u_char *) "", 0));
    assert_false(oci_encoding_packed((u_char *) "{\"a\":1}", 7));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_packed)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
