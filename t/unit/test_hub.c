
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

#include "oci_hub.h"


#define H1  "1111111111111111111111111111111111111111111111111111111111111111"

#define COMMIT  "0123456789abcdef0123456789abcdef01234567"


static u_char           path_buf[2048];
static oci_hub_route_t  route;


static int
parse(const char *path)
{
    assert_true(strlen(path) < sizeof(path_buf));

    memcpy(path_buf, path, strlen(path));

    return oci_hub_parse(&route, path_buf, strlen(path));
}


static int
is(const oci_str_t *s, const char *text)
{
    return s->len == strlen(text)
           && (s->len == 0 || memcmp(s->data, text, s->len) == 0);
}


static void
expect(const char *path, oci_hub_endpoint_t endpoint, const char *id,
    oci_hub_rev_t rev, const char *revision, const char *file)
{
    if (parse(path) != OCI_OK || route.endpoint != endpoint
        || !is(&route.id, id) || route.rev != rev
        || !is(&route.revision, revision) || !is(&route.path, file)
        || route.bad_id || route.bad_path)
    {
        fail_msg("%s: endpoint %d, id %.*s, revision %d %.*s, path %.*s",
                 path, route.endpoint, (int) route.id.len, route.id.data,
                 route.rev, (int) route.revision.len, route.revision.data,
                 (int) route.path.len, route.path.data);
    }
}


static void
test_routes(void **state)
{
    (void) state;

    expect("/api/models/Org/Model", OCI_HUB_INFO, "Org/Model",
           OCI_HUB_REV_MAIN, "main", "");
    expect("/api/models/gpt2", OCI_HUB_INFO, "gpt2",
           OCI_HUB_REV_MAIN, "main", "");
    expect("/api/models/o/m/revision/main", OCI_HUB_INFO, "o/m",
           OCI_HUB_REV_MAIN, "main", "");
    expect("/api/models/gpt2/revision/v1.0", OCI_HUB_INFO, "gpt2",
           OCI_HUB_REV_TAG, "v1.0", "");
    expect("/api/models/o/m/revision/" COMMIT, OCI_HUB_INFO, "o/m",
           OCI_HUB_REV_COMMIT, COMMIT, "");
    expect("/api/models/o/m/revision/refs%2Fpr%2F1", OCI_HUB_INFO, "o/m",
           OCI_HUB_REV_NONE, "refs/pr/1", "");
    expect("/api/models/o/m/revision/refs/pr/1", OCI_HUB_INFO, "o/m",
           OCI_HUB_REV_NONE, "refs/pr/1", "");

    expect("/api/models/o/m/tree/main", OCI_HUB_TREE, "o/m",
           OCI_HUB_REV_MAIN, "main", "");
    expect("/api/models/o/m/tree/main/", OCI_HUB_TREE, "o/m",
           OCI_HUB_REV_MAIN, "main", "");
    expect("/api/models/gpt2/tree/main/a%2Fb", OCI_HUB_TREE, "gpt2",
           OCI_HUB_REV_MAIN, "main", "a/b");
    expect("/api/models/o/m/tree/v1/a/b/c/d/e/f/g/", OCI_HUB_TREE, "o/m",
           OCI_HUB_REV_TAG, "v1", "a/b/c/d/e/f/g");

    expect("/api/models/o/m/refs", OCI_HUB_REFS, "o/m",
           OCI_HUB_REV_MAIN, "main", "");
    expect("/api/models/gpt2/refs", OCI_HUB_REFS, "gpt2",
           OCI_HUB_REV_MAIN, "main", "");
    expect("/api/models/o/m/commits/main", OCI_HUB_COMMITS, "o/m",
           OCI_HUB_REV_MAIN, "main", "");
    expect("/api/models/o/m/paths-info/main", OCI_HUB_PATHS, "o/m",
           OCI_HUB_REV_MAIN, "main", "");

    expect("/o/m/resolve/main/config.json", OCI_HUB_RESOLVE, "o/m",
           OCI_HUB_REV_MAIN, "main", "config.json");
    expect("/gpt2/resolve/main/a%20b/c", OCI_HUB_RESOLVE, "gpt2",
           OCI_HUB_REV_MAIN, "main", "a b/c");
    expect("/o/m/raw/" COMMIT "/x", OCI_HUB_RESOLVE, "o/m",
           OCI_HUB_REV_COMMIT, COMMIT, "x");
    expect("/o/m/resolve/main/a/b/c/d/e/f/g/h", OCI_HUB_RESOLVE, "o/m",
           OCI_HUB_REV_MAIN, "main", "a/b/c/d/e/f/g/h");
    expect("/o/m/resolve/main/resolve/main/x", OCI_HUB_RESOLVE, "o/m",
           OCI_HUB_REV_MAIN, "main", "resolve/main/x");
    expect("/o/m/resolve/sha256%3A" H1 "/x", OCI_HUB_RESOLVE, "o/m",
           OCI_HUB_REV_DIGEST, "sha256:" H1, "x");
    assert_string_equal(route.digest.hex, H1);

    expect("/api/resolve-cache/models/o/m/" COMMIT "/a/b", OCI_HUB_RESOLVE,
           "o/m", OCI_HUB_REV_COMMIT, COMMIT, "a/b");
    expect("/api/resolve-cache/models/gpt2/" COMMIT "/a", OCI_HUB_RESOLVE,
           "gpt2", OCI_HUB_REV_COMMIT, COMMIT, "a");
}


/* a commit is what clients take for one: 40 digits, none in upper case */

static void
test_revisions(void **state)
{
    (void) state;

    expect("/o/m/resolve/0123456789ABCDEF0123456789abcdef01234567/x",
           OCI_HUB_RESOLVE, "o/m", OCI_HUB_REV_TAG,
           "0123456789ABCDEF0123456789abcdef01234567", "x");
    expect("/o/m/resolve/0123456789abcdef0123456789abcdef0123456/x",
           OCI_HUB_RESOLVE, "o/m", OCI_HUB_REV_TAG,
           "0123456789abcdef0123456789abcdef0123456", "x");
    expect("/o/m/resolve/" COMMIT "0/x", OCI_HUB_RESOLVE, "o/m",
           OCI_HUB_REV_TAG, COMMIT "0", "x");
    expect("/o/m/resolve/..%2F..%2Fx/x", OCI_HUB_RESOLVE, "o/m",
           OCI_HUB_REV_NONE, "../../x", "x");
    expect("/o/m/resolve/sha256%3A12/x", OCI_HUB_RESOLVE, "o/m",
           OCI_HUB_REV_NONE, "sha256:12", "x");
    expect("/o/m/resolve/main%252F/x", OCI_HUB_RESOLVE, "o/m",
           OCI_HUB_REV_NONE, "main%2F", "x");
}


static void
test_other_routes(void **state)
{
    size_t  i;

    static const char *const  unknown[] = {
        "", "/", "x", "/api", "/api/", "/api/models", "/api/quicksearch",
        "/o/m", "/o/m/resolve/main", "/o/m/blob/main/x", "/resolve/main/x",
        "/a/b/c/resolve/main/x", "/api/models/o/m/discussions",
        "/api/models/o/m/xet-read-token/main", "/api/whoami-v2/x"
    };

    static const char *const  other[] = {
        "/api/datasets/o/d", "/api/spaces/o/s", "/datasets/o/d/resolve/main/x",
        "/spaces/o/s/resolve/main/x", "/api/resolve-cache/datasets/o/d/x/y"
    };

    (void) state;

    for (i = 0; i < sizeof(unknown) / sizeof(char *); i++) {
        assert_int_equal(parse(unknown[i]), OCI_OK);

        if (route.endpoint != OCI_HUB_UNKNOWN) {
            fail_msg("taken: %s", unknown[i]);
        }
    }

    for (i = 0; i < sizeof(other) / sizeof(char *); i++) {
        assert_int_equal(parse(other[i]), OCI_OK);
        assert_int_equal(route.endpoint, OCI_HUB_OTHER);
    }

    assert_int_equal(parse("/api/whoami-v2"), OCI_OK);
    assert_int_equal(route.endpoint, OCI_HUB_WHOAMI);
}


static void
test_bad(void **state)
{
    size_t  i;
    char    path[512];

    static const char *const  escapes[] = {
        "/o/m/resolve/main/%", "/o/m/resolve/main/%1", "/o/m/resolve/%zz/x",
        "/o%/m/resolve/main/x", "/api/models/o/m/tree/%/x",
        "/api/models/%4/m", "/api/models/o/m/revision/%gg"
    };

    static const char *const  paths[] = {
        "%2e%2e/x", "../x", "a/../b", "a//b", "%2Fetc/passwd", "a%00b",
        "a%5Cb", "a%0Ab", "%ff", ".", "a/./b", "/", "", "a//"
    };

    static const char *const  ids[] = {
        "o%2Fm/x", "../m", "o/..", "o/m..x", "o/m--x", "o/m%20x", "o/m%00",
        "o/", "/m", "o/m%2F", "%D0%B0/m",
        "o/12345678901234567890123456789012345678901234567890"
        "123456789012345678901234567890123456789012345"
    };

    (void) state;

    for (i = 0; i < sizeof(escapes) / sizeof(char *); i++) {
        if (parse(escapes[i]) != OCI_INVALID) {
            fail_msg("taken: %s", escapes[i]);
        }
    }

    for (i = 0; i < sizeof(paths) / sizeof(char *); i++) {
        (void) snprintf(path, sizeof(path), "/o/m/resolve/main/%s", paths[i]);

        assert_int_equal(parse(path), OCI_OK);

        if (route.endpoint != OCI_HUB_RESOLVE || !route.bad_path) {
            fail_msg("taken: %s", path);
        }

        assert_int_equal(route.path.len, 0);
    }

    for (i = 0; i < sizeof(ids) / sizeof(char *); i++) {
        (void) snprintf(path, sizeof(path), "/api/models/%s", ids[i]);

        assert_int_equal(parse(path), OCI_OK);

        if (route.endpoint != OCI_HUB_INFO || !route.bad_id) {
            fail_msg("taken: %s", path);
        }

        assert_int_equal(route.id.len, 0);
    }
}


static void
test_repository(void **state)
{
    size_t     i;
    u_char     buf[OCI_NAME_MAX];
    oci_str_t  id, prefix, name, none;

    static const char *const  bad[] = {
        "", "Org/-m", "Org/m_", "o/m...x", "_o/m"
    };

    (void) state;

    prefix.data = (u_char *) "models/";
    prefix.len = 7;
    none.len = 0;
    none.data = NULL;

    id.data = (u_char *) "Org/Model-7B.v1_x";
    id.len = 17;

    assert_int_equal(oci_hub_repository(&id, &prefix, buf, &name), OCI_OK);
    assert_int_equal(name.len, 24);
    assert_memory_equal(name.data, "models/org/model-7b.v1_x", 24);

    assert_int_equal(oci_hub_repository(&id, &none, buf, &name), OCI_OK);
    assert_memory_equal(name.data, "org/model-7b.v1_x", 17);

    for (i = 0; i < sizeof(bad) / sizeof(char *); i++) {
        id.data = (u_char *) (uintptr_t) bad[i];
        id.len = strlen(bad[i]);

        assert_int_equal(oci_hub_repository(&id, &none, buf, &name),
                         OCI_NOT_FOUND);
    }

    prefix.data = path_buf;
    prefix.len = OCI_NAME_MAX - 3;
    memset(path_buf, 'p', prefix.len);

    id.data = (u_char *) "four";
    id.len = 4;
    assert_int_equal(oci_hub_repository(&id, &prefix, buf, &name),
                     OCI_NOT_FOUND);

    id.len = 3;
    assert_int_equal(oci_hub_repository(&id, &prefix, buf, &name), OCI_OK);
    assert_int_equal(name.len, OCI_NAME_MAX);
}


static int
flag(const char *args, const char *key)
{
    oci_str_t  s;

    s.data = (u_char *) (uintptr_t) args;
    s.len = strlen(args);

    return oci_hub_flag(&s, key);
}


static void
test_flag(void **state)
{
    (void) state;

    assert_true(flag("recursive=true&expand=false", "recursive"));
    assert_false(flag("recursive=true&expand=false", "expand"));
    assert_true(flag("expand=False&recursive=True", "recursive"));
    assert_true(flag("blobs=1", "blobs"));
    assert_false(flag("blobs=0", "blobs"));
    assert_false(flag("blobs", "blobs"));
    assert_false(flag("xblobs=true", "blobs"));
    assert_false(flag("blobsx=true", "blobs"));
    assert_false(flag("", "blobs"));
    assert_false(flag("&&", "blobs"));
}


static int
paths_of(oci_hub_paths_t *paths, const char *body, unsigned is_json)
{
    memcpy(path_buf, body, strlen(body) + 1);

    return oci_hub_paths(paths, path_buf, strlen(body), is_json);
}


static void
test_paths(void **state)
{
    int               rc;
    char             *body;
    size_t            i, len;
    oci_hub_paths_t   p;

    (void) state;

    assert_int_equal(paths_of(&p, "paths=a%2Fb&paths=c+d&expand=True&x=y&",
                              0), OCI_OK);
    assert_int_equal(p.count, 2);
    assert_true(p.expand);
    assert_int_equal(p.paths[0].len, 3);
    assert_memory_equal(p.paths[0].data, "a/b", 3);
    assert_memory_equal(p.paths[1].data, "c d", 3);
    oci_hub_paths_free(&p);

    assert_int_equal(paths_of(&p, "{\"paths\":[\"a/b\",\"c\"],"
                                  "\"expand\":false}", 1), OCI_OK);
    assert_int_equal(p.count, 2);
    assert_false(p.expand);
    assert_memory_equal(p.paths[0].data, "a/b", 3);
    oci_hub_paths_free(&p);

    assert_int_equal(paths_of(&p, "{\"paths\":\"a\",\"expand\":true}", 1),
                     OCI_OK);
    assert_int_equal(p.count, 1);
    assert_true(p.expand);
    oci_hub_paths_free(&p);

    assert_int_equal(paths_of(&p, "", 0), OCI_OK);
    assert_int_equal(p.count, 0);
    oci_hub_paths_free(&p);

    assert_int_equal(paths_of(&p, "paths=%", 0), OCI_INVALID);
    assert_int_equal(paths_of(&p, "{\"paths\":[1]}", 1), OCI_INVALID);
    assert_int_equal(paths_of(&p, "{}", 1), OCI_INVALID);
    assert_int_equal(paths_of(&p, "[]", 1), OCI_INVALID);
    assert_int_equal(paths_of(&p, "{", 1), OCI_INVALID);

    body = malloc(OCI_HUB_PATHS_MAX * 16 + 16);
    assert_non_null(body);
    len = 0;

    for (i = 0; i <= OCI_HUB_PATHS_MAX; i++) {
        len += (size_t) sprintf(body + len, "paths=x&");
    }

    rc = oci_hub_paths(&p, (u_char *) body, len, 0);
    assert_int_equal(rc, OCI_RANGE);

    rc = oci_hub_paths(&p, (u_char *) body, len - 8, 0);
    assert_int_equal(rc, OCI_OK);
    assert_int_equal(p.count, OCI_HUB_PATHS_MAX);
    oci_hub_paths_free(&p);

    len = (size_t) sprintf(body, "{\"paths\":[");

    for (i = 0; i <= OCI_HUB_PATHS_MAX; i++) {
        len += (size_t) sprintf(body + len, "%s\"x\"", i ? "," : "");
    }

    len += (size_t) sprintf(body + len, "]}");

    rc = oci_hub_paths(&p, (u_char *) body, len, 1);
    assert_int_equal(rc, OCI_RANGE);

    free(body);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_revisions),
        cmocka_unit_test(test_other_routes),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_repository),
        cmocka_unit_test(test_flag),
        cmocka_unit_test(test_paths),
    };

    return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
