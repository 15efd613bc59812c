
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

#include "oci_url.h"


static char  shown[OCI_URL_MAX + 256];


static const char *
show(const char *text)
{
    size_t      len;
    u_char     *copy;
    oci_url_t   url;

    len = strlen(text);
    copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);

    strcpy(shown, "!");

    if (oci_url_parse(&url, copy, len) == OCI_OK) {
        sprintf(shown, "%s %.*s %.*s %u%s %.*s", url.ssl ? "https" : "http",
                (int) url.user.len, url.user.data, (int) url.host.len,
                url.host.data, url.port, url.default_port ? "*" : "",
                (int) url.path.len, url.path.data);
    }

    free(copy);

    return shown;
}


static void
test_parse(void **state)
{
    (void) state;

    assert_string_equal(show("https://A.Test"), "https  a.test 443* ");
    assert_string_equal(show("HTTP://a.test/"), "http  a.test 80* /");
    assert_string_equal(show("http://a:80/x?y#z"), "http  a 80* /x?y");
    assert_string_equal(show("https://a:8443?x=/"), "https  a 8443 ?x=/");
    assert_string_equal(show("https://[::1]:5000/v2/"),
                        "https  ::1 5000 /v2/");
    assert_string_equal(show("http://u:p@a/"), "http u:p a 80* /");
    assert_string_equal(show("http://u@b@a/"), "http u@b a 80* /");
    assert_string_equal(show("http://a.test./x"), "http  a.test 80* /x");
    assert_string_equal(show("http://a:"), "http  a 80* ");

    assert_string_equal(show("ftp://a/"), "!");
    assert_string_equal(show("http:/a/"), "!");
    assert_string_equal(show("http://"), "!");
    assert_string_equal(show("http:///x"), "!");
    assert_string_equal(show("http://:80/"), "!");
    assert_string_equal(show("http://a:0/"), "!");
    assert_string_equal(show("http://a:65536/"), "!");
    assert_string_equal(show("http://a:123456/"), "!");
    assert_string_equal(show("http://a:8o/"), "!");
    assert_string_equal(show("http://a b/"), "!");
    assert_string_equal(show("http://a/\r\nX: y"), "!");
    assert_string_equal(show("http://a%2eb/"), "!");
    assert_string_equal(show("http://a\\b/"), "!");
    assert_string_equal(show("http://[::1/"), "!");
    assert_string_equal(show("http://[a]/"), "!");
    assert_string_equal(show("http://[::1]x/"), "!");
    assert_string_equal(show(""), "!");
    assert_string_equal(show("//a/"), "!");
}


static const char *
resolve(const char *base, const char *ref)
{
    char       text[256];
    size_t     len;
    oci_str_t  s;
    oci_url_t  url;

    strcpy(text, base);
    assert_int_equal(oci_url_parse(&url, (u_char *) text, strlen(text)),
                     OCI_OK);

    s.data = (u_char *) ref;
    s.len = strlen(ref);

    if (oci_url_resolve(&url, &s, (u_char *) shown, sizeof(shown) - 1, &len)
        != OCI_OK)
    {
        return "!";
    }

    shown[len] = '\0';

    return shown;
}


static void
test_resolve(void **state)
{
    const char  *base;

    (void) state;

    base = "http://a.test/b/c/d;p?q";

    assert_string_equal(resolve(base, "https://x/y"), "https://x/y");
    assert_string_equal(resolve(base, "//x/y"), "http://x/y");
    assert_string_equal(resolve(base, "/x/y?z"), "http://a.test:80/x/y?z");
    assert_string_equal(resolve(base, "x"), "http://a.test:80/b/c/x");
    assert_string_equal(resolve(base, "?x"), "http://a.test:80/b/c/d;p?x");
    assert_string_equal(resolve(base, "../x"), "http://a.test:80/b/x");
    assert_string_equal(resolve(base, "./x/."), "http://a.test:80/b/c/x/");
    assert_string_equal(resolve(base, "../../../../x"),
                        "http://a.test:80/x");
    assert_string_equal(resolve(base, ".."), "http://a.test:80/b/");
    assert_string_equal(resolve(base, "x?a=../b"),
                        "http://a.test:80/b/c/x?a=../b");
    assert_string_equal(resolve(base, "/x#frag"), "http://a.test:80/x");
    assert_string_equal(resolve(base, "#frag"),
                        "http://a.test:80/b/c/d;p?q");
    assert_string_equal(resolve("https://[::1]:5000", "x"),
                        "https://[::1]:5000/x");
    assert_string_equal(resolve("https://a", "?x"), "https://a:443/?x");
    assert_string_equal(resolve("https://a?q", "x"), "https://a:443/x");
    assert_string_equal(resolve("https://u:p@a/", "/x"), "https://a:443/x");

    assert_string_equal(resolve(base, "ftp://x/"), "!");
    assert_string_equal(resolve(base, "javascript:x"), "!");
    assert_string_equal(resolve(base, "http:x"), "!");
    assert_string_equal(resolve(base, "/a b"), "!");
    assert_string_equal(resolve(base, "/a\r\nX: y"), "!");
    assert_string_equal(resolve(base, "\\\\x\\y"), "!");
    assert_string_equal(resolve(base, "///x"), "!");
}


static void
test_too_long(void **state)
{
    char       text[OCI_URL_MAX + 64];
    u_char     buf[64];
    size_t     len;
    oci_str_t  ref;
    oci_url_t  url;

    (void) state;

    memset(text, 'a', sizeof(text));
    memcpy(text, "http://a/", 9);

    assert_int_equal(oci_url_parse(&url, (u_char *) text, OCI_URL_MAX),
                     OCI_OK);
    assert_int_equal(oci_url_parse(&url, (u_char *) text, OCI_URL_MAX + 1),
                     OCI_INVALID);

    strcpy(text, "http://a/");
    assert_int_equal(oci_url_parse(&url, (u_char *) text, 9), OCI_OK);

    memset(text + 16, '/', 64);

    for (len = 0; len < 64; len++) {
        ref.data = (u_char *) text + 15;
        text[15] = 'x';
        ref.len = len;
        (void) oci_url_resolve(&url, &ref, buf, sizeof(buf), &ref.len);
    }
}


static int
related(const char *a, const char *b)
{
    oci_str_t  x, y;

    x.data = (u_char *) a;
    x.len = strlen(a);
    y.data = (u_char *) b;
    y.len = strlen(b);

    assert_int_equal(oci_url_host_related(&x, &y),
                     oci_url_host_related(&y, &x));

    return oci_url_host_related(&x, &y);
}


static void
test_related(void **state)
{
    (void) state;

    assert_true(related("registry-1.docker.io", "auth.docker.io"));
    assert_true(related("registry.gitlab.com", "gitlab.com"));
    assert_true(related("a.test", "a.test"));
    assert_true(related("x.a.co.uk", "y.a.co.uk"));
    assert_true(related("10.0.0.1", "10.0.0.1"));
    assert_true(related("localhost", "localhost"));
    assert_true(related("us.gcr.io", "gcr.io"));

    assert_false(related("a.test", "b.test"));
    assert_false(related("docker.io", "xdocker.io"));
    assert_false(related("evil-docker.io", "docker.io"));
    assert_false(related("a.co.uk", "b.co.uk"));
    assert_false(related("a.com.au", "b.com.au"));
    assert_false(related("10.0.0.1", "10.1.0.1"));
    assert_false(related("1.2.3.4", "5.6.3.4"));
    assert_false(related("localhost", "x.localhost"));
    assert_false(related("io", "docker.io"));
    assert_false(related("a..io", "b..io"));
    assert_false(related("", "a.test"));
    assert_false(related("docker.io.evil.test", "docker.io"));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_related)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
