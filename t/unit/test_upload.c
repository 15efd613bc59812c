
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "store_help.h"
#include "oci_blob.h"
#include "oci_lock.h"
#include "oci_upload.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>


#define MIB   (1024 * 1024)
#define BOOT  "11111111-2222-3333-4444-555555555555"


typedef struct {
    oci_store_t  *s;
    oci_repo_t   *r;
    oci_str_t     id;
} session_t;


static void begin(oci_upload_t *u, const oci_store_t *s,
    const oci_repo_t *r, oci_alg_t alg);
static int take(oci_upload_t *u, const oci_store_t *s, const oci_repo_t *r,
    const char *id);
static int put(oci_upload_t *u, const char *text, unsigned keep);
static int64_t offset_of(const oci_store_t *s, const oci_repo_t *r,
    const char *id);
static void digest(oci_digest_t *d, oci_alg_t alg, const char *text);
static int stored(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const char *text);
static void file_of(char *path, const oci_upload_t *u, const char *name);
static void fill(u_char *p, size_t len, unsigned seed);
static int write_limited(void *data);
static int commit_killed(void *data);
static int commit_as_user(void *data);
static int take_elsewhere(void *data);
static void take_over(void *data);
static void release(void *data);


static const oci_str_t  nobody = { 0, NULL };
static const oci_str_t  alice = oci_string("alice");


static void
test_life(void **state)
{
    char          path[OCI_PATH_MAX], id[OCI_UPLOAD_ID_LEN + 1];
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("n", "a/b");

    begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(u.fd, -1);
    assert_int_equal(u.owned, 0);
    assert_int_equal(u.offset, 0);
    assert_int_equal(u.alg, OCI_SHA256);
    assert_in_range(time(NULL) - u.created, 0, 60);
    assert_true(oci_upload_id_valid((u_char *) u.id, strlen(u.id)));
    strcpy(id, u.id);

    file_of(path, &u, NULL);
    assert_int_equal(help_count(path), 2);
    assert_int_equal(help_mode(path), 0700);

    oci_path_repo(path, &s, &r);
    assert_false(help_exists(path));

    assert_int_equal(take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(u.owned, 1);
    assert_int_equal(fcntl(u.fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(put(&u, "one ", 0), OCI_OK);
    assert_int_equal(u.offset, 4);
    assert_int_equal(offset_of(&s, &r, id), 0);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    assert_int_equal(offset_of(&s, &r, id), 4);
    oci_upload_close(&u);
    assert_int_equal(u.fd, -1);

    /* another process goes on, without reading back */

    assert_int_equal(take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(u.offset, 4);
    assert_int_equal(u.start, 4);
    assert_int_equal(put(&u, "two ", 0), OCI_OK);
    assert_int_equal(put(&u, "", 0), OCI_OK);
    assert_int_equal(put(&u, "three", 0), OCI_OK);

    digest(&d, OCI_SHA256, "one two three");
    help_watch(s.root);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_int_equal(u.fd, -1);
    assert_true(stored(&s, &r, &d, "one two three"));

    /* synced before it gets its first name */

    (void) snprintf(path, sizeof(path), "fsync uploads/%s/data", id);
    assert_true(help_find_event(path, 0) >= 0);
    (void) snprintf(path, sizeof(path), "mkdir repositories/@n");
    assert_true(help_find_event(path, 0)
                > help_find_event("fsync uploads", 0));
    assert_int_equal(strncmp(help_event((unsigned)
                             help_find_event(path, 0)), "mkdir", 5), 0);

    oci_path_uploads(path, &s);
    assert_int_equal(help_count(path), 0);
    oci_path_blob(path, &s, &d);
    assert_int_equal(help_nlink(path), 2);
    assert_int_equal(help_mode(path), 0444);

    assert_int_equal(take(&u, &s, &r, id), OCI_NOT_FOUND);

    help_store_close(&s);
}


static void
test_order(void **state)
{
    int           data, first, i;
    char          text[OCI_PATH_MAX];
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a");
    begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(put(&u, "x", 0), OCI_OK);
    digest(&d, OCI_SHA256, "x");

    help_watch(s.root);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);

    (void) snprintf(text, sizeof(text), "fsync uploads/%s/data", u.id);
    data = help_find_event(text, 0);
    assert_true(data >= 0);

    first = -1;

    for (i = 0; i < (int) help_events(); i++) {
        if (strncmp(help_event((unsigned) i), "link ", 5) == 0) {
            first = i;
            break;
        }
    }

    assert_true(first > data);

    /* the session goes when all names stand, its state before its data */

    (void) snprintf(text, sizeof(text), "unlink uploads/%s/state", u.id);
    i = help_find_event(text, 0);
    assert_true(i > help_find_event("fsync repositories/a/_blobs/sha256",
                                    0));
    (void) snprintf(text, sizeof(text), "unlink uploads/%s/data", u.id);
    assert_true(help_find_event(text, 0) > i);

    /* none of it where the store is not durable */

    s.durable = 0;
    begin(&u, &s, &r, OCI_SHA256);
    help_watch(s.root);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(put(&u, "y", 1), OCI_OK);
    digest(&d, OCI_SHA256, "y");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(stored(&s, &r, &d, "y"));

    for (i = 0; i < (int) help_events(); i++) {
        assert_null(strstr(help_event((unsigned) i), "sync"));
    }

    help_store_close(&s);
}


static void
test_digests(void **state)
{
    char          path[OCI_PATH_MAX];
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");

    /* an algorithm that nobody hinted at, and one that was */

    begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(put(&u, "text", 0), OCI_OK);
    digest(&d, OCI_SHA512, "text");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(stored(&s, &r, &d, "text"));

    begin(&u, &s, &r, OCI_SHA512);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(u.alg, OCI_SHA512);
    assert_int_equal(put(&u, "text2", 0), OCI_OK);
    digest(&d, OCI_SHA512, "text2");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(stored(&s, &r, &d, "text2"));

    /* nothing at all */

    begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    digest(&d, OCI_SHA256, "");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(stored(&s, &r, &d, ""));

    /* a wrong one ends the session and leaves nothing */

    begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(put(&u, "bad", 0), OCI_OK);
    digest(&d, OCI_SHA256, "good");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_MISMATCH);
    assert_int_equal(u.fd, -1);
    oci_path_blob(path, &s, &d);
    assert_false(help_exists(path));
    assert_int_equal(take(&u, &s, &r, u.id), OCI_NOT_FOUND);

    begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(put(&u, "bad", 0), OCI_OK);
    digest(&d, OCI_SHA512, "good");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_MISMATCH);

    oci_path_uploads(path, &s);
    assert_int_equal(help_count(path), 0);

    help_store_close(&s);
}


static void
test_whose(void **state)
{
    char          name[400], bad[OCI_UPLOAD_ID_LEN + 1];
    u_char        zero[3] = { 'a', 0, 'b' };
    oci_str_t     id, user, other;
    oci_repo_t    r, x;
    oci_store_t   s;
    oci_upload_t  u, v;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("n", "a/b");

    assert_int_equal(oci_upload_create(&u, &s, &r, &alice, OCI_SHA256),
                     OCI_OK);
    id = help_str(u.id);

    assert_int_equal(oci_upload_status(&v, &s, &r, &alice, &id), OCI_OK);
    assert_int_equal(v.fd, -1);

    /* neither through another repository nor by another user */

    x = help_repo("n", "a/c");
    assert_int_equal(oci_upload_status(&v, &s, &x, &alice, &id),
                     OCI_NOT_FOUND);
    assert_int_equal(oci_upload_acquire(&v, &s, &x, &alice, &id),
                     OCI_NOT_FOUND);
    x = help_repo("", "a/b");
    assert_int_equal(oci_upload_status(&v, &s, &x, &alice, &id),
                     OCI_NOT_FOUND);
    x = help_repo("m", "a/b");
    assert_int_equal(oci_upload_status(&v, &s, &x, &alice, &id),
                     OCI_NOT_FOUND);
    x = help_repo("na", "/b");
    assert_int_equal(oci_upload_status(&v, &s, &x, &alice, &id),
                     OCI_NOT_FOUND);
    x = help_repo("n", "a/ba");
    other = help_str("lice");
    assert_int_equal(oci_upload_status(&v, &s, &x, &other, &id),
                     OCI_NOT_FOUND);
    other = help_str("bob");
    assert_int_equal(oci_upload_status(&v, &s, &r, &other, &id),
                     OCI_NOT_FOUND);
    assert_int_equal(oci_upload_acquire(&v, &s, &r, &other, &id),
                     OCI_NOT_FOUND);
    assert_int_equal(v.fd, -1);
    other = help_str("alic");
    assert_int_equal(oci_upload_status(&v, &s, &r, &other, &id),
                     OCI_NOT_FOUND);
    assert_int_equal(oci_upload_status(&v, &s, &r, &nobody, &id),
                     OCI_NOT_FOUND);
    assert_int_equal(oci_upload_status(&v, &s, &r, NULL, &id),
                     OCI_NOT_FOUND);

    /* ids outside of the grammar lead nowhere */

    strcpy(bad, u.id);
    bad[0] = (bad[0] == '0') ? '1' : '0';
    id = help_str(bad);
    assert_int_equal(oci_upload_status(&v, &s, &r, &alice, &id),
                     OCI_NOT_FOUND);
    id = help_str("../uploads");
    assert_int_equal(oci_upload_status(&v, &s, &r, &alice, &id),
                     OCI_NOT_FOUND);
    id = help_str("");
    assert_int_equal(oci_upload_acquire(&v, &s, &r, &alice, &id),
                     OCI_NOT_FOUND);

    /* long names, and names that hold anything */

    memset(name, 'x', sizeof(name));
    user.data = (u_char *) name;
    user.len = 400;
    assert_int_equal(oci_upload_create(&u, &s, &r, &user, OCI_SHA256),
                     OCI_OK);
    id = help_str(u.id);
    assert_int_equal(oci_upload_status(&v, &s, &r, &user, &id), OCI_OK);
    user.len = 399;
    assert_int_equal(oci_upload_status(&v, &s, &r, &user, &id),
                     OCI_NOT_FOUND);
    user.len = 255;
    assert_int_equal(oci_upload_create(&u, &s, &r, &user, OCI_SHA256),
                     OCI_OK);
    id = help_str(u.id);
    assert_int_equal(oci_upload_status(&v, &s, &r, &user, &id), OCI_OK);

    user.data = zero;
    user.len = 3;
    assert_int_equal(oci_upload_create(&u, &s, &r, &user, OCI_SHA256),
                     OCI_OK);
    id = help_str(u.id);
    assert_int_equal(oci_upload_status(&v, &s, &r, &user, &id), OCI_OK);
    zero[2] = 'c';
    assert_int_equal(oci_upload_status(&v, &s, &r, &user, &id),
                     OCI_NOT_FOUND);

    help_store_close(&s);
}


/* one who writes wins, until five seconds pass without a byte */

static void
test_ownership(void **state)
{
    char          path[OCI_PATH_MAX];
    session_t     q;
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  a, b;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");
    begin(&a, &s, &r, OCI_SHA256);
    file_of(path, &a, "data");

    assert_int_equal(take(&a, &s, &r, a.id), OCI_OK);
    assert_int_equal(put(&a, "one ", 1), OCI_OK);
    assert_int_equal(oci_upload_save(&a), OCI_OK);

    assert_int_equal(take(&b, &s, &r, a.id), OCI_CONFLICT);
    assert_int_equal(b.fd, -1);
    assert_int_equal(b.offset, 4);
    assert_int_equal(b.owned, 0);
    assert_int_equal(put(&b, "x", 1), OCI_CONFLICT);
    assert_int_equal(oci_upload_save(&b), OCI_CONFLICT);

    q.s = &s;
    q.r = &r;
    q.id = help_str(a.id);
    assert_int_equal(help_fork(take_elsewhere, &q), -OCI_CONFLICT);

    /* within a step it is a conflict too, or once more when it is idle */

    assert_int_equal(oci_lock_byte(a.fd, 0), OCI_OK);
    assert_int_equal(take(&b, &s, &r, a.id), OCI_CONFLICT);
    help_make_old(path, 100);
    assert_int_equal(take(&b, &s, &r, a.id), OCI_AGAIN);
    oci_unlock_byte(a.fd, 0);

    /* four seconds are no reason, six are */

    help_make_old(path, 3);
    assert_int_equal(take(&b, &s, &r, a.id), OCI_CONFLICT);
    help_make_old(path, 7);
    assert_int_equal(take(&b, &s, &r, a.id), OCI_OK);
    assert_int_equal(b.offset, 4);

    /* its time starts with the taking, not with its first byte */

    assert_int_equal(help_fork(take_elsewhere, &q), -OCI_CONFLICT);

    /* who lost it learns so before its next write, and writes nothing */

    assert_int_equal(put(&a, "lost", 1), OCI_CONFLICT);
    assert_int_equal(oci_upload_save(&a), OCI_CONFLICT);
    assert_int_equal(oci_upload_rollback(&a), OCI_CONFLICT);
    digest(&d, OCI_SHA256, "one ");
    assert_int_equal(oci_upload_commit(&a, &r, &d), OCI_CONFLICT);
    assert_int_equal(oci_upload_remove(&a), OCI_CONFLICT);
    assert_int_equal(a.fd, -1);

    assert_int_equal(put(&b, "two", 1), OCI_OK);
    digest(&d, OCI_SHA256, "one two");
    assert_int_equal(oci_upload_commit(&b, &r, &d), OCI_OK);
    assert_true(stored(&s, &r, &d, "one two"));

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
    begin(&u, &s, &r, OCI_SHA256);
    strcpy(id, u.id);

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_int_not_equal(pid, -1);

    if (pid == 0) {
        if (take(&u, &s, &r, id) == OCI_OK
            && put(&u, "saved", 0) == OCI_OK
            && oci_upload_save(&u) == OCI_OK
            && put(&u, " and what was not", 0) == OCI_OK
            && oci_lock_byte(u.fd, 0) == OCI_OK)
        {
            (void) !write(fds[1], "x", 1);
        }

        for ( ;; ) {
            (void) pause();
        }
    }

    assert_int_equal(read(fds[0], &c, 1), 1);
    assert_int_equal(take(&u, &s, &r, id), OCI_CONFLICT);

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);

    assert_int_equal(take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(u.offset, 5);
    assert_int_equal(put(&u, "!", 0), OCI_OK);
    digest(&d, OCI_SHA256, "saved!");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(stored(&s, &r, &d, "saved!"));

    close(fds[0]);
    close(fds[1]);

    help_store_close(&s);
}


static void
test_waits_for_a_step(void **state)
{
    int           other;
    char          path[OCI_PATH_MAX];
    session_t     q;
    oci_repo_t    r;
    oci_store_t   s;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");
    begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);

    /* a newcomer looks around: the owner waits until it has gone */

    file_of(path, &u, "data");
    other = open(path, O_RDWR);
    assert_int_not_equal(other, -1);
    assert_int_equal(oci_lock_byte(other, 0), OCI_OK);
    help_fail("fcntl", "/data", EAGAIN, 2);
    help_before("fcntl", "/data", release, &other);
    assert_int_equal(put(&u, "x", 0), OCI_OK);
    help_calm();

    /* a newcomer takes over while the owner waits for it */

    q.s = &s;
    q.r = &r;
    q.id = help_str(u.id);
    help_make_old(path, 100);
    help_fail("fcntl", "/data", EAGAIN, 1);
    help_before("fcntl", "/data", take_over, &q);
    assert_int_equal(put(&u, "y", 0), OCI_CONFLICT);
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
    begin(&a, &s, &r, OCI_SHA256);
    strcpy(id, a.id);
    assert_int_equal(take(&a, &s, &r, id), OCI_OK);
    assert_int_equal(put(&a, "one", 1), OCI_OK);

    file_of(path, &a, "data");
    help_make_old(path, 100);
    assert_int_equal(take(&b, &s, &r, id), OCI_OK);
    assert_int_equal(oci_upload_remove(&b), OCI_OK);
    assert_int_equal(b.fd, -1);

    /* the one that still writes brings nothing back to life */

    assert_int_equal(put(&a, "two", 1), OCI_NOT_FOUND);
    assert_int_equal(oci_upload_save(&a), OCI_NOT_FOUND);
    assert_int_equal(oci_upload_rollback(&a), OCI_NOT_FOUND);
    digest(&d, OCI_SHA256, "one");
    assert_int_equal(oci_upload_commit(&a, &r, &d), OCI_NOT_FOUND);
    assert_int_equal(oci_upload_remove(&a), OCI_OK);
    oci_upload_close(&a);

    oci_path_uploads(path, &s);
    assert_int_equal(help_count(path), 0);
    oci_path_blob(path, &s, &d);
    assert_false(help_exists(path));
    assert_int_equal(take(&a, &s, &r, id), OCI_NOT_FOUND);

    help_store_close(&s);
}


static void
test_rollback(void **state)
{
    char          path[OCI_PATH_MAX];
    struct stat   st;
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a");
    begin(&u, &s, &r, OCI_SHA256);
    file_of(path, &u, "data");
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(put(&u, "kept ", 0), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    oci_upload_close(&u);

    /* a broken chunk leaves the session as it was: rolled back, */

    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(put(&u, "broken", 0), OCI_OK);
    assert_int_equal(oci_upload_rollback(&u), OCI_OK);
    assert_int_equal(u.offset, 5);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 5);
    oci_upload_close(&u);
    assert_int_equal(offset_of(&s, &r, u.id), 5);

    /* or just dropped, */

    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(put(&u, "dropped", 0), OCI_OK);
    oci_upload_close(&u);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 12);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(u.offset, 5);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 5);

    /* or saved on the way */

    assert_int_equal(put(&u, "broken again", 1), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    assert_int_equal(oci_upload_rollback(&u), OCI_OK);
    assert_int_equal(offset_of(&s, &r, u.id), 5);

    assert_int_equal(put(&u, "end", 0), OCI_OK);
    digest(&d, OCI_SHA256, "kept end");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(stored(&s, &r, &d, "kept end"));

    help_store_close(&s);
}


/* 64 MiB at a time are synced; after a reboot only those are there */

static void
test_reboot(void **state)
{
    int           i;
    char          text[OCI_PATH_MAX], own[OCI_BOOT_ID_LEN + 1];
    u_char       *buf;
    oci_hash_t    hash;
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  u;

    (void) state;

    buf = malloc(MIB);
    assert_non_null(buf);

    help_store_open(&s, 1);
    r = help_repo("", "a");
    strcpy(own, s.boot_id);
    begin(&u, &s, &r, OCI_SHA256);

    /* a boot that ended; nobody has its counters mapped */

    strcpy(s.boot_id, BOOT);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);

    oci_hash_init(&hash, OCI_SHA256);
    help_watch(s.root);

    for (i = 0; i < 66; i++) {
        fill(buf, MIB, (unsigned) i);

        if (i < 64) {
            oci_hash_update(&hash, buf, MIB);
        }

        assert_int_equal(oci_upload_write(&u, buf, MIB, 1), OCI_OK);
    }

    /* the data before the state that vouches for it, and the names of both */

    (void) snprintf(text, sizeof(text), "fdatasync uploads/%s/data", u.id);
    i = help_find_event(text, 0);
    assert_true(i > 0);
    assert_int_equal(help_find_event(text, (unsigned) i + 1), -1);
    (void) snprintf(text, sizeof(text), "fsync uploads/%s/state.tmp", u.id);
    i = help_find_event(text, (unsigned) i);
    assert_true(i > 0);
    (void) snprintf(text, sizeof(text),
                    "rename uploads/%s/state.tmp -> uploads/%s/state", u.id,
                    u.id);
    i = help_find_event(text, (unsigned) i);
    assert_true(i > 0);
    (void) snprintf(text, sizeof(text), "fsync uploads/%s", u.id);
    i = help_find_event(text, (unsigned) i);
    assert_true(i > 0);
    assert_true(help_find_event("fsync uploads", (unsigned) i) > 0);

    assert_int_equal(offset_of(&s, &r, u.id), 64 * MIB);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    assert_int_equal(offset_of(&s, &r, u.id), 66 * MIB);
    assert_int_equal(u.synced, 64 * MIB);
    oci_upload_close(&u);

    strcpy(s.boot_id, own);
    assert_int_equal(offset_of(&s, &r, u.id), 64 * MIB);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(u.offset, 64 * MIB);
    assert_int_equal(put(&u, "the rest", 0), OCI_OK);

    oci_hash_update(&hash, (u_char *) "the rest", 8);
    oci_hash_digest(&hash, &d);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);

    free(buf);

    help_store_close(&s);
}


static void
test_boots(void **state)
{
    char          own[OCI_BOOT_ID_LEN + 1], id[OCI_UPLOAD_ID_LEN + 1];
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");
    strcpy(own, s.boot_id);

    /* all that was never synced is gone with its boot */

    strcpy(s.boot_id, BOOT);
    begin(&u, &s, &r, OCI_SHA256);
    strcpy(id, u.id);
    assert_int_equal(take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(put(&u, "gone", 0), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    oci_upload_close(&u);
    assert_int_equal(offset_of(&s, &r, id), 4);
    strcpy(s.boot_id, own);
    assert_int_equal(offset_of(&s, &r, id), 0);
    assert_int_equal(take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(put(&u, "new", 0), OCI_OK);
    digest(&d, OCI_SHA256, "new");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);

    /* another machine that shares the store and lives is no other boot */

    begin(&u, &s, &r, OCI_SHA256);
    strcpy(id, u.id);
    assert_int_equal(take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(put(&u, "here", 0), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    oci_upload_close(&u);
    strcpy(s.boot_id, BOOT);
    assert_int_equal(offset_of(&s, &r, id), 4);
    strcpy(s.boot_id, own);

    /* where boots have no name, what is saved is synced */

    strcpy(s.boot_id, OCI_BOOT_UNKNOWN);
    begin(&u, &s, &r, OCI_SHA256);
    strcpy(id, u.id);
    assert_int_equal(take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(put(&u, "safe", 0), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    assert_int_equal(put(&u, " or not", 0), OCI_OK);
    oci_upload_close(&u);
    assert_int_equal(offset_of(&s, &r, id), 4);
    assert_int_equal(take(&u, &s, &r, id), OCI_OK);
    digest(&d, OCI_SHA256, "safe");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(stored(&s, &r, &d, "safe"));
    strcpy(s.boot_id, own);

    help_store_close(&s);
}


static void
test_full_disk(void **state)
{
    char          path[OCI_PATH_MAX];
    session_t     q;
    struct stat   st;
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a");
    begin(&u, &s, &r, OCI_SHA256);
    file_of(path, &u, "data");
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(put(&u, "fits ", 1), OCI_OK);

    help_fail("pwrite", "/data", ENOSPC, 1);
    assert_int_equal(put(&u, "does not fit", 1), OCI_ERROR);
    assert_int_equal(errno, ENOSPC);
    assert_string_equal(oci_failure()->op, "pwrite()");
    assert_int_equal(u.offset, 5);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 5);

    help_fail("pwrite", "/data", EDQUOT, 1);
    assert_int_equal(put(&u, "does not fit", 1), OCI_ERROR);
    assert_int_equal(errno, EDQUOT);

    help_fail("write", "/state.tmp", ENOSPC, 1);
    assert_int_equal(oci_upload_save(&u), OCI_ERROR);
    assert_int_equal(errno, ENOSPC);
    file_of(path, &u, "state.tmp");
    assert_false(help_exists(path));

    assert_int_equal(put(&u, "now it does", 1), OCI_OK);
    digest(&d, OCI_SHA256, "fits now it does");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(stored(&s, &r, &d, "fits now it does"));

    /* a real limit, hit in the middle of a write */

    begin(&u, &s, &r, OCI_SHA256);
    q.s = &s;
    q.r = &r;
    q.id = help_str(u.id);
    assert_int_equal(help_fork(write_limited, &q), 0);

    /* a session that can't be made leaves nothing */

    help_fail("write", "/state.tmp", ENOSPC, 1);
    assert_int_equal(oci_upload_create(&u, &s, &r, &nobody, OCI_SHA256),
                     OCI_ERROR);
    assert_int_equal(oci_failure()->err, ENOSPC);
    oci_path_uploads(path, &s);
    assert_int_equal(help_count(path), 1);

    help_store_close(&s);
}


/* after a failed sync the page cache tells nothing */

static void
test_failed_sync(void **state)
{
    char          path[OCI_PATH_MAX];
    u_char       *buf;
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  u;

    (void) state;

    buf = calloc(1, 32 * MIB);
    assert_non_null(buf);

    help_store_open(&s, 1);
    r = help_repo("", "a");
    begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(oci_upload_write(&u, buf, 32 * MIB, 1), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    help_fail("fdatasync", "/data", EIO, 1);
    assert_int_equal(oci_upload_write(&u, buf, 32 * MIB, 1), OCI_ERROR);
    assert_int_equal(errno, EIO);
    assert_int_equal(u.offset, 0);
    assert_int_equal(offset_of(&s, &r, u.id), 0);

    assert_int_equal(oci_upload_write(&u, buf, 32 * MIB, 1), OCI_OK);
    assert_int_equal(oci_upload_write(&u, buf, 32 * MIB, 1), OCI_OK);
    assert_int_equal(u.synced, 64 * MIB);

    /* the last one, of a commit */

    assert_int_equal(put(&u, "x", 1), OCI_OK);
    oci_hash_digest(&u.hash, &d);
    help_fail("fsync", "/data", EIO, 1);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_ERROR);
    assert_int_equal(errno, EIO);
    assert_int_equal(u.offset, 64 * MIB);
    assert_int_equal(offset_of(&s, &r, u.id), 64 * MIB);
    oci_path_blob(path, &s, &d);
    assert_false(help_exists(path));
    assert_int_equal(put(&u, "x", 1), OCI_OK);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);

    /* and when that can't even be written down, the session has ended */

    begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(put(&u, "x", 1), OCI_OK);
    digest(&d, OCI_SHA256, "x");
    help_fail("fsync", "/data", ENOSPC, 1);
    help_fail("write", "/state.tmp", ENOSPC, 2);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_ERROR);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(put(&u, "x", 1), OCI_NOT_FOUND);
    oci_upload_close(&u);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_NOT_FOUND);

    free(buf);

    help_store_close(&s);
}


static void
test_damaged_state(void **state)
{
    char          path[OCI_PATH_MAX], *saved;
    size_t        i, len;
    oci_str_t     id;
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  u, v;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");
    begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(put(&u, "text", 1), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    oci_upload_close(&u);
    id = help_str(u.id);

    file_of(path, &u, "state");
    saved = help_read(path, &len);

    for (i = 0; i < len; i++) {
        saved[i] ^= 0x10;
        help_write(path, saved, len);
        assert_int_equal(oci_upload_status(&v, &s, &r, &nobody, &id),
                         OCI_NOT_FOUND);
        assert_int_equal(oci_upload_acquire(&v, &s, &r, &nobody, &id),
                         OCI_NOT_FOUND);
        saved[i] ^= 0x10;
    }

    for (i = 0; i < len; i++) {
        help_write(path, saved, i);
        assert_int_equal(oci_upload_status(&v, &s, &r, &nobody, &id),
                         OCI_NOT_FOUND);
    }

    assert_int_equal(oci_failure()->err, EBADMSG);

    help_write(path, saved, len);
    assert_int_equal(oci_upload_status(&v, &s, &r, &nobody, &id), OCI_OK);

    /* data that is shorter than the state says */

    file_of(path, &u, "data");
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_NOT_FOUND);

    /* or that gets so while it is written */

    begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(put(&u, "text", 1), OCI_OK);
    file_of(path, &u, "data");
    assert_int_equal(truncate(path, 3), 0);
    digest(&d, OCI_SHA256, "text");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_ERROR);
    assert_int_equal(errno, EBADMSG);
    oci_path_blob(path, &s, &d);
    assert_false(help_exists(path));
    oci_upload_close(&u);

    free(saved);

    help_store_close(&s);
}


/* a commit killed before each of its steps is done again */

static void
test_killed_commit(void **state)
{
    int           rc;
    char          path[OCI_PATH_MAX], id[OCI_UPLOAD_ID_LEN + 1];
    unsigned      n, went;
    session_t     q;
    oci_file_t    f;
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d, longer;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a");
    digest(&d, OCI_SHA256, "saved and more");
    digest(&longer, OCI_SHA256, "saved or else");
    q.s = &s;
    q.r = &r;
    went = 0;

    for (n = 1, rc = 99; rc == 99; n++) {
        begin(&u, &s, &r, OCI_SHA256);
        strcpy(id, u.id);
        assert_int_equal(take(&u, &s, &r, id), OCI_OK);
        assert_int_equal(put(&u, "saved", 0), OCI_OK);
        assert_int_equal(oci_upload_save(&u), OCI_OK);
        oci_upload_close(&u);

        q.id = help_str(id);
        help_kill_at(n);
        rc = help_fork(commit_killed, &q);
        help_calm();
        assert_true(rc == 99 || (rc == 0 && n > 12));

        if (oci_blob_stat(&s, &r, &d, &f) == OCI_OK) {
            assert_true(stored(&s, &r, &d, "saved and more"));
        }

        /* the client asks how far it is and sends something else */

        rc = (rc == 0) ? 0 : take(&u, &s, &r, id);

        if (rc == OCI_OK && help_count((oci_path_uploads(path, &s), path))) {
            went++;
            assert_int_equal(u.offset, 5);
            assert_int_equal(put(&u, " or else", 0), OCI_OK);

            /* what was published meanwhile has not changed */

            if (oci_blob_stat(&s, &r, &d, &f) == OCI_OK) {
                assert_true(stored(&s, &r, &d, "saved and more"));
            }

            assert_int_equal(oci_upload_commit(&u, &r, &longer), OCI_OK);
            assert_true(stored(&s, &r, &longer, "saved or else"));
            rc = 99;

        } else if (rc == OCI_NOT_FOUND) {
            assert_true(stored(&s, &r, &d, "saved and more"));
            rc = 99;
        }

        assert_int_equal(help_exists((file_of(path, &u, "state"), path)), 0);

        (void) oci_blob_delete(&s, &r, &d);
        (void) oci_blob_delete(&s, &r, &longer);
        oci_path_uploads(path, &s);
        help_dir_remove(path);
        assert_int_equal(mkdir(path, 0700), 0);
    }

    assert_true(went > 6);

    help_store_close(&s);
}


/* a commit that failed after its first link may be tried again */

static void
test_failed_commit(void **state)
{
    char          path[OCI_PATH_MAX], id[OCI_UPLOAD_ID_LEN + 1];
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d, e;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a");
    digest(&d, OCI_SHA256, "text");
    digest(&e, OCI_SHA256, "texting");

    begin(&u, &s, &r, OCI_SHA256);
    strcpy(id, u.id);
    assert_int_equal(take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(put(&u, "te", 0), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    oci_upload_close(&u);
    assert_int_equal(take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(put(&u, "xt", 0), OCI_OK);

    oci_path_blob(path, &s, &d);
    help_fail("link", path, ENOSPC, 1);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_ERROR);
    assert_int_equal(errno, ENOSPC);
    assert_true(stored(&s, &r, &d, "text"));

    /* published already: not a byte of it changes any more */

    assert_int_equal(put(&u, "ing", 0), OCI_ERROR);
    assert_int_equal(errno, EPERM);
    assert_true(stored(&s, &r, &d, "text"));
    assert_int_equal(oci_upload_rollback(&u), OCI_OK);
    assert_int_equal(u.offset, 2);
    assert_int_equal(put(&u, "ing", 0), OCI_ERROR);
    assert_true(stored(&s, &r, &d, "text"));
    oci_upload_close(&u);

    /* the session goes on with a copy of its own */

    assert_int_equal(take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(u.offset, 2);
    assert_int_equal(put(&u, "xting", 0), OCI_OK);
    assert_true(stored(&s, &r, &d, "text"));

    file_of(path, &u, "data");
    assert_int_equal(help_nlink(path), 1);

    assert_int_equal(oci_upload_commit(&u, &r, &e), OCI_OK);
    assert_true(stored(&s, &r, &d, "text"));
    assert_true(stored(&s, &r, &e, "texting"));

    /* the same again, done by the same request */

    digest(&d, OCI_SHA256, "more");
    begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(put(&u, "more", 0), OCI_OK);
    help_fail("fsync", "/_blobs/sha256", EIO, 1);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_ERROR);
    assert_int_equal(offset_of(&s, &r, u.id), 4);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(stored(&s, &r, &d, "more"));

    /* damage in the store is no fault of the client's */

    digest(&d, OCI_SHA256, "fine");
    oci_path_blob(path, &s, &d);
    help_write(path, "short", 3);
    begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(put(&u, "fine", 0), OCI_OK);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_ERROR);
    assert_int_equal(errno, EBADMSG);
    oci_upload_close(&u);
    assert_int_equal(offset_of(&s, &r, u.id), 4);

    help_store_close(&s);
}


static void
test_user(void **state)
{
    (void) state;

    assert_int_equal(help_fork(commit_as_user, NULL), 0);
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
        begin(&u, &s, &r, OCI_SHA256);
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

    assert_int_equal(take(&live, &s, &r, ids[7]), OCI_OK);
    assert_int_equal(put(&live, "x", 1), OCI_OK);
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
            begin(&u, &s, &r, OCI_SHA256);
        }

        assert_true(rounds < 200);

    } while (cursor != 0);

    assert_int_equal(n, 5);

    for (i = 0; i < 8; i++) {
        oci_path_upload(path, &s, ids[i], NULL);
        assert_int_equal(help_exists(path), i == 2 || i == 3 || i == 7);
    }

    assert_int_equal(put(&live, "y", 1), OCI_OK);

    /* its owner gone, it goes too; several at once */

    oci_upload_close(&live);
    oci_path_upload(path, &s, ids[7], "data");
    help_make_old(path, 1000);
    oci_path_upload(path, &s, ids[7], "state");
    help_make_old(path, 1000);
    assert_int_equal(oci_upload_expire(&s, 100, 0, &cursor), 1);
    assert_int_equal(oci_upload_expire(&s, 100, 0, &cursor), 0);
    assert_int_equal(cursor, 0);

    /* a step under way: not now */

    oci_path_upload(path, &s, ids[2], "data");
    i = (unsigned) open(path, O_RDWR);
    assert_int_equal(oci_lock_byte((int) i, 0), OCI_OK);
    oci_path_upload(path, &s, ids[2], "state");
    help_make_old(path, 1000);
    assert_int_equal(oci_upload_expire(&s, 100, 0, &cursor), 0);
    close((int) i);
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

    assert_int_equal(oci_upload_expire(&s, -1, 0, &cursor), 0);
    assert_int_equal(oci_upload_expire(&s, -1, 0, &cursor), 2);
    assert_int_equal(cursor, 0);
    oci_path_tmps(path, &s);
    assert_int_equal(help_count(path), 0);

    help_store_close(&s);
}


static void
begin(oci_upload_t *u, const oci_store_t *s, const oci_repo_t *r,
    oci_alg_t alg)
{
    assert_int_equal(oci_upload_create(u, s, r, &nobody, alg), OCI_OK);
}


static int
take(oci_upload_t *u, const oci_store_t *s, const oci_repo_t *r,
    const char *id)
{
    char       copy[OCI_UPLOAD_ID_LEN + 1];
    oci_str_t  str;

    strcpy(copy, id);
    str = help_str(copy);

    return oci_upload_acquire(u, s, r, &nobody, &str);
}


static int
put(oci_upload_t *u, const char *text, unsigned keep)
{
    return oci_upload_write(u, (const u_char *) text, strlen(text), keep);
}


static int64_t
offset_of(const oci_store_t *s, const oci_repo_t *r, const char *id)
{
    oci_str_t     str;
    oci_upload_t  u;

    str = help_str(id);
    assert_int_equal(oci_upload_status(&u, s, r, &nobody, &str), OCI_OK);

    return u.offset;
}


static void
digest(oci_digest_t *d, oci_alg_t alg, const char *text)
{
    oci_digest_of(d, alg, (const u_char *) text, strlen(text));
}


static int
stored(const oci_store_t *s, const oci_repo_t *r, const oci_digest_t *d,
    const char *text)
{
    char      path[OCI_PATH_MAX], *have;
    size_t    len;
    unsigned  equal;

    oci_path_repo_blob(path, s, r, d);

    if (!help_exists(path)) {
        return 0;
    }

    have = help_read(path, &len);
    equal = (len == strlen(text) && memcmp(have, text, len) == 0);
    free(have);

    return equal;
}


static void
file_of(char *path, const oci_upload_t *u, const char *name)
{
    oci_path_upload(path, u->store, u->id, name);
}


static void
fill(u_char *p, size_t len, unsigned seed)
{
    size_t    i;
    uint32_t  x;

    x = seed * 2654435761u + 1;

    for (i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        p[i] = (u_char) (x >> 24);
    }
}


static int
write_limited(void *data)
{
    session_t  *q = data;

    u_char        *buf;
    struct stat    st;
    oci_upload_t   u;
    struct rlimit  limit;

    buf = calloc(1, MIB);

    (void) signal(SIGXFSZ, SIG_IGN);
    limit.rlim_cur = MIB / 2 + 5;
    limit.rlim_max = RLIM_INFINITY;

    if (buf == NULL || setrlimit(RLIMIT_FSIZE, &limit) != 0
        || oci_upload_acquire(&u, q->s, q->r, &nobody, &q->id) != OCI_OK
        || put(&u, "12345", 1) != OCI_OK)
    {
        return 1;
    }

    if (oci_upload_write(&u, buf, MIB, 1) != OCI_ERROR || errno != EFBIG
        || u.offset != 5 || fstat(u.fd, &st) != 0 || st.st_size != 5)
    {
        return 2;
    }

    if (put(&u, "6", 1) != OCI_OK || oci_upload_save(&u) != OCI_OK) {
        return 3;
    }

    free(buf);

    return 0;
}


static int
commit_killed(void *data)
{
    session_t  *q = data;

    oci_digest_t  d;
    oci_upload_t  u;

    digest(&d, OCI_SHA256, "saved and more");

    if (oci_upload_acquire(&u, q->s, q->r, &nobody, &q->id) != OCI_OK
        || put(&u, " and more", 0) != OCI_OK)
    {
        return 1;
    }

    return oci_upload_commit(&u, q->r, &d);
}


/* without root's rights over modes */

static int
commit_as_user(void *data)
{
    char          path[OCI_PATH_MAX], blob[OCI_PATH_MAX];
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d, e;
    oci_upload_t  u;

    (void) data;

    help_drop_root();
    help_store_open(&s, 1);
    r = help_repo("", "a");
    digest(&d, OCI_SHA256, "text");
    digest(&e, OCI_SHA256, "textual");

    begin(&u, &s, &r, OCI_SHA256);

    if (take(&u, &s, &r, u.id) != OCI_OK || put(&u, "text", 0) != OCI_OK) {
        return 1;
    }

    /* it fails before any link, then before the one of blobs/ */

    help_fail("link", "/_blobs/", ENOSPC, 1);

    if (oci_upload_commit(&u, &r, &d) != OCI_ERROR) {
        return 2;
    }

    oci_upload_close(&u);
    file_of(path, &u, "data");

    if (help_mode(path) != 0444 || take(&u, &s, &r, u.id) != OCI_OK
        || help_mode(path) != 0600 || u.offset != 4)
    {
        return 3;
    }

    oci_path_blob(blob, &s, &d);
    help_fail("link", blob, ENOSPC, 1);

    if (oci_upload_commit(&u, &r, &d) != OCI_ERROR) {
        return 4;
    }

    oci_upload_close(&u);

    if (take(&u, &s, &r, u.id) != OCI_OK || put(&u, "ual", 0) != OCI_OK
        || help_mode(path) != 0600)
    {
        return 5;
    }

    oci_path_repo_blob(blob, &s, &r, &d);

    if (help_mode(blob) != 0444 || !stored(&s, &r, &d, "text")
        || oci_upload_commit(&u, &r, &e) != OCI_OK
        || !stored(&s, &r, &e, "textual"))
    {
        return 6;
    }

    help_store_close(&s);

    return 0;
}


static int
take_elsewhere(void *data)
{
    session_t  *q = data;

    oci_upload_t  u;

    return -oci_upload_acquire(&u, q->s, q->r, &nobody, &q->id);
}


static void
take_over(void *data)
{
    session_t  *q = data;

    oci_upload_t  u;

    assert_int_equal(oci_upload_acquire(&u, q->s, q->r, &nobody, &q->id),
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
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_digests),
        cmocka_unit_test(test_whose),
        cmocka_unit_test(test_ownership),
        cmocka_unit_test(test_killed_owner),
        cmocka_unit_test(test_waits_for_a_step),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_rollback),
        cmocka_unit_test(test_reboot),
        cmocka_unit_test(test_boots),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_failed_sync),
        cmocka_unit_test(test_damaged_state),
        cmocka_unit_test(test_killed_commit),
        cmocka_unit_test(test_failed_commit),
        cmocka_unit_test(test_user),
        cmocka_unit_test(test_expire),
        cmocka_unit_test(test_expire_tmp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
