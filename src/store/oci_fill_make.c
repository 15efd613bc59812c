
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Fills: new files, and room for what will be in them.
 */


#include "oci_fill_part.h"
#include "oci_lock.h"
#include "oci_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>


#define OCI_FILL_FIRST   (8 * 1024 * 1024)      /* reserved at once */
#define OCI_FILL_STEP    (64 * 1024 * 1024)     /* writers wait for one */
#define OCI_FILL_PLENTY  8                      /* times its size: plenty */


static int oci_fill_new_data(const oci_fill_file_t *f, char *path);
static int oci_fill_new_map(const oci_fill_file_t *f, char *path);
static int oci_fill_ahead(const oci_fill_file_t *f, int *ahead,
    const char *name);
static int oci_fill_make_data(oci_fill_file_t *f, int64_t size,
    int64_t reserve);
static int oci_fill_make_map(oci_fill_file_t *f, int64_t size,
    uint32_t chunk);
static void oci_fill_claim_first(oci_fill_file_t *f);
static int oci_fill_room(oci_fill_file_t *f, int64_t size, int64_t reserve);


int
oci_fill_make(oci_fill_file_t *f, int64_t size, uint32_t chunk,
    int64_t reserve)
{
    int  rc;

    if (oci_chunkmap_length(size, &chunk) == 0) {
        rc = OCI_INVALID;

    } else {
        rc = oci_fill_make_data(f, size, reserve);
    }

    if (rc == OCI_OK) {
        rc = oci_fill_make_map(f, size, chunk);
    }

    if (rc != OCI_OK) {
        oci_fill_forget(f);
        (void) oci_fill_unlink(f->store, &f->digest, OCI_FILL_FILES - 1);
        return rc;
    }

    f->created = 1;

    return OCI_OK;
}


void
oci_fill_prepare(oci_fill_file_t *f)
{
    char  path[OCI_PATH_MAX];

    if (oci_lock_byte(f->lock, OCI_FILL_LIFE) != OCI_OK) {
        return;
    }

    oci_path_fill(path, f->store, &f->digest, "map");

    if (oci_fill_stands(f) == OCI_OK
        && access(path, F_OK) == -1 && errno == ENOENT)
    {
        f->data_ahead = oci_fill_new_data(f, path);
        f->map_ahead = oci_fill_new_map(f, path);
    }

    oci_unlock_byte(f->lock, OCI_FILL_LIFE);
}


/* one without a map may be left, and may be content: not that one */

static int
oci_fill_new_data(const oci_fill_file_t *f, char *path)
{
    oci_path_fill(path, f->store, &f->digest, "data");

    (void) unlink(path);

    return open(path, O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600);
}


static int
oci_fill_new_map(const oci_fill_file_t *f, char *path)
{
    oci_path_fill(path, f->store, &f->digest, "map.tmp");

    return open(path, O_RDWR|O_CREAT|O_TRUNC|O_CLOEXEC|O_NOFOLLOW, 0600);
}


/* what was made ahead, as long as it has the name it was made with, or -1 */

static int
oci_fill_ahead(const oci_fill_file_t *f, int *ahead, const char *name)
{
    int          fd;
    char         path[OCI_PATH_MAX];
    struct stat  have, want;

    fd = *ahead;
    *ahead = -1;

    if (fd == -1) {
        return -1;
    }

    oci_path_fill(path, f->store, &f->digest, name);

    if (fstat(fd, &have) == 0 && lstat(path, &want) == 0
        && have.st_ino == want.st_ino)
    {
        return fd;
    }

    close(fd);

    return -1;
}


static int
oci_fill_make_data(oci_fill_file_t *f, int64_t size, int64_t reserve)
{
    char  path[OCI_PATH_MAX];

    f->fd = oci_fill_ahead(f, &f->data_ahead, "data");

    if (f->fd == -1) {
        f->fd = oci_fill_new_data(f, path);
    }

    if (f->fd == -1) {
        return oci_fill_no_room(errno) ? OCI_RANGE : oci_fail("open()", path);
    }

    return oci_fill_room(f, size, reserve);
}


static int
oci_fill_make_map(oci_fill_file_t *f, int64_t size, uint32_t chunk)
{
    int     fd, rc;
    char    path[OCI_PATH_MAX], tmp[OCI_PATH_MAX];
    size_t  length;

    length = oci_chunkmap_length(size, &chunk);

    oci_path_fill(path, f->store, &f->digest, "map");
    oci_path_fill(tmp, f->store, &f->digest, "map.tmp");

    fd = oci_fill_ahead(f, &f->map_ahead, "map.tmp");

    if (fd == -1) {
        fd = oci_fill_new_map(f, tmp);
    }

    if (fd == -1) {
        return oci_fill_no_room(errno) ? OCI_RANGE : oci_fail("open()", tmp);
    }

    /* a page that finds no block when it is written to kills the process */

    if (posix_fallocate(fd, 0, (off_t) length) != 0) {
        rc = OCI_RANGE;

    } else {
        rc = oci_fill_image(f, fd, length, tmp);
    }

    close(fd);

    if (rc != OCI_OK) {
        return rc;
    }

    oci_chunkmap_init(f->image, &f->digest, size, chunk, f->store->boot_id);

    rc = oci_chunkmap_view(&f->map, f->image, length, &f->digest);

    if (rc == OCI_OK && f->claim_ttl && f->map.n) {
        oci_fill_claim_first(f);
    }

    if (rc == OCI_OK && rename(tmp, path) == -1) {
        rc = oci_fail("rename()", path);
    }

    return rc;
}


static void
oci_fill_claim_first(oci_fill_file_t *f)
{
    uint32_t  i;

    if (oci_chunkmap_claim(&f->map, 0, f->claim_now, f->claim_ttl,
                           OCI_CHUNKMAP_CLAIMS, &f->first)
        != OCI_OK)
    {
        f->first = 0;
        return;
    }

    for (i = 1;
         i < f->map.n && oci_chunkmap_start(&f->map, i) < f->claim_to;
         i++)
    {
        (void) oci_chunkmap_claim_more(&f->map, i, f->first, f->claim_now);
    }
}


static int
oci_fill_room(oci_fill_file_t *f, int64_t size, int64_t reserve)
{
    int64_t         room, first;
    struct statvfs  fs;

    first = size;

    if (fstatvfs(f->fd, &fs) == 0) {
        room = (int64_t) fs.f_bavail * (int64_t) fs.f_frsize - reserve;

        if (room < size) {
            return OCI_RANGE;
        }

        /* so much that many would have to begin at once to take it */

        if (room / OCI_FILL_PLENTY >= size && size > OCI_FILL_FIRST) {
            first = OCI_FILL_FIRST;
        }
    }

    if (size == 0) {
        return OCI_OK;
    }

    if (fallocate(f->fd, 0, 0, first) == 0) {
        f->rest = (first < size) ? first : 0;

    } else if (oci_fill_no_room(errno)) {
        return OCI_RANGE;

    } else if (errno != EOPNOTSUPP && errno != ENOSYS) {
        return oci_fail("fallocate()", NULL);

    } else {

        /* no blocks can be had in advance: a write may still find none */

        first = 0;
    }

    if (first < size && ftruncate(f->fd, size) == -1) {
        return oci_fill_no_room(errno) ? OCI_RANGE
                                       : oci_fail("ftruncate()", NULL);
    }

    return OCI_OK;
}


int
oci_fill_reserve(const oci_fill_file_t *f)
{
    int64_t  at, len;

    for (at = f->rest; at < f->map.size; at += len) {

        len = f->map.size - at;

        if (len > OCI_FILL_STEP) {
            len = OCI_FILL_STEP;
        }

        while (fallocate(f->fd, 0, at, len) == -1) {

            if (errno == EINTR) {
                continue;
            }

            return oci_fill_no_room(errno) ? OCI_RANGE
                                           : oci_fail("fallocate()", NULL);
        }
    }

    return OCI_OK;
}
