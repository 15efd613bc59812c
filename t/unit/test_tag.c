
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "manifest_fixture.h"
#include "oci_generation.h"
#include "oci_tag.h"

#include <sys/stat.h>
#include <stdio.h>
#include <unistd.h>


static char        path[OCI_PATH_MAX];
static oci_repo_t  repo;


static int
setup(void **state)
{
    repo = fx_repo("", "r");

    return fx_setup(state);
}


static int
setup_durable(void **state)
{
    repo = fx_repo("", "r");

    return fx_setup_durable(state);
}


static const char *
tag(const char *name)
{
    oci_str_t  s;

    s = fx_str(name);
    oci_path_tag(path, &fx_store, &repo, &s);

    return path;
}


static const char *
record(const oci_digest_t *d)
{
    oci_path_manifest(path, &fx_store, &repo, d);

    return path;
}


static int
get(const char *name, oci_digest_t *d)
{
    oci_str_t  s;

    s = fx_str(name);

    return oci_tag_get(&fx_store, &repo, &s, d);
}


static void
set(const char *name, const oci_digest_t *d)
{
    oci_str_t  s;

    s = fx_str(name);
    assert_int_equal(oci_tag_set(&fx_store, &repo, &s, d), OCI_OK);
    assert_int_equal(oci_tags_sync(&fx_store, &repo), OCI_OK);
}


static int
del(const char *name)
{
    oci_str_t  s;

    s = fx_str(name);

    return oci_tag_delete(&fx_store, &repo, &s);
}


static void
test_set(void **state)
{
    char           text[OCI_PATH_MAX], want[OCI_PATH_MAX];
    ssize_t        n;
    oci_digest_t   one, two, d;

    (void) state;

    one = fx_digest(OCI_SHA256, "one");
    two = fx_digest(OCI_SHA512, "two");

    assert_int_equal(get("t", &d), OCI_NOT_FOUND);

    set("t", &one);
    assert_int_equal(get("t", &d), OCI_OK);
    assert_true(oci_digest_equal(&d, &one));
    assert_int_equal(get("T", &d), OCI_NOT_FOUND);

    n = readlink(tag("t"), text, sizeof(text));
    assert_true(n > 0);
    text[n] = '\0';
    (void) snprintf(want, sizeof(want), "../_manifests/sha256/%s", one.hex);
    assert_string_equal(text, want);

    set("t", &two);
    assert_int_equal(get("t", &d), OCI_OK);
    assert_true(oci_digest_equal(&d, &two));

    assert_int_equal(fx_tmp_count(), 0);
}


/* by whom a tag was made: what fills asks, what pushes keep */

static void
test_filled(void **state)
{
    oci_str_t     t;
    oci_digest_t  one, two, d;

    (void) state;

    one = fx_digest(OCI_SHA256, "one");
    two = fx_digest(OCI_SHA512, "two");

    t.data = (u_char *) "t";
    t.len = 1;

    assert_false(oci_tag_pushed(&fx_store, &repo, &t));

    assert_int_equal(oci_tag_fill(&fx_store, &repo, &t, &two, 1), OCI_OK);
    assert_false(oci_tag_pushed(&fx_store, &repo, &t));
    assert_int_equal(get("t", &d), OCI_OK);
    assert_true(oci_digest_equal(&d, &two));

    assert_int_equal(oci_tag_fill(&fx_store, &repo, &t, &one, 1), OCI_OK);
    assert_int_equal(get("t", &d), OCI_OK);
    assert_true(oci_digest_equal(&d, &one));

    set("t", &one);
    assert_true(oci_tag_pushed(&fx_store, &repo, &t));

    assert_int_equal(oci_tag_fill(&fx_store, &repo, &t, &two, 1), OCI_OK);
    assert_true(oci_tag_pushed(&fx_store, &repo, &t));
    assert_int_equal(get("t", &d), OCI_OK);
    assert_true(oci_digest_equal(&d, &one));

    assert_int_equal(oci_tag_fill(&fx_store, &repo, &t, &two, 0), OCI_OK);
    assert_false(oci_tag_pushed(&fx_store, &repo, &t));
    assert_int_equal(get("t", &d), OCI_OK);
    assert_true(oci_digest_equal(&d, &two));
}


static void
test_not_ours(void **state)
{
    size_t         i;
    oci_digest_t   d;
    static const char  *targets[] = {
        "x", "/etc/passwd", "../_manifests/", "../_manifests/sha256",
        "../_manifests/sha256/", "../_manifests/sha256/11",
        "../_manifests/sha256/../x", "../_blobs/sha256/1",
        ".././_manifests/sha256/../x", "../../_manifests/sha256/1",
        "../_manifests/md5/11111111111111111111111111111111"
    };

    (void) state;

    d = fx_digest(OCI_SHA256, "one");
    set("a", &d);

    for (i = 0; i < sizeof(targets) / sizeof(char *); i++) {
        (void) unlink(tag("t"));
        assert_int_equal(symlink(targets[i], tag("t")), 0);
        assert_int_equal(get("t", &d), OCI_INVALID);
    }

    assert_int_equal(unlink(tag("t")), 0);
    assert_int_equal(mkdir(tag("t"), 0755), 0);
    assert_int_equal(get("t", &d), OCI_INVALID);
    assert_int_equal(del("t"), OCI_ERROR);
    assert_string_equal(oci_failure()->op, "unlink()");
    assert_int_equal(rmdir(tag("t")), 0);

    /* whatever it was, the next push puts it right */

    assert_int_equal(symlink("x", tag("t")), 0);
    d = fx_digest(OCI_SHA256, "two");
    set("t", &d);
    assert_int_equal(get("t", &d), OCI_OK);
}


/* grace of an untagged manifest counts from the loss of its last tag */

static void
test_touch(void **state)
{
    oci_digest_t  one, two;

    (void) state;

    one = fx_put(&repo, FX_MANIFEST, fx_empty(1), "t u");
    two = fx_put(&repo, FX_MANIFEST, fx_empty(2), "");

    fx_age(record(&one));
    fx_age(record(&two));

    set("t", &one);
    assert_false(fx_fresh(record(&one)));

    set("t", &two);
    assert_true(fx_fresh(record(&one)));
    assert_false(fx_fresh(record(&two)));

    fx_age(record(&one));
    fx_age(tag("u"));
    set("u", &one);
    assert_true(fx_fresh(tag("u")));
    assert_false(fx_fresh(record(&one)));

    assert_int_equal(del("u"), OCI_OK);
    assert_true(fx_fresh(record(&one)));
    assert_true(fx_exists(record(&one)));
}


static void
test_delete(void **state)
{
    uint64_t       before;
    oci_digest_t   one, d;

    (void) state;

    assert_int_equal(del("t"), OCI_NOT_FOUND);

    one = fx_put(&repo, FX_MANIFEST, fx_empty(1), "t u");

    assert_int_equal(del("v"), OCI_NOT_FOUND);

    before = oci_generation_read(&fx_store, &repo);
    assert_int_equal(del("t"), OCI_OK);

    if (fx_store.counters != NULL) {
        assert_true(oci_generation_read(&fx_store, &repo) >= before + 2);
    }

    assert_int_equal(del("t"), OCI_NOT_FOUND);
    assert_int_equal(get("t", &d), OCI_NOT_FOUND);
    assert_int_equal(get("u", &d), OCI_OK);
    assert_true(fx_exists(record(&one)));

    /* one that dangles is no tag, and goes */

    assert_int_equal(unlink(record(&one)), 0);
    assert_int_equal(del("u"), OCI_NOT_FOUND);
    assert_false(fx_exists(tag("u")));
}


static void
test_drop(void **state)
{
    oci_digest_t  one, two, d;

    (void) state;

    one = fx_digest(OCI_SHA256, "none");
    assert_int_equal(oci_tags_drop(&fx_store, &repo, &one), OCI_OK);
    assert_int_equal(oci_tags_drop(&fx_store, &repo, NULL), OCI_OK);

    one = fx_put(&repo, FX_MANIFEST, fx_empty(1), "a b c");
    two = fx_put(&repo, FX_MANIFEST, fx_empty(2), "d e");

    assert_int_equal(oci_tags_drop(&fx_store, &repo, NULL), OCI_OK);
    assert_int_equal(get("a", &d), OCI_OK);

    assert_int_equal(oci_tags_drop(&fx_store, &repo, &one), OCI_OK);
    assert_int_equal(get("a", &d), OCI_NOT_FOUND);
    assert_int_equal(get("b", &d), OCI_NOT_FOUND);
    assert_int_equal(get("c", &d), OCI_NOT_FOUND);
    assert_int_equal(get("d", &d), OCI_OK);
    assert_int_equal(get("e", &d), OCI_OK);

    set("a", &one);
    assert_int_equal(unlink(record(&two)), 0);
    assert_int_equal(symlink("nowhere", tag("x")), 0);

    assert_int_equal(oci_tags_drop(&fx_store, &repo, NULL), OCI_OK);
    assert_int_equal(get("a", &d), OCI_OK);
    assert_int_equal(get("d", &d), OCI_NOT_FOUND);
    assert_int_equal(get("e", &d), OCI_NOT_FOUND);
    assert_false(fx_exists(tag("x")));
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_set, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_set, setup_durable,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_filled, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_not_ours, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_touch, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_delete, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_delete, setup_durable,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_drop, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_drop, setup_durable,
                                        fx_teardown)
    };

    return cmocka_run_group_tests(tests, fx_begin, fx_end);
}
