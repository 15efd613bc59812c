
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "upload_help.h"
#include "oci_blob.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>


#define SLOT  4096


static void fill(u_char *p, size_t len, unsigned seed);
static int write_limited(void *data);
static int commit_killed(void *data);
static int commit_as_user(void *data);


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
    help_begin(&u, &s, &r, OCI_SHA256);

    /* a boot that ended; nobody has its counters mapped */

    strcpy(s.boot_id, BOOT);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);

    oci_hash_init(&hash, OCI_SHA256);
    help_watch(s.root);

    for (i = 0; i < 66; i++) {
        fill(buf, MIB, (unsigned) i);

        if (i < 64) {
            oci_hash_update(&hash, buf, MIB);
        }

        assert_int_equal(help_bytes(&u, buf, MIB, 1), OCI_OK);
    }

    /* the data before the state that vouches for it, and the names of both */

    (void) snprintf(text, sizeof(text), "fdatasync uploads/%s/data", u.id);
    i = help_find_event(text, 0);
    assert_true(i > 0);
    assert_int_equal(help_find_event(text, (unsigned) i + 1), -1);
    (void) snprintf(text, sizeof(text), "pwrite uploads/%s/state", u.id);
    i = help_find_event(text, (unsigned) i);
    assert_true(i > 0);
    (void) snprintf(text, sizeof(text), "fdatasync uploads/%s/state", u.id);
    i = help_find_event(text, (unsigned) i);
    assert_true(i > 0);
    (void) snprintf(text, sizeof(text), "fsync uploads/%s", u.id);
    i = help_find_event(text, (unsigned) i);
    assert_true(i > 0);
    assert_true(help_find_event("fsync uploads", (unsigned) i) > 0);

    assert_int_equal(help_offset(&s, &r, u.id), 64 * MIB);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    assert_int_equal(help_offset(&s, &r, u.id), 66 * MIB);
    assert_int_equal(u.synced, 64 * MIB);
    oci_upload_close(&u);

    strcpy(s.boot_id, own);
    assert_int_equal(help_offset(&s, &r, u.id), 64 * MIB);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(u.offset, 64 * MIB);
    assert_int_equal(help_put(&u, "the rest", 0), OCI_OK);

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
    help_begin(&u, &s, &r, OCI_SHA256);
    strcpy(id, u.id);
    assert_int_equal(help_take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(help_put(&u, "gone", 0), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    oci_upload_close(&u);
    assert_int_equal(help_offset(&s, &r, id), 4);
    strcpy(s.boot_id, own);
    assert_int_equal(help_offset(&s, &r, id), 0);
    assert_int_equal(help_take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(help_put(&u, "new", 0), OCI_OK);
    help_digest_of(&d, OCI_SHA256, "new");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);

    /* another machine that shares the store and lives is no other boot */

    help_begin(&u, &s, &r, OCI_SHA256);
    strcpy(id, u.id);
    assert_int_equal(help_take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(help_put(&u, "here", 0), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    oci_upload_close(&u);
    strcpy(s.boot_id, BOOT);
    assert_int_equal(help_offset(&s, &r, id), 4);
    strcpy(s.boot_id, own);

    /* where boots have no name, what is saved is synced */

    strcpy(s.boot_id, OCI_BOOT_UNKNOWN);
    help_begin(&u, &s, &r, OCI_SHA256);
    strcpy(id, u.id);
    assert_int_equal(help_take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(help_put(&u, "safe", 0), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    assert_int_equal(help_put(&u, " or not", 0), OCI_OK);
    oci_upload_close(&u);
    assert_int_equal(help_offset(&s, &r, id), 4);
    assert_int_equal(help_take(&u, &s, &r, id), OCI_OK);
    help_digest_of(&d, OCI_SHA256, "safe");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(help_stored(&s, &r, &d, "safe"));
    strcpy(s.boot_id, own);

    help_store_close(&s);
}


static void
test_full_disk(void **state)
{
    char          path[OCI_PATH_MAX];
    help_session_t     q;
    struct stat   st;
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a");
    help_begin(&u, &s, &r, OCI_SHA256);
    help_file(path, &u, "data");
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(help_put(&u, "fits ", 1), OCI_OK);

    help_fail("pwrite", "/data", ENOSPC, 1);
    assert_int_equal(help_put(&u, "does not fit", 1), OCI_ERROR);
    assert_int_equal(errno, ENOSPC);
    assert_string_equal(oci_failure()->op, "pwrite()");
    assert_int_equal(u.offset, 5);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 5);

    help_fail("pwrite", "/data", EDQUOT, 1);
    assert_int_equal(help_put(&u, "does not fit", 1), OCI_ERROR);
    assert_int_equal(errno, EDQUOT);

    help_fail("pwrite", "/state", EDQUOT, 1);
    assert_int_equal(oci_upload_save(&u), OCI_ERROR);
    assert_int_equal(errno, EDQUOT);
    assert_string_equal(oci_failure()->op, "pwrite()");
    assert_int_equal(help_offset(&s, &r, u.id), 0);

    assert_int_equal(help_put(&u, "now it does", 1), OCI_OK);
    help_digest_of(&d, OCI_SHA256, "fits now it does");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(help_stored(&s, &r, &d, "fits now it does"));

    /* a real limit, hit in the middle of a write */

    help_begin(&u, &s, &r, OCI_SHA256);
    q.s = &s;
    q.r = &r;
    q.id = help_str(u.id);
    assert_int_equal(help_fork(write_limited, &q), 0);

    /* a session that can't be made leaves nothing */

    help_fail("pwrite", "/state", EDQUOT, 1);
    assert_int_equal(oci_upload_create(&u, &s, &r, &help_nobody, OCI_SHA256),
                     OCI_ERROR);
    assert_int_equal(oci_failure()->err, EDQUOT);
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
    help_begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(help_bytes(&u, buf, 32 * MIB, 1), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    help_fail("fdatasync", "/data", EIO, 1);
    assert_int_equal(help_bytes(&u, buf, 32 * MIB, 1), OCI_ERROR);
    assert_int_equal(errno, EIO);
    assert_int_equal(u.offset, 0);
    assert_int_equal(help_offset(&s, &r, u.id), 0);

    assert_int_equal(help_bytes(&u, buf, 32 * MIB, 1), OCI_OK);
    assert_int_equal(help_bytes(&u, buf, 32 * MIB, 1), OCI_OK);
    assert_int_equal(u.synced, 64 * MIB);

    /* the last one, of a commit */

    assert_int_equal(help_put(&u, "x", 1), OCI_OK);
    oci_hash_digest(&u.hash, &d);
    help_fail("fsync", "/data", EIO, 1);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_ERROR);
    assert_int_equal(errno, EIO);
    assert_int_equal(u.offset, 64 * MIB);
    assert_int_equal(help_offset(&s, &r, u.id), 64 * MIB);
    oci_path_blob(path, &s, &d);
    assert_false(help_exists(path));
    assert_int_equal(help_put(&u, "x", 1), OCI_OK);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);

    /* and when that can't even be written down, the session has ended */

    help_begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(help_put(&u, "x", 1), OCI_OK);
    help_digest_of(&d, OCI_SHA256, "x");
    help_fail("fsync", "/data", ENOSPC, 1);
    help_fail("pwrite", "/state", EDQUOT, 1);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_ERROR);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(help_put(&u, "x", 1), OCI_NOT_FOUND);
    oci_upload_close(&u);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_NOT_FOUND);

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
    help_begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(help_put(&u, "text", 1), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    oci_upload_close(&u);
    id = help_str(u.id);

    /* the newest slot damaged: the state of before; both: none */

    help_file(path, &u, "state");
    saved = help_read(path, &len);
    assert_in_range(len, SLOT, 2 * SLOT);

    for (i = SLOT; i < len; i++) {
        saved[i - SLOT] ^= 0x10;
        help_write(path, saved, len);
        assert_int_equal(help_offset(&s, &r, u.id), 0);

        saved[i] ^= 0x10;
        help_write(path, saved, len);
        assert_int_equal(oci_upload_status(&v, &s, &r, &help_nobody, &id),
                         OCI_NOT_FOUND);
        assert_int_equal(oci_upload_acquire(&v, &s, &r, &help_nobody, &id),
                         OCI_NOT_FOUND);

        saved[i - SLOT] ^= 0x10;
        saved[i] ^= 0x10;
    }

    for (i = 0; i < len - SLOT; i++) {
        help_write(path, saved, i);
        assert_int_equal(oci_upload_status(&v, &s, &r, &help_nobody, &id),
                         OCI_NOT_FOUND);
    }

    assert_int_equal(oci_failure()->err, EBADMSG);

    help_write(path, saved, len);
    assert_int_equal(help_offset(&s, &r, u.id), 4);

    /* data that is shorter than the state says */

    help_file(path, &u, "data");
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_NOT_FOUND);

    /* or that gets so while it is written */

    help_begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(help_put(&u, "text", 1), OCI_OK);
    help_file(path, &u, "data");
    assert_int_equal(truncate(path, 3), 0);
    help_digest_of(&d, OCI_SHA256, "text");
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
    help_session_t     q;
    oci_file_t    f;
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d, longer;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a");
    help_digest_of(&d, OCI_SHA256, "saved and more");
    help_digest_of(&longer, OCI_SHA256, "saved or else");
    q.s = &s;
    q.r = &r;
    went = 0;

    for (n = 1, rc = 99; rc == 99; n++) {
        help_begin(&u, &s, &r, OCI_SHA256);
        strcpy(id, u.id);
        assert_int_equal(help_take(&u, &s, &r, id), OCI_OK);
        assert_int_equal(help_put(&u, "saved", 0), OCI_OK);
        assert_int_equal(oci_upload_save(&u), OCI_OK);
        oci_upload_close(&u);

        q.id = help_str(id);
        help_kill_at(n);
        rc = help_fork(commit_killed, &q);
        help_calm();
        assert_true(rc == 99 || (rc == 0 && n > 12));

        if (oci_blob_stat(&s, &r, &d, &f) == OCI_OK) {
            assert_true(help_stored(&s, &r, &d, "saved and more"));
        }

        /* the client asks how far it is and sends something else */

        rc = (rc == 0) ? 0 : help_take(&u, &s, &r, id);

        if (rc == OCI_OK && help_count((oci_path_uploads(path, &s), path))) {
            went++;
            assert_int_equal(u.offset, 5);
            assert_int_equal(help_put(&u, " or else", 0), OCI_OK);

            /* what was published meanwhile has not changed */

            if (oci_blob_stat(&s, &r, &d, &f) == OCI_OK) {
                assert_true(help_stored(&s, &r, &d, "saved and more"));
            }

            assert_int_equal(oci_upload_commit(&u, &r, &longer), OCI_OK);
            assert_true(help_stored(&s, &r, &longer, "saved or else"));
            rc = 99;

        } else if (rc == OCI_NOT_FOUND) {
            assert_true(help_stored(&s, &r, &d, "saved and more"));
            rc = 99;
        }

        assert_int_equal(help_exists((help_file(path, &u, "state"), path)), 0);

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
    help_digest_of(&d, OCI_SHA256, "text");
    help_digest_of(&e, OCI_SHA256, "texting");

    help_begin(&u, &s, &r, OCI_SHA256);
    strcpy(id, u.id);
    assert_int_equal(help_take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(help_put(&u, "te", 0), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    oci_upload_close(&u);
    assert_int_equal(help_take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(help_put(&u, "xt", 0), OCI_OK);

    oci_path_blob(path, &s, &d);
    help_fail("link", path, ENOSPC, 1);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_ERROR);
    assert_int_equal(errno, ENOSPC);
    assert_true(help_stored(&s, &r, &d, "text"));

    /* published already: not a byte of it changes any more */

    assert_int_equal(help_put(&u, "ing", 0), OCI_ERROR);
    assert_int_equal(errno, EPERM);
    assert_true(help_stored(&s, &r, &d, "text"));
    assert_int_equal(oci_upload_rollback(&u), OCI_OK);
    assert_int_equal(u.offset, 2);
    assert_int_equal(help_put(&u, "ing", 0), OCI_ERROR);
    assert_true(help_stored(&s, &r, &d, "text"));
    oci_upload_close(&u);

    /* the session goes on with a copy of its own */

    assert_int_equal(help_take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(u.offset, 2);
    assert_int_equal(help_put(&u, "xting", 0), OCI_OK);
    assert_true(help_stored(&s, &r, &d, "text"));

    help_file(path, &u, "data");
    assert_int_equal(help_nlink(path), 1);

    assert_int_equal(oci_upload_commit(&u, &r, &e), OCI_OK);
    assert_true(help_stored(&s, &r, &d, "text"));
    assert_true(help_stored(&s, &r, &e, "texting"));

    /* the same again, done by the same request */

    help_digest_of(&d, OCI_SHA256, "more");
    help_begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(help_put(&u, "more", 0), OCI_OK);
    help_fail("fsync", "/_blobs/sha256", EIO, 1);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_ERROR);
    assert_int_equal(help_offset(&s, &r, u.id), 4);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(help_stored(&s, &r, &d, "more"));

    /* damage in the store is no fault of the client's */

    help_digest_of(&d, OCI_SHA256, "fine");
    oci_path_blob(path, &s, &d);
    help_write(path, "short", 3);
    help_begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(help_put(&u, "fine", 0), OCI_OK);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_ERROR);
    assert_int_equal(errno, EBADMSG);
    oci_upload_close(&u);
    assert_int_equal(help_offset(&s, &r, u.id), 4);

    help_store_close(&s);
}


static void
test_user(void **state)
{
    (void) state;

    assert_int_equal(help_fork(commit_as_user, NULL), 0);
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
    help_session_t  *q = data;

    u_char        *buf;
    struct stat    st;
    oci_upload_t   u;
    struct rlimit  limit;

    buf = calloc(1, MIB);

    (void) signal(SIGXFSZ, SIG_IGN);
    limit.rlim_cur = MIB / 2 + 5;
    limit.rlim_max = RLIM_INFINITY;

    if (buf == NULL || setrlimit(RLIMIT_FSIZE, &limit) != 0
        || oci_upload_acquire(&u, q->s, q->r, &help_nobody, &q->id)
           != OCI_OK
        || help_put(&u, "12345", 1) != OCI_OK)
    {
        return 1;
    }

    if (help_bytes(&u, buf, MIB, 1) != OCI_ERROR || errno != EFBIG
        || u.offset != 5 || fstat(u.fd, &st) != 0 || st.st_size != 5)
    {
        return 2;
    }

    if (help_put(&u, "6", 1) != OCI_OK || oci_upload_save(&u) != OCI_OK) {
        return 3;
    }

    free(buf);

    return 0;
}


static int
commit_killed(void *data)
{
    help_session_t  *q = data;

    oci_digest_t  d;
    oci_upload_t  u;

    help_digest_of(&d, OCI_SHA256, "saved and more");

    if (oci_upload_acquire(&u, q->s, q->r, &help_nobody, &q->id) != OCI_OK
        || help_put(&u, " and more", 0) != OCI_OK)
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
    help_digest_of(&d, OCI_SHA256, "text");
    help_digest_of(&e, OCI_SHA256, "textual");

    help_begin(&u, &s, &r, OCI_SHA256);

    if (help_take(&u, &s, &r, u.id) != OCI_OK
        || help_put(&u, "text", 0) != OCI_OK)
    {
        return 1;
    }

    /* it fails before any link, then before the one of blobs/ */

    help_fail("link", "/_blobs/", ENOSPC, 1);

    if (oci_upload_commit(&u, &r, &d) != OCI_ERROR) {
        return 2;
    }

    oci_upload_close(&u);
    help_file(path, &u, "data");

    if (help_mode(path) != 0444 || help_take(&u, &s, &r, u.id) != OCI_OK
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

    if (help_take(&u, &s, &r, u.id) != OCI_OK
        || help_put(&u, "ual", 0) != OCI_OK
        || help_mode(path) != 0600)
    {
        return 5;
    }

    oci_path_repo_blob(blob, &s, &r, &d);

    if (help_mode(blob) != 0444 || !help_stored(&s, &r, &d, "text")
        || oci_upload_commit(&u, &r, &e) != OCI_OK
        || !help_stored(&s, &r, &e, "textual"))
    {
        return 6;
    }

    help_store_close(&s);

    return 0;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_reboot),
        cmocka_unit_test(test_boots),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_failed_sync),
        cmocka_unit_test(test_damaged_state),
        cmocka_unit_test(test_killed_commit),
        cmocka_unit_test(test_failed_commit),
        cmocka_unit_test(test_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
