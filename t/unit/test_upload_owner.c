
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "upload_help.h"
#include "oci_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>


static int take_elsewhere(void *data);
static void take_over(void *data);
static void release(void *data);


/* one who writes wins, until five seconds pass without a byte */

static void
test_ownership(void **state)
{
    char          path[OCI_PATH_MAX];
    help_session_t     q;
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  a, b;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");
    help_begin(&a, &s, &r, OCI_SHA256);
    help_file(path, &a, "data");

    assert_int_equal(help_take(&a, &s, &r, a.id), OCI_OK);
    assert_int_equal(help_put(&a, "one ", 1), OCI_OK);
    assert_int_equal(oci_upload_save(&a), OCI_OK);

    assert_int_equal(help_take(&b, &s, &r, a.id), OCI_CONFLICT);
    assert_int_equal(b.fd, -1);
    assert_int_equal(b.offset, 4);
    assert_int_equal(b.owned, 0);
    assert_int_equal(help_put(&b, "x", 1), OCI_CONFLICT);
    assert_int_equal(oci_upload_save(&b), OCI_CONFLICT);

    q.s = &s;
    q.r = &r;
    q.id = help_str(a.id);
    assert_int_equal(help_fork(take_elsewhere, &q), -OCI_CONFLICT);

    /* within a step it is a conflict too, or once more when it is idle */

    assert_int_equal(oci_lock_byte(a.fd, 0), OCI_OK);
    assert_int_equal(help_take(&b, &s, &r, a.id), OCI_CONFLICT);
    help_make_old(path, 100);
    assert_int_equal(help_take(&b, &s, &r, a.id), OCI_AGAIN);
    oci_unlock_byte(a.fd, 0);

    /* four seconds are no reason, six are */

    help_make_old(path, 3);
    assert_int_equal(help_take(&b, &s, &r, a.id), OCI_CONFLICT);
    help_make_old(path, 7);
    assert_int_equal(help_take(&b, &s, &r, a.id), OCI_OK);
    assert_int_equal(b.offset, 4);

    /* its time starts with the taking, not with its first byte */

    assert_int_equal(help_fork(take_elsewhere, &q), -OCI_CONFLICT);

    /* who lost it learns so before its next write, and writes nothing */

    assert_int_equal(help_put(&a, "lost", 1), OCI_CONFLICT);
    assert_int_equal(oci_upload_save(&a), OCI_CONFLICT);
    assert_int_equal(oci_upload_rollback(&a), OCI_CONFLICT);
    help_digest_of(&d, OCI_SHA256, "one ");
    assert_int_equal(oci_upload_commit(&a, &r, &d), OCI_CONFLICT);
    assert_int_equal(oci_upload_remove(&a), OCI_CONFLICT);
    assert_int_equal(a.fd, -1);

    assert_int_equal(help_put(&b, "two", 1), OCI_OK);
    help_digest_of(&d, OCI_SHA256, "one two");
    assert_int_equal(oci_upload_commit(&b, &r, &d), OCI_OK);
    assert_true(help_stored(&s, &r, &d, "one two"));

    help_store_close(&s);
}


/* a killed owner is no owner */

static void
test_killed_owner(void **state)
{
    int           fds[2], status;
    char          c, id[OCI_UPLOAD_ID_LEN + 1];
    pid_t         pid;
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");
    help_begin(&u, &s, &r, OCI_SHA256);
    strcpy(id, u.id);

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_int_not_equal(pid, -1);

    if (pid == 0) {
        if (help_take(&u, &s, &r, id) == OCI_OK
            && help_put(&u, "saved", 0) == OCI_OK
            && oci_upload_save(&u) == OCI_OK
            && help_put(&u, " and what was not", 0) == OCI_OK
            && oci_lock_byte(u.fd, 0) == OCI_OK)
        {
            (void) !write(fds[1], "x", 1);
        }

        for ( ;; ) {
            (void) pause();
        }
    }

    assert_int_equal(read(fds[0], &c, 1), 1);
    assert_int_equal(help_take(&u, &s, &r, id), OCI_CONFLICT);

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);

    assert_int_equal(help_take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(u.offset, 5);
    assert_int_equal(help_put(&u, "!", 0), OCI_OK);
    help_digest_of(&d, OCI_SHA256, "saved!");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(help_stored(&s, &r, &d, "saved!"));

    close(fds[0]);
    close(fds[1]);

    help_store_close(&s);
}


static void
test_waits_for_a_step(void **state)
{
    int           other;
    char          path[OCI_PATH_MAX];
    help_session_t     q;
    oci_repo_t    r;
    oci_store_t   s;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");
    help_begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);

    /* a newcomer looks around: the owner waits until it has gone */

    help_file(path, &u, "data");
    other = open(path, O_RDWR);
    assert_int_not_equal(other, -1);
    assert_int_equal(oci_lock_byte(other, 0), OCI_OK);
    help_fail("fcntl", "/data", EAGAIN, 2);
    help_before("fcntl", "/data", release, &other);
    assert_int_equal(help_put(&u, "x", 0), OCI_OK);
    help_calm();

    /* a newcomer takes over while the owner waits for it */

    q.s = &s;
    q.r = &r;
    q.id = help_str(u.id);
    help_make_old(path, 100);
    help_fail("fcntl", "/data", EAGAIN, 1);
    help_before("fcntl", "/data", take_over, &q);
    assert_int_equal(help_put(&u, "y", 0), OCI_CONFLICT);
    help_calm();

    oci_upload_close(&u);

    help_store_close(&s);
}


static void
test_cancel(void **state)
{
    char          path[OCI_PATH_MAX], id[OCI_UPLOAD_ID_LEN + 1];
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  a, b;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");
    help_begin(&a, &s, &r, OCI_SHA256);
    strcpy(id, a.id);
    assert_int_equal(help_take(&a, &s, &r, id), OCI_OK);
    assert_int_equal(help_put(&a, "one", 1), OCI_OK);

    help_file(path, &a, "data");
    help_make_old(path, 100);
    assert_int_equal(help_take(&b, &s, &r, id), OCI_OK);
    assert_int_equal(oci_upload_remove(&b), OCI_OK);
    assert_int_equal(b.fd, -1);

    /* the one that still writes brings nothing back to life */

    assert_int_equal(help_put(&a, "two", 1), OCI_NOT_FOUND);
    assert_int_equal(oci_upload_save(&a), OCI_NOT_FOUND);
    assert_int_equal(oci_upload_rollback(&a), OCI_NOT_FOUND);
    help_digest_of(&d, OCI_SHA256, "one");
    assert_int_equal(oci_upload_commit(&a, &r, &d), OCI_NOT_FOUND);
    assert_int_equal(oci_upload_remove(&a), OCI_OK);
    oci_upload_close(&a);

    oci_path_uploads(path, &s);
    assert_int_equal(help_count(path), 0);
    oci_path_blob(path, &s, &d);
    assert_false(help_exists(path));
    assert_int_equal(help_take(&a, &s, &r, id), OCI_NOT_FOUND);

    help_store_close(&s);
}


static void
test_expire(void **state)
{
    char          path[OCI_PATH_MAX], ids[8][OCI_UPLOAD_ID_LEN + 1];
    unsigned      i, n, rounds;
    uint64_t      cursor;
    oci_repo_t    r;
    oci_store_t   s;
    oci_upload_t  u, live;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");

    cursor = 0;
    assert_int_equal(oci_upload_expire(&s, 100, 10, &cursor), 0);
    assert_true(cursor != 0);
    assert_int_equal(oci_upload_expire(&s, 100, 10, &cursor), 0);
    assert_int_equal(cursor, 0);

    for (i = 0; i < 8; i++) {
        help_begin(&u, &s, &r, OCI_SHA256);
        strcpy(ids[i], u.id);
    }

    /* 0, 1: old; 2: old data, young state; 3: old state, young data */

    for (i = 0; i < 8; i++) {
        oci_path_upload(path, &s, ids[i], "data");
        help_make_old(path, (i == 3) ? 50 : 1000);
        oci_path_upload(path, &s, ids[i], "state");
        help_make_old(path, (i == 2) ? 50 : 1000);
    }

    /* 4: without a state, 5: with a damaged one, 6: just a folder */

    oci_path_upload(path, &s, ids[4], "state");
    assert_int_equal(unlink(path), 0);
    oci_path_upload(path, &s, ids[5], "state");
    help_write(path, "x", 1);
    help_make_old(path, 1000);
    oci_path_upload(path, &s, ids[6], "state");
    assert_int_equal(unlink(path), 0);
    oci_path_upload(path, &s, ids[6], "data");
    assert_int_equal(unlink(path), 0);
    oci_path_upload(path, &s, ids[6], NULL);
    help_make_old(path, 1000);

    /* 7: its owner lives, slow as it is */

    assert_int_equal(help_take(&live, &s, &r, ids[7]), OCI_OK);
    assert_int_equal(help_put(&live, "x", 1), OCI_OK);
    oci_path_upload(path, &s, ids[7], "data");
    help_make_old(path, 1000);
    oci_path_upload(path, &s, ids[7], "state");
    help_make_old(path, 1000);

    /* one at a time, with others that come on the way */

    n = 0;
    rounds = 0;

    do {
        int  rc;

        rc = oci_upload_expire(&s, 100, 1, &cursor);
        assert_in_range(rc, 0, 1);
        n += (unsigned) rc;

        if (rounds++ % 2) {
            help_begin(&u, &s, &r, OCI_SHA256);
        }

        assert_true(rounds < 200);

    } while (cursor != 0);

    assert_int_equal(n, 5);

    for (i = 0; i < 8; i++) {
        oci_path_upload(path, &s, ids[i], NULL);
        assert_int_equal(help_exists(path), i == 2 || i == 3 || i == 7);
    }

    assert_int_equal(help_put(&live, "y", 1), OCI_OK);

    /* its owner gone, it goes too; several at once */

    oci_upload_close(&live);
    oci_path_upload(path, &s, ids[7], "data");
    help_make_old(path, 1000);
    oci_path_upload(path, &s, ids[7], "state");
    help_make_old(path, 1000);
    assert_int_equal(oci_upload_expire(&s, 100, 0, &cursor), 1);
    assert_int_equal(oci_upload_expire(&s, 100, 0, &cursor), 0);
    assert_int_equal(cursor, 0);

    help_store_close(&s);
}


/* a step under way: not now */

static void
test_expire_step(void **state)
{
    int           fd;
    char          path[OCI_PATH_MAX];
    uint64_t      cursor;
    oci_repo_t    r;
    oci_store_t   s;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");
    help_begin(&u, &s, &r, OCI_SHA256);

    help_file(path, &u, "state");
    help_make_old(path, 1000);
    help_file(path, &u, "data");
    help_make_old(path, 1000);

    fd = open(path, O_RDWR);
    assert_int_equal(oci_lock_byte(fd, 0), OCI_OK);
    cursor = 0;
    assert_int_equal(oci_upload_expire(&s, 100, 0, &cursor), 0);
    close(fd);
    cursor = 0;
    assert_int_equal(oci_upload_expire(&s, 100, 0, &cursor), 1);

    help_store_close(&s);
}


static void
test_expire_tmp(void **state)
{
    char         path[OCI_PATH_MAX], old[OCI_PATH_MAX];
    uint64_t     cursor;
    oci_store_t  s;

    (void) state;

    help_store_open(&s, 0);

    oci_path_tmp(path, &s);
    help_write(path, "x", 1);

    /* moved there just now, with an mtime of long ago */

    oci_path_tmp(old, &s);
    help_write(old, "x", 1);
    help_make_old(old, 1000);

    cursor = 0;
    assert_int_equal(oci_upload_expire(&s, 100, 0, &cursor), 0);
    assert_int_equal(oci_upload_expire(&s, 100, 0, &cursor), 0);
    assert_true(help_exists(path));
    assert_true(help_exists(old));
    assert_int_equal(cursor, 0);

    /* a file's time may be a tick ahead of time() */

    assert_int_equal(oci_upload_expire(&s, -2, 0, &cursor), 0);
    assert_int_equal(oci_upload_expire(&s, -2, 0, &cursor), 2);
    assert_int_equal(cursor, 0);
    oci_path_tmps(path, &s);
    assert_int_equal(help_count(path), 0);

    help_store_close(&s);
}


static int
take_elsewhere(void *data)
{
    help_session_t  *q = data;

    oci_upload_t  u;

    return -oci_upload_acquire(&u, q->s, q->r, &help_nobody, &q->id);
}


static void
take_over(void *data)
{
    help_session_t  *q = data;

    oci_upload_t  u;

    assert_int_equal(oci_upload_acquire(&u, q->s, q->r, &help_nobody, &q->id),
                     OCI_OK);
    oci_upload_close(&u);
}


static void
release(void *data)
{
    close(*(int *) data);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_ownership),
        cmocka_unit_test(test_killed_owner),
        cmocka_unit_test(test_waits_for_a_step),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_expire),
        cmocka_unit_test(test_expire_step),
        cmocka_unit_test(test_expire_tmp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
