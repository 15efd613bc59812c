
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "blob_help.h"

#include "oci_zstd.h"

#include <zstd.h>

#include <fcntl.h>
#include <unistd.h>


#define SIZE  (300 * 1024)


static const oci_zstd_params_t  params = { 3, 1, 100, 0 };

static oci_store_t   store;
static oci_repo_t    repo;
static oci_digest_t  digest;
static char          content[SIZE + 1];


static int
setup(void **state)
{
    size_t    i;
    uint32_t  seed;

    (void) state;

    /* three bits of noise in each byte */

    seed = 1;

    for (i = 0; i < SIZE; i++) {
        seed = seed * 1103515245 + 12345;
        content[i] = (char) ('a' + (seed >> 16) % 8);
    }

    content[SIZE] = '\0';

    help_store_open(&store, 1);
    repo = help_repo("", "a");

    help_digest(&digest, content);
    assert_int_equal(help_push(&store, &repo, &digest, content), OCI_OK);

    return 0;
}


static int
teardown(void **state)
{
    (void) state;

    help_store_close(&store);

    return 0;
}


static int
run(const oci_zstd_params_t *p, size_t step)
{
    int          rc;
    oci_zstd_t  *z;

    z = oci_zstd_create(&store, &repo, &digest, p);
    assert_non_null(z);

    do {
        rc = oci_zstd_step(z, step);
    } while (rc == OCI_AGAIN);

    oci_zstd_destroy(z);

    return rc;
}


static unsigned
tmps(void)
{
    char  path[OCI_PATH_MAX];

    oci_path_tmps(path, &store);

    return help_count(path);
}


static void
test_made(void **state)
{
    int         n;
    char       *packed, *text;
    oci_file_t  f;

    (void) state;

    assert_int_equal(oci_zstd_open(&store, &digest, &f), OCI_NOT_FOUND);
    assert_int_equal(run(&params, 1), OCI_OK);
    assert_int_equal(tmps(), 0);

    assert_int_equal(oci_zstd_open(&store, &digest, &f), OCI_OK);
    assert_true(f.size < SIZE / 2);

    packed = malloc((size_t) f.size);
    text = malloc(SIZE);
    assert_non_null(packed);
    assert_non_null(text);

    n = (int) read(f.fd, packed, (size_t) f.size);
    assert_int_equal(n, f.size);
    close(f.fd);

    assert_int_equal(ZSTD_decompress(text, SIZE, packed, (size_t) n), SIZE);
    assert_memory_equal(text, content, SIZE);

    free(packed);
    free(text);

    /* once is enough */

    assert_int_equal(run(&params, SIZE), OCI_EXISTS);

    assert_int_equal(oci_zstd_drop(&store, &digest), n);
    assert_int_equal(oci_zstd_drop(&store, &digest), 0);
    assert_int_equal(oci_zstd_open(&store, &digest, &f), OCI_NOT_FOUND);
}


/* small steps leave the other threads to work between them */

static void
test_threads(void **state)
{
    int                n;
    char              *packed, *text;
    oci_file_t         f;
    oci_zstd_params_t  p;

    (void) state;

    p = params;
    p.threads = 3;

    assert_int_equal(run(&p, 1), OCI_OK);
    assert_int_equal(oci_zstd_open(&store, &digest, &f), OCI_OK);

    packed = malloc((size_t) f.size);
    text = malloc(SIZE);
    assert_non_null(packed);
    assert_non_null(text);

    n = (int) read(f.fd, packed, (size_t) f.size);
    assert_int_equal(n, f.size);
    close(f.fd);

    assert_int_equal(ZSTD_decompress(text, SIZE, packed, (size_t) n), SIZE);
    assert_memory_equal(text, content, SIZE);

    free(packed);
    free(text);
}


static void
test_not_worth(void **state)
{
    oci_file_t         f;
    oci_zstd_params_t  p;

    (void) state;

    p = params;
    p.min_ratio = 999;

    assert_int_equal(run(&p, SIZE), OCI_EXISTS);
    assert_int_equal(oci_zstd_open(&store, &digest, &f), OCI_EXISTS);
    assert_int_equal(f.fd, -1);
    assert_int_equal(tmps(), 0);

    /* remembered, whatever is asked next */

    assert_int_equal(run(&params, SIZE), OCI_EXISTS);
    assert_int_equal(oci_zstd_open(&store, &digest, &f), OCI_EXISTS);
}


static void
test_no_room(void **state)
{
    oci_file_t         f;
    oci_zstd_params_t  p;

    (void) state;

    p = params;
    p.reserve = INT64_MAX;

    assert_int_equal(run(&p, SIZE), OCI_RANGE);
    assert_int_equal(oci_zstd_open(&store, &digest, &f), OCI_NOT_FOUND);
    assert_int_equal(tmps(), 0);
}


static void
test_one_at_a_time(void **state)
{
    oci_zstd_t    *one, *two;
    oci_digest_t   none;

    (void) state;

    /* what fails later holds it until it is gone */

    help_digest(&none, "never pushed");

    one = oci_zstd_create(&store, &repo, &none, &params);
    assert_non_null(one);
    assert_int_equal(oci_zstd_step(one, SIZE), OCI_NOT_FOUND);

    two = oci_zstd_create(&store, &repo, &digest, &params);
    assert_non_null(two);
    assert_int_equal(oci_zstd_step(two, SIZE), OCI_CONFLICT);
    oci_zstd_destroy(two);
    oci_zstd_destroy(one);

    assert_int_equal(run(&params, SIZE), OCI_OK);
}


static void
remove_blob(void *data)
{
    (void) data;

    assert_int_equal(oci_blob_delete(&store, &repo, &digest), OCI_OK);
}


static void
test_removed_meanwhile(void **state)
{
    oci_file_t  f;

    (void) state;

    help_watch(store.root);
    help_before("rename", "zstd/", remove_blob, NULL);

    assert_int_equal(run(&params, SIZE), OCI_NOT_FOUND);

    help_watch_end();

    assert_int_equal(oci_zstd_open(&store, &digest, &f), OCI_NOT_FOUND);
    assert_int_equal(tmps(), 0);
}


static void
test_sweep(void **state)
{
    oci_file_t    f;
    char          path[OCI_PATH_MAX];
    oci_digest_t  folder;

    (void) state;

    assert_int_equal(run(&params, SIZE), OCI_OK);

    folder = digest;
    folder.hex_len = 2;

    assert_int_equal(oci_zstd_sweep(&store, &folder), 0);
    assert_int_equal(oci_zstd_open(&store, &digest, &f), OCI_OK);
    close(f.fd);

    oci_path_blob(path, &store, &digest);
    assert_int_equal(unlink(path), 0);

    assert_int_equal(oci_zstd_sweep(&store, &folder), 1);
    assert_int_equal(oci_zstd_open(&store, &digest, &f), OCI_NOT_FOUND);
}


static void
test_small(void **state)
{
    size_t             n, i;
    u_char             out[SIZE];
    char               text[4000];
    oci_zstd_small_t  *ctx;

    (void) state;

    ctx = oci_zstd_small_create(1);
    assert_non_null(ctx);

    /* the same context again and again */

    for (i = 0; i < 3; i++) {
        n = 3600;
        assert_int_equal(oci_zstd_small(ctx, (u_char *) content + i, 4000,
                                        out, &n),
                         OCI_OK);
        assert_true(n > 0 && n < 3600);
        assert_int_equal(ZSTD_decompress(text, sizeof(text), out, n), 4000);
        assert_memory_equal(text, content + i, 4000);

        /* the length stands in the frame: a client need not guess */

        assert_int_equal(ZSTD_getFrameContentSize(out, n), 4000);

        n = 500;
        assert_int_equal(oci_zstd_small(ctx, (u_char *) content, 4000, out,
                                        &n),
                         OCI_RANGE);
    }

    ZSTD_freeCCtx(ctx);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_made, setup, teardown),
        cmocka_unit_test_setup_teardown(test_small, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_worth, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removed_meanwhile, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_sweep, setup, teardown)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
