
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Fills: the steps that one process at a time may make.
 */


#include "oci_fill_part.h"
#include "oci_blob.h"
#include "oci_copy.h"
#include "oci_lock.h"
#include "oci_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>


#define OCI_FILL_SAVE  (8 * 1024 * 1024)        /* of hashing, then save */
#define OCI_FILL_TURN_HEX  15                   /* digits, in an off_t */


static int oci_fill_judge(oci_fill_file_t *f, const oci_hash_t *h);


int
oci_fill_turn(const oci_store_t *s, const oci_digest_t *d)
{
    int       fd, rc;
    char      path[OCI_PATH_MAX], hex[OCI_FILL_TURN_HEX + 1];
    uint64_t  n;

    (void) oci_path_run(path, s, "turn");

    fd = open(path, O_RDWR|O_CREAT|O_CLOEXEC|O_NOFOLLOW, 0600);

    if (fd == -1) {
        return oci_fail("open()", path);
    }

    memcpy(hex, d->hex, OCI_FILL_TURN_HEX);
    hex[OCI_FILL_TURN_HEX] = '\0';

    n = strtoull(hex, NULL, 16);

    rc = oci_lock_byte(fd, (off_t) (n * OCI_ALG_COUNT + d->alg));

    if (rc != OCI_OK) {
        close(fd);
        return rc;
    }

    return fd;
}


int
oci_fill_fresh(const oci_store_t *s, const oci_digest_t *d)
{
    int          rc;
    char         path[OCI_PATH_MAX];
    int64_t      size;
    struct stat  st;

    oci_path_fill(path, s, d, NULL);

    if (stat(path, &st) == 0) {
        return OCI_EXISTS;
    }

    if (errno != ENOENT) {
        return oci_fail("stat()", path);
    }

    /* in this order: a fill that ends is in blobs/ before it goes */

    rc = oci_blob_known(s, d, &size);

    if (rc == OCI_NOT_FOUND) {
        return OCI_OK;
    }

    return (rc == OCI_OK) ? OCI_EXISTS : rc;
}


int
oci_fill_writer_open(oci_fill_writer_t *w, const oci_fill_file_t *f,
    uint32_t i, uint64_t token)
{
    char         path[OCI_PATH_MAX];
    struct stat  st;

    w->i = i;
    w->token = token;
    w->offset = oci_chunkmap_filled(&f->map, i, NULL);

    oci_path_fill(path, f->store, &f->digest, "lock");

    w->lock = open(path, O_RDWR|O_CLOEXEC|O_NOFOLLOW);

    if (w->lock == -1 && errno != ENOENT) {
        return oci_fail("open()", path);
    }

    if (w->lock == -1
        || fstat(w->lock, &st) == -1 || st.st_ino != f->inode)
    {
        oci_fill_writer_close(w);

        /* whoever ends it says so before it goes */

        return (oci_chunkmap_state(&f->map) == OCI_CHUNKMAP_OPEN)
               ? OCI_NOT_FOUND : OCI_CONFLICT;
    }

    return OCI_OK;
}


void
oci_fill_writer_close(oci_fill_writer_t *w)
{
    if (w->lock != -1) {
        close(w->lock);
        w->lock = -1;
    }
}


int
oci_fill_write(oci_fill_writer_t *w, oci_fill_file_t *f, const u_char *data,
    size_t len)
{
    int       rc;
    size_t    skip;
    uint32_t  filled, crc;

    if (len > oci_chunkmap_chunk(&f->map, w->i) - w->offset) {
        return OCI_RANGE;
    }

    rc = oci_lock_byte(w->lock, (off_t) w->i);

    if (rc != OCI_OK) {
        return rc;
    }

    if (!oci_chunkmap_holds(&f->map, w->i, w->token)
        || oci_chunkmap_state(&f->map) != OCI_CHUNKMAP_OPEN)
    {
        rc = OCI_CONFLICT;
        goto done;
    }

    filled = oci_chunkmap_filled(&f->map, w->i, &crc);

    if (filled < w->offset) {
        rc = OCI_CONFLICT;
        goto done;
    }

    /* what the one before us has published since we took the chunk */

    skip = filled - w->offset;

    if (skip < len) {
        rc = oci_pwrite(f->fd, data + skip, len - skip,
                        oci_chunkmap_start(&f->map, w->i) + filled);

        if (rc != OCI_OK) {
            rc = oci_fill_no_room(errno) ? OCI_RANGE
                                         : oci_fail("pwrite()", NULL);

        } else {
            rc = oci_chunkmap_publish(&f->map, w->i, w->token,
                                      w->offset + (uint32_t) len,
                                      oci_crc32c(crc, data + skip,
                                                 len - skip));
        }
    }

    if (rc == OCI_OK) {
        w->offset += (uint32_t) len;
    }

done:

    oci_unlock_byte(w->lock, (off_t) w->i);

    return rc;
}


int
oci_fill_verify(oci_fill_file_t *f, u_char *buf, size_t size, int64_t budget)
{
    int         rc;
    char        path[OCI_PATH_MAX];
    int64_t     end, saved, at;
    ssize_t     n;
    oci_hash_t  h;

    rc = oci_lock_byte(f->lock, OCI_FILL_HASH);

    if (rc != OCI_OK) {
        return (rc == OCI_AGAIN) ? OCI_CONFLICT : rc;
    }

    if (oci_chunkmap_state(&f->map) == OCI_CHUNKMAP_VERIFIED) {
        oci_unlock_byte(f->lock, OCI_FILL_HASH);
        return OCI_OK;
    }

    oci_chunkmap_hash_load(&f->map, &h);

    at = (int64_t) h.size;
    saved = at;
    rc = OCI_OK;

    while (at < f->map.size) {

        if (budget <= 0) {
            rc = OCI_AGAIN;
            break;
        }

        end = oci_chunkmap_ready(&f->map, at, at + (int64_t) size);

        if (end == at) {
            rc = OCI_NOT_FOUND;
            break;
        }

        do {
            n = pread(f->fd, buf, (size_t) (end - at), at);
        } while (n == -1 && errno == EINTR);

        if (n <= 0) {
            if (n == 0) {
                errno = EIO;
            }

            oci_path_fill(path, f->store, &f->digest, "data");
            rc = oci_fail("pread()", path);
            break;
        }

        oci_hash_update(&h, buf, (size_t) n);

        at += n;
        budget -= n;

        if (at - saved >= OCI_FILL_SAVE) {
            oci_chunkmap_hash_save(&f->map, &h);
            saved = at;
        }
    }

    if (at != saved) {
        oci_chunkmap_hash_save(&f->map, &h);
    }

    if (rc == OCI_OK) {
        rc = oci_fill_judge(f, &h);
    }

    oci_unlock_byte(f->lock, OCI_FILL_HASH);

    /* bytes that came while others saw us at it are ours to look at */

    if (rc == OCI_NOT_FOUND
        && oci_chunkmap_ready(&f->map, at, at + 1) > at)
    {
        return OCI_AGAIN;
    }

    return rc;
}


int
oci_fill_finish(oci_fill_file_t *f, const oci_repo_t *r, unsigned last)
{
    int      rc;
    char     path[OCI_PATH_MAX];
    int64_t  size;

    rc = oci_lock_byte(f->lock, OCI_FILL_LIFE);

    if (rc != OCI_OK) {
        return rc;
    }

    oci_path_fill(path, f->store, &f->digest, "data");

    if (oci_fill_stands(f) != OCI_OK) {
        oci_unlock_byte(f->lock, OCI_FILL_LIFE);

        return oci_blob_cache_known(f->store, r, &f->digest, &size);
    }

    if (f->store->durable && fsync(f->fd) == -1) {
        rc = oci_fail("fsync()", path);

    } else {
        rc = oci_blob_cache(f->store, r, &f->digest, path, f->map.size);
    }

    if (rc == OCI_MISMATCH) {

        /* blobs/ can't have it in another size: a damaged disk */

        errno = EBADMSG;
        rc = oci_fail("link()", path);
    }

    if (rc == OCI_OK && last) {
        rc = oci_fill_remove(f->store, &f->digest);
    }

    oci_unlock_byte(f->lock, OCI_FILL_LIFE);

    return rc;
}


int
oci_fill_discard(oci_fill_file_t *f)
{
    int  rc;

    if (f->lock == -1) {
        return OCI_OK;
    }

    rc = oci_lock_byte(f->lock, OCI_FILL_LIFE);

    if (rc != OCI_OK) {
        return rc;
    }

    if (f->image != NULL) {
        oci_chunkmap_set_state(&f->map, OCI_CHUNKMAP_FAILED);
    }

    if (oci_fill_stands(f) == OCI_OK) {
        rc = oci_fill_remove(f->store, &f->digest);
    }

    oci_unlock_byte(f->lock, OCI_FILL_LIFE);

    return rc;
}


int
oci_fill_expire(const oci_store_t *s, int64_t age, unsigned max)
{
    int             n;
    DIR            *dir;
    char            path[OCI_PATH_MAX], text[OCI_DIGEST_MAX + 2];
    oci_alg_t       alg;
    oci_digest_t    d;
    struct dirent  *de;

    n = 0;

    for (alg = 0; alg < OCI_ALG_COUNT; alg++) {

        oci_path_fills(path, s, alg);

        dir = opendir(path);

        if (dir == NULL) {
            if (errno == ENOENT) {
                continue;
            }

            return oci_fail("opendir()", path);
        }

        while ((unsigned) n < max && (de = readdir(dir)) != NULL) {

            if (snprintf(text, sizeof(text), "%s:%s", oci_alg_name(alg),
                         de->d_name)
                >= (int) sizeof(text)
                || oci_digest_parse(&d, (u_char *) text, strlen(text))
                   != OCI_OK)
            {
                continue;
            }

            n += oci_fill_expire_one(s, &d, age);
        }

        closedir(dir);
    }

    return n;
}


int
oci_fill_expire_one(const oci_store_t *s, const oci_digest_t *d, int64_t age)
{
    int          lock, rc;
    char         path[OCI_PATH_MAX];
    struct stat  have, want;

    if (oci_fill_idle(s, d) < age) {
        return 0;
    }

    oci_path_fill(path, s, d, "lock");

    lock = open(path, O_RDWR|O_CREAT|O_CLOEXEC|O_NOFOLLOW, 0600);

    if (lock == -1) {
        return 0;
    }

    /* whoever comes now waits, or finds that its lock is no more */

    rc = oci_lock_byte(lock, OCI_FILL_HOLD);

    if (rc == OCI_OK) {
        rc = oci_lock_byte(lock, OCI_FILL_LIFE);
    }

    if (rc == OCI_OK
        && (oci_fill_idle(s, d) < age || fstat(lock, &have) == -1
            || stat(path, &want) == -1 || have.st_ino != want.st_ino))
    {
        rc = OCI_AGAIN;
    }

    if (rc == OCI_OK) {
        rc = oci_fill_remove(s, d);
    }

    close(lock);

    return rc == OCI_OK;
}


int64_t
oci_fill_idle(const oci_store_t *s, const oci_digest_t *d)
{
    char         path[OCI_PATH_MAX];
    struct stat  st;

    oci_path_fill(path, s, d, "data");

    if (stat(path, &st) == -1) {
        oci_path_fill(path, s, d, NULL);

        if (stat(path, &st) == -1) {
            return -1;
        }
    }

    return (int64_t) (time(NULL) - st.st_mtim.tv_sec);
}


static int
oci_fill_judge(oci_fill_file_t *f, const oci_hash_t *h)
{
    oci_hash_digest(h, &f->found);

    if (!oci_digest_equal(&f->found, &f->digest)) {
        oci_chunkmap_set_state(&f->map, OCI_CHUNKMAP_FAILED);
        return OCI_MISMATCH;
    }

    oci_chunkmap_set_state(&f->map, OCI_CHUNKMAP_VERIFIED);

    return OCI_OK;
}
