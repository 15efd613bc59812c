
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

#include "oci_credentials.h"


/* user:word */
#define WORD  "dXNlcjp3b3Jk"


static oci_credentials_t  *creds;
static int                 helpers;


static int
parse(const char *text)
{
    const char  *reason;

    oci_credentials_free(creds);
    creds = NULL;

    reason = NULL;

    return oci_credentials_parse(&creds, (const u_char *) text, strlen(text),
                                 &helpers, &reason);
}


static const oci_credential_t *
find(const char *host, unsigned port, const char *repository)
{
    oci_str_t  h, r;

    h.data = (u_char *) host;
    h.len = strlen(host);
    r.data = (u_char *) repository;
    r.len = strlen(repository);

    return oci_credentials_find(creds, &h, port, port == 443, &r);
}


static int
is(const oci_str_t *s, const char *want)
{
    return s->len == strlen(want) && memcmp(s->data, want, s->len) == 0;
}


static void
test_hosts(void **state)
{
    const oci_credential_t  *c;

    (void) state;

    assert_int_equal(parse(
        "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"" WORD "\"},"
        "\"GHCR.io\":{\"username\":\"u\",\"password\":\"p\"},"
        "\"harbor.test:8443\":{\"auth\":\"" WORD "\"},"
        "\"[::1]:5000\":{\"auth\":\"" WORD "\"},"
        "\"http://plain.test/v2/\":{\"auth\":\"" WORD "\"}}}"), OCI_OK);
    assert_int_equal(helpers, 0);

    c = find("registry-1.docker.io", 443, "library/nginx");
    assert_non_null(c);
    assert_true(is(&c->basic, WORD));
    assert_true(is(&c->user, "user"));
    assert_non_null(find("docker.io", 443, "x"));
    assert_non_null(find("index.docker.io", 443, "x"));
    assert_null(find("auth.docker.io", 443, "x"));

    c = find("ghcr.io", 443, "x");
    assert_non_null(c);
    assert_true(is(&c->basic, "dTpw"));
    assert_null(find("ghcr.io", 8443, "x"));

    assert_non_null(find("harbor.test", 8443, "x"));
    assert_null(find("harbor.test", 443, "x"));
    assert_non_null(find("::1", 5000, "x"));
    assert_non_null(find("plain.test", 443, "x"));
    assert_null(find("", 443, ""));
    assert_null(find("harbor.tes", 8443, "x"));
}


static void
test_paths(void **state)
{
    (void) state;

    assert_int_equal(parse(
        "{\"auths\":{\"q.test\":{\"auth\":\"" WORD "\"},"
        "\"q.test/org\":{\"username\":\"org\"},"
        "\"q.test/org/app/\":{\"username\":\"app\"},"
        "\"p.test/only\":{\"username\":\"only\"}}}"), OCI_OK);

    assert_true(is(&find("q.test", 443, "x")->user, "user"));
    assert_true(is(&find("q.test", 443, "orgx/y")->user, "user"));
    assert_true(is(&find("q.test", 443, "org")->user, "org"));
    assert_true(is(&find("q.test", 443, "org/x")->user, "org"));
    assert_true(is(&find("q.test", 443, "org/app")->user, "app"));
    assert_true(is(&find("q.test", 443, "org/app/x")->user, "app"));
    assert_null(find("p.test", 443, "x"));
    assert_null(find("p.test", 443, ""));
    assert_non_null(find("p.test", 443, "only/x"));
}


static void
test_tokens(void **state)
{
    const oci_credential_t  *c;

    (void) state;

    /* "<token>:" */

    assert_int_equal(parse(
        "{\"auths\":{\"a\":{\"identitytoken\":\"it\",\"auth\":"
        "\"PHRva2VuPjo=\"},\"b\":{\"registrytoken\":\"rt\"}}}"), OCI_OK);

    c = find("a", 443, "x");
    assert_true(is(&c->identity, "it"));
    assert_int_equal(c->basic.len, 0);

    c = find("b", 443, "x");
    assert_true(is(&c->token, "rt"));

    assert_int_equal(parse("{\"auths\":{\"b\":{\"registrytoken\":\"r\\nt\"}"
                           "}}"), OCI_INVALID);
}


static void
test_others(void **state)
{
    (void) state;

    assert_int_equal(parse("{}"), OCI_OK);
    assert_int_equal(parse("{\"auths\":{}}"), OCI_OK);
    assert_int_equal(parse("{\"auths\":null}"), OCI_OK);
    assert_int_equal(parse("{\"auths\":{\"a\":{}}}"), OCI_OK);
    assert_int_equal(find("a", 443, "x")->basic.len, 0);

    assert_int_equal(parse("{\"credsStore\":\"x\"}"), OCI_OK);
    assert_int_equal(helpers, 1);
    assert_int_equal(parse("{\"credHelpers\":{}}"), OCI_OK);
    assert_int_equal(helpers, 1);

    assert_int_equal(parse(""), OCI_INVALID);
    assert_int_equal(parse("[]"), OCI_INVALID);
    assert_int_equal(parse("{\"auths\":[]}"), OCI_INVALID);
    assert_int_equal(parse("{\"auths\":{\"a\":[]}}"), OCI_INVALID);
    assert_int_equal(parse("{\"auths\":{\"\":{}}}"), OCI_INVALID);
    assert_int_equal(parse("{\"auths\":{\"https://\":{}}}"), OCI_INVALID);
    assert_int_equal(parse("{\"auths\":{\"a\":{\"auth\":\"?\"}}}"),
                     OCI_INVALID);
    assert_int_equal(parse("{\"auths\":{\"a\":{\"auth\":\"====\"}}}"),
                     OCI_INVALID);
    assert_int_equal(parse("{\"auths\":{\"a\":{\"auth\":\"bm8=\"}}}"),
                     OCI_INVALID);
    assert_int_equal(parse("{\"auths\":{\"a\":{\"username\":\"a:b\"}}}"),
                     OCI_INVALID);
    assert_int_equal(parse("{\"auths\":{\"a\":{},\"a\":{}}}"), OCI_INVALID);
}


static void
grant(const char *text, int rc, const char *token, int64_t life)
{
    int          got;
    u_char       buf[64];
    oci_grant_t  g;

    got = oci_grant_parse(&g, (const u_char *) text, strlen(text), buf,
                          sizeof(buf));

    if (got != rc) {
        fail_msg("%s is %d", text, got);
    }

    if (rc == OCI_OK) {
        assert_true(is(&g.token, token));
        assert_int_equal(g.expires_in, life);
    }
}


static void
test_grants(void **state)
{
    (void) state;

    grant("{\"token\":\"a\"}", OCI_OK, "a", 60);
    grant("{\"access_token\":\"a\",\"expires_in\":300}", OCI_OK, "a", 300);
    grant("{\"token\":\"\",\"access_token\":\"a\"}", OCI_OK, "a", 60);
    grant("{\"token\":\"a\",\"expires_in\":0}", OCI_OK, "a", 60);
    grant("{\"token\":\"a\",\"expires_in\":-5}", OCI_OK, "a", 60);
    grant("{\"token\":\"a\",\"expires_in\":\"9\"}", OCI_OK, "a", 60);

    grant("{}", OCI_INVALID, NULL, 0);
    grant("[]", OCI_INVALID, NULL, 0);
    grant("x", OCI_INVALID, NULL, 0);
    grant("{\"token\":7}", OCI_INVALID, NULL, 0);
    grant("{\"token\":\"\"}", OCI_INVALID, NULL, 0);
    grant("{\"token\":\"a b\"}", OCI_INVALID, NULL, 0);
    grant("{\"token\":\"a\\r\\nb\"}", OCI_INVALID, NULL, 0);
    grant("{\"token\":\"a\\u0000b\"}", OCI_INVALID, NULL, 0);
    grant("{\"token\":\"\\u00e9\"}", OCI_INVALID, NULL, 0);
    grant("{\"token\":\"0123456789012345678901234567890123456789"
          "012345678901234567890123456789\"}", OCI_INVALID, NULL, 0);
}


int
main(void)
{
    int  rc;

    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_grants)
    };

    rc = cmocka_run_group_tests(tests, NULL, NULL);

    oci_credentials_free(creds);

    return rc;
}
