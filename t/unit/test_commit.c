
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "manifest_fixture.h"
#include "oci_commit.h"

#include <stdio.h>
#include <unistd.h>


static oci_repo_t  repo;


static int
setup(void **state)
{
    repo = fx_repo("", "some/model");

    return fx_setup(state);
}


static int
find(const char *hex, oci_digest_t *d)
{
    return oci_commit_find(&fx_store, &repo, (const u_char *) hex, d);
}


/* a name in the folder of manifests, whatever it holds */

static void
record(oci_alg_t alg, const char *name)
{
    char          path[OCI_PATH_MAX];
    FILE         *file;
    oci_digest_t  d;

    memset(&d, 0, sizeof(d));
    d.alg = alg;

    (void) oci_path_manifest(path, &fx_store, &repo, &d);
    *strrchr(path, '/') = '\0';
    assert_int_equal(oci_dir_make(&fx_store, path), OCI_OK);

    strcat(path, "/");
    strcat(path, name);

    file = fopen(path, "w");
    assert_non_null(file);
    (void) fclose(file);
}


static void
test_find(void **state)
{
    char          hex[OCI_COMMIT_LEN + 1];
    oci_digest_t  one, two, found;

    (void) state;

    memset(hex, 'a', OCI_COMMIT_LEN);
    hex[OCI_COMMIT_LEN] = '\0';

    assert_int_equal(find(hex, &found), OCI_NOT_FOUND);

    one = fx_put(&repo, FX_MANIFEST, fx_empty(1), "latest");
    two = fx_put(&repo, FX_MANIFEST, fx_empty(2), "");

    assert_int_equal(find(hex, &found), OCI_NOT_FOUND);

    assert_int_equal(find(one.hex, &found), OCI_OK);
    assert_true(oci_digest_equal(&found, &one));
    assert_int_equal(find(two.hex, &found), OCI_OK);
    assert_true(oci_digest_equal(&found, &two));

    /* of that repository alone */

    repo = fx_repo("", "some/other");
    assert_int_equal(find(one.hex, &found), OCI_NOT_FOUND);
    repo = fx_repo("ns", "some/model");
    assert_int_equal(find(one.hex, &found), OCI_NOT_FOUND);
    repo = fx_repo("", "some/model");

    assert_int_equal(oci_manifest_delete(&fx_store, &repo, &one), OCI_OK);
    assert_int_equal(find(one.hex, &found), OCI_NOT_FOUND);
    assert_int_equal(find(two.hex, &found), OCI_OK);

    /* all digits count */

    memcpy(hex, two.hex, OCI_COMMIT_LEN);
    hex[OCI_COMMIT_LEN - 1] ^= 1;
    assert_int_equal(find(hex, &found), OCI_NOT_FOUND);
}


static void
test_conflict(void **state)
{
    char          hex[OCI_COMMIT_LEN + 1], name[OCI_HEX_MAX + 1];
    oci_digest_t  d;

    (void) state;

    memset(hex, 'a', OCI_COMMIT_LEN);
    hex[OCI_COMMIT_LEN] = '\0';

    /* what is no digest is none */

    record(OCI_SHA256, hex);

    (void) snprintf(name, sizeof(name), "%s%023d", hex, 1);
    record(OCI_SHA256, name);
    (void) snprintf(name, sizeof(name), "%s%023dZ", hex, 1);
    record(OCI_SHA256, name);

    assert_int_equal(find(hex, &d), OCI_NOT_FOUND);

    (void) snprintf(name, sizeof(name), "%s%024d", hex, 1);
    record(OCI_SHA256, name);

    assert_int_equal(find(hex, &d), OCI_OK);
    assert_int_equal(d.alg, OCI_SHA256);
    assert_string_equal(d.hex, name);

    (void) snprintf(name, sizeof(name), "%s%024d", hex, 2);
    record(OCI_SHA256, name);

    assert_int_equal(find(hex, &d), OCI_CONFLICT);

    /* the same of two algorithms */

    memset(hex, 'b', OCI_COMMIT_LEN);

    (void) snprintf(name, sizeof(name), "%s%088d", hex, 1);
    record(OCI_SHA512, name);

    assert_int_equal(find(hex, &d), OCI_OK);
    assert_int_equal(d.alg, OCI_SHA512);
    assert_string_equal(d.hex, name);

    (void) snprintf(name, sizeof(name), "%s%024d", hex, 1);
    record(OCI_SHA256, name);

    assert_int_equal(find(hex, &d), OCI_CONFLICT);
}


static void
test_tags(void **state)
{
    char               path[OCI_PATH_MAX], target[OCI_PATH_MAX], name[32];
    size_t             i, count;
    oci_str_t          tag;
    oci_digest_t       one, two;
    oci_commit_tag_t  *tags;

    (void) state;

    assert_int_equal(oci_commit_tags(&fx_store, &repo, &tags, &count),
                     OCI_NOT_FOUND);
    assert_null(tags);

    one = fx_put(&repo, FX_MANIFEST, fx_empty(1), "latest v1");
    two = fx_put(&repo, FX_MANIFEST, fx_empty(2), "main");

    tag = fx_str("dangling");
    (void) oci_path_tag(path, &fx_store, &repo, &tag);
    assert_int_equal(symlink("../_manifests/sha256/"
                             "0123456789012345678901234567890123456789"
                             "012345678901234567890123", path), 0);

    assert_int_equal(oci_commit_tags(&fx_store, &repo, &tags, &count),
                     OCI_OK);
    assert_int_equal(count, 3);
    assert_string_equal(tags[0].tag, "latest");
    assert_int_equal(tags[0].tag_len, 6);
    assert_string_equal(tags[1].tag, "main");
    assert_string_equal(tags[2].tag, "v1");
    assert_true(oci_digest_equal(&tags[0].digest, &one));
    assert_true(oci_digest_equal(&tags[1].digest, &two));
    assert_true(oci_digest_equal(&tags[2].digest, &one));
    free(tags);

    /* no more than that, the first ones */

    for (i = 0; i < OCI_COMMIT_TAGS_MAX + 5; i++) {
        (void) snprintf(name, sizeof(name), "a%05zu", i);
        tag = fx_str(name);
        (void) oci_path_tag(path, &fx_store, &repo, &tag);
        (void) oci_path_tag_target(target, &one);
        assert_int_equal(symlink(target, path), 0);
    }

    assert_int_equal(oci_commit_tags(&fx_store, &repo, &tags, &count),
                     OCI_OK);
    assert_int_equal(count, OCI_COMMIT_TAGS_MAX);
    assert_string_equal(tags[0].tag, "a00000");
    assert_string_equal(tags[OCI_COMMIT_TAGS_MAX - 1].tag, "a00999");
    free(tags);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_find, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_conflict, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_tags, setup, fx_teardown),
    };

    return cmocka_run_group_tests_name("commit", tests, fx_begin, fx_end);
}
