
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "manifest_fixture.h"
#include "oci_blob.h"
#include "oci_generation.h"

#include <sys/stat.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>


static oci_digest_t  missing;


static void
test_put_open(void **state)
{
    uint64_t       before;
    const char    *json;
    struct stat    st;
    oci_digest_t   d;

    (void) state;

    fx_blob(&fx_r, "config");
    fx_blob(&fx_r, "layer");

    json = fx_image("config", "layer", "");
    d = fx_digest(OCI_SHA256, json);

    fx_gone(&d, NULL);
    fx_gone(NULL, "one");

    before = oci_generation_read(&fx_store, &fx_r);

    fx_put(&fx_r, FX_MANIFEST, json, "one two");

    if (fx_store.counters != NULL) {
        assert_true(oci_generation_read(&fx_store, &fx_r) >= before + 2);
    }

    fx_expect(&d, NULL, FX_MANIFEST, json);
    fx_expect(&d, "one", FX_MANIFEST, json);
    fx_expect(&d, "two", FX_MANIFEST, json);
    fx_gone(NULL, "three");

    assert_int_equal(stat(fx_record(&d), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0444);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(fx_tmp_count(), 0);
}


static void
test_missing(void **state)
{
    char           json[2048];
    oci_digest_t   c, l, s;
    const char    *text;

    (void) state;

    text = fx_image("config", "layer", "");
    c = fx_digest(OCI_SHA256, "config");
    l = fx_digest(OCI_SHA256, "layer");
    s = fx_digest(OCI_SHA256, text);

    assert_int_equal(fx_try(&fx_r, FX_MANIFEST, text, "t", 0, &missing),
                     OCI_UNKNOWN_BLOB);
    assert_true(oci_digest_equal(&missing, &c));

    fx_blob(&fx_r, "config");

    assert_int_equal(fx_try(&fx_r, FX_MANIFEST, text, "t", 0, &missing),
                     OCI_UNKNOWN_BLOB);
    assert_true(oci_digest_equal(&missing, &l));
    assert_false(fx_exists(fx_record(&s)));
    assert_false(fx_exists(fx_tag("t")));
    assert_int_equal(fx_tmp_count(), 0);

    assert_int_equal(fx_try(&fx_r, FX_MANIFEST, text, "t", 1, &missing),
                     OCI_OK);
    fx_expect(&s, "t", FX_MANIFEST, text);

    /* of another repository: not here */

    fx_r = fx_repo("", "some/other");
    assert_int_equal(fx_try(&fx_r, FX_MANIFEST, text, "t", 0, &missing),
                     OCI_UNKNOWN_BLOB);

    /* an unknown algorithm can't be here */

    (void) snprintf(json, sizeof(json),
                    "{\"layers\":[{\"digest\":\"blake3:%s\",\"size\":1}]}",
                    l.hex);

    assert_int_equal(fx_try(&fx_r, FX_MANIFEST, json, "", 0, &missing),
                     OCI_UNKNOWN_BLOB);
    assert_int_equal(missing.hex_len, 0);
    assert_int_equal(fx_try(&fx_r, FX_MANIFEST, json, "", 1, &missing),
                     OCI_OK);

    /* need not be here; but once without "urls" it must */

    (void) snprintf(json, sizeof(json),
                    "{\"layers\":[{\"digest\":\"%s\",\"size\":5,"
                    "\"urls\":[\"x\"]}]}", fx_text(&l));

    assert_int_equal(fx_try(&fx_r, FX_MANIFEST, json, "", 0, &missing),
                     OCI_OK);

    (void) snprintf(json, sizeof(json),
                    "{\"layers\":[{\"digest\":\"%s\",\"size\":5,"
                    "\"urls\":[\"x\"]},{\"digest\":\"%s\",\"size\":5}]}",
                    fx_text(&l), fx_text(&l));

    assert_int_equal(fx_try(&fx_r, FX_MANIFEST, json, "", 0, &missing),
                     OCI_UNKNOWN_BLOB);
    assert_true(oci_digest_equal(&missing, &l));

    fx_blob(&fx_r, "layer");
    assert_int_equal(fx_try(&fx_r, FX_MANIFEST, json, "", 0, &missing),
                     OCI_OK);
}


static void
test_children(void **state)
{
    char           json[2048];
    oci_digest_t   child, stored;

    (void) state;

    child = fx_digest(OCI_SHA256, fx_empty(1));

    (void) snprintf(json, sizeof(json),
                    "{\"manifests\":[{\"digest\":\"%s\",\"size\":1},"
                    "{\"digest\":\"%s\",\"size\":1}]}",
                    fx_text(&child), fx_text(&child));

    assert_int_equal(fx_try(&fx_r, FX_INDEX, json, "", 0, &missing),
                     OCI_UNKNOWN_BLOB);
    assert_true(oci_digest_equal(&missing, &child));

    fx_put(&fx_r, FX_MANIFEST, fx_empty(1), "");
    fx_put(&fx_r, FX_INDEX, json, "i");

    /* a layer that is here as a manifest only is not here */

    (void) snprintf(json, sizeof(json),
                    "{\"layers\":[{\"digest\":\"%s\",\"size\":1}]}",
                    fx_text(&child));

    assert_int_equal(fx_try(&fx_r, FX_MANIFEST, json, "", 0, &missing),
                     OCI_UNKNOWN_BLOB);

    /* a child that is here as a blob only is */

    stored = fx_blob(&fx_r, "stored");

    (void) snprintf(json, sizeof(json),
                    "{\"manifests\":[{\"digest\":\"%s\",\"size\":1}]}",
                    fx_text(&stored));

    fx_put(&fx_r, FX_INDEX, json, "j");

    /* the same digest once as a layer, once as a child */

    (void) snprintf(json, sizeof(json),
                    "{\"blobs\":[{\"digest\":\"%s\",\"size\":1}],"
                    "\"manifests\":[{\"digest\":\"%s\",\"size\":1}]}",
                    fx_text(&child), fx_text(&child));

    assert_int_equal(fx_try(&fx_r, "a/b", json, "", 0, &missing),
                     OCI_UNKNOWN_BLOB);
}


static void
test_cached(void **state)
{
    char           cached[OCI_PATH_MAX], dir[OCI_PATH_MAX];
    const char    *json;
    oci_digest_t   l;

    (void) state;

    fx_blob(&fx_r, "config");
    l = fx_blob(&fx_r, "layer");

    oci_path_repo_cached(cached, &fx_store, &fx_r, &l);
    (void) strcpy(dir, cached);
    *strrchr(dir, '/') = '\0';

    assert_int_equal(oci_dir_make(&fx_store, dir), OCI_OK);
    assert_int_equal(rename(fx_blob_path(&l), cached), 0);

    json = fx_image("config", "layer", "");
    fx_put(&fx_r, FX_MANIFEST, json, "t");

    assert_true(fx_exists(fx_blob_path(&l)));
    assert_true(fx_exists(cached));
}


static void
test_again(void **state)
{
    char           link[OCI_PATH_MAX];
    const char    *json;
    oci_digest_t   d;
    struct stat    one, two;

    (void) state;

    json = fx_empty(1);
    d = fx_put(&fx_r, FX_MANIFEST, json, "t");
    assert_int_equal(stat(fx_record(&d), &one), 0);

    fx_age(fx_record(&d));
    fx_age(fx_tag("t"));
    (void) strcpy(link, fx_tag("t"));

    fx_put(&fx_r, FX_MANIFEST, json, "t u");

    assert_int_equal(stat(fx_record(&d), &two), 0);
    assert_int_equal(one.st_ino, two.st_ino);
    assert_true(fx_fresh(fx_record(&d)));
    assert_true(fx_fresh(link));
    fx_expect(&d, "u", FX_MANIFEST, json);

    /* the same bytes as something else */

    assert_int_equal(fx_try(&fx_r, "a/b", json, "v", 0, &missing),
                     OCI_MISMATCH);
    assert_false(fx_exists(fx_tag("v")));
    fx_expect(&d, NULL, FX_MANIFEST, json);
    assert_int_equal(fx_tmp_count(), 0);

    /* but in another repository they may be */

    fx_r = fx_repo("ns", "some/repo");
    fx_put(&fx_r, "a/b", json, "v");
    fx_expect(&d, "v", "a/b", json);
}


static void
test_algorithms(void **state)
{
    int              rc;
    const char      *json, *reason;
    oci_str_t        type, tags[1];
    oci_digest_t     d;
    oci_manifest_t   m;

    (void) state;

    json = fx_empty(1);
    d = fx_digest(OCI_SHA512, json);
    type = fx_str(FX_MANIFEST);
    tags[0] = fx_str("t");

    assert_int_equal(oci_manifest_parse(&m, (const u_char *) json,
                                        strlen(json), &type, &reason),
                     OCI_OK);
    rc = oci_manifest_put(&fx_store, &fx_r, &m, &d, (const u_char *) json,
                          strlen(json), tags, 1, 0, &missing);
    oci_manifest_free(&m);
    assert_int_equal(rc, OCI_OK);

    /* the tag remembers its algorithm until the next push */

    fx_expect(&d, "t", FX_MANIFEST, json);

    d = fx_put(&fx_r, FX_MANIFEST, json, "t");
    fx_expect(&d, "t", FX_MANIFEST, json);
}


static void
test_no_room(void **state)
{
    char           root[OCI_PATH_MAX], moved[OCI_PATH_MAX];
    oci_digest_t   d;

    (void) state;

    d = fx_digest(OCI_SHA256, fx_empty(1));

    (void) snprintf(root, sizeof(root), "%s/tmp", fx_store.root);
    (void) snprintf(moved, sizeof(moved), "%s/tmp.moved", fx_store.root);

    assert_int_equal(rename(root, moved), 0);
    assert_int_equal(fx_try(&fx_r, FX_MANIFEST, fx_empty(1), "t", 0,
                            &missing),
                     OCI_ERROR);
    assert_int_equal(oci_failure()->err, ENOENT);
    assert_false(fx_exists(fx_record(&d)));
    assert_false(fx_exists(fx_tag("t")));
    assert_int_equal(rename(moved, root), 0);

    fx_put(&fx_r, FX_MANIFEST, fx_empty(1), "t");
    fx_expect(&d, "t", FX_MANIFEST, fx_empty(1));
}


/* the largest number of descriptors: each digest is looked for once */

static void
test_many(void **state)
{
    char          *json, *p;
    size_t         i;
    oci_digest_t   d;

    (void) state;

    d = fx_blob(&fx_r, "layer");

    json = malloc(100 * 60000 + 64);
    assert_non_null(json);

    p = stpcpy(json, "{\"layers\":[");

    for (i = 0; i < 60000; i++) {
        p += sprintf(p, "%s{\"digest\":\"%s\",\"size\":%zu}", i ? "," : "",
                     fx_text(&d), i);
    }

    (void) strcpy(p, "]}");

    fx_put(&fx_r, FX_MANIFEST, json, "t");

    free(json);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_put_open, fx_setup_r,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_put_open, fx_setup_r_durable,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_missing, fx_setup_r, fx_teardown),
        cmocka_unit_test_setup_teardown(test_children, fx_setup_r,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_children, fx_setup_r_durable,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_cached, fx_setup_r, fx_teardown),
        cmocka_unit_test_setup_teardown(test_again, fx_setup_r, fx_teardown),
        cmocka_unit_test_setup_teardown(test_again, fx_setup_r_durable,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_algorithms, fx_setup_r,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_no_room, fx_setup_r, fx_teardown),
        cmocka_unit_test_setup_teardown(test_many, fx_setup_r, fx_teardown)
    };

    return cmocka_run_group_tests(tests, fx_begin, fx_end);
}
