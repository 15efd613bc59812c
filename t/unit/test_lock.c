
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "store_help.h"
#include "oci_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>


typedef struct {
    oci_store_t  *s;
    oci_repo_t   *r;
    unsigned      exclusive;
} ask_t;


static int ask(void *data);
static int ask_elsewhere(oci_store_t *s, oci_repo_t *r, unsigned exclusive);
static int byte_elsewhere(void *data);
static void remove_lock(void *data);
static void replace_lock(void *data);


static void
test_repo(void **state)
{
    char         path[OCI_PATH_MAX];
    oci_lock_t   a, b, c;
    oci_repo_t   r, other;
    oci_store_t  s;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a/b");
    other = help_repo("n", "a/b");

    /* without create nothing comes into being */

    assert_int_equal(oci_lock_repo(&a, &s, &r, 0, 0), OCI_NOT_FOUND);
    assert_int_equal(a.fd, -1);
    oci_lock_release(&a);
    oci_path_repositories(path, &s, NULL);
    assert_int_equal(help_count(path), 0);

    assert_int_equal(oci_lock_repo(&a, &s, &r, 0, 1), OCI_OK);
    oci_path_repo_lock(path, &s, &r);
    assert_true(help_exists(path));
    assert_int_equal(fcntl(a.fd, F_GETFD), FD_CLOEXEC);

    /* shared with shared, not with exclusive; within a process, and beyond */

    assert_int_equal(oci_lock_repo(&b, &s, &r, 0, 0), OCI_OK);
    assert_int_equal(oci_lock_repo(&c, &s, &r, 1, 0), OCI_AGAIN);
    assert_int_equal(c.fd, -1);
    assert_int_equal(ask_elsewhere(&s, &r, 0), -OCI_OK);
    assert_int_equal(ask_elsewhere(&s, &r, 1), -OCI_AGAIN);

    oci_lock_release(&a);
    assert_int_equal(a.fd, -1);
    assert_int_equal(oci_lock_repo(&c, &s, &r, 1, 0), OCI_AGAIN);
    oci_lock_release(&b);
    assert_int_equal(oci_lock_repo(&c, &s, &r, 1, 0), OCI_OK);

    assert_int_equal(oci_lock_repo(&a, &s, &r, 0, 1), OCI_AGAIN);
    assert_int_equal(ask_elsewhere(&s, &r, 0), -OCI_AGAIN);

    /* another repository has another lock */

    assert_int_equal(oci_lock_repo(&b, &s, &other, 1, 1), OCI_OK);
    oci_lock_release(&b);
    oci_lock_release(&c);
    oci_lock_release(&c);

    /* a repository that never had a lock, and a folder that is none */

    r = help_repo("", "blobs-only");
    oci_path_repo(path, &s, &r);
    strcat(path, "/_blobs");
    assert_int_equal(oci_dir_make(&s, path), OCI_OK);
    assert_int_equal(oci_lock_repo(&a, &s, &r, 1, 0), OCI_OK);
    oci_lock_release(&a);

    r = help_repo("", "a");
    assert_int_equal(oci_lock_repo(&a, &s, &r, 1, 0), OCI_NOT_FOUND);
    oci_path_repo_lock(path, &s, &r);
    assert_false(help_exists(path));

    help_store_close(&s);
}


static void
test_killed(void **state)
{
    int          fds[2], status;
    char         c;
    pid_t        pid;
    oci_lock_t   l;
    oci_repo_t   r;
    oci_store_t  s;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_int_not_equal(pid, -1);

    if (pid == 0) {
        if (oci_lock_repo(&l, &s, &r, 1, 1) == OCI_OK) {
            (void) !write(fds[1], "x", 1);
        }

        for ( ;; ) {
            (void) pause();
        }
    }

    assert_int_equal(read(fds[0], &c, 1), 1);
    assert_int_equal(oci_lock_repo(&l, &s, &r, 0, 1), OCI_AGAIN);

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);

    assert_int_equal(oci_lock_repo(&l, &s, &r, 1, 0), OCI_OK);
    oci_lock_release(&l);

    close(fds[0]);
    close(fds[1]);

    help_store_close(&s);
}


/* the collector removes an empty repository between open and lock */

static void
test_removed(void **state)
{
    char         path[OCI_PATH_MAX];
    oci_lock_t   a, b;
    oci_repo_t   r;
    oci_store_t  s;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");

    assert_int_equal(oci_lock_repo(&a, &s, &r, 1, 1), OCI_OK);
    oci_lock_release(&a);

    oci_path_repo_lock(path, &s, &r);
    help_before("fcntl", "/_lock", remove_lock, path);
    assert_int_equal(oci_lock_repo(&a, &s, &r, 1, 1), OCI_OK);
    assert_true(help_exists(path));
    assert_int_equal(oci_lock_repo(&b, &s, &r, 1, 1), OCI_AGAIN);
    oci_lock_release(&a);

    /* or that, and someone makes it anew */

    help_before("fcntl", "/_lock", replace_lock, path);
    assert_int_equal(oci_lock_repo(&a, &s, &r, 1, 1), OCI_OK);
    assert_int_equal(oci_lock_repo(&b, &s, &r, 1, 1), OCI_AGAIN);
    oci_lock_release(&a);

    help_before("fcntl", "/_lock", remove_lock, path);
    assert_int_equal(oci_lock_repo(&a, &s, &r, 1, 0), OCI_NOT_FOUND);

    /* a failure is not "held" */

    help_fail("fcntl", "/_lock", ENOLCK, 1);
    assert_int_equal(oci_lock_repo(&a, &s, &r, 1, 1), OCI_ERROR);
    assert_int_equal(errno, ENOLCK);
    assert_int_equal(a.fd, -1);

    help_store_close(&s);
}


static void
test_bytes(void **state)
{
    int          a, b;
    char         path[OCI_PATH_MAX];
    oci_store_t  s;

    (void) state;

    help_store_open(&s, 0);
    oci_path_tmp(path, &s);

    a = open(path, O_RDWR|O_CREAT, 0600);
    b = open(path, O_RDWR);
    assert_true(a != -1 && b != -1);

    assert_int_equal(oci_lock_byte(a, 7), OCI_OK);
    assert_int_equal(oci_lock_byte(a, 7), OCI_OK);
    assert_int_equal(oci_lock_byte(b, 7), OCI_AGAIN);
    assert_int_equal(oci_lock_byte(b, 8), OCI_OK);

    assert_int_equal(oci_lock_byte_held(b, 7), 1);
    assert_int_equal(oci_lock_byte_held(a, 7), 0);
    assert_int_equal(oci_lock_byte_held(b, 6), 0);
    assert_int_equal(oci_lock_from_held(b, 1), 1);
    assert_int_equal(oci_lock_from_held(b, 8), 0);
    assert_int_equal(oci_lock_from_held(a, 8), 1);
    assert_int_equal(help_fork(byte_elsewhere, path), 0);

    oci_unlock_byte(a, 7);
    assert_int_equal(oci_lock_byte_held(b, 7), 0);
    assert_int_equal(oci_lock_byte(b, 7), OCI_OK);

    /* far beyond the end of any file */

    assert_int_equal(oci_lock_byte(a, (off_t) 1 << 62), OCI_OK);
    assert_int_equal(oci_lock_byte(b, (off_t) 1 << 62), OCI_AGAIN);

    /* shared */

    assert_int_equal(oci_lock_byte_shared(a, 20), OCI_OK);
    assert_int_equal(oci_lock_byte_shared(b, 20), OCI_OK);
    assert_int_equal(oci_lock_byte(b, 20), OCI_AGAIN);

    /* with its open file */

    close(b);
    assert_int_equal(oci_lock_byte(a, 7), OCI_OK);
    assert_int_equal(oci_lock_byte(a, 20), OCI_OK);
    close(a);

    assert_int_equal(oci_lock_byte(a, 7), OCI_ERROR);
    assert_int_equal(errno, EBADF);
    assert_int_equal(oci_lock_byte_held(a, 7), 1);

    help_store_close(&s);
}


static int
ask(void *data)
{
    ask_t       *q = data;
    oci_lock_t   l;

    return -oci_lock_repo(&l, q->s, q->r, q->exclusive, 0);
}


static int
ask_elsewhere(oci_store_t *s, oci_repo_t *r, unsigned exclusive)
{
    ask_t  q;

    q.s = s;
    q.r = r;
    q.exclusive = exclusive;

    return help_fork(ask, &q);
}


static int
byte_elsewhere(void *data)
{
    int  fd;

    fd = open(data, O_RDWR);

    if (fd == -1 || oci_lock_byte(fd, 7) != OCI_AGAIN
        || oci_lock_byte_held(fd, 7) != 1 || oci_lock_byte_held(fd, 9) != 0)
    {
        return 1;
    }

    return 0;
}


static void
remove_lock(void *data)
{
    assert_int_equal(unlink(data), 0);
    *strrchr(data, '/') = '\0';
    assert_int_equal(rmdir(data), 0);
    ((char *) data)[strlen(data)] = '/';
}


static void
replace_lock(void *data)
{
    assert_int_equal(unlink(data), 0);
    help_write(data, "", 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_repo),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_removed),
        cmocka_unit_test(test_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
