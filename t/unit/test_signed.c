
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "oci_signed.h"


#define HEX  "0123456789abcdef0123456789abcdef"


static const u_char  key[OCI_SIGNED_KEY] = "thirty-two bytes that are secret";
static const u_char  other[OCI_SIGNED_KEY] =
    "thirty-two bytes that are other.";


static void
fill(oci_signed_t *s)
{
    memset(s, 0, sizeof(oci_signed_t));

    s->ns.data = (u_char *) "docker.io";
    s->ns.len = 9;
    s->name.data = (u_char *) "library/a";
    s->name.len = 9;
    s->upstream.data = (u_char *) "https://a:443";
    s->upstream.len = 13;
    s->expires = 1700000000;

    assert_int_equal(oci_digest_parse(&s->digest, (u_char *)
                                      "sha256:" HEX HEX, 71), OCI_OK);
}


static int
parse(oci_signed_t *s, const char *text)
{
    oci_str_t  args;

    args.data = (u_char *) text;
    args.len = strlen(text);

    return oci_signed_parse(s, &args);
}


static void
test_there_and_back(void **state)
{
    size_t        n;
    oci_signed_t  s, t;
    u_char        query[OCI_SIGNED_QUERY_MAX + 1];

    (void) state;

    fill(&s);
    assert_int_equal(oci_signed_sign(&s, key), OCI_OK);

    n = oci_signed_query(&s, query);
    assert_true(n < OCI_SIGNED_QUERY_MAX);
    query[n] = '\0';

    fill(&t);
    t.expires = 0;
    assert_int_equal(parse(&t, (char *) query), OCI_OK);
    assert_int_equal(t.expires, s.expires);
    assert_false(t.has_client);

    assert_int_equal(oci_signed_check(&t, key, 1699999999), OCI_OK);
    assert_int_equal(oci_signed_check(&t, key, 1700000000), OCI_RANGE);
    assert_int_equal(oci_signed_check(&t, other, 1699999999), OCI_MISMATCH);

    /* an altered one is not told when it would end */

    assert_int_equal(oci_signed_check(&t, other, 1700000000), OCI_MISMATCH);

    assert_int_equal(oci_signed_client(&s, key, (u_char *) "Basic x", 7),
                     OCI_OK);
    assert_int_equal(oci_signed_sign(&s, key), OCI_OK);

    n = oci_signed_query(&s, query);
    assert_true(n < OCI_SIGNED_QUERY_MAX);
    query[n] = '\0';

    assert_int_equal(parse(&t, (char *) query), OCI_OK);
    assert_true(t.has_client);
    assert_memory_equal(t.client, s.client, OCI_SIGNED_CLIENT);
    assert_int_equal(oci_signed_check(&t, key, 0), OCI_OK);
}


static void
test_everything_is_signed(void **state)
{
    oci_signed_t  s, t;

    (void) state;

    fill(&s);
    assert_int_equal(oci_signed_sign(&s, key), OCI_OK);
    assert_int_equal(oci_signed_check(&s, key, 0), OCI_OK);

    t = s;
    t.ns.len--;
    assert_int_equal(oci_signed_check(&t, key, 0), OCI_MISMATCH);

    t = s;
    t.name.len--;
    assert_int_equal(oci_signed_check(&t, key, 0), OCI_MISMATCH);

    t = s;
    t.upstream.len = 0;
    assert_int_equal(oci_signed_check(&t, key, 0), OCI_MISMATCH);

    t = s;
    t.digest.hex[63] = '0';
    assert_int_equal(oci_signed_check(&t, key, 0), OCI_MISMATCH);

    t = s;
    t.expires++;
    assert_int_equal(oci_signed_check(&t, key, 0), OCI_MISMATCH);

    t = s;
    t.has_client = 1;
    memset(t.client, '0', sizeof(t.client));
    assert_int_equal(oci_signed_check(&t, key, 0), OCI_MISMATCH);

    t = s;
    t.mac[OCI_SIGNED_MAC - 1] ^= 1;
    assert_int_equal(oci_signed_check(&t, key, 0), OCI_MISMATCH);

    /* what moves from one part to the next is not the same */

    t = s;
    t.ns.len = 0;
    t.name.data = (u_char *) "docker.iolibrary/a";
    t.name.len = 18;
    assert_int_equal(oci_signed_check(&t, key, 0), OCI_MISMATCH);
}


static void
test_clients(void **state)
{
    oci_signed_t  s, t;

    (void) state;

    /* clients are told apart, and by a key only */

    fill(&s);
    fill(&t);

    assert_int_equal(oci_signed_client(&s, key, (u_char *) "a", 1), OCI_OK);
    assert_int_equal(oci_signed_client(&t, key, (u_char *) "b", 1), OCI_OK);
    assert_memory_not_equal(s.client, t.client, OCI_SIGNED_CLIENT);

    assert_int_equal(oci_signed_client(&t, other, (u_char *) "a", 1),
                     OCI_OK);
    assert_memory_not_equal(s.client, t.client, OCI_SIGNED_CLIENT);

    assert_int_equal(oci_signed_client(&t, key, (u_char *) "a", 1), OCI_OK);
    assert_memory_equal(s.client, t.client, OCI_SIGNED_CLIENT);
}


static void
test_refused(void **state)
{
    size_t        i;
    oci_signed_t  s;

    static const char  *const  none[] = {
        "", "a=b", "ns=docker.io&x", "oci_expire=1", "oci_signaturex=1"
    };

    static const char  *const  bad[] = {
        "oci_expires=1",
        "oci_signature=" HEX HEX,
        "oci_client=" HEX,
        "oci_expires=1&oci_signature=" HEX,
        "oci_expires=1&oci_signature=" HEX HEX "0",
        "oci_expires=1&oci_signature=" HEX "0123456789ABCDEF"
            "0123456789abcdef",
        "oci_expires=1&oci_signature=",
        "oci_expires=&oci_signature=" HEX HEX,
        "oci_expires=0&oci_signature=" HEX HEX,
        "oci_expires=01&oci_signature=" HEX HEX,
        "oci_expires=+1&oci_signature=" HEX HEX,
        "oci_expires=-1&oci_signature=" HEX HEX,
        "oci_expires=1x&oci_signature=" HEX HEX,
        "oci_expires=1234567890123456&oci_signature=" HEX HEX,
        "oci_expires=1&oci_expires=1&oci_signature=" HEX HEX,
        "oci_expires=1&oci_signature=" HEX HEX "&oci_signature=" HEX HEX,
        "oci_expires=1&oci_signature=" HEX HEX "&oci_client=",
        "oci_expires=1&oci_signature=" HEX HEX "&oci_client=" HEX "0",
        "oci_expires=1&oci_signature=" HEX HEX "&oci_client=" HEX
            "&oci_client=" HEX,
        "oci_expires=1&oci_signature=%zz"
    };

    (void) state;

    for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_int_equal(parse(&s, none[i]), OCI_NOT_FOUND);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse(&s, bad[i]) != OCI_INVALID) {
            fail_msg("%s", bad[i]);
        }
    }

    assert_int_equal(parse(&s, "x&oci_signature=" HEX HEX
                               "&y=1&oci_expires=123456789012345"), OCI_OK);
    assert_int_equal(s.expires, 123456789012345);
}


static void
test_own(void **state)
{
    (void) state;

    assert_true(oci_signed_own((u_char *) "oci_expires=1", 13));
    assert_true(oci_signed_own((u_char *) "oci_expires", 11));
    assert_true(oci_signed_own((u_char *) "oci_client=", 11));
    assert_true(oci_signed_own((u_char *) "oci_signature=x", 15));
    assert_false(oci_signed_own((u_char *) "oci_expires2=1", 14));
    assert_false(oci_signed_own((u_char *) "oci_at=1", 8));
    assert_false(oci_signed_own((u_char *) "ns=oci_expires", 14));
    assert_false(oci_signed_own((u_char *) "", 0));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_everything_is_signed),
        cmocka_unit_test(test_clients),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_own)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
