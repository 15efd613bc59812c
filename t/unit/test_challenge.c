
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

#include "oci_challenge.h"


/* scheme[realm|service|scope|error] of each, on an exact copy */

static void
all(const char *text, const char *want)
{
    int              rc;
    char             got[1024];
    size_t           n, len;
    u_char          *copy, *p, *last;
    oci_challenge_t  c;

    len = strlen(text);
    copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);

    p = copy;
    last = copy + len;
    n = 0;
    got[0] = '\0';

    while ((rc = oci_challenge_next(&c, &p, last)) == OCI_OK) {

        n += (size_t) snprintf(got + n, sizeof(got) - n,
                               "%s[%.*s|%.*s|%.*s|%.*s]",
                               c.scheme == OCI_CHALLENGE_BEARER ? "bearer"
                               : c.scheme == OCI_CHALLENGE_BASIC ? "basic"
                                                                 : "other",
                               (int) c.realm.len, c.realm.data,
                               (int) c.service.len, c.service.data,
                               (int) c.scope.len, c.scope.data,
                               (int) c.error.len, c.error.data);
    }

    if (rc == OCI_INVALID) {
        n += (size_t) snprintf(got + n, sizeof(got) - n, "!");
    }

    assert_true(p == last);
    free(copy);

    if (strcmp(got, want) != 0) {
        fail_msg("\"%s\" is \"%s\"", text, got);
    }
}


static void
test_one(void **state)
{
    (void) state;

    all("Bearer realm=\"https://auth.docker.io/token\","
        "service=\"registry.docker.io\",scope=\"repository:a/b:pull,push\"",
        "bearer[https://auth.docker.io/token|registry.docker.io|"
        "repository:a/b:pull,push|]");
    all("BASIC Realm=\"x\"", "basic[x|||]");
    all("bearer realm=x", "bearer[x|||]");
    all("Bearer realm=https://a.test/t?x=1,service=s", "bearer["
        "https://a.test/t?x=1|s||]");
    all("Bearer  realm = \"x\" ,  error=\"insufficient_scope\" , other=\"y\"",
        "bearer[x|||insufficient_scope]");
    all("Bearer realm=\"a\\\"b\\\\c\"", "bearer[a\"b\\c|||]");
    all("Bearer realm=\"x\",realm=\"y\"", "bearer[x|||]");
    all("Bearer realm=\"x\" service=\"y\"", "bearer[x|y||]");
    all("Bearer", "bearer[|||]");
    all("Bearer realm=\"\"", "bearer[|||]");
    all("", "");
    all(" , ", "");
}


static void
test_several(void **state)
{
    (void) state;

    all("Basic realm=\"a\", Bearer realm=\"b\",service=\"c\"",
        "basic[a|||]bearer[b|c||]");
    all("Negotiate, Basic realm=\"a\"", "other[|||]basic[a|||]");
    all("Negotiate YWJj/+x==, Basic realm=a", "other[|||]basic[a|||]");
    all("Negotiate YWJj, Basic realm=a", "other[|||]basic[a|||]");
    all("Basic realm=\"x, Bearer realm=y\", Digest realm=\"z\",nonce=\"1\"",
        "basic[x, Bearer realm=y|||]other[z|||]");
    all("Basic,Bearer realm=\"x\"", "basic[|||]bearer[x|||]");
}


static void
test_malformed(void **state)
{
    (void) state;

    all("Bearer realm=\"x", "!");
    all("Bearer realm=\"x\\", "!");
    all("Bearer realm=\"x\001\"", "!");
    all("Bearer realm=x\001y", "!");
    all("Bearer =\"x\"", "!");
    all("=x", "!");
    all("Bearer/x", "!");
    all("\"Bearer\"", "!");
    all("Basic realm=\"a\", Bearer realm=\"", "basic[a|||]!");
    all("Bearer realm=\"x\" \"y\"", "!");
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_malformed)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
