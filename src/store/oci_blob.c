
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Blobs: names are hard links to content that was verified and synced
 * before it got its first one.
 *
 * No lock is held here.  What keeps content from being lost is the order:
 * the inode's mtime is made fresh before a name is counted on, so that the
 * collector, which looks at the mtime again after it took a name away, puts
 * it back; and a name that is found gone is made again from another one.
 */


#include "oci_blob.h"
#include "oci_copy.h"
#include "oci_generation.h"
#include "oci_list.h"
#include "oci_path.h"
#include "oci_zstd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>


#define OCI_BLOB_TRIES  16


typedef struct {
    const oci_repo_t    *to;
    const oci_digest_t  *digest;
} oci_blob_any_t;


static int oci_blob_stat_path(const char *path, oci_file_t *f);
static int oci_blob_touch_path(const char *path);
static int oci_blob_link_as(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const char *path, const char *to, int64_t size);
static int oci_blob_into_repo(const oci_store_t *s, const char *from,
    const char *to, const char *blob, int64_t size);
static int oci_blob_renew(const oci_store_t *s, const char *from,
    const char *blob);
static int oci_blob_link_name(const char *from, const char *to, int64_t size);
static int oci_blob_into(const oci_store_t *s, const char *from,
    const char *to, const char *blob, int64_t size, unsigned full);
static int oci_blob_mount_path(const oci_store_t *s, const char *from,
    const oci_repo_t *to, const oci_digest_t *d);
static int oci_blob_any(const oci_store_t *s, const oci_repo_t *r,
    void *data);
static int oci_blob_unlink(const oci_store_t *s, const char *path);


int
oci_blob_open(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, oci_file_t *f)
{
    int   rc;
    char  path[OCI_PATH_MAX];

    oci_path_repo_blob(path, s, r, d);

    rc = oci_blob_fd(path, f);

    if (rc != OCI_NOT_FOUND) {
        return rc;
    }

    oci_path_repo_cached(path, s, r, d);

    rc = oci_blob_fd(path, f);
    f->cached = 1;

    return rc;
}


int
oci_blob_stat(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, oci_file_t *f)
{
    int   rc;
    char  path[OCI_PATH_MAX];

    oci_path_repo_blob(path, s, r, d);

    rc = oci_blob_stat_path(path, f);

    if (rc != OCI_NOT_FOUND) {
        return rc;
    }

    oci_path_repo_cached(path, s, r, d);

    rc = oci_blob_stat_path(path, f);
    f->cached = 1;

    return rc;
}


int
oci_blob_touch(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d)
{
    char  path[OCI_PATH_MAX];

    oci_path_repo_blob(path, s, r, d);

    return oci_blob_touch_path(path);
}


int
oci_blob_touch_cached(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d)
{
    char  path[OCI_PATH_MAX];

    oci_path_repo_cached(path, s, r, d);

    return oci_blob_touch_path(path);
}


int
oci_blob_link(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const char *path, int64_t size)
{
    char  to[OCI_PATH_MAX];

    oci_path_repo_blob(to, s, r, d);

    return oci_blob_link_as(s, r, d, path, to, size);
}


int
oci_blob_cache(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const char *path, int64_t size)
{
    int         rc;
    char        to[OCI_PATH_MAX];
    oci_file_t  f;

    oci_path_repo_blob(to, s, r, d);

    rc = oci_blob_stat_path(to, &f);

    if (rc != OCI_NOT_FOUND) {
        return rc;
    }

    oci_path_repo_cached(to, s, r, d);

    return oci_blob_link_as(s, r, d, path, to, size);
}


int
oci_blob_known(const oci_store_t *s, const oci_digest_t *d, int64_t *size)
{
    int         rc;
    char        blob[OCI_PATH_MAX];
    oci_file_t  f;

    oci_path_blob(blob, s, d);

    rc = oci_blob_stat_path(blob, &f);

    if (rc == OCI_OK) {
        *size = f.size;
    }

    return rc;
}


int
oci_blob_cache_known(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, int64_t *size)
{
    int   rc;
    char  blob[OCI_PATH_MAX];

    rc = oci_blob_known(s, d, size);

    if (rc != OCI_OK) {
        return rc;
    }

    oci_path_blob(blob, s, d);

    rc = oci_blob_cache(s, r, d, blob, *size);

    if (rc == OCI_ERROR && oci_failure()->err == ENOENT) {
        return OCI_NOT_FOUND;
    }

    return rc;
}


int
oci_blob_mount(const oci_store_t *s, const oci_repo_t *from,
    const oci_repo_t *to, const oci_digest_t *d)
{
    int       rc;
    char      path[OCI_PATH_MAX];
    unsigned  try;

    /* twice: a link may move from _cached/ to _blobs/ between two looks */

    for (try = 0; try < 2; try++) {
        oci_path_repo_blob(path, s, from, d);

        rc = oci_blob_mount_path(s, path, to, d);

        if (rc != OCI_NOT_FOUND) {
            return rc;
        }

        oci_path_repo_cached(path, s, from, d);

        rc = oci_blob_mount_path(s, path, to, d);

        if (rc != OCI_NOT_FOUND) {
            return rc;
        }
    }

    return OCI_NOT_FOUND;
}


int
oci_blob_mount_any(const oci_store_t *s, const oci_repo_t *to,
    const oci_digest_t *d)
{
    int             rc;
    oci_blob_any_t  any;

    rc = oci_blob_mount(s, to, to, d);

    if (rc != OCI_NOT_FOUND) {
        return rc;
    }

    any.to = to;
    any.digest = d;

    rc = oci_list_walk(s, &to->ns, oci_blob_any, &any);

    switch (rc) {

    case OCI_EXISTS:
        return OCI_OK;

    case OCI_OK:
        return OCI_NOT_FOUND;

    default:
        return rc;
    }
}


int
oci_blob_keep(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d)
{
    int         rc;
    char        path[OCI_PATH_MAX];
    oci_file_t  f;

    oci_path_repo_blob(path, s, r, d);

    rc = oci_blob_stat_path(path, &f);

    if (rc != OCI_NOT_FOUND) {
        return rc;
    }

    return oci_blob_mount(s, r, r, d);
}


int
oci_blob_delete(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d)
{
    int          rc, cached;
    char         path[OCI_PATH_MAX];
    struct stat  st;

    oci_generation_raise(s, r);

    oci_path_repo_blob(path, s, r, d);
    rc = oci_blob_unlink(s, path);

    oci_path_repo_cached(path, s, r, d);
    cached = oci_blob_unlink(s, path);

    oci_generation_raise(s, r);

    if (rc == OCI_ERROR || cached == OCI_ERROR) {
        errno = oci_failure()->err;
        return OCI_ERROR;
    }

    if (rc == OCI_NOT_FOUND && cached == OCI_NOT_FOUND) {
        return OCI_NOT_FOUND;
    }

    /*
     * A pusher may link this very inode between the stat and the unlink.
     * That is harmless: its repository's link keeps the content, nobody
     * reads through blobs/, and housekeeping gives the name back.
     */

    oci_path_blob(path, s, d);

    if (stat(path, &st) == 0 && st.st_nlink == 1) {

        if (oci_blob_unlink(s, path) == OCI_ERROR) {
            return OCI_ERROR;
        }

        (void) oci_zstd_drop(s, d);
    }

    return OCI_OK;
}


int
oci_blob_fd(const char *path, oci_file_t *f)
{
    struct stat  st;

    memset(f, 0, sizeof(oci_file_t));

    f->fd = open(path, O_RDONLY|O_CLOEXEC|O_NOFOLLOW|O_NONBLOCK);

    if (f->fd == -1) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return OCI_NOT_FOUND;
        }

        return oci_fail("open()", path);
    }

    if (fstat(f->fd, &st) == -1) {
        (void) oci_fail("fstat()", path);
        close(f->fd);
        f->fd = -1;
        return OCI_ERROR;
    }

    f->size = st.st_size;
    f->mtime = st.st_mtim.tv_sec;
    f->inode = st.st_ino;

    return OCI_OK;
}


static int
oci_blob_stat_path(const char *path, oci_file_t *f)
{
    struct stat  st;

    memset(f, 0, sizeof(oci_file_t));

    f->fd = -1;

    if (lstat(path, &st) == -1) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return OCI_NOT_FOUND;
        }

        return oci_fail("stat()", path);
    }

    f->size = st.st_size;
    f->mtime = st.st_mtim.tv_sec;
    f->inode = st.st_ino;

    return OCI_OK;
}


static int
oci_blob_touch_path(const char *path)
{
    if (utimensat(AT_FDCWD, path, NULL, 0) == -1) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return OCI_NOT_FOUND;
        }

        return oci_fail("utimensat()", path);
    }

    return OCI_OK;
}


static int
oci_blob_link_as(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const char *path, const char *to, int64_t size)
{
    int   rc;
    char  blob[OCI_PATH_MAX];

    oci_path_blob(blob, s, d);

    if (chmod(path, 0444) == -1) {
        return oci_fail("chmod()", path);
    }

    if (utimensat(AT_FDCWD, path, NULL, 0) == -1) {
        return oci_fail("utimensat()", path);
    }

    oci_generation_raise(s, r);

    rc = oci_blob_into_repo(s, path, to, blob, size);

    oci_generation_raise(s, r);

    return rc;
}


/*
 * The push order: the repository's name, then the one in blobs/, then the
 * folders.  from is content of our own that nobody can take away.
 */

static int
oci_blob_into_repo(const oci_store_t *s, const char *from, const char *to,
    const char *blob, int64_t size)
{
    int         rc;
    char        dir[OCI_PATH_MAX];
    unsigned    try, full;
    oci_file_t  f;

    strcpy(dir, to);
    *strrchr(dir, '/') = '\0';

    full = 0;

    for (try = 0; try < OCI_BLOB_TRIES; try++) {

        /* each time: the collector prunes empty folders */

        if (oci_dir_make(s, dir) != OCI_OK) {
            return OCI_ERROR;
        }

        rc = OCI_NOT_FOUND;

        if (!full) {
            rc = oci_blob_stat_path(blob, &f);

            if (rc == OCI_ERROR) {
                return OCI_ERROR;
            }

            if (rc == OCI_OK && f.size != size) {
                return OCI_MISMATCH;
            }

            if (rc == OCI_OK) {
                rc = oci_blob_touch_path(blob);

                if (rc == OCI_ERROR) {
                    return OCI_ERROR;
                }
            }

            if (rc == OCI_OK) {
                rc = oci_blob_into(s, blob, to, blob, size, 0);
            }
        }

        if (rc == OCI_NOT_FOUND || rc == OCI_RANGE) {

            /*
             * Nothing there, or taken by the collector just now, or as many
             * links as the file system allows: our own.
             */

            full |= (rc == OCI_RANGE);

            rc = oci_blob_into(s, from, to, blob, size, full);

            if (rc == OCI_RANGE) {
                errno = EMLINK;
                return oci_fail("link()", to);
            }
        }

        if (rc != OCI_NOT_FOUND) {
            return rc;
        }
    }

    errno = ENOENT;

    return oci_fail("link()", to);
}


/*
 * Links from into the repository as to, and sees that blobs/ has the name;
 * full tells that the inode there takes no further link.  OCI_OK: all names
 * are durable; OCI_NOT_FOUND: from or the folder of to has gone; OCI_RANGE:
 * from has as many links as the file system allows; OCI_MISMATCH; OCI_ERROR.
 */

static int
oci_blob_into(const oci_store_t *s, const char *from, const char *to,
    const char *blob, int64_t size, unsigned full)
{
    int  rc;

    rc = oci_blob_link_name(from, to, size);

    if (rc == OCI_EXISTS) {

        /*
         * Nobody synced that name for us, and its mtime may be an old one.
         * If it has gone meanwhile, the next round makes it anew.
         */

        rc = oci_blob_touch_path(to);
    }

    if (rc != OCI_OK) {
        return rc;
    }

    rc = full ? oci_blob_renew(s, to, blob)
              : oci_blob_link_name(to, blob, size);

    /*
     * No room for one more link: the name in blobs/ may be missing, until
     * housekeeping restores it.
     */

    if (rc != OCI_OK && rc != OCI_EXISTS && rc != OCI_RANGE) {
        return rc;
    }

    if (oci_dir_sync_parent(s, to) != OCI_OK) {
        return (errno == ENOENT) ? OCI_NOT_FOUND : OCI_ERROR;
    }

    return oci_dir_sync_parent(s, blob);
}


/*
 * An inode in blobs/ that takes no further link would send each later push
 * and mount the long way round: a younger one replaces it.  The old one
 * lives by the links of its repositories.
 */

static int
oci_blob_renew(const oci_store_t *s, const char *from, const char *blob)
{
    int   rc;
    char  tmp[OCI_PATH_MAX];

    oci_path_tmp(tmp, s);

    if (link(from, tmp) == -1) {
        if (errno == EMLINK) {
            return OCI_RANGE;
        }

        if (errno == ENOENT) {
            return OCI_NOT_FOUND;
        }

        return oci_fail("link()", tmp);
    }

    rc = OCI_OK;

    if (rename(tmp, blob) == -1) {
        rc = oci_fail("rename()", blob);
    }

    /* two names of one inode: rename() does nothing then */

    (void) unlink(tmp);

    return rc;
}


/*
 * One link.  OCI_OK; OCI_EXISTS: a file of that size is there already;
 * OCI_MISMATCH: one of another size is; OCI_NOT_FOUND: from, the folder of
 * to, or what stood in the way has gone; OCI_RANGE: EMLINK; OCI_ERROR.
 */

static int
oci_blob_link_name(const char *from, const char *to, int64_t size)
{
    int         rc;
    oci_file_t  f;

    if (link(from, to) == 0) {
        return OCI_OK;
    }

    switch (errno) {

    case EMLINK:
        return OCI_RANGE;

    case ENOENT:
        return OCI_NOT_FOUND;

    case EEXIST:
        break;

    default:
        return oci_fail("link()", to);
    }

    rc = oci_blob_stat_path(to, &f);

    if (rc != OCI_OK) {
        return rc;
    }

    return (f.size == size) ? OCI_EXISTS : OCI_MISMATCH;
}


/* OCI_OK, OCI_NOT_FOUND (from is not there) or OCI_ERROR */

static int
oci_blob_mount_path(const oci_store_t *s, const char *from,
    const oci_repo_t *to, const oci_digest_t *d)
{
    int         rc;
    char        path[OCI_PATH_MAX], blob[OCI_PATH_MAX], tmp[OCI_PATH_MAX];
    char       *slash;
    unsigned    try;
    oci_file_t  f, own;

    oci_path_repo_blob(path, s, to, d);
    oci_path_blob(blob, s, d);
    slash = strrchr(path, '/');

    rc = OCI_NOT_FOUND;

    for (try = 0; try < OCI_BLOB_TRIES; try++) {

        rc = oci_blob_stat_path(from, &f);

        if (rc == OCI_OK) {
            rc = oci_blob_touch_path(from);
        }

        if (rc != OCI_OK) {
            return rc;
        }

        *slash = '\0';
        rc = oci_dir_make(s, path);
        *slash = '/';

        if (rc != OCI_OK) {
            return OCI_ERROR;
        }

        oci_generation_raise(s, to);

        rc = oci_blob_into(s, from, path, blob, f.size, 0);

        oci_generation_raise(s, to);

        if (rc != OCI_NOT_FOUND) {
            break;
        }
    }

    if (rc == OCI_MISMATCH) {
        errno = EBADMSG;
        return oci_fail("link()", path);
    }

    if (rc != OCI_RANGE) {
        return rc;
    }

    /*
     * The inode of from takes no further link.  The one in blobs/ may be
     * another, with room, and if not, a copy is made and takes its place.
     */

    if (oci_blob_stat_path(blob, &own) == OCI_OK && own.size == f.size
        && own.inode != f.inode && oci_blob_touch_path(blob) == OCI_OK)
    {
        oci_generation_raise(s, to);

        rc = oci_blob_into(s, blob, path, blob, f.size, 0);

        oci_generation_raise(s, to);

        if (rc == OCI_OK) {
            return OCI_OK;
        }
    }

    oci_path_tmp(tmp, s);

    rc = oci_copy_blob(s, from, tmp, d);

    if (rc == OCI_OK) {
        rc = oci_blob_link(s, to, d, tmp, f.size);
        (void) unlink(tmp);
    }

    return rc;
}


/* OCI_EXISTS ends the walk: it is mounted */

static int
oci_blob_any(const oci_store_t *s, const oci_repo_t *r, void *data)
{
    oci_blob_any_t  *any = data;

    int         rc;
    oci_file_t  f;

    rc = oci_blob_stat(s, r, any->digest, &f);

    if (rc == OCI_OK) {
        rc = oci_blob_mount(s, r, any->to, any->digest);
    }

    switch (rc) {

    case OCI_OK:
        return OCI_EXISTS;

    case OCI_NOT_FOUND:
        return OCI_OK;

    default:
        return rc;
    }
}


/* OCI_OK: gone for good; OCI_NOT_FOUND or OCI_ERROR */

static int
oci_blob_unlink(const oci_store_t *s, const char *path)
{
    if (unlink(path) == -1) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return OCI_NOT_FOUND;
        }

        return oci_fail("unlink()", path);
    }

    if (oci_dir_sync_parent(s, path) != OCI_OK && errno != ENOENT) {
        return OCI_ERROR;
    }

    return OCI_OK;
}
