
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
        test(test_damaged),
        test(test_busy),
        test(test_quiet),
        test(test_due),
        test(test_prune),
        test(test_prune_young),
        test(test_namespace),
        test(test_lease),
        test(test_between),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
