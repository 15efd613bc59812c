
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The collector and manifests: untagged ones, surplus tags, and what a crash
 * leaves behind.
 */


#include "collect_help.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>


#define stats  oci_collect_stats(collector)


static void
test_untagged_keep(void **state)
{
    oci_digest_t  one, two, m1, m2;

    (void) state;

    one = blob("a", "one");
    two = blob("a", "two");
    m1 = image("a", "latest", NULL, 1, &one, NULL);
    m2 = image("a", "latest", NULL, 2, &two, NULL);

    age_blob("a", &one, 9 * DAY);
    age_blob("a", &two, 9 * DAY);
    age_manifest("a", &m1, 9 * DAY);
    age_manifest("a", &m2, 9 * DAY);

    assert_int_equal(passes(), 1);

    assert_true(has_manifest("a", &m1));
    assert_true(has_blob("a", &one));
    assert_true(has_manifest("a", &m2));
}


static void
test_untagged(void **state)
{
    oci_digest_t  one, two, both, m1, m2;

    (void) state;

    policy.untagged = HOUR;

    one = blob("a", "one");
    two = blob("a", "two");
    both = blob("a", "both");
    m1 = image("a", "latest", NULL, 1, &one, &both, NULL);
    m2 = image("a", "latest", NULL, 2, &two, &both, NULL);

    age_blob("a", &one, 9 * DAY);
    age_blob("a", &both, 9 * DAY);
    age_manifest("a", &m2, 9 * DAY);

    /* its tag went to m2 just now */

    assert_int_equal(passes(), 1);
    assert_true(has_manifest("a", &m1));

    age_manifest("a", &m1, HOUR + 5);
    assert_int_equal(pass(50), 0);

    assert_false(has_manifest("a", &m1));
    assert_true(has_manifest("a", &m2));
    assert_int_equal(stats->manifests, 1);

    /* grace begins with the loss */

    assert_true(has_blob("a", &one));
    assert_int_equal(passes(), 1);
    assert_true(has_blob("a", &one));

    age_blob("a", &one, DAY + 5);
    age_blob("a", &both, DAY + 5);
    assert_int_equal(pass(50), 0);

    assert_false(has_blob("a", &one));
    assert_true(has_blob("a", &two));
    assert_true(has_blob("a", &both));
    assert_int_equal(stats->links, 1);
}


static void
test_index(void **state)
{
    oci_digest_t  c, child, loose, index, top;

    (void) state;

    policy.untagged = 0;
    policy.grace = 0;

    c = blob("a", "config");
    child = image("a", "tmp", NULL, 1, &c, NULL);
    index = image_index("a", "tmp", 2, &child, NULL);
    top = image_index("a", "latest", 3, &index, NULL);
    loose = image("a", "tmp", NULL, 4, &c, NULL);
    (void) image("a", "tmp", NULL, 5, &c, NULL);

    age_manifest("a", &child, DAY);
    age_manifest("a", &index, DAY);
    age_manifest("a", &top, DAY);
    age_manifest("a", &loose, DAY);

    (void) passes();

    assert_true(has_manifest("a", &top));
    assert_true(has_manifest("a", &index));
    assert_true(has_manifest("a", &child));
    assert_false(has_manifest("a", &loose));
    assert_int_equal(stats->manifests, 1);

    /* without the tag the whole tree goes */

    (void) image("a", "latest", NULL, 6, &c, NULL);
    (void) passes();

    assert_false(has_manifest("a", &top));
    assert_false(has_manifest("a", &index));
    assert_false(has_manifest("a", &child));
    assert_true(has_blob("a", &c));
    assert_int_equal(stats->manifests, 4);
}


static void
test_subject(void **state)
{
    oci_digest_t  c, base, sig, sigsig, orphan, none;

    (void) state;

    policy.untagged = HOUR;

    c = blob("a", "config");
    base = image("a", "latest", NULL, 1, &c, NULL);
    sig = image("a", NULL, &base, 2, &c, NULL);
    sigsig = image("a", NULL, &sig, 3, &c, NULL);

    oci_digest_of(&none, OCI_SHA256, (const u_char *) "x", 1);
    orphan = image("a", NULL, &none, 4, &c, NULL);

    age_manifest("a", &base, DAY);
    age_manifest("a", &sig, DAY);
    age_manifest("a", &sigsig, DAY);
    age_manifest("a", &orphan, DAY);

    assert_int_equal(pass(50), 0);

    assert_true(has_manifest("a", &base));
    assert_true(has_manifest("a", &sig));
    assert_true(has_manifest("a", &sigsig));
    assert_false(has_manifest("a", &orphan));
    assert_int_equal(stats->manifests, 1);

    /* the tag moves on: the subject goes after its time, they with it */

    (void) image("a", "latest", NULL, 5, &c, NULL);
    assert_int_equal(pass(50), 0);
    assert_int_equal(stats->manifests, 1);

    age_manifest("a", &base, DAY);
    assert_int_equal(pass(50), 0);

    assert_false(has_manifest("a", &base));
    assert_false(has_manifest("a", &sig));
    assert_false(has_manifest("a", &sigsig));
    assert_int_equal(stats->manifests, 4);
}


static void
test_keep_tags(void **state)
{
    int           i;
    char          tag[16];
    oci_digest_t  c, m[5];

    (void) state;

    policy.keep_tags = 2;

    c = blob("a", "config");

    for (i = 0; i < 5; i++) {
        (void) snprintf(tag, sizeof(tag), "t%d", i);
        m[i] = image("a", tag, NULL, (unsigned) i, &c, NULL);
        age_tag("a", tag, i == 1 ? 10 : 1000 * (i + 1));
        age_manifest("a", &m[i], DAY);
    }

    assert_int_equal(pass(50), 0);

    /* the newest are t1, then t0 */

    assert_true(has_tag("a", "t1"));
    assert_true(has_tag("a", "t0"));
    assert_false(has_tag("a", "t2"));
    assert_false(has_tag("a", "t3"));
    assert_false(has_tag("a", "t4"));
    assert_int_equal(stats->tags, 3);
    assert_int_equal(stats->manifests, 0);

    policy.untagged = HOUR;

    /* that they lost a tag counts as of now */

    assert_int_equal(pass(50), 0);
    assert_true(has_manifest("a", &m[4]));

    age_manifest("a", &m[4], 2 * HOUR);
    age_folders(60);
    assert_int_equal(pass(50), 0);
    assert_false(has_manifest("a", &m[4]));
    assert_true(has_manifest("a", &m[0]));
    assert_true(has_manifest("a", &m[3]));
}


static void
test_dangling(void **state)
{
    char          p[OCI_PATH_MAX];
    oci_repo_t    r;
    oci_digest_t  c, m;

    (void) state;

    r = repo("a");
    c = blob("a", "config");
    m = image("a", "gone", NULL, 1, &c, NULL);
    (void) image("a", "here", NULL, 2, &c, NULL);

    (void) oci_path_manifest(p, &store, &r, &m);
    assert_int_equal(unlink(p), 0);

    assert_int_equal(pass(50), 0);

    assert_false(has_tag("a", "gone"));
    assert_true(has_tag("a", "here"));
    assert_int_equal(stats->tags, 1);
}


static void
test_referrer(void **state)
{
    char          p[OCI_PATH_MAX];
    oci_repo_t    r;
    struct stat   st;
    oci_digest_t  c, base, gone, here;

    (void) state;

    r = repo("a");
    c = blob("a", "config");
    base = image("a", "latest", NULL, 1, &c, NULL);
    gone = image("a", NULL, &base, 2, &c, NULL);
    here = image("a", NULL, &base, 3, &c, NULL);

    (void) oci_path_manifest(p, &store, &r, &gone);
    assert_int_equal(unlink(p), 0);

    assert_int_equal(pass(50), 0);

    (void) oci_path_referrer(p, &store, &r, &base, &gone);
    assert_int_equal(lstat(p, &st), -1);
    (void) oci_path_referrer(p, &store, &r, &base, &here);
    assert_int_equal(lstat(p, &st), 0);
}


/*
 * Between any two steps an untagged manifest, old enough to go, gets into an
 * index or is tagged
 */

static void
test_between_manifests(void **state)
{
    int                  rc, over, ok, refused;
    char                 path[16];
    unsigned             step, i, how;
    oci_digest_t         c, child, m;
    const oci_digest_t  *list[1];

    (void) state;

    for (how = 0; how < 2; how++) {

        over = 0;
        ok = 0;
        refused = 0;

        for (step = 0; !over; step++) {
            (void) snprintf(path, sizeof(path), "r%u-%u", how, step);

            policy.untagged = HOUR;

            c = blob(path, "config");
            child = image(path, NULL, NULL, 1, &c, NULL);
            age_manifest(path, &child, 2 * HOUR);

            for (i = 0; i < step && !over; i++) {
                over = oci_collect_step(collector, 0) == OCI_NOT_FOUND;
            }

            if (how == 0) {
                list[0] = &child;
                rc = image_try(path, "index", NULL, 2, 1, list, 1, &m);

            } else {
                list[0] = &c;
                rc = image_try(path, "tag", NULL, 1, 0, list, 1, &m);
            }

            if (!over) {
                assert_int_equal(pass(0), 0);
            }

            if (rc == OCI_OK) {
                ok++;
                assert_true(has_manifest(path, &m));
                assert_true(has_manifest(path, &child));

            } else {
                refused++;
                assert_int_equal(rc, OCI_UNKNOWN_BLOB);
                assert_false(has_manifest(path, &child));
            }

            over |= refused > 20 || step > 60;

            remove_repo(path);
        }

        assert_true(ok > 5);
        assert_true(refused > 5 || how == 1);
    }
}


int
main(void)
{
#define test(name)                                                            \
    cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)

    const struct CMUnitTest  tests[] = {
        test(test_untagged_keep),
        test(test_untagged),
        test(test_index),
        test(test_subject),
        test(test_keep_tags),
        test(test_dangling),
        test(test_referrer),
        test(test_between_manifests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
