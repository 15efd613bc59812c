
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The state file of an upload session.  In each slot: little-endian numbers
 * at fixed offsets, the three texts by their lengths, a CRC32C at the end.
 */


#include "oci_upload_state.h"
#include "oci_copy.h"
#include "oci_generation.h"
#include "oci_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>


#define OCI_STATE_MAGIC    "OCI-UPL\n"
#define OCI_STATE_VERSION  2

/* a block of any file system and disk: a slot half written harms no other */

#define OCI_STATE_STRIDE   4096

#define OCI_STATE_AT_VERSION      8
#define OCI_STATE_AT_SIZE         12
#define OCI_STATE_AT_NUMBER       16
#define OCI_STATE_AT_OWNER        24
#define OCI_STATE_AT_OFFSET       32
#define OCI_STATE_AT_SYNCED       40
#define OCI_STATE_AT_CREATED      48
#define OCI_STATE_AT_FLAGS        56
#define OCI_STATE_AT_NS_LEN       60
#define OCI_STATE_AT_NAME_LEN     62
#define OCI_STATE_AT_USER_LEN     64
#define OCI_STATE_AT_BOOT         68
#define OCI_STATE_AT_HASH         108
#define OCI_STATE_AT_SYNCED_HASH  (OCI_STATE_AT_HASH + OCI_HASH_STATE_SIZE)
#define OCI_STATE_AT_TEXT                                                     \
    (OCI_STATE_AT_SYNCED_HASH + OCI_HASH_STATE_SIZE)

#define OCI_STATE_MAX                                                         \
    (OCI_STATE_AT_TEXT + OCI_NAMESPACE_MAX + OCI_NAME_MAX + 255 + 4)

#define OCI_STATE_HASHED   1
#define OCI_STATE_DURABLE  2


static size_t oci_state_encode(u_char *buf, const oci_upload_state_t *st,
    unsigned synced);
static int oci_state_decode(oci_upload_state_t *st, const u_char *buf);
static size_t oci_state_whole(const u_char *buf, size_t size);
static int oci_state_find(const oci_store_t *s, const char *id, u_char *buf,
    unsigned *slot, unsigned *durable);
static int oci_state_read(const oci_store_t *s, const char *id, u_char *buf,
    size_t size, size_t *len);
static int oci_state_write(const char *path, const u_char *buf, size_t len,
    off_t at, unsigned first, unsigned synced);
static u_char *oci_state_put(u_char *p, const void *data, size_t len);
static void oci_state_set(u_char *p, uint64_t value, unsigned bytes);
static uint64_t oci_state_get(const u_char *p, unsigned bytes);


void
oci_upload_state_identity(oci_upload_state_t *st, const oci_repo_t *r,
    const oci_str_t *user)
{
    oci_digest_t  d;

    st->ns_len = r->ns.len;
    (void) oci_state_put(st->ns, r->ns.data, r->ns.len);

    st->name_len = r->name.len;
    (void) oci_state_put(st->name, r->name.data, r->name.len);

    st->hashed = 0;
    st->user_len = (user == NULL) ? 0 : user->len;

    if (st->user_len == 0) {
        return;
    }

    if (st->user_len > sizeof(st->user)) {
        oci_digest_of(&d, OCI_SHA256, user->data, user->len);
        st->hashed = 1;
        st->user_len = d.hex_len;
        (void) oci_state_put(st->user, d.hex, d.hex_len);
        return;
    }

    (void) oci_state_put(st->user, user->data, user->len);
}


int
oci_upload_state_match(const oci_upload_state_t *st, const oci_repo_t *r,
    const oci_str_t *user)
{
    oci_upload_state_t  want;

    oci_upload_state_identity(&want, r, user);

    return st->ns_len == want.ns_len
           && memcmp(st->ns, want.ns, want.ns_len) == 0
           && st->name_len == want.name_len
           && memcmp(st->name, want.name, want.name_len) == 0
           && st->hashed == want.hashed
           && st->user_len == want.user_len
           && memcmp(st->user, want.user, want.user_len) == 0;
}


int
oci_upload_state_load(oci_upload_state_t *st, const oci_store_t *s,
    const char *id)
{
    int       rc;
    u_char    buf[OCI_STATE_SLOTS * OCI_STATE_STRIDE];
    unsigned  slot, durable;

    rc = oci_state_find(s, id, buf, &slot, &durable);

    if (rc != OCI_OK) {
        return rc;
    }

    if (oci_state_decode(st, buf + slot * OCI_STATE_STRIDE) != OCI_OK) {
        errno = EBADMSG;
        (void) oci_fail("upload state", id);
        return OCI_NOT_FOUND;
    }

    st->slot = slot;
    st->durable = durable;

    /*
     * Bytes that were never synced are in the page cache of the machine that
     * wrote them, or nowhere when it went down.  An unknown boot can't be
     * told from another one: its states are written with all synced.
     */

    if (strcmp(st->boot_id, OCI_BOOT_UNKNOWN) == 0
        || !oci_generation_alive(s, st->boot_id))
    {
        st->offset = st->synced;
        st->hash = st->synced_hash;
    }

    return OCI_OK;
}


int
oci_upload_state_owner(uint64_t *owner, const oci_store_t *s, const char *id)
{
    int       rc;
    u_char    buf[OCI_STATE_SLOTS * OCI_STATE_STRIDE];
    unsigned  slot, durable;

    rc = oci_state_find(s, id, buf, &slot, &durable);

    if (rc == OCI_OK) {
        *owner = oci_state_get(buf + slot * OCI_STATE_STRIDE
                               + OCI_STATE_AT_OWNER, 8);
    }

    return rc;
}


int
oci_upload_state_save(oci_upload_state_t *st, const oci_store_t *s,
    const char *id, unsigned synced)
{
    char      path[OCI_PATH_MAX];
    size_t    len;
    u_char    buf[OCI_STATE_MAX];
    unsigned  slot;

    strcpy(st->boot_id, s->boot_id);
    st->number++;

    slot = 0;

    if (st->number == 1) {
        st->durable = OCI_STATE_SLOTS;

    } else {
        while (slot == st->slot || slot == st->durable) {
            slot++;
        }
    }

    len = oci_state_encode(buf, st, synced);

    oci_path_upload(path, s, id, "state");

    if (oci_state_write(path, buf, len, (off_t) slot * OCI_STATE_STRIDE,
                        st->number == 1, synced)
        != OCI_OK)
    {
        st->number--;
        return OCI_ERROR;
    }

    st->slot = slot;

    if (synced) {
        st->durable = slot;
    }

    return OCI_OK;
}


int
oci_upload_data_open(int *fd, const oci_store_t *s, const char *id)
{
    char  path[OCI_PATH_MAX];

    oci_path_upload(path, s, id, "data");

    *fd = open(path, O_RDWR|O_CLOEXEC|O_NOFOLLOW);

    if (*fd == -1 && errno == EACCES) {

        /* 0444 already: open it for its locks, writing is decided later */

        if (chmod(path, 0600) == 0) {
            *fd = open(path, O_RDWR|O_CLOEXEC|O_NOFOLLOW);
            (void) chmod(path, 0444);
        }
    }

    if (*fd == -1) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return OCI_NOT_FOUND;
        }

        return oci_fail("open()", path);
    }

    return OCI_OK;
}


int
oci_upload_unlink(const oci_store_t *s, const char *id)
{
    int       rc;
    char      path[OCI_PATH_MAX];
    unsigned  i;

    static const char *const  files[] = {
        "state", "data.tmp", "data"
    };

    rc = OCI_OK;

    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        oci_path_upload(path, s, id, files[i]);

        if (unlink(path) == -1 && errno != ENOENT) {
            rc = oci_fail("unlink()", path);

            if (i == 0) {
                return rc;
            }
        }
    }

    oci_path_upload(path, s, id, NULL);

    if (rmdir(path) == -1 && errno != ENOENT) {
        rc = oci_fail("rmdir()", path);
    }

    return rc;
}


static size_t
oci_state_encode(u_char *buf, const oci_upload_state_t *st, unsigned synced)
{
    size_t   len;
    u_char  *p;

    len = OCI_STATE_AT_TEXT + st->ns_len + st->name_len + st->user_len + 4;

    memset(buf, 0, OCI_STATE_AT_TEXT);
    memcpy(buf, OCI_STATE_MAGIC, sizeof(OCI_STATE_MAGIC) - 1);

    oci_state_set(buf + OCI_STATE_AT_VERSION, OCI_STATE_VERSION, 4);
    oci_state_set(buf + OCI_STATE_AT_SIZE, len, 4);
    oci_state_set(buf + OCI_STATE_AT_NUMBER, st->number, 8);
    oci_state_set(buf + OCI_STATE_AT_OWNER, st->owner, 8);
    oci_state_set(buf + OCI_STATE_AT_OFFSET, (uint64_t) st->offset, 8);
    oci_state_set(buf + OCI_STATE_AT_SYNCED, (uint64_t) st->synced, 8);
    oci_state_set(buf + OCI_STATE_AT_CREATED, (uint64_t) st->created, 8);
    oci_state_set(buf + OCI_STATE_AT_FLAGS,
                  (st->hashed ? OCI_STATE_HASHED : 0)
                  | (synced ? OCI_STATE_DURABLE : 0), 4);
    oci_state_set(buf + OCI_STATE_AT_NS_LEN, st->ns_len, 2);
    oci_state_set(buf + OCI_STATE_AT_NAME_LEN, st->name_len, 2);
    oci_state_set(buf + OCI_STATE_AT_USER_LEN, st->user_len, 2);

    memcpy(buf + OCI_STATE_AT_BOOT, st->boot_id, strlen(st->boot_id));

    oci_hash_save(&st->hash, buf + OCI_STATE_AT_HASH);
    oci_hash_save(&st->synced_hash, buf + OCI_STATE_AT_SYNCED_HASH);

    p = oci_state_put(buf + OCI_STATE_AT_TEXT, st->ns, st->ns_len);
    p = oci_state_put(p, st->name, st->name_len);
    p = oci_state_put(p, st->user, st->user_len);

    oci_state_set(p, oci_crc32c(0, buf, len - 4), 4);

    return len;
}


/* of a slot that is whole */

static int
oci_state_decode(oci_upload_state_t *st, const u_char *buf)
{
    size_t         len;
    const u_char  *p;

    memset(st, 0, sizeof(oci_upload_state_t));

    st->number = oci_state_get(buf + OCI_STATE_AT_NUMBER, 8);
    st->owner = oci_state_get(buf + OCI_STATE_AT_OWNER, 8);
    st->offset = (int64_t) oci_state_get(buf + OCI_STATE_AT_OFFSET, 8);
    st->synced = (int64_t) oci_state_get(buf + OCI_STATE_AT_SYNCED, 8);
    st->created = (int64_t) oci_state_get(buf + OCI_STATE_AT_CREATED, 8);
    st->hashed = (oci_state_get(buf + OCI_STATE_AT_FLAGS, 4)
                  & OCI_STATE_HASHED) ? 1 : 0;
    st->ns_len = (size_t) oci_state_get(buf + OCI_STATE_AT_NS_LEN, 2);
    st->name_len = (size_t) oci_state_get(buf + OCI_STATE_AT_NAME_LEN, 2);
    st->user_len = (size_t) oci_state_get(buf + OCI_STATE_AT_USER_LEN, 2);

    len = OCI_STATE_AT_TEXT + st->ns_len + st->name_len + st->user_len + 4;

    if (st->ns_len > sizeof(st->ns) || st->name_len > sizeof(st->name)
        || st->user_len > sizeof(st->user)
        || len != oci_state_get(buf + OCI_STATE_AT_SIZE, 4))
    {
        return OCI_INVALID;
    }

    memcpy(st->boot_id, buf + OCI_STATE_AT_BOOT, OCI_BOOT_ID_LEN);

    if (oci_hash_load(&st->hash, buf + OCI_STATE_AT_HASH) != OCI_OK
        || oci_hash_load(&st->synced_hash, buf + OCI_STATE_AT_SYNCED_HASH)
           != OCI_OK)
    {
        return OCI_INVALID;
    }

    if (st->offset < 0 || st->synced < 0 || st->synced > st->offset
        || st->hash.size != (uint64_t) st->offset
        || st->synced_hash.size != (uint64_t) st->synced
        || st->hash.alg != st->synced_hash.alg)
    {
        return OCI_INVALID;
    }

    p = buf + OCI_STATE_AT_TEXT;

    (void) oci_state_put(st->ns, p, st->ns_len);
    p += st->ns_len;
    (void) oci_state_put(st->name, p, st->name_len);
    p += st->name_len;
    (void) oci_state_put(st->user, p, st->user_len);

    return OCI_OK;
}


/* the length of what begins there, 0 when it is no whole state */

static size_t
oci_state_whole(const u_char *buf, size_t size)
{
    size_t  len;

    if (size < OCI_STATE_AT_TEXT + 4
        || memcmp(buf, OCI_STATE_MAGIC, sizeof(OCI_STATE_MAGIC) - 1) != 0
        || oci_state_get(buf + OCI_STATE_AT_VERSION, 4) != OCI_STATE_VERSION)
    {
        return 0;
    }

    len = (size_t) oci_state_get(buf + OCI_STATE_AT_SIZE, 4);

    if (len < OCI_STATE_AT_TEXT + 4 || len > size
        || oci_state_get(buf + len - 4, 4) != oci_crc32c(0, buf, len - 4))
    {
        return 0;
    }

    return len;
}


/* all slots into buf: which one counts, and which was the last one synced */

static int
oci_state_find(const oci_store_t *s, const char *id, u_char *buf,
    unsigned *slot, unsigned *durable)
{
    int       rc;
    u_char   *p;
    size_t    len, at;
    uint64_t  number, newest, synced;
    unsigned  i;

    rc = oci_state_read(s, id, buf, OCI_STATE_SLOTS * OCI_STATE_STRIDE, &len);

    if (rc != OCI_OK) {
        return rc;
    }

    *slot = OCI_STATE_SLOTS;
    *durable = OCI_STATE_SLOTS;
    newest = 0;
    synced = 0;

    for (i = 0; i < OCI_STATE_SLOTS; i++) {
        at = (size_t) i * OCI_STATE_STRIDE;
        p = buf + at;

        if (len <= at || !oci_state_whole(p, len - at)) {
            continue;
        }

        number = oci_state_get(p + OCI_STATE_AT_NUMBER, 8);

        if (number > newest) {
            newest = number;
            *slot = i;
        }

        if (number > synced
            && (oci_state_get(p + OCI_STATE_AT_FLAGS, 4) & OCI_STATE_DURABLE))
        {
            synced = number;
            *durable = i;
        }
    }

    if (*slot == OCI_STATE_SLOTS) {
        errno = EBADMSG;
        (void) oci_fail("upload state", id);
        return OCI_NOT_FOUND;
    }

    return OCI_OK;
}


static int
oci_state_read(const oci_store_t *s, const char *id, u_char *buf, size_t size,
    size_t *len)
{
    int      fd;
    char     path[OCI_PATH_MAX];
    size_t   done;
    ssize_t  n;

    oci_path_upload(path, s, id, "state");

    fd = open(path, O_RDONLY|O_CLOEXEC|O_NOFOLLOW);

    if (fd == -1) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return OCI_NOT_FOUND;
        }

        return oci_fail("open()", path);
    }

    done = 0;

    while (done < size) {
        n = read(fd, buf + done, size - done);

        if (n == -1) {
            if (errno == EINTR) {
                continue;
            }

            (void) oci_fail("read()", path);
            close(fd);
            return OCI_ERROR;
        }

        if (n == 0) {
            break;
        }

        done += (size_t) n;
    }

    close(fd);

    *len = done;

    return OCI_OK;
}


static int
oci_state_write(const char *path, const u_char *buf, size_t len, off_t at,
    unsigned first, unsigned synced)
{
    int  fd;

    fd = open(path, O_WRONLY|O_CLOEXEC|O_NOFOLLOW
                    |(first ? O_CREAT|O_EXCL : 0), 0600);

    if (fd == -1) {
        return oci_fail("open()", path);
    }

    if (oci_pwrite(fd, buf, len, at) != OCI_OK) {
        (void) oci_fail("pwrite()", path);
        goto failed;
    }

    if (synced && fdatasync(fd) == -1) {
        (void) oci_fail("fdatasync()", path);
        goto failed;
    }

    if (close(fd) == -1) {
        return oci_fail("close()", path);
    }

    return OCI_OK;

failed:

    /* what the caller is told has failed must not count later */

    (void) oci_pwrite(fd, (const u_char *) "        ",
                      sizeof(OCI_STATE_MAGIC) - 1, at);
    close(fd);
    errno = oci_failure()->err;

    return OCI_ERROR;
}


static u_char *
oci_state_put(u_char *p, const void *data, size_t len)
{
    if (len) {
        memcpy(p, data, len);
    }

    return p + len;
}


static void
oci_state_set(u_char *p, uint64_t value, unsigned bytes)
{
    unsigned  i;

    for (i = 0; i < bytes; i++) {
        p[i] = (u_char) (value >> (8 * i));
    }
}


static uint64_t
oci_state_get(const u_char *p, unsigned bytes)
{
    unsigned  i;
    uint64_t  value;

    value = 0;

    for (i = 0; i < bytes; i++) {
        value |= (uint64_t) p[i] << (8 * i);
    }

    return value;
}
