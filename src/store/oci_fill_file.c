
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Fills: their files, found, opened and taken over.
 */


#include "oci_fill_part.h"
#include "oci_generation.h"
#include "oci_lock.h"
#include "oci_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>


#define OCI_FILL_TRIES  8
#define OCI_FILL_CHECK  (64 * 1024)


static int oci_fill_enter(oci_fill_file_t *f);
static int oci_fill_map(oci_fill_file_t *f, int64_t size, uint32_t chunk,
    int64_t reserve);
static int oci_fill_load(oci_fill_file_t *f);
static int oci_fill_data(oci_fill_file_t *f);
static int oci_fill_older(const oci_fill_file_t *f);
static int oci_fill_take_over(oci_fill_file_t *f);
static int oci_fill_check_chunks(oci_fill_file_t *f);


void
oci_fill_init(oci_fill_file_t *f, const oci_store_t *s, const oci_digest_t *d)
{
    memset(f, 0, sizeof(oci_fill_file_t));

    f->store = s;
    f->digest = *d;
    f->lock = -1;
    f->fd = -1;
    f->data_ahead = -1;
    f->map_ahead = -1;
}


int
oci_fill_open(oci_fill_file_t *f, const oci_store_t *s,
    const oci_digest_t *d, int64_t size, uint32_t chunk, int64_t reserve)
{
    int       rc;
    unsigned  try;

    oci_fill_init(f, s, d);

    rc = OCI_AGAIN;

    for (try = 0; try < OCI_FILL_TRIES; try++) {

        rc = oci_fill_enter(f);

        if (rc == OCI_OK) {
            rc = oci_fill_map(f, size, chunk, reserve);
        }

        if (rc != OCI_NOT_FOUND) {
            break;
        }

        /* ended by somebody else between two of our calls */

        oci_fill_close(f);
        rc = OCI_AGAIN;
    }

    if ((rc == OCI_RANGE || rc == OCI_INVALID) && f->lock != -1) {
        (void) oci_fill_discard(f);
    }

    if (rc != OCI_OK && rc != OCI_MISMATCH) {
        oci_fill_close(f);
    }

    return rc;
}


int
oci_fill_size(oci_fill_file_t *f, int64_t size, uint32_t chunk,
    int64_t reserve)
{
    int       rc;
    unsigned  try;

    rc = OCI_NOT_FOUND;

    for (try = 0; rc == OCI_NOT_FOUND && try < OCI_FILL_TRIES; try++) {

        rc = (f->lock == -1) ? oci_fill_enter(f) : OCI_OK;

        if (rc != OCI_OK) {
            oci_fill_close(f);
            continue;
        }

        rc = oci_fill_map(f, size, chunk, reserve);

        if (rc == OCI_NOT_FOUND) {

            /* its folder is gone, or another one has its place */

            oci_fill_close(f);
        }
    }

    return (rc == OCI_NOT_FOUND) ? OCI_AGAIN : rc;
}


void
oci_fill_close(oci_fill_file_t *f)
{
    oci_fill_forget(f);

    if (f->data_ahead != -1) {
        close(f->data_ahead);
        f->data_ahead = -1;
    }

    if (f->map_ahead != -1) {
        close(f->map_ahead);
        f->map_ahead = -1;
    }

    if (f->lock != -1) {
        close(f->lock);
        f->lock = -1;
    }
}


/* OCI_OK, OCI_NOT_FOUND (again), OCI_AGAIN (it expires) or OCI_ERROR */

static int
oci_fill_enter(oci_fill_file_t *f)
{
    int          rc;
    char         path[OCI_PATH_MAX], dir[OCI_PATH_MAX];
    struct stat  st;

    oci_path_fill(path, f->store, &f->digest, "lock");

    f->lock = open(path, O_RDWR|O_CLOEXEC|O_NOFOLLOW);

    if (f->lock == -1 && errno == ENOENT) {

        /* not made to last: what is lost with it is fetched again */

        oci_path_fill(dir, f->store, &f->digest, NULL);

        if (mkdir(dir, 0700) == -1 && errno != EEXIST) {
            return oci_fill_no_room(errno) ? OCI_RANGE
                                           : oci_fail("mkdir()", dir);
        }

        f->lock = open(path, O_RDWR|O_CREAT|O_CLOEXEC|O_NOFOLLOW, 0600);

        if (f->lock == -1 && errno == ENOENT) {
            return OCI_NOT_FOUND;
        }
    }

    if (f->lock == -1) {
        return oci_fill_no_room(errno) ? OCI_RANGE : oci_fail("open()", path);
    }

    rc = oci_lock_byte_shared(f->lock, OCI_FILL_HOLD);

    if (rc != OCI_OK) {
        return rc;
    }

    if (fstat(f->lock, &st) == -1) {
        return oci_fail("fstat()", path);
    }

    f->inode = st.st_ino;

    return oci_fill_stands(f);
}


int
oci_fill_stands(const oci_fill_file_t *f)
{
    char         path[OCI_PATH_MAX];
    struct stat  st;

    oci_path_fill(path, f->store, &f->digest, "lock");

    return (stat(path, &st) == 0 && st.st_ino == f->inode) ? OCI_OK
                                                           : OCI_NOT_FOUND;
}


static int
oci_fill_map(oci_fill_file_t *f, int64_t size, uint32_t chunk,
    int64_t reserve)
{
    int       rc;
    unsigned  life;

    life = 0;

    rc = (f->map_ahead != -1) ? OCI_NOT_FOUND : oci_fill_load(f);

    if ((rc == OCI_NOT_FOUND && size >= 0)
        || rc == OCI_INVALID
        || (rc == OCI_OK && oci_fill_older(f)))
    {
        /* look again when alone */

        oci_fill_forget(f);

        rc = oci_lock_byte(f->lock, OCI_FILL_LIFE);

        if (rc != OCI_OK) {
            return rc;
        }

        life = 1;

        rc = oci_fill_stands(f);

        if (rc != OCI_OK) {
            oci_unlock_byte(f->lock, OCI_FILL_LIFE);
            return rc;
        }

        rc = oci_fill_load(f);
    }

    if (rc == OCI_OK && life && oci_fill_older(f)) {
        rc = oci_fill_take_over(f);
    }

    if (rc == OCI_NOT_FOUND) {
        rc = (size >= 0) ? oci_fill_make(f, size, chunk, reserve) : OCI_OK;

    } else if (rc == OCI_INVALID && life) {

        /* of another version, damaged, or ended: of no use as a fill */

        oci_fill_forget(f);

        rc = oci_fill_remove(f->store, &f->digest);

        if (rc == OCI_OK) {
            rc = OCI_NOT_FOUND;
        }
    }

    if (life) {
        oci_unlock_byte(f->lock, OCI_FILL_LIFE);
    }

    if (rc == OCI_OK && f->image != NULL
        && size >= 0 && f->map.size != size)
    {
        return OCI_MISMATCH;
    }

    return rc;
}


/* OCI_OK, OCI_NOT_FOUND, OCI_INVALID or OCI_ERROR */

static int
oci_fill_load(oci_fill_file_t *f)
{
    int          fd, rc;
    char         path[OCI_PATH_MAX];
    struct stat  st;

    oci_path_fill(path, f->store, &f->digest, "map");

    fd = open(path, O_RDWR|O_CLOEXEC|O_NOFOLLOW);

    if (fd == -1) {
        return (errno == ENOENT) ? OCI_NOT_FOUND : oci_fail("open()", path);
    }

    if (fstat(fd, &st) == -1) {
        rc = oci_fail("fstat()", path);

    } else if (st.st_size < OCI_CHUNKMAP_HEAD) {
        rc = OCI_INVALID;

    } else {
        rc = oci_fill_image(f, fd, (size_t) st.st_size, path);
    }

    close(fd);

    if (rc == OCI_OK
        && oci_chunkmap_view(&f->map, f->image, f->length, &f->digest)
           != OCI_OK)
    {
        rc = OCI_INVALID;
    }

    if (rc == OCI_OK) {
        rc = oci_fill_data(f);
    }

    if (rc != OCI_OK) {
        oci_fill_forget(f);
    }

    return rc;
}


/*
 * A fill that was ended has content for data, which has its mode and more
 * names by now: it can be read and ended again, nothing else.
 */

static int
oci_fill_data(oci_fill_file_t *f)
{
    char         path[OCI_PATH_MAX];
    struct stat  st;

    oci_path_fill(path, f->store, &f->digest, "data");

    f->fd = open(path, O_RDWR|O_CLOEXEC|O_NOFOLLOW);

    if (f->fd == -1 && errno == EACCES) {
        f->fd = open(path, O_RDONLY|O_CLOEXEC|O_NOFOLLOW);
    }

    if (f->fd == -1) {
        return (errno == ENOENT) ? OCI_INVALID : oci_fail("open()", path);
    }

    if (fstat(f->fd, &st) == -1) {
        return oci_fail("fstat()", path);
    }

    if (st.st_size != f->map.size
        || (st.st_nlink != 1
            && (oci_chunkmap_state(&f->map) != OCI_CHUNKMAP_VERIFIED
                || oci_fill_older(f))))
    {
        return OCI_INVALID;
    }

    return OCI_OK;
}


/*
 * 1 if the map was last used under another boot.  Where boots have no name,
 * every first user takes it for one of another.
 */

static int
oci_fill_older(const oci_fill_file_t *f)
{
    if (strcmp(f->store->boot_id, OCI_BOOT_UNKNOWN) == 0
        && oci_lock_byte(f->lock, OCI_FILL_HOLD) == OCI_OK)
    {
        (void) oci_lock_byte_shared(f->lock, OCI_FILL_HOLD);
        return 1;
    }

    return !oci_chunkmap_of_boot(&f->map, f->store->boot_id);
}


int
oci_fill_image(oci_fill_file_t *f, int fd, size_t length,
    const char *path)
{
    f->image = mmap(NULL, length, PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);

    if (f->image == MAP_FAILED) {
        f->image = NULL;
        return oci_fail("mmap()", path);
    }

    f->length = length;

    return OCI_OK;
}


void
oci_fill_forget(oci_fill_file_t *f)
{
    if (f->image != NULL) {
        (void) munmap(f->image, f->length);
        f->image = NULL;
    }

    if (f->fd != -1) {
        close(f->fd);
        f->fd = -1;
    }
}


/*
 * A map of another boot.  If that one is up it is another machine's; else
 * what was in the page cache alone is gone, and the CRCs say what it was.
 */

static int
oci_fill_take_over(oci_fill_file_t *f)
{
    char  boot[OCI_CHUNKMAP_BOOT];

    oci_chunkmap_boot(&f->map, boot);

    if (strcmp(boot, f->store->boot_id) != 0
        && oci_generation_alive(f->store, boot))
    {
        return OCI_CONFLICT;
    }

    if (oci_chunkmap_state(&f->map) == OCI_CHUNKMAP_FAILED) {
        return OCI_INVALID;
    }

    if (oci_fill_check_chunks(f) != OCI_OK) {
        return OCI_ERROR;
    }

    oci_chunkmap_adopt(&f->map, f->store->boot_id);

    return OCI_OK;
}


static int
oci_fill_check_chunks(oci_fill_file_t *f)
{
    char      path[OCI_PATH_MAX];
    u_char    buf[OCI_FILL_CHECK];
    ssize_t   n;
    uint32_t  i, filled, done, crc, want;

    for (i = 0; i < f->map.n; i++) {

        filled = oci_chunkmap_filled(&f->map, i, &want);
        crc = 0;

        for (done = 0; done < filled; done += (uint32_t) n) {

            n = pread(f->fd, buf, (filled - done < sizeof(buf))
                                  ? filled - done : sizeof(buf),
                      oci_chunkmap_start(&f->map, i) + done);

            if (n == -1 && errno == EINTR) {
                n = 0;
                continue;
            }

            if (n == -1 && errno != EIO) {
                oci_path_fill(path, f->store, &f->digest, "data");
                return oci_fail("pread()", path);
            }

            if (n <= 0) {
                break;
            }

            crc = oci_crc32c(crc, buf, (size_t) n);
        }

        if (done != filled || crc != want) {
            oci_chunkmap_drop(&f->map, i);
        }
    }

    return OCI_OK;
}


int
oci_fill_remove(const oci_store_t *s, const oci_digest_t *d)
{
    int   rc;
    char  path[OCI_PATH_MAX];

    rc = oci_fill_unlink(s, d, OCI_FILL_FILES);

    oci_path_fill(path, s, d, NULL);

    if (rc == OCI_OK && rmdir(path) == -1 && errno != ENOENT
        && errno != ENOTEMPTY && errno != EEXIST)
    {
        rc = oci_fail("rmdir()", path);
    }

    return rc;
}


int
oci_fill_unlink(const oci_store_t *s, const oci_digest_t *d, unsigned n)
{
    int       rc;
    char      path[OCI_PATH_MAX];
    unsigned  i;

    static const char *const  files[OCI_FILL_FILES] = {
        "map", "map.tmp", "from", "from.tmp", "data", "lock"
    };

    rc = OCI_OK;

    for (i = 0; i < n; i++) {
        oci_path_fill(path, s, d, files[i]);

        if (unlink(path) == -1 && errno != ENOENT) {
            rc = oci_fail("unlink()", path);
        }
    }

    return rc;
}


int
oci_fill_no_room(int err)
{
    return err == ENOSPC || err == EDQUOT || err == EFBIG;
}
