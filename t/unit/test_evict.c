
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "store_help.h"
#include "oci_blob.h"
#include "oci_evict.h"
#include "oci_generation.h"
#include "oci_zstd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>


#define SIZE  10000


static void put(oci_store_t *s, oci_digest_t *d, const char *repo,
    unsigned n, int64_t age);
static void companion(oci_store_t *s, oci_digest_t *d, size_t size);
static int pass(oci_evict_t *e, const oci_evict_limits_t *limits);
static int has(oci_store_t *s, oci_digest_t *d, const char *repo);
static int in_blobs(oci_store_t *s, oci_digest_t *d);
static void state_path(oci_store_t *s, char *path);


static void
test_oldest_first(void **state)
{
    unsigned              i;
    uint64_t              generation;
    char                  name[16];
    oci_repo_t            r;
    oci_evict_t          *e;
    oci_store_t           s;
    oci_digest_t          d[20];
    oci_evict_limits_t    limits = { 0, 0, 0, 0 };

    (void) state;

    help_store_open(&s, 0);

    for (i = 0; i < 20; i++) {
        (void) snprintf(name, sizeof(name), "r%u", i % 3);
        put(&s, &d[i], name, i, 1000 + (i * 7) % 20);
    }

    e = oci_evict_create(&s);
    assert_non_null(e);

    /* no limits: nothing goes, but it is known how much there is */

    assert_int_equal(pass(e, &limits), OCI_NOT_FOUND);
    assert_int_equal(oci_evict_stats(e)->size, 20 * SIZE);
    assert_int_equal(oci_evict_stats(e)->names, 0);
    assert_int_equal(oci_evict_stats(e)->passes, 1);

    r = help_repo("", "r2");
    generation = oci_generation_read(&s, &r);

    limits.max_size = 15 * SIZE;
    assert_int_equal(pass(e, &limits), OCI_NOT_FOUND);
    assert_int_equal(oci_evict_stats(e)->size, 15 * SIZE);
    assert_int_equal(oci_evict_stats(e)->files, 5);
    assert_int_equal(oci_evict_stats(e)->bytes, 5 * SIZE);
    assert_true(oci_generation_read(&s, &r) > generation);

    for (i = 0; i < 20; i++) {
        (void) snprintf(name, sizeof(name), "r%u", i % 3);

        assert_int_equal(has(&s, &d[i], name), (i * 7) % 20 < 15);
        assert_int_equal(in_blobs(&s, &d[i]), (i * 7) % 20 < 15);
    }

    /* by age alone */

    limits.max_size = 0;
    limits.inactive = 1010;
    assert_int_equal(pass(e, &limits), OCI_NOT_FOUND);

    for (i = 0; i < 20; i++) {
        (void) snprintf(name, sizeof(name), "r%u", i % 3);

        if ((i * 7) % 20 < 9) {
            assert_true(has(&s, &d[i], name));
        }

        if ((i * 7) % 20 > 11) {
            assert_false(has(&s, &d[i], name));
        }
    }

    oci_evict_destroy(e);
    help_store_close(&s);
}


static void
test_shared(void **state)
{
    char                  path[OCI_PATH_MAX];
    oci_repo_t            a, b;
    oci_evict_t          *e;
    oci_store_t           s;
    oci_digest_t          both, pushed;
    oci_evict_limits_t    limits = { 1, 0, 0, 0 };

    (void) state;

    help_store_open(&s, 0);
    a = help_repo("", "a");
    b = help_repo("n", "b");

    put(&s, &both, "a", 1, 100);
    oci_path_repo_cached(path, &s, &a, &both);
    assert_int_equal(oci_blob_cache(&s, &b, &both, path, SIZE), OCI_OK);
    help_make_old(path, 100);

    /* what was pushed is not for it, nor is a push of what was filled */

    put(&s, &pushed, "a", 2, 100);
    assert_int_equal(oci_blob_keep(&s, &a, &pushed), OCI_OK);
    oci_path_repo_cached(path, &s, &a, &pushed);
    help_make_old(path, 100);

    e = oci_evict_create(&s);
    assert_int_equal(pass(e, &limits), OCI_NOT_FOUND);

    assert_int_equal(oci_evict_stats(e)->names, 3);
    assert_int_equal(oci_evict_stats(e)->files, 1);
    assert_int_equal(oci_evict_stats(e)->bytes, SIZE);
    assert_false(has(&s, &both, "a"));
    assert_false(in_blobs(&s, &both));
    assert_true(has(&s, &pushed, "a"));
    assert_true(in_blobs(&s, &pushed));

    oci_evict_destroy(e);
    help_store_close(&s);
}


/* companions count, and go with their blobs */

static void
test_companions(void **state)
{
    char                  path[OCI_PATH_MAX];
    oci_repo_t            a, b;
    oci_evict_t          *e;
    oci_store_t           s;
    oci_digest_t          d, other;
    oci_evict_limits_t    limits = { 0, 0, 0, 0 };

    (void) state;

    help_store_open(&s, 0);
    a = help_repo("", "a");
    b = help_repo("n", "b");

    put(&s, &d, "a", 1, 100);
    oci_path_repo_cached(path, &s, &a, &d);
    assert_int_equal(oci_blob_cache(&s, &b, &d, path, SIZE), OCI_OK);
    help_make_old(path, 100);

    put(&s, &other, "a", 2, 50);

    companion(&s, &d, 4000);
    companion(&s, &other, 600);

    e = oci_evict_create(&s);
    assert_int_equal(pass(e, &limits), OCI_NOT_FOUND);
    assert_int_equal(oci_evict_stats(e)->size, 2 * SIZE + 4600);

    /* one name of the older alone frees nothing */

    limits.max_size = SIZE + 1000;
    assert_int_equal(pass(e, &limits), OCI_NOT_FOUND);

    assert_int_equal(oci_evict_stats(e)->names, 2);
    assert_int_equal(oci_evict_stats(e)->size, SIZE + 600);
    assert_int_equal(oci_evict_stats(e)->bytes, SIZE + 4000);
    assert_int_equal(oci_zstd_size(&s, &d), 0);
    assert_int_equal(oci_zstd_size(&s, &other), 600);

    oci_path_zstd(path, &s, &d);
    assert_false(help_exists(path));
    assert_false(in_blobs(&s, &d));
    assert_true(has(&s, &other, "a"));

    oci_evict_destroy(e);
    help_store_close(&s);
}


static void
test_min_free(void **state)
{
    oci_evict_t          *e;
    oci_store_t           s;
    oci_digest_t          d[3];
    oci_evict_limits_t    limits = { 0, 0, 0, 0 };

    (void) state;

    help_store_open(&s, 0);
    put(&s, &d[0], "a", 1, 10);
    put(&s, &d[1], "a", 2, 20);
    put(&s, &d[2], "b", 3, 30);

    limits.min_free = 1;
    assert_false(oci_evict_urgent(&s, &limits));

    e = oci_evict_create(&s);
    assert_int_equal(pass(e, &limits), OCI_NOT_FOUND);
    assert_int_equal(oci_evict_stats(e)->names, 0);

    /* more is wanted than there would be if all went */

    limits.wanted = (int64_t) 1 << 60;
    assert_true(oci_evict_urgent(&s, &limits));
    assert_int_equal(pass(e, &limits), OCI_NOT_FOUND);
    assert_int_equal(oci_evict_stats(e)->names, 0);
    limits.wanted = 0;

    limits.min_free = (int64_t) 1 << 60;
    assert_true(oci_evict_urgent(&s, &limits));
    assert_int_equal(pass(e, &limits), OCI_NOT_FOUND);
    assert_int_equal(oci_evict_stats(e)->names, 3);

    oci_evict_destroy(e);
    help_store_close(&s);
}


/* the next process goes on where this one was; of two, one works */

static void
test_state(void **state)
{
    int                   fd;
    char                  path[OCI_PATH_MAX];
    unsigned              i;
    oci_evict_t          *e, *f;
    oci_store_t           s;
    oci_digest_t          d[8];
    oci_evict_limits_t    limits = { 6 * SIZE, 0, 0, 0 };

    (void) state;

    help_store_open(&s, 0);

    for (i = 0; i < 8; i++) {
        put(&s, &d[i], i < 4 ? "a" : "b", i, 1000 - i);
    }

    e = oci_evict_create(&s);
    f = oci_evict_create(&s);

    assert_int_equal(oci_evict_step(e, &limits, 0), OCI_OK);
    assert_int_equal(oci_evict_step(f, &limits, 0), OCI_AGAIN);

    /* as far as the first repository, then it is killed */

    do {
        assert_int_equal(oci_evict_step(e, &limits, 0), OCI_OK);
        state_path(&s, path);
    } while (!help_exists(path) && ++i < 10000);

    if (help_exists(path)) {
        oci_evict_destroy(e);

        /* what was not counted again counts all the same */

        assert_int_equal(pass(f, &limits), OCI_NOT_FOUND);
        assert_int_equal(oci_evict_stats(f)->size, 6 * SIZE);
        assert_false(has(&s, &d[0], "a"));
        assert_false(has(&s, &d[1], "a"));
        assert_true(has(&s, &d[2], "a"));

    } else {
        oci_evict_destroy(e);
        fail_msg("no state was saved");
    }

    oci_evict_destroy(f);

    /* a damaged one is none */

    fd = open(path, O_WRONLY);
    assert_int_not_equal(fd, -1);
    assert_int_equal(pwrite(fd, "x", 1, 17), 1);
    close(fd);

    e = oci_evict_create(&s);
    assert_int_equal(pass(e, &limits), OCI_NOT_FOUND);
    assert_int_equal(oci_evict_stats(e)->size, 6 * SIZE);
    oci_evict_destroy(e);

    help_store_close(&s);
}


/* used while the pass went on */

static void
test_used_meanwhile(void **state)
{
    int                   rc;
    char                  path[OCI_PATH_MAX];
    oci_repo_t            r;
    oci_evict_t          *e;
    oci_store_t           s;
    oci_digest_t          d[2];
    oci_evict_limits_t    limits = { SIZE, 0, 0, 0 };

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");
    put(&s, &d[0], "a", 1, 1000);
    put(&s, &d[1], "a", 2, 900);

    e = oci_evict_create(&s);

    do {
        rc = oci_evict_step(e, &limits, 0);
    } while (rc == OCI_OK && oci_evict_stats(e)->size == 0);

    assert_int_equal(rc, OCI_OK);

    assert_int_equal(oci_blob_touch_cached(&s, &r, &d[0]), OCI_OK);
    oci_path_repo_cached(path, &s, &r, &d[0]);
    assert_true(help_age(path) < 100);

    assert_int_equal(pass(e, &limits), OCI_NOT_FOUND);
    assert_true(has(&s, &d[0], "a"));
    assert_false(has(&s, &d[1], "a"));

    oci_evict_destroy(e);
    help_store_close(&s);
}


static void
put(oci_store_t *s, oci_digest_t *d, const char *repo, unsigned n,
    int64_t age)
{
    char        path[OCI_PATH_MAX];
    u_char      data[SIZE];
    oci_repo_t  r;

    memset(data, 0, sizeof(data));
    memcpy(data, &n, sizeof(n));

    r = help_repo("", repo);
    oci_digest_of(d, OCI_SHA256, data, sizeof(data));

    oci_path_tmp(path, s);
    help_write(path, data, sizeof(data));
    assert_int_equal(oci_blob_cache(s, &r, d, path, SIZE), OCI_OK);
    assert_int_equal(unlink(path), 0);

    oci_path_repo_cached(path, s, &r, d);
    help_make_old(path, age);
}


static void
companion(oci_store_t *s, oci_digest_t *d, size_t size)
{
    char    path[OCI_PATH_MAX];
    u_char  data[SIZE];

    memset(data, 0, sizeof(data));

    oci_path_zstd(path, s, d);
    *strrchr(path, '/') = '\0';
    assert_int_equal(oci_dir_make(s, path), OCI_OK);

    oci_path_zstd(path, s, d);
    help_write(path, data, size);
}


static int
pass(oci_evict_t *e, const oci_evict_limits_t *limits)
{
    int  rc;

    do {
        rc = oci_evict_step(e, limits, 50);
    } while (rc == OCI_OK);

    return rc;
}


static int
has(oci_store_t *s, oci_digest_t *d, const char *repo)
{
    oci_file_t  f;
    oci_repo_t  r;

    r = help_repo("", repo);

    return oci_blob_stat(s, &r, d, &f) == OCI_OK;
}


static int
in_blobs(oci_store_t *s, oci_digest_t *d)
{
    char  path[OCI_PATH_MAX];

    oci_path_blob(path, s, d);

    return help_exists(path);
}


static void
state_path(oci_store_t *s, char *path)
{
    (void) oci_path_run(path, s, "evict.state");
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_oldest_first),
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_companions),
        cmocka_unit_test(test_min_free),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_used_meanwhile)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
