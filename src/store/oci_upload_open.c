
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Upload sessions: making, finding and taking them over.
 *
 * Data that has a second link is content that was published, by a commit
 * that was killed before it could remove the session: its bytes must never
 * change again.  So a commit seals what it is about to publish, and who
 * acquires such a session goes on with a copy of its own.
 */


#include "oci_upload.h"
#include "oci_upload_state.h"
#include "oci_copy.h"
#include "oci_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>


#define OCI_UPLOAD_TRIES  4
#define OCI_UPLOAD_SPARE  (1024 * 1024)


static void oci_upload_init(oci_upload_t *u, const oci_store_t *s);
static void oci_upload_take(oci_upload_t *u, const oci_upload_state_t *st);
static int oci_upload_find(oci_upload_t *u, oci_upload_state_t *st,
    const oci_repo_t *r, const oci_str_t *user, const oci_str_t *id);
static int oci_upload_try(oci_upload_t *u, const oci_repo_t *r,
    const oci_str_t *user);
static int oci_upload_own(oci_upload_t *u, oci_upload_state_t *st);
static int oci_upload_alive(int fd, uint64_t owner, const struct stat *sb);
static int oci_upload_data(oci_upload_t *u, const struct stat *sb);
static int oci_upload_unshare(oci_upload_t *u);


int
oci_upload_create(oci_upload_t *u, const oci_store_t *s, const oci_repo_t *r,
    const oci_str_t *user, oci_alg_t alg)
{
    int                 fd;
    char                path[OCI_PATH_MAX];
    oci_upload_state_t  st;

    oci_upload_init(u, s);

    if (oci_random_hex(u->id, OCI_UPLOAD_ID_LEN) != OCI_OK) {
        return OCI_ERROR;
    }

    memset(&st, 0, sizeof(oci_upload_state_t));
    st.created = (int64_t) time(NULL);
    oci_hash_init(&st.hash, alg);
    oci_hash_init(&st.synced_hash, alg);
    oci_upload_state_identity(&st, r, user);

    oci_path_upload(path, s, u->id, NULL);

    if (mkdir(path, 0700) == -1) {
        return oci_fail("mkdir()", path);
    }

    oci_path_upload(path, s, u->id, "data");

    fd = open(path, O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600);

    if (fd == -1) {
        (void) oci_fail("open()", path);
        (void) oci_upload_unlink(s, u->id);
        return OCI_ERROR;
    }

    close(fd);

    if (oci_upload_state_save(&st, s, u->id, 0) != OCI_OK) {
        (void) oci_upload_unlink(s, u->id);
        return OCI_ERROR;
    }

    oci_upload_take(u, &st);

    return OCI_OK;
}


int
oci_upload_status(oci_upload_t *u, const oci_store_t *s, const oci_repo_t *r,
    const oci_str_t *user, const oci_str_t *id)
{
    oci_upload_state_t  st;

    /* no save touches the state that counts: there is no step to wait for */

    oci_upload_init(u, s);

    return oci_upload_find(u, &st, r, user, id);
}


int
oci_upload_acquire(oci_upload_t *u, const oci_store_t *s, const oci_repo_t *r,
    const oci_str_t *user, const oci_str_t *id)
{
    int                 rc;
    unsigned            try;
    oci_upload_state_t  st;

    oci_upload_init(u, s);

    rc = oci_upload_find(u, &st, r, user, id);

    if (rc != OCI_OK) {
        return rc;
    }

    rc = OCI_AGAIN;

    for (try = 0; try < OCI_UPLOAD_TRIES; try++) {
        rc = oci_upload_try(u, r, user);

        if (rc == OCI_OK) {
            return OCI_OK;
        }

        if (u->fd != -1) {
            close(u->fd);
            u->fd = -1;
        }

        if (rc != OCI_EXISTS) {
            return rc;
        }
    }

    return OCI_AGAIN;
}


void
oci_upload_close(oci_upload_t *u)
{
    if (u->fd != -1) {
        close(u->fd);
        u->fd = -1;
    }

    u->owned = 0;
}


static void
oci_upload_init(oci_upload_t *u, const oci_store_t *s)
{
    memset(u, 0, sizeof(oci_upload_t));

    u->store = s;
    u->fd = -1;
}


static void
oci_upload_take(oci_upload_t *u, const oci_upload_state_t *st)
{
    u->owner = st->owner;
    u->offset = st->offset;
    u->end = st->offset;
    u->reserved = st->offset;
    u->synced = st->synced;
    u->start = st->offset;
    u->mark = st->synced;
    u->hash = st->hash;
    u->synced_hash = st->synced_hash;
    u->start_hash = st->hash;
    u->alg = st->hash.alg;
    u->created = st->created;

    if (!u->store->durable) {
        u->mark = st->offset;
    }
}


static int
oci_upload_find(oci_upload_t *u, oci_upload_state_t *st, const oci_repo_t *r,
    const oci_str_t *user, const oci_str_t *id)
{
    int  rc;

    if (!oci_upload_id_valid(id->data, id->len)) {
        return OCI_NOT_FOUND;
    }

    memcpy(u->id, id->data, OCI_UPLOAD_ID_LEN);
    u->id[OCI_UPLOAD_ID_LEN] = '\0';

    rc = oci_upload_state_load(st, u->store, u->id);

    if (rc != OCI_OK) {
        return rc;
    }

    if (!oci_upload_state_match(st, r, user)) {
        return OCI_NOT_FOUND;
    }

    oci_upload_take(u, st);

    return OCI_OK;
}


/* OCI_EXISTS: data was replaced meanwhile, try again at once */

static int
oci_upload_try(oci_upload_t *u, const oci_repo_t *r, const oci_str_t *user)
{
    int                 rc;
    char                path[OCI_PATH_MAX];
    oci_str_t           id;
    struct stat         sb, named;
    oci_upload_state_t  st;

    rc = oci_upload_data_open(&u->fd, u->store, u->id);

    if (rc != OCI_OK) {
        return rc;
    }

    rc = oci_lock_byte(u->fd, 0);

    if (rc == OCI_ERROR) {
        return OCI_ERROR;
    }

    if (fstat(u->fd, &sb) == -1) {
        return oci_fail("fstat()", u->id);
    }

    if (rc == OCI_AGAIN) {

        /* within a step: most of the time of one who writes */

        return oci_upload_alive(u->fd, u->owner, &sb) ? OCI_CONFLICT
                                                      : OCI_AGAIN;
    }

    oci_path_upload(path, u->store, u->id, "data");

    if (stat(path, &named) == -1) {
        return (errno == ENOENT) ? OCI_NOT_FOUND : oci_fail("stat()", path);
    }

    if (named.st_ino != sb.st_ino || named.st_dev != sb.st_dev) {
        return OCI_EXISTS;
    }

    id.data = (u_char *) u->id;
    id.len = OCI_UPLOAD_ID_LEN;

    rc = oci_upload_find(u, &st, r, user, &id);

    if (rc != OCI_OK) {
        return rc;
    }

    if (oci_upload_alive(u->fd, st.owner, &sb)) {
        return OCI_CONFLICT;
    }

    if (sb.st_size < st.offset) {
        errno = EBADMSG;
        (void) oci_fail("upload data cut short", path);
        return OCI_NOT_FOUND;
    }

    rc = oci_upload_data(u, &sb);

    if (rc != OCI_OK) {
        return rc;
    }

    return oci_upload_own(u, &st);
}


/* the owner's byte first: whoever reads its number finds it held */

static int
oci_upload_own(oci_upload_t *u, oci_upload_state_t *st)
{
    int  rc;

    st->owner++;

    rc = oci_lock_byte(u->fd, (off_t) (1 + st->owner));

    if (rc != OCI_OK) {
        return rc;
    }

    /* the five seconds start now, not with the last one's last byte */

    if (futimens(u->fd, NULL) == -1) {
        return oci_fail("futimens()", u->id);
    }

    if (oci_upload_state_save(st, u->store, u->id, 0) != OCI_OK) {
        return OCI_ERROR;
    }

    u->owner = st->owner;
    u->owned = 1;

    oci_unlock_byte(u->fd, 0);

    return OCI_OK;
}


static int
oci_upload_alive(int fd, uint64_t owner, const struct stat *sb)
{
    if (owner == 0 || !oci_lock_byte_held(fd, (off_t) (1 + owner))) {
        return 0;
    }

    return time(NULL) - sb->st_mtim.tv_sec <= OCI_UPLOAD_IDLE;
}


/* makes data writable, unshared, and no longer than what counts */

static int
oci_upload_data(oci_upload_t *u, const struct stat *sb)
{
    if (sb->st_nlink > 1) {
        return oci_upload_unshare(u);
    }

    if ((sb->st_mode & 0777) != 0600 && fchmod(u->fd, 0600) == -1) {
        return oci_fail("fchmod()", u->id);
    }

    /* what was reserved by one that was killed goes too */

    if ((sb->st_size > u->offset
         || (int64_t) sb->st_blocks * 512 - u->offset > OCI_UPLOAD_SPARE)
        && ftruncate(u->fd, u->offset) == -1)
    {
        return oci_fail("ftruncate()", u->id);
    }

    return OCI_OK;
}


/*
 * Held: byte 0 of the old data; byte 0 of the new one is taken before it
 * gets the name, so nobody comes in between.
 */

static int
oci_upload_unshare(oci_upload_t *u)
{
    int   fd;
    char  path[OCI_PATH_MAX], tmp[OCI_PATH_MAX];

    oci_path_upload(path, u->store, u->id, "data");
    oci_path_upload(tmp, u->store, u->id, "data.tmp");

    (void) unlink(tmp);

    fd = open(tmp, O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600);

    if (fd == -1) {
        return oci_fail("open()", tmp);
    }

    if (oci_copy_data(u->fd, fd, u->offset, tmp) != OCI_OK
        || oci_lock_byte(fd, 0) != OCI_OK)
    {
        goto failed;
    }

    /* the state may call some of it synced */

    if (u->store->durable && fdatasync(fd) == -1) {
        (void) oci_fail("fdatasync()", tmp);
        goto failed;
    }

    if (rename(tmp, path) == -1) {
        (void) oci_fail("rename()", path);
        goto failed;
    }

    close(u->fd);
    u->fd = fd;

    if (u->store->durable) {
        return oci_dir_sync_parent(u->store, path);
    }

    return OCI_OK;

failed:

    close(fd);
    (void) unlink(tmp);
    errno = oci_failure()->err;

    return OCI_ERROR;
}
