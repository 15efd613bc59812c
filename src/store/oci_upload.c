
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Upload sessions: what their owner does.
 */


#include "oci_upload.h"
#include "oci_upload_state.h"
#include "oci_blob.h"
#include "oci_copy.h"
#include "oci_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>


#define OCI_UPLOAD_WAITS     5000               /* of a millisecond each */
#define OCI_UPLOAD_FLUSH     (8 * 1024 * 1024)
#define OCI_UPLOAD_TURN      (64 * 1024)

/* blocks found ahead; not for small writes, nor in less than so many times */

#define OCI_UPLOAD_AHEAD       (16 * 1024 * 1024)
#define OCI_UPLOAD_AHEAD_MIN   (128 * 1024)
#define OCI_UPLOAD_AHEAD_ROOM  8


static int oci_upload_enter(oci_upload_t *u);
static int oci_upload_check(const oci_upload_t *u);
static void oci_upload_leave(oci_upload_t *u);
static void oci_upload_reserve(oci_upload_t *u, int64_t len);
static int oci_upload_sync(oci_upload_t *u);
static void oci_upload_lost(oci_upload_t *u);
static int oci_upload_store(oci_upload_t *u, unsigned synced);
static int oci_upload_seal(oci_upload_t *u);
static int oci_upload_verify(oci_upload_t *u, const oci_digest_t *d);
static int oci_upload_cut(oci_upload_t *u, int64_t size);


int
oci_upload_put(oci_upload_t *u, const u_char *data, size_t len)
{
    int            rc;
    off_t          flush;
    int64_t        end;
    oci_failure_t  failure;

    rc = oci_upload_enter(u);

    if (rc != OCI_OK) {
        return rc;
    }

    if (u->sealed) {
        oci_upload_leave(u);
        errno = EPERM;
        return oci_fail("write to a sealed upload", u->id);
    }

    oci_upload_reserve(u, (int64_t) len);

    end = u->end;

    if (oci_pwrite(u->fd, data, len, end) != OCI_OK) {
        (void) oci_fail("pwrite()", u->id);

        /* whether it is cut or not: what is beyond never counts */

        failure = *oci_failure();
        (void) oci_upload_cut(u, end);
        oci_upload_leave(u);

        errno = failure.err;
        return oci_fail(failure.op, failure.path);
    }

    u->end += (int64_t) len;

    if (u->store->durable
        && u->end / OCI_UPLOAD_FLUSH != end / OCI_UPLOAD_FLUSH)
    {
        /* so that the next sync finds little left to do; a hint only */

        flush = end - end % OCI_UPLOAD_FLUSH;

        (void) sync_file_range(u->fd, flush, u->end - flush,
                               SYNC_FILE_RANGE_WRITE);
    }

    oci_upload_leave(u);

    return OCI_OK;
}


void
oci_upload_count(oci_upload_t *u, const u_char *data, size_t len)
{
    size_t  at, n;

    /*
     * In small turns: who else has something to do on this processor, the
     * event loop above all, need not wait for a whole piece.
     */

    for (at = 0; at < len; at += n) {
        n = (len - at < OCI_UPLOAD_TURN) ? len - at : OCI_UPLOAD_TURN;

        oci_hash_update(&u->hash, data + at, n);

        (void) sched_yield();
    }

    u->offset += (int64_t) len;
}


int
oci_upload_due(oci_upload_t *u, unsigned keep)
{
    if (u->offset - u->mark < OCI_UPLOAD_SYNC_SIZE) {
        return 0;
    }

    if (!keep && !u->store->durable) {
        u->mark = u->offset;
        return 0;
    }

    return 1;
}


int
oci_upload_mark(oci_upload_t *u, unsigned keep)
{
    int  rc;

    rc = oci_upload_enter(u);

    if (rc != OCI_OK) {
        return rc;
    }

    if (u->store->durable && oci_upload_sync(u) != OCI_OK) {
        oci_upload_lost(u);
        oci_upload_leave(u);
        return OCI_ERROR;
    }

    u->mark = u->offset;

    rc = keep ? oci_upload_store(u, u->store->durable) : OCI_OK;

    oci_upload_leave(u);

    return rc;
}


int
oci_upload_save(oci_upload_t *u)
{
    int  rc;

    rc = oci_upload_enter(u);

    if (rc != OCI_OK) {
        return rc;
    }

    rc = oci_upload_store(u, 0);

    if (u->reserved > u->end) {
        (void) oci_upload_cut(u, u->end);
    }

    oci_upload_leave(u);

    return rc;
}


int
oci_upload_rollback(oci_upload_t *u)
{
    int  rc;

    rc = oci_upload_enter(u);

    if (rc != OCI_OK) {
        return rc;
    }

    u->offset = u->start;
    u->hash = u->start_hash;
    u->end = u->offset;

    if (u->synced > u->start) {
        u->synced = u->start;
        u->synced_hash = u->start_hash;
    }

    if (u->mark > u->start) {
        u->mark = u->start;
    }

    rc = oci_upload_store(u, 0);

    /* the state no longer counts what goes now */

    if (rc == OCI_OK && !u->sealed) {
        rc = oci_upload_cut(u, u->offset);
    }

    oci_upload_leave(u);

    return rc;
}


int
oci_upload_commit(oci_upload_t *u, const oci_repo_t *r, const oci_digest_t *d)
{
    int            rc;
    char           path[OCI_PATH_MAX];
    oci_failure_t  failure;

    rc = oci_upload_enter(u);

    if (rc != OCI_OK) {
        return rc;
    }

    rc = oci_upload_verify(u, d);

    if (rc == OCI_MISMATCH) {
        (void) oci_upload_unlink(u->store, u->id);
        oci_upload_close(u);
        return OCI_MISMATCH;
    }

    if (rc == OCI_OK) {
        rc = oci_upload_seal(u);
    }

    if (rc == OCI_OK) {
        oci_path_upload(path, u->store, u->id, "data");

        rc = oci_blob_link(u->store, r, d, path, u->offset);

        if (rc == OCI_MISMATCH) {

            /* the fault is the store's, not the client's */

            errno = EBADMSG;
            rc = oci_fail("blob of another size", path);
        }
    }

    if (rc != OCI_OK) {

        /* the session stays, with all that came in */

        failure = *oci_failure();
        (void) oci_upload_store(u, 0);
        oci_upload_leave(u);

        errno = failure.err;
        return oci_fail(failure.op, failure.path);
    }

    /* should this fail, the session expires */

    (void) oci_upload_unlink(u->store, u->id);
    oci_upload_close(u);

    return OCI_OK;
}


int
oci_upload_remove(oci_upload_t *u)
{
    int  rc;

    rc = oci_upload_enter(u);

    if (rc == OCI_OK) {
        rc = oci_upload_unlink(u->store, u->id);

    } else if (rc == OCI_NOT_FOUND) {
        rc = OCI_OK;
    }

    oci_upload_close(u);

    return rc;
}


/*
 * Takes byte 0 and sees that the session is still ours.  Who else takes
 * that byte holds it for a few calls only, or has taken the session over.
 */

static int
oci_upload_enter(oci_upload_t *u)
{
    int              rc;
    unsigned         wait;
    struct timespec  ms;

    if (!u->owned || u->fd == -1) {
        return OCI_CONFLICT;
    }

    for (wait = 0; wait < OCI_UPLOAD_WAITS; wait++) {
        rc = oci_lock_byte(u->fd, 0);

        if (rc == OCI_ERROR) {
            return OCI_ERROR;
        }

        if (rc == OCI_OK) {
            rc = oci_upload_check(u);

            if (rc != OCI_OK) {
                oci_upload_leave(u);
            }

            return rc;
        }

        rc = oci_upload_check(u);

        if (rc != OCI_OK) {
            return rc;
        }

        ms.tv_sec = 0;
        ms.tv_nsec = 1000000;
        (void) nanosleep(&ms, NULL);
    }

    errno = EAGAIN;

    return oci_fail("upload lock", u->id);
}


static int
oci_upload_check(const oci_upload_t *u)
{
    int       rc;
    uint64_t  owner;

    rc = oci_upload_state_owner(&owner, u->store, u->id);

    if (rc != OCI_OK) {
        return rc;
    }

    return (owner == u->owner) ? OCI_OK : OCI_CONFLICT;
}


static void
oci_upload_leave(oci_upload_t *u)
{
    oci_unlock_byte(u->fd, 0);
}


/*
 * Has the file system find the blocks of what is to come, once for many
 * writes: finding them later, for each page by itself, costs a third of a
 * write.  A hint, and none where room is short: what is reserved here is
 * missing elsewhere.
 */

static void
oci_upload_reserve(oci_upload_t *u, int64_t len)
{
    int64_t         size;
    struct statvfs  fs;

    size = (u->more < OCI_UPLOAD_AHEAD) ? u->more : OCI_UPLOAD_AHEAD;
    size = (size > len) ? size : len;

    u->more -= (u->more < len) ? u->more : len;

    if (u->unreserved || u->end + len <= u->reserved
        || len < OCI_UPLOAD_AHEAD_MIN
        || fstatvfs(u->fd, &fs) == -1
        || (uint64_t) fs.f_bavail * fs.f_frsize / OCI_UPLOAD_AHEAD_ROOM
           < (uint64_t) size)
    {
        return;
    }

    if (fallocate(u->fd, FALLOC_FL_KEEP_SIZE, u->end, size) == 0) {
        u->reserved = u->end + size;
        return;
    }

    if (errno == ENOSPC || errno == EDQUOT) {

        /* what there was of it */

        (void) oci_upload_cut(u, u->end);
    }

    u->unreserved = 1;
}


static int
oci_upload_sync(oci_upload_t *u)
{
    if (fdatasync(u->fd) == -1) {
        return oci_fail("fdatasync()", u->id);
    }

    u->synced = u->offset;
    u->synced_hash = u->hash;

    return OCI_OK;
}


/*
 * A sync failed: the pages may be dropped and clean now, and a later sync
 * would not tell.  Only what was synced before counts; if not even that can
 * be written down, the session ends.
 */

static void
oci_upload_lost(oci_upload_t *u)
{
    char           path[OCI_PATH_MAX];
    oci_failure_t  failure;

    failure = *oci_failure();

    u->offset = u->synced;
    u->hash = u->synced_hash;
    u->mark = u->synced;
    u->end = u->offset;

    if (u->start > u->synced) {
        u->start = u->synced;
        u->start_hash = u->synced_hash;
    }

    if (oci_upload_store(u, 0) != OCI_OK) {
        oci_path_upload(path, u->store, u->id, "state");
        (void) unlink(path);
    }

    if (!u->sealed) {
        (void) oci_upload_cut(u, u->offset);
    }

    errno = failure.err;
    (void) oci_fail(failure.op, failure.path);
}


/* writes the state anew; whose session it is stands in the old one */

static int
oci_upload_store(oci_upload_t *u, unsigned synced)
{
    int                 rc;
    unsigned            first;
    char                path[OCI_PATH_MAX];
    oci_upload_state_t  st;

    rc = oci_upload_state_load(&st, u->store, u->id);

    if (rc != OCI_OK) {
        return rc;
    }

    if (strcmp(u->store->boot_id, OCI_BOOT_UNKNOWN) == 0
        && u->synced != u->offset && oci_upload_sync(u) != OCI_OK)
    {
        return OCI_ERROR;
    }

    first = (st.synced == 0);

    st.owner = u->owner;
    st.offset = u->offset;
    st.synced = u->synced;
    st.hash = u->hash;
    st.synced_hash = u->synced_hash;

    if (oci_upload_state_save(&st, u->store, u->id, synced) != OCI_OK) {
        return OCI_ERROR;
    }

    if (synced && first) {

        /* the names of data and state, and that of their folder */

        oci_path_upload(path, u->store, u->id, NULL);

        if (oci_dir_sync(u->store, path) != OCI_OK) {
            return OCI_ERROR;
        }

        oci_path_uploads(path, u->store);
        return oci_dir_sync(u->store, path);
    }

    return OCI_OK;
}


static int
oci_upload_verify(oci_upload_t *u, const oci_digest_t *d)
{
    oci_hash_t    hash;
    oci_digest_t  have;

    if (d->alg == u->alg) {
        oci_hash_digest(&u->hash, &have);

    } else {
        oci_hash_init(&hash, d->alg);

        if (oci_copy_hash(u->fd, u->offset, &hash, u->id) != OCI_OK) {
            return OCI_ERROR;
        }

        oci_hash_digest(&hash, &have);
    }

    return oci_digest_equal(&have, d) ? OCI_OK : OCI_MISMATCH;
}


/* from here on the data may get further names: its bytes are final */

static int
oci_upload_seal(oci_upload_t *u)
{
    struct stat  sb;

    if (fstat(u->fd, &sb) == -1) {
        return oci_fail("fstat()", u->id);
    }

    if (sb.st_size < u->offset) {
        errno = EBADMSG;
        return oci_fail("upload data cut short", u->id);
    }

    if (!u->sealed && (sb.st_size > u->offset || u->reserved > u->offset)
        && oci_upload_cut(u, u->offset) != OCI_OK)
    {
        return OCI_ERROR;
    }

    if (fchmod(u->fd, 0444) == -1) {
        return oci_fail("fchmod()", u->id);
    }

    if (u->store->durable && fsync(u->fd) == -1) {
        (void) oci_fail("fsync()", u->id);
        oci_upload_lost(u);
        return OCI_ERROR;
    }

    u->sealed = 1;

    return OCI_OK;
}


static int
oci_upload_cut(oci_upload_t *u, int64_t size)
{
    if (ftruncate(u->fd, size) == -1) {
        return oci_fail("ftruncate()", u->id);
    }

    u->reserved = size;

    return OCI_OK;
}
