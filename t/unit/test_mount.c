
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "blob_help.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>


static void
test_mount(void **state)
{
    char          to[OCI_PATH_MAX], blob[OCI_PATH_MAX], text[64];
    oci_repo_t    a, b, c;
    oci_file_t    f;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 1);
    a = help_repo("", "a");
    b = help_repo("", "b/c");
    c = help_repo("n", "a");
    help_digest(&d, TEXT);

    assert_int_equal(oci_blob_mount(&s, &a, &b, &d), OCI_NOT_FOUND);
    oci_path_repo(to, &s, &b);
    assert_false(help_exists(to));

    /* content that blobs/ has gives nobody a right to it */

    assert_int_equal(help_push(&s, &a, &d, TEXT), OCI_OK);
    assert_int_equal(oci_blob_mount(&s, &c, &b, &d), OCI_NOT_FOUND);

    oci_path_blob(blob, &s, &d);
    help_make_old(blob, 1000000);
    help_watch(s.root);
    assert_int_equal(oci_blob_mount(&s, &a, &b, &d), OCI_OK);
    assert_true(help_has(&s, &b, &d, TEXT));
    assert_int_equal(help_nlink(blob), 3);
    assert_in_range(help_age(blob), 0, 60);
    assert_true(help_find_event("fsync repositories/b/c/_blobs/sha256", 0)
                > help_find_event("mkdir repositories/b/c/_blobs/sha256",
                                  0));
    assert_true(help_find_event("fsync repositories/b", 0) >= 0);
    (void) snprintf(text, sizeof(text), "fsync blobs/sha256/%.2s", d.hex);
    assert_true(help_find_event(text, 0) >= 0);

    /* twice is fine; so is one whose name in blobs/ is missing */

    assert_int_equal(unlink(blob), 0);
    assert_int_equal(oci_blob_mount(&s, &a, &b, &d), OCI_OK);
    assert_int_equal(help_nlink(blob), 3);

    /* from a cached one: pushed from now on */

    help_digest(&d, TEXT2);
    help_cache(&s, &a, &d, TEXT2);
    assert_int_equal(oci_blob_mount(&s, &a, &b, &d), OCI_OK);
    assert_int_equal(oci_blob_stat(&s, &b, &d, &f), OCI_OK);
    assert_int_equal(f.cached, 0);
    assert_int_equal(oci_blob_stat(&s, &a, &d, &f), OCI_OK);
    assert_int_equal(f.cached, 1);
    oci_path_blob(blob, &s, &d);
    assert_int_equal(help_nlink(blob), 3);

    /* the source goes just before the link */

    oci_path_repo_cached(to, &s, &a, &d);
    help_before("link", "repositories/@n/a", help_remove_name, to);
    assert_int_equal(oci_blob_mount(&s, &a, &c, &d), OCI_NOT_FOUND);
    assert_false(help_has(&s, &c, &d, TEXT2));

    help_fail("fsync", "repositories/@n/a/_blobs/sha256", EIO, 1);
    assert_int_equal(oci_blob_mount(&s, &b, &c, &d), OCI_ERROR);
    assert_int_equal(errno, EIO);

    help_store_close(&s);
}


static void
test_mount_any(void **state)
{
    oci_repo_t    b, c, n;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 0);
    b = help_repo("", "b/c");
    c = help_repo("", "z");
    n = help_repo("n", "x");
    help_digest(&d, TEXT);

    assert_int_equal(oci_blob_mount_any(&s, &b, &d), OCI_NOT_FOUND);

    /* another namespace is another world, in both directions */

    assert_int_equal(help_push(&s, &n, &d, TEXT), OCI_OK);
    assert_int_equal(oci_blob_mount_any(&s, &b, &d), OCI_NOT_FOUND);
    assert_false(help_has(&s, &b, &d, TEXT));

    help_digest(&d, TEXT2);
    assert_int_equal(help_push(&s, &c, &d, TEXT2), OCI_OK);
    assert_int_equal(oci_blob_mount_any(&s, &b, &d), OCI_OK);
    assert_true(help_has(&s, &b, &d, TEXT2));
    n = help_repo("n", "y");
    assert_int_equal(oci_blob_mount_any(&s, &n, &d), OCI_NOT_FOUND);

    assert_false(help_has(&s, &n, &d, TEXT2));

    /* itself included */

    assert_int_equal(oci_blob_mount_any(&s, &b, &d), OCI_OK);

    help_store_close(&s);
}


static void
test_open(void **state)
{
    int           fd;
    char          path[OCI_PATH_MAX], buf[64];
    oci_file_t    f;
    oci_repo_t    r, other;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");
    other = help_repo("", "b");
    help_digest(&d, TEXT);

    assert_int_equal(oci_blob_open(&s, &r, &d, &f), OCI_NOT_FOUND);
    assert_int_equal(f.fd, -1);
    assert_int_equal(oci_blob_stat(&s, &r, &d, &f), OCI_NOT_FOUND);
    assert_int_equal(oci_blob_touch(&s, &r, &d), OCI_NOT_FOUND);

    assert_int_equal(help_push(&s, &r, &d, TEXT), OCI_OK);
    oci_path_repo_blob(path, &s, &r, &d);
    help_make_old(path, 5000);

    assert_int_equal(oci_blob_open(&s, &r, &d, &f), OCI_OK);
    fd = f.fd;
    assert_int_equal(read(fd, buf, sizeof(buf)), strlen(TEXT));
    assert_memory_equal(buf, TEXT, strlen(TEXT));
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close(fd);
    assert_int_equal(f.size, strlen(TEXT));
    assert_int_equal(f.inode, help_inode(path));
    assert_in_range(time(NULL) - f.mtime, 4990, 5100);
    assert_int_equal(f.cached, 0);

    assert_int_equal(oci_blob_stat(&s, &r, &d, &f), OCI_OK);
    assert_int_equal(f.fd, -1);
    assert_int_equal(f.size, strlen(TEXT));
    assert_int_equal(f.inode, help_inode(path));
    assert_in_range(time(NULL) - f.mtime, 4990, 5100);

    assert_int_equal(oci_blob_touch(&s, &r, &d), OCI_OK);
    assert_in_range(help_age(path), 0, 60);

    /* held by the store, not by this repository */

    assert_int_equal(oci_blob_open(&s, &other, &d, &f), OCI_NOT_FOUND);

    help_digest(&d, TEXT2);
    help_cache(&s, &r, &d, TEXT2);
    assert_int_equal(oci_blob_open(&s, &r, &d, &f), OCI_OK);
    assert_int_equal(f.cached, 1);
    assert_int_equal(f.size, strlen(TEXT2));
    close(f.fd);
    assert_int_equal(oci_blob_touch(&s, &r, &d), OCI_NOT_FOUND);

    help_store_close(&s);
}


static void
test_keep(void **state)
{
    char          path[OCI_PATH_MAX];
    oci_file_t    f;
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a");
    help_digest(&d, TEXT);

    assert_int_equal(oci_blob_keep(&s, &r, &d), OCI_NOT_FOUND);

    help_cache(&s, &r, &d, TEXT);
    help_watch(s.root);
    assert_int_equal(oci_blob_keep(&s, &r, &d), OCI_OK);
    assert_int_equal(oci_blob_stat(&s, &r, &d, &f), OCI_OK);
    assert_int_equal(f.cached, 0);
    assert_true(help_find_event("fsync repositories/a/_blobs/sha256", 0)
                >= 0);
    oci_path_repo_cached(path, &s, &r, &d);
    assert_true(help_exists(path));

    /* one that is kept already is only looked at */

    help_make_old(path, 5000);
    help_watch(s.root);
    assert_int_equal(oci_blob_keep(&s, &r, &d), OCI_OK);
    assert_int_equal(help_events(), 0);
    assert_true(help_age(path) > 4000);

    help_store_close(&s);
}


static void
test_delete(void **state)
{
    int           i, j;
    char          path[OCI_PATH_MAX], blob[OCI_PATH_MAX], text[64];
    help_step_t        step;
    oci_repo_t    a, b;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 1);
    a = help_repo("", "a");
    b = help_repo("", "b");
    help_digest(&d, TEXT);
    oci_path_blob(blob, &s, &d);

    assert_int_equal(oci_blob_delete(&s, &a, &d), OCI_NOT_FOUND);

    assert_int_equal(help_push(&s, &a, &d, TEXT), OCI_OK);
    assert_int_equal(help_push(&s, &b, &d, TEXT), OCI_OK);
    assert_int_equal(oci_blob_delete(&s, &a, &d), OCI_OK);
    assert_int_equal(oci_blob_delete(&s, &a, &d), OCI_NOT_FOUND);
    assert_true(help_has(&s, &b, &d, TEXT));
    assert_int_equal(help_nlink(blob), 2);

    /* the last one takes the content with it, synced before the answer */

    help_watch(s.root);
    assert_int_equal(oci_blob_delete(&s, &b, &d), OCI_OK);
    assert_false(help_exists(blob));
    oci_path_repo_blob(path, &s, &b, &d);
    (void) snprintf(text, sizeof(text), "fsync blobs/sha256/%.2s", d.hex);
    i = help_find_event("fsync repositories/b/_blobs/sha256", 0);
    j = help_find_event(text, 0);
    assert_true(i > 0 && j > i);

    /* pushed and cached alike */

    help_cache(&s, &a, &d, TEXT);
    assert_int_equal(help_push(&s, &a, &d, TEXT), OCI_OK);
    help_watch(s.root);
    assert_int_equal(oci_blob_delete(&s, &a, &d), OCI_OK);
    oci_path_repo_cached(path, &s, &a, &d);
    assert_false(help_exists(path));
    assert_false(help_exists(blob));
    assert_true(help_find_event("fsync repositories/a/_cached/sha256", 0)
                >= 0);

    /* someone links the content while its last name goes */

    assert_int_equal(help_push(&s, &a, &d, TEXT), OCI_OK);
    step.s = &s;
    step.r = &b;
    step.d = &d;
    help_before("unlink", blob, help_push_elsewhere, &step);
    assert_int_equal(oci_blob_delete(&s, &a, &d), OCI_OK);
    assert_true(help_has(&s, &b, &d, TEXT));
    assert_int_equal(help_push(&s, &b, &d, TEXT), OCI_OK);
    assert_int_equal(help_nlink(blob), 2);

    help_fail("unlink", "/_blobs/", EIO, 1);
    assert_int_equal(oci_blob_delete(&s, &b, &d), OCI_ERROR);
    assert_int_equal(errno, EIO);
    assert_true(help_has(&s, &b, &d, TEXT));

    help_fail("fsync", "/_blobs/sha256", EIO, 1);
    assert_int_equal(oci_blob_delete(&s, &b, &d), OCI_ERROR);
    assert_int_equal(errno, EIO);

    help_store_close(&s);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_mount),
        cmocka_unit_test(test_mount_any),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_delete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
