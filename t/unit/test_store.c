
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "store_help.h"

#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>


static int is_dir(const char *root, const char *name);
static int open_as_user(void *data);
static int killed_open(void *data);
static void *fail_elsewhere(void *data);


static void
test_check(void **state)
{
    char  root[256], path[512];

    (void) state;

    help_dir(root);

    (void) snprintf(path, sizeof(path), "%s/none", root);
    assert_int_equal(oci_store_check(path), OCI_NOT_FOUND);
    assert_int_equal(oci_store_check(root), OCI_NOT_FOUND);
    assert_int_equal(help_count(root), 0);

    /* an interrupted making, and what file systems put there */

    (void) snprintf(path, sizeof(path), "%s/blobs", root);
    assert_int_equal(mkdir(path, 0700), 0);
    (void) snprintf(path, sizeof(path), "%s/lost+found", root);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(oci_store_check(root), OCI_NOT_FOUND);

    (void) snprintf(path, sizeof(path), "%s/photo.jpg", root);
    help_write(path, "x", 1);
    assert_int_equal(oci_store_check(root), OCI_UNSUPPORTED);
    assert_int_equal(unlink(path), 0);

    (void) snprintf(path, sizeof(path), "%s/format", root);

    help_write(path, "ngx_http_oci store 1\n", 21);
    assert_int_equal(oci_store_check(root), OCI_OK);

    help_write(path, "ngx_http_oci store 2\n", 21);
    assert_int_equal(oci_store_check(root), OCI_UNSUPPORTED);

    help_write(path, "ngx_http_oci store 1\n2", 22);
    assert_int_equal(oci_store_check(root), OCI_UNSUPPORTED);

    help_write(path, "ngx_http_oci store 1", 20);
    assert_int_equal(oci_store_check(root), OCI_UNSUPPORTED);

    help_write(path, "", 0);
    assert_int_equal(oci_store_check(root), OCI_UNSUPPORTED);

    help_dir_remove(root);
}


static void
test_open(void **state)
{
    char         root[256], path[512];
    char        *text;
    size_t       len;
    unsigned     i, n;
    oci_store_t  s;

    (void) state;

    help_dir(root);
    (void) snprintf(path, sizeof(path), "%s//", root);

    help_watch(root);
    assert_int_equal(oci_store_open(&s, path, 1), OCI_OK);

    assert_string_equal(s.root, root);
    assert_int_equal(s.root_len, strlen(root));
    assert_int_equal(s.durable, 1);
    assert_int_equal(strlen(s.boot_id), OCI_BOOT_ID_LEN);
    assert_non_null((void *) s.counters);

    assert_true(is_dir(root, "repositories"));
    assert_true(is_dir(root, "uploads"));
    assert_true(is_dir(root, "fills/sha256"));
    assert_true(is_dir(root, "fills/sha512"));
    assert_true(is_dir(root, "run"));
    assert_true(is_dir(root, "tmp"));

    (void) snprintf(path, sizeof(path), "%s/blobs/sha256", root);
    assert_int_equal(help_count(path), 256);
    assert_int_equal(help_mode(path), 0700);
    (void) snprintf(path, sizeof(path), "%s/blobs/sha512", root);
    assert_int_equal(help_count(path), 256);
    assert_true(is_dir(root, "blobs/sha512/00"));
    assert_true(is_dir(root, "blobs/sha256/ff"));

    (void) snprintf(path, sizeof(path), "%s/tmp", root);
    assert_int_equal(help_count(path), 0);

    (void) snprintf(path, sizeof(path), "%s/format", root);
    text = help_read(path, &len);
    assert_string_equal(text, "ngx_http_oci store 1\n");
    free(text);

    /* the format comes last, and all it vouches for was synced before */

    n = 0;

    for (i = 0; i < help_events(); i++) {
        if (strncmp(help_event(i), "link ", 5) == 0) {
            n = i;
        }
    }

    assert_non_null(strstr(help_event(n), "-> format"));

    for (i = n; i < help_events(); i++) {
        assert_int_not_equal(strncmp(help_event(i), "mkdir", 5), 0);
    }

    assert_in_range(help_find_event("fsync blobs/sha256", 0), 0, n);
    assert_in_range(help_find_event("fsync blobs/sha512", 0), 0, n);
    assert_in_range(help_find_event("fsync blobs", 0), 0, n);
    assert_in_range(help_find_event("fsync fills", 0), 0, n);
    assert_in_range(help_find_event("fsync .", 0), 0, n);
    assert_true(help_find_event("fsync .", n) > (int) n);

    oci_store_close(&s);
    assert_null((void *) s.counters);

    /* a second time nothing is made */

    help_watch(root);
    assert_int_equal(oci_store_open(&s, root, 1), OCI_OK);

    for (i = 0; i < help_events(); i++) {
        assert_int_not_equal(strncmp(help_event(i), "mkdir", 5), 0);
        assert_int_not_equal(strncmp(help_event(i), "fsync", 5), 0);
    }

    oci_store_close(&s);

    /* what a hand cleared away comes back */

    (void) snprintf(path, sizeof(path), "%s/tmp", root);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(oci_store_open(&s, root, 0), OCI_OK);
    assert_true(help_exists(path));
    assert_int_equal(s.durable, 0);

    help_store_close(&s);
}


static void
test_refused(void **state)
{
    char         root[256], path[2048];
    oci_store_t  s;

    (void) state;

    help_dir(root);

    assert_int_equal(oci_store_open(&s, "relative", 1), OCI_ERROR);
    assert_int_equal(oci_store_open(&s, "", 1), OCI_ERROR);

    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[1024] = '\0';
    assert_int_equal(oci_store_open(&s, path, 1), OCI_ERROR);
    assert_int_equal(oci_failure()->err, ENAMETOOLONG);

    (void) snprintf(path, sizeof(path), "%s/none", root);
    assert_int_equal(oci_store_open(&s, path, 1), OCI_ERROR);
    assert_int_equal(oci_failure()->err, ENOENT);
    assert_false(help_exists(path));

    (void) snprintf(path, sizeof(path), "%s/format", root);
    help_write(path, "ngx_http_oci store 7\n", 21);
    assert_int_equal(oci_store_open(&s, root, 1), OCI_ERROR);
    assert_int_equal(oci_failure()->err, EPROTONOSUPPORT);
    assert_int_equal(help_count(root), 1);

    help_dir_remove(root);
}


static void
test_parallel(void **state)
{
    int    status;
    char   root[256], path[512];
    pid_t  pid[6];
    size_t i;

    (void) state;

    help_dir(root);
    assert_int_equal(chmod(root, 0777), 0);
    (void) fflush(NULL);

    for (i = 0; i < 6; i++) {
        pid[i] = fork();
        assert_int_not_equal(pid[i], -1);

        if (pid[i] == 0) {
            _exit(open_as_user(root));
        }
    }

    for (i = 0; i < 6; i++) {
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }

    assert_int_equal(oci_store_check(root), OCI_OK);

    (void) snprintf(path, sizeof(path), "%s/tmp", root);
    assert_int_equal(help_count(path), 0);
    (void) snprintf(path, sizeof(path), "%s/run", root);
    assert_int_equal(help_count(path), 1);

    help_dir_remove(root);
}


static void
test_killed(void **state)
{
    int          rc;
    char         root[256];
    unsigned     n;
    oci_store_t  s;

    (void) state;

    /* at some folders, and at each of the steps of the end */

    for (n = 1, rc = 99; rc == 99; n += (n < 515) ? 128 : 1) {
        help_dir(root);
        help_kill_at(n);

        rc = help_fork(killed_open, root);
        assert_true(rc == 99 || (rc == 0 && n > 520));

        help_calm();

        assert_int_equal(oci_store_open(&s, root, 1), OCI_OK);
        assert_true(is_dir(root, "blobs/sha512/ff"));
        assert_int_equal(oci_store_check(root), OCI_OK);

        help_store_close(&s);
    }
}


static void
test_failure(void **state)
{
    char                  path[400];
    pthread_t             tid;
    const oci_failure_t  *f;

    (void) state;

    errno = EIO;
    assert_int_equal(oci_fail("open()", "/a/b"), OCI_ERROR);
    assert_int_equal(errno, EIO);

    f = oci_failure();
    assert_int_equal(f->err, EIO);
    assert_string_equal(f->op, "open()");
    assert_string_equal(f->path, "/a/b");

    /* another thread's failures are its own */

    assert_int_equal(pthread_create(&tid, NULL, fail_elsewhere, NULL), 0);
    assert_int_equal(pthread_join(tid, NULL), 0);
    assert_int_equal(oci_failure()->err, EIO);

    memset(path, 'x', sizeof(path));
    memcpy(path + 395, "/end", 5);
    errno = ENOENT;
    (void) oci_fail("stat()", path);
    assert_int_equal(strlen(f->path), 255);
    assert_string_equal(f->path + 251, "/end");

    errno = EPERM;
    (void) oci_fail("lock", NULL);
    assert_string_equal(f->path, "");
}


static int
is_dir(const char *root, const char *name)
{
    char         path[512];
    struct stat  st;

    (void) snprintf(path, sizeof(path), "%s/%s", root, name);

    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}


static int
open_as_user(void *data)
{
    char         path[512];
    oci_store_t  s;

    help_drop_root();

    if (oci_store_open(&s, data, 0) != OCI_OK || s.counters == NULL) {
        return 1;
    }

    (void) snprintf(path, sizeof(path), "%s/format", (char *) data);

    return help_exists(path) && is_dir(data, "blobs/sha512/ff") ? 0 : 2;
}


static int
killed_open(void *data)
{
    oci_store_t  s;

    (void) oci_store_open(&s, data, 1);

    return 0;
}


static void *
fail_elsewhere(void *data)
{
    (void) data;

    errno = ENOSPC;
    (void) oci_fail("write()", "/elsewhere");

    return NULL;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_parallel),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
