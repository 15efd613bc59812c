
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "collect_help.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>


#define stats  oci_collect_stats(collector)


/* writes over what stands behind a record's header, its folder untouched */

static void
damage(const char *path, const oci_digest_t *d)
{
    int         fd;
    char        p[OCI_PATH_MAX];
    oci_repo_t  r;

    r = repo(path);
    (void) oci_path_manifest(p, &store, &r, d);

    assert_int_equal(chmod(p, 0600), 0);

    fd = open(p, O_WRONLY);
    assert_int_not_equal(fd, -1);
    assert_int_equal(pwrite(fd, "nonsense", 8, OCI_RECORD_HEADER), 8);
    close(fd);
}


static void
test_links(void **state)
{
    oci_digest_t  config, layer, old, young;

    (void) state;

    config = blob("a/b", "config");
    layer = blob("a/b", "layer");
    old = blob("a/b", "12345");
    young = blob("a/b", "young");

    (void) image("a/b", "latest", NULL, 1, &config, &layer, NULL);

    age_blob("a/b", &config, 2 * DAY);
    age_blob("a/b", &layer, 2 * DAY);
    age_blob("a/b", &old, DAY + 5);
    age_blob("a/b", &young, DAY - 60);

    assert_int_equal(pass(50), 0);

    assert_true(has_blob("a/b", &config));
    assert_true(has_blob("a/b", &layer));
    assert_true(has_blob("a/b", &young));
    assert_true(has_content(&young));
    assert_false(has_blob("a/b", &old));
    assert_false(has_content(&old));

    assert_int_equal(stats->passes, 1);
    assert_int_equal(stats->repositories, 1);
    assert_int_equal(stats->links, 1);
    assert_int_equal(stats->blobs, 1);
    assert_int_equal(stats->bytes, 5);
    assert_int_equal(stats->manifests, 0);
    assert_int_equal(stats->tags, 0);
    assert_int_equal(stats->restored, 0);
    assert_int_equal(stats->damaged, 0);
    assert_int_equal(stats->busy, 0);

    /* comes of age */

    age_blob("a/b", &young, DAY + 1);
    assert_int_equal(pass(50), 0);
    assert_false(has_blob("a/b", &young));
    assert_int_equal(stats->links, 2);
    assert_int_equal(stats->bytes, 10);
    assert_int_equal(stats->passes, 2);
}


static void
test_sha512(void **state)
{
    char          tmp[OCI_PATH_MAX];
    oci_repo_t    r;
    oci_digest_t  d, config;

    (void) state;

    config = blob("a", "config");
    (void) image("a", "latest", NULL, 1, &config, NULL);

    r = repo("a");
    oci_digest_of(&d, OCI_SHA512, (const u_char *) "long", 4);
    (void) oci_path_tmp(tmp, &store);
    assert_int_equal(oci_file_write(&store, tmp, 0600, "long", 4), OCI_OK);
    assert_int_equal(oci_blob_link(&store, &r, &d, tmp, 4), OCI_OK);
    assert_int_equal(unlink(tmp), 0);

    assert_int_equal(pass(50), 0);
    assert_true(has_blob("a", &d));

    age_blob("a", &d, 2 * DAY);
    assert_int_equal(pass(50), 0);
    assert_false(has_blob("a", &d));
    assert_false(has_content(&d));
    assert_true(has_blob("a", &config));
}


static void
test_shared(void **state)
{
    oci_repo_t    a, b;
    oci_digest_t  d, config;

    (void) state;

    a = repo("a");
    b = repo("b");

    d = blob("a", "both");
    assert_int_equal(oci_blob_mount(&store, &a, &b, &d), OCI_OK);

    config = blob("b", "config");
    (void) image("b", "latest", NULL, 1, &config, &d, NULL);
    age_blob("a", &d, 2 * DAY);

    assert_int_equal(pass(50), 0);

    /* b names it, a does not */

    assert_false(has_blob("a", &d));
    assert_true(has_blob("b", &d));
    assert_true(has_content(&d));
    assert_int_equal(stats->links, 1);
    assert_int_equal(stats->blobs, 0);
    assert_int_equal(stats->bytes, 0);
}


static void
test_blobs(void **state)
{
    char          p[OCI_PATH_MAX];
    oci_repo_t    r;
    oci_digest_t  gone, kept, config;

    (void) state;

    r = repo("a");

    config = blob("a", "config");
    (void) image("a", "latest", NULL, 1, &config, NULL);

    gone = blob("a", "no link");
    kept = blob("a", "no name");

    (void) oci_path_repo_blob(p, &store, &r, &gone);
    assert_int_equal(unlink(p), 0);
    (void) oci_path_blob(p, &store, &kept);
    assert_int_equal(unlink(p), 0);

    assert_int_equal(pass(50), 0);

    assert_false(has_content(&gone));
    assert_true(has_content(&kept));
    assert_true(has_blob("a", &kept));
    assert_int_equal(stats->blobs, 1);
    assert_int_equal(stats->bytes, 7);
    assert_int_equal(stats->restored, 1);
    assert_int_equal(stats->links, 0);
}


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


static void
test_damaged(void **state)
{
    oci_digest_t  c, a, b, m;

    (void) state;

    c = blob("a", "config");
    a = blob("a", "perhaps");
    b = blob("b", "surely");
    m = image("a", "latest", NULL, 1, &c, NULL);
    damage("a", &m);

    age_blob("a", &a, 2 * DAY);
    age_blob("a", &c, 2 * DAY);
    age_blob("b", &b, 2 * DAY);

    assert_int_equal(pass(50), 1);
    assert_string_equal(oci_failure()->op, "reading a manifest");

    assert_true(has_blob("a", &a));
    assert_true(has_blob("a", &c));
    assert_false(has_blob("b", &b));
    assert_int_equal(stats->damaged, 1);
    assert_int_equal(stats->links, 1);
}


static void
test_busy(void **state)
{
    oci_lock_t    lock;
    oci_repo_t    r;
    oci_digest_t  a, b;

    (void) state;

    a = blob("a", "held");
    b = blob("b", "free");
    age_blob("a", &a, 2 * DAY);
    age_blob("b", &b, 2 * DAY);

    r = repo("a");
    assert_int_equal(oci_lock_repo(&lock, &store, &r, 0, 1), OCI_OK);

    assert_int_equal(pass(1), 0);

    assert_true(has_blob("a", &a));
    assert_false(has_blob("b", &b));
    assert_int_equal(stats->busy, 1);

    oci_lock_release(&lock);

    assert_int_equal(pass(1), 0);
    assert_false(has_blob("a", &a));
    assert_int_equal(stats->links, 2);
    assert_int_equal(stats->busy, 1);
}


/*
 * Nothing is read again while nothing changed: a manifest that was damaged
 * in place is not noticed, until a name in its folder changes.
 */

static void
test_quiet(void **state)
{
    oci_digest_t  c, m, young;

    (void) state;

    c = blob("a", "config");
    young = blob("a", "young");
    m = image("a", "latest", NULL, 1, &c, NULL);
    age_blob("a", &c, 2 * DAY);
    age_folders(60);

    assert_int_equal(pass(50), 0);
    damage("a", &m);
    assert_int_equal(pass(50), 0);
    assert_int_equal(stats->damaged, 0);
    assert_int_equal(stats->repositories, 2);

    age_folders(30);
    assert_int_equal(pass(50), 1);
    assert_int_equal(stats->damaged, 1);
    assert_true(has_blob("a", &young));
}


/* what is young when it is remembered is looked at when it is not any more */

static void
test_due(void **state)
{
    int           i;
    oci_digest_t  c, young;

    (void) state;

    c = blob("a", "config");
    (void) image("a", "latest", NULL, 1, &c, NULL);
    young = blob("a", "young");
    age_blob("a", &young, DAY - 1);
    age_folders(60);

    assert_int_equal(pass(50), 0);
    assert_true(has_blob("a", &young));

    for (i = 0; has_blob("a", &young) && i < 1000; i++) {
        assert_int_equal(pass(50), 0);
        usleep(10000);
    }

    assert_false(has_blob("a", &young));
    assert_true(has_blob("a", &c));
    assert_int_equal(stats->links, 1);
}


static void
test_prune(void **state)
{
    oci_lock_t    lock, other;
    oci_repo_t    r;
    oci_digest_t  a, b, c;

    (void) state;

    policy.grace = 0;

    a = blob("x/y/z", "1");
    b = blob("@ns/x", "2");
    c = blob("x/y", "3");
    (void) image("x/y", "latest", NULL, 1, &c, NULL);

    /* whoever has the file of the lock open must not take it for the lock */

    r = repo("x/y/z");
    assert_int_equal(oci_lock_repo(&lock, &store, &r, 0, 1), OCI_OK);
    oci_lock_release(&lock);

    (void) passes();

    assert_false(has_blob("x/y/z", &a));
    assert_false(has_blob("@ns/x", &b));
    assert_true(has_blob("x/y", &c));
    assert_false(has_folder("x/y/z"));
    assert_false(has_folder("@ns"));
    assert_true(has_folder("x/y"));

    assert_int_equal(oci_lock_repo(&lock, &store, &r, 0, 0), OCI_NOT_FOUND);
    assert_int_equal(oci_lock_repo(&lock, &store, &r, 1, 1), OCI_OK);
    assert_int_equal(oci_lock_repo(&other, &store, &r, 0, 1), OCI_AGAIN);
    oci_lock_release(&lock);

    /* one with nothing but the lock's file goes too */

    assert_true(has_folder("x/y/z/_lock"));
    (void) passes();
    assert_false(has_folder("x/y/z"));

    a = blob("x/y/z", "1");
    (void) image("x/y/z", "latest", NULL, 1, &a, NULL);
    (void) passes();
    assert_true(has_blob("x/y/z", &a));
}


static void
test_prune_young(void **state)
{
    oci_lock_t  lock;
    oci_repo_t  r;

    (void) state;

    r = repo("a");
    assert_int_equal(oci_lock_repo(&lock, &store, &r, 0, 1), OCI_OK);
    oci_lock_release(&lock);

    assert_int_equal(pass(50), 0);
    assert_true(has_folder("a"));

    age_folders(61);
    assert_int_equal(pass(50), 0);
    assert_false(has_folder("a"));
}


static void
test_namespace(void **state)
{
    oci_digest_t  a, b, c;

    (void) state;

    a = blob("@none/a", "1");
    b = blob("@some/a", "2");
    c = blob("a", "3");
    age_blob("@none/a", &a, 2 * DAY);
    age_blob("@some/a", &b, 2 * DAY);
    age_blob("a", &c, 2 * DAY);

    assert_int_equal(pass(50), 0);

    assert_true(has_blob("@none/a", &a));
    assert_false(has_blob("@some/a", &b));
    assert_false(has_blob("a", &c));
    assert_int_equal(stats->repositories, 2);
    assert_int_equal(stats->links, 2);
    assert_int_equal(stats->blobs, 2);
}


static void
test_lease(void **state)
{
    oci_collect_t  *other;

    (void) state;

    (void) blob("a", "1");

    other = oci_collect_create(&store, policy_of, &policy);
    assert_non_null(other);

    assert_int_equal(oci_collect_step(collector, 0), OCI_OK);
    assert_int_equal(oci_collect_step(other, 50), OCI_AGAIN);
    assert_int_equal(oci_collect_stats(other)->passes, 0);

    assert_int_equal(pass(50), 0);
    assert_int_equal(oci_collect_step(other, 0), OCI_OK);
    assert_int_equal(oci_collect_step(collector, 50), OCI_AGAIN);

    /* destroyed in the middle, as when a process ends */

    oci_collect_destroy(other);
    assert_int_equal(pass(50), 0);
    assert_int_equal(stats->passes, 2);
}


/*
 * A push between any two steps: either it is told that the layer has gone,
 * or the layer stays.  With no budget each step does the least that it can.
 */

static void
test_between(void **state)
{
    int                  rc, over, ok, refused;
    char                 path[16];
    unsigned             step, i;
    oci_digest_t         c, old, other, m;
    const oci_digest_t  *list[2];

    (void) state;

    policy.grace = 0;

    over = 0;
    ok = 0;
    refused = 0;

    for (step = 0; !over; step++) {
        (void) snprintf(path, sizeof(path), "r%u", step);

        c = blob(path, "config");
        old = blob(path, "old layer");
        other = blob(path, "other layer");
        (void) image(path, "first", NULL, step, &c, NULL);

        for (i = 0; i < step && !over; i++) {
            over = oci_collect_step(collector, 0) == OCI_NOT_FOUND;
        }

        list[0] = &c;
        list[1] = &old;

        rc = image_try(path, "second", NULL, step, 0, list, 2, &m);

        if (!over) {
            assert_int_equal(pass(0), 0);
        }

        assert_true(has_blob(path, &c));
        assert_false(has_blob(path, &other));

        if (rc == OCI_OK) {
            ok++;
            assert_true(has_manifest(path, &m));
            assert_true(has_blob(path, &old));

        } else {
            refused++;
            assert_int_equal(rc, OCI_UNKNOWN_BLOB);
            assert_false(has_blob(path, &old));
        }

        /* from some step on it is always too late */

        over |= refused > 20;

        remove_repo(path);
    }

    assert_true(ok > 5);
    assert_true(refused > 5);
}


/* the same for manifests: an untagged one gets into an index or a tag */

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
        test(test_links),
        test(test_sha512),
        test(test_shared),
        test(test_blobs),
        test(test_untagged_keep),
        test(test_untagged),
        test(test_index),
        test(test_subject),
        test(test_keep_tags),
        test(test_dangling),
        test(test_referrer),
        test(test_damaged),
        test(test_busy),
        test(test_quiet),
        test(test_due),
        test(test_prune),
        test(test_prune_young),
        test(test_namespace),
        test(test_lease),
        test(test_between),
        test(test_between_manifests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
