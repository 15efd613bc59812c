
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_tag.h"
#include "oci_path.h"
#include "oci_lock.h"
#include "oci_generation.h"

#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>


/* "../_manifests/<alg>/<hex>" and what tells a longer text from it */

#define OCI_TARGET_MAX  (sizeof(".././_manifests/") + OCI_DIGEST_MAX + 1)


static int oci_tag_link(const oci_store_t *s, const char *target,
    const char *path);
static int oci_tag_point(const oci_store_t *s, const oci_repo_t *r,
    const char *path, const char *target, const oci_digest_t *d);
static int oci_tag_read(int dir, const char *path, oci_digest_t *d,
    unsigned *filled);
static void oci_tag_touch(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d);
static int oci_tags_drop_from(DIR *dir, const char *path,
    const oci_digest_t *d, unsigned *dropped);


int
oci_tag_set(const oci_store_t *s, const oci_repo_t *r, const oci_str_t *tag,
    const oci_digest_t *d)
{
    char  path[OCI_PATH_MAX], target[OCI_PATH_MAX];

    (void) oci_path_tag_target(target, d);
    (void) oci_path_tag(path, s, r, tag);

    return oci_tag_point(s, r, path, target, d);
}


int
oci_tag_fill(const oci_store_t *s, const oci_repo_t *r, const oci_str_t *tag,
    const oci_digest_t *d, unsigned yield)
{
    char  path[OCI_PATH_MAX], target[OCI_PATH_MAX];

    if (yield && oci_tag_pushed(s, r, tag)) {
        return OCI_OK;
    }

    (void) oci_path_tag_filled(target, d);
    (void) oci_path_tag(path, s, r, tag);

    return oci_tag_point(s, r, path, target, d);
}


int
oci_tag_pushed(const oci_store_t *s, const oci_repo_t *r,
    const oci_str_t *tag)
{
    char          path[OCI_PATH_MAX];
    unsigned      filled;
    oci_digest_t  d;

    (void) oci_path_tag(path, s, r, tag);

    return oci_tag_read(AT_FDCWD, path, &d, &filled) == OCI_OK && !filled;
}


static int
oci_tag_point(const oci_store_t *s, const oci_repo_t *r, const char *path,
    const char *target, const oci_digest_t *d)
{
    int           rc;
    char          dir[OCI_PATH_MAX];
    unsigned      filled;
    oci_digest_t  old;

    rc = oci_tag_read(AT_FDCWD, path, &old, &filled);

    if (rc == OCI_ERROR) {
        return rc;
    }

    /* a tag that points there already is made anew: its age counts */

    if (oci_tag_link(s, target, path) != OCI_OK) {

        if (oci_failure()->err != ENOENT) {
            return OCI_ERROR;
        }

        (void) oci_path_tags(dir, s, r);

        if (oci_dir_make(s, dir) != OCI_OK
            || oci_tag_link(s, target, path) != OCI_OK)
        {
            return OCI_ERROR;
        }
    }

    if (rc == OCI_OK && !oci_digest_equal(&old, d)) {
        oci_tag_touch(s, r, &old);
    }

    return OCI_OK;
}


int
oci_tags_sync(const oci_store_t *s, const oci_repo_t *r)
{
    char  path[OCI_PATH_MAX];

    (void) oci_path_tags(path, s, r);

    /* another push may have made the folder and not synced its name yet */

    if (oci_dir_make(s, path) != OCI_OK) {
        return OCI_ERROR;
    }

    return oci_dir_sync(s, path);
}


int
oci_tag_get(const oci_store_t *s, const oci_repo_t *r, const oci_str_t *tag,
    oci_digest_t *d)
{
    char      path[OCI_PATH_MAX];
    unsigned  filled;

    (void) oci_path_tag(path, s, r, tag);

    return oci_tag_read(AT_FDCWD, path, d, &filled);
}


int
oci_tag_delete(const oci_store_t *s, const oci_repo_t *r,
    const oci_str_t *tag)
{
    int           rc, found;
    char          path[OCI_PATH_MAX];
    unsigned      filled;
    oci_lock_t    lock;
    struct stat   st;
    oci_digest_t  d;

    rc = oci_lock_repo(&lock, s, r, 1, 0);
    if (rc != OCI_OK) {
        return rc;
    }

    (void) oci_path_tag(path, s, r, tag);

    found = oci_tag_read(AT_FDCWD, path, &d, &filled);

    if (found == OCI_NOT_FOUND || found == OCI_ERROR) {
        oci_lock_release(&lock);
        return found;
    }

    /* one that dangles is no tag to anybody, and goes all the same */

    rc = stat(path, &st) == 0 ? OCI_OK : OCI_NOT_FOUND;

    oci_generation_raise(s, r);

    if (unlink(path) == -1) {
        rc = oci_fail("unlink()", path);

    } else {

        if (found == OCI_OK) {
            oci_tag_touch(s, r, &d);
        }

        if (oci_dir_sync_parent(s, path) != OCI_OK) {
            rc = OCI_ERROR;
        }
    }

    oci_generation_raise(s, r);

    oci_lock_release(&lock);

    return rc;
}


int
oci_tags_drop(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d)
{
    int        rc;
    DIR       *dir;
    char       path[OCI_PATH_MAX];
    unsigned   dropped;

    (void) oci_path_tags(path, s, r);

    dir = opendir(path);

    if (dir == NULL) {
        return errno == ENOENT ? OCI_OK : oci_fail("opendir()", path);
    }

    oci_generation_raise(s, r);

    dropped = 0;
    rc = oci_tags_drop_from(dir, path, d, &dropped);

    (void) closedir(dir);

    if (dropped && oci_dir_sync(s, path) != OCI_OK) {
        rc = OCI_ERROR;
    }

    oci_generation_raise(s, r);

    return rc;
}


static int
oci_tags_drop_from(DIR *dir, const char *path, const oci_digest_t *d,
    unsigned *dropped)
{
    int             fd, rc;
    unsigned        filled;
    struct stat     st;
    oci_digest_t    to;
    struct dirent  *entry;

    fd = dirfd(dir);

    for ( ;; ) {

        errno = 0;
        entry = readdir(dir);

        if (entry == NULL) {
            return errno ? oci_fail("readdir()", path) : OCI_OK;
        }

        if (entry->d_name[0] == '.') {
            continue;
        }

        if (d != NULL) {
            rc = oci_tag_read(fd, entry->d_name, &to, &filled);

            if (rc == OCI_ERROR) {
                return rc;
            }

            if (rc != OCI_OK || !oci_digest_equal(&to, d)) {
                continue;
            }

        } else {

            if (fstatat(fd, entry->d_name, &st, 0) == 0 || errno != ENOENT) {
                continue;
            }
        }

        if (unlinkat(fd, entry->d_name, 0) == -1) {

            if (errno == ENOENT) {
                continue;
            }

            return oci_fail("unlinkat()", path);
        }

        *dropped = 1;
    }
}


static int
oci_tag_link(const oci_store_t *s, const char *target, const char *path)
{
    char  tmp[OCI_PATH_MAX];

    (void) oci_path_tmp(tmp, s);

    if (symlink(target, tmp) == -1) {
        return oci_fail("symlink()", tmp);
    }

    if (rename(tmp, path) == -1) {
        (void) oci_fail("rename()", path);
        (void) unlink(tmp);
        return OCI_ERROR;
    }

    return OCI_OK;
}


static int
oci_tag_read(int dir, const char *path, oci_digest_t *d, unsigned *filled)
{
    char                *slash;
    char                 text[OCI_TARGET_MAX];
    size_t               len, skip;
    ssize_t              n;
    static const char    pushed[] = "../_manifests/";
    static const char    cached[] = ".././_manifests/";

    n = readlinkat(dir, path, text, sizeof(text));

    if (n == -1) {

        switch (errno) {

        case ENOENT:
        case ENOTDIR:
            return OCI_NOT_FOUND;

        case EINVAL:
            return OCI_INVALID;

        default:
            return oci_fail("readlink()", path);
        }
    }

    len = (size_t) n;

    *filled = 0;

    if (len == sizeof(text)) {
        return OCI_INVALID;
    }

    if (len >= sizeof(pushed) - 1
        && memcmp(text, pushed, sizeof(pushed) - 1) == 0)
    {
        skip = sizeof(pushed) - 1;

    } else if (len >= sizeof(cached) - 1
               && memcmp(text, cached, sizeof(cached) - 1) == 0)
    {
        skip = sizeof(cached) - 1;
        *filled = 1;

    } else {
        return OCI_INVALID;
    }

    len -= skip;
    memmove(text, text + skip, len);

    slash = memchr(text, '/', len);

    if (slash == NULL) {
        return OCI_INVALID;
    }

    *slash = ':';

    return oci_digest_parse(d, (u_char *) text, len) == OCI_OK ? OCI_OK
                                                               : OCI_INVALID;
}


/* best effort: the manifest may be gone */

static void
oci_tag_touch(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d)
{
    char  path[OCI_PATH_MAX];

    (void) oci_path_manifest(path, s, r, d);

    (void) utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW);
}
