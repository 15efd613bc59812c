
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * OFD locks.
 */


#include "oci_lock.h"
#include "oci_path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>


#define OCI_LOCK_TRIES  8


static int oci_lock_open(const oci_store_t *s, const oci_repo_t *r,
    const char *path, unsigned create);
static int oci_lock_exists(const oci_store_t *s, const oci_repo_t *r);
static int oci_lock_set(int fd, short type, off_t start, off_t len);
static int oci_lock_held(int fd, off_t start, off_t len);


int
oci_lock_repo(oci_lock_t *l, const oci_store_t *s, const oci_repo_t *r,
    unsigned exclusive, unsigned create)
{
    int          rc, fd;
    char         path[OCI_PATH_MAX];
    unsigned     try;
    struct stat  have, want;

    l->fd = -1;

    oci_path_repo_lock(path, s, r);

    for (try = 0; try < OCI_LOCK_TRIES; try++) {

        fd = oci_lock_open(s, r, path, create);

        if (fd < 0) {
            if (fd == OCI_AGAIN) {
                continue;
            }

            return fd;
        }

        rc = oci_lock_set(fd, exclusive ? F_WRLCK : F_RDLCK, 0, 0);

        if (rc != OCI_OK) {
            if (rc == OCI_ERROR) {
                (void) oci_fail("fcntl(F_OFD_SETLK)", path);
            }

            close(fd);
            return rc;
        }

        /* an empty repository may have been removed in between */

        if (fstat(fd, &have) == 0 && stat(path, &want) == 0
            && have.st_ino == want.st_ino && have.st_dev == want.st_dev)
        {
            l->fd = fd;
            return OCI_OK;
        }

        close(fd);
    }

    return OCI_AGAIN;
}


void
oci_lock_release(oci_lock_t *l)
{
    if (l->fd != -1) {
        close(l->fd);
        l->fd = -1;
    }
}


int
oci_lock_byte(int fd, off_t byte)
{
    return oci_lock_set(fd, F_WRLCK, byte, 1);
}


void
oci_unlock_byte(int fd, off_t byte)
{
    (void) oci_lock_set(fd, F_UNLCK, byte, 1);
}


int
oci_lock_byte_held(int fd, off_t byte)
{
    return oci_lock_held(fd, byte, 1);
}


int
oci_lock_from_held(int fd, off_t byte)
{
    return oci_lock_held(fd, byte, 0);
}


int
oci_lock_byte_shared(int fd, off_t byte)
{
    return oci_lock_set(fd, F_RDLCK, byte, 1);
}


static int
oci_lock_open(const oci_store_t *s, const oci_repo_t *r, const char *path,
    unsigned create)
{
    int     fd;
    char    dir[OCI_PATH_MAX];

    fd = open(path, O_RDWR|O_CLOEXEC);

    if (fd != -1) {
        return fd;
    }

    if (errno != ENOENT) {
        return oci_fail("open()", path);
    }

    if (create) {
        oci_path_repo(dir, s, r);

        if (oci_dir_make(s, dir) != OCI_OK) {
            return OCI_ERROR;
        }

    } else if (!oci_lock_exists(s, r)) {
        return OCI_NOT_FOUND;
    }

    fd = open(path, O_RDWR|O_CREAT|O_CLOEXEC, 0600);

    if (fd == -1) {
        if (errno == ENOENT) {
            return OCI_AGAIN;
        }

        return oci_fail("open()", path);
    }

    return fd;
}


/*
 * The folder alone may only be on the way to repositories below it: one that
 * nothing was ever put into gets no _lock.
 */

static int
oci_lock_exists(const oci_store_t *s, const oci_repo_t *r)
{
    char         path[OCI_PATH_MAX];
    size_t       len;
    unsigned     i;
    struct stat  st;

    static const char *const  names[] = {
        "/_blobs", "/_manifests", "/_cached", "/_tags", "/_referrers"
    };

    len = oci_path_repo(path, s, r);

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        strcpy(path + len, names[i]);

        if (stat(path, &st) == 0) {
            return 1;
        }
    }

    return 0;
}


static int
oci_lock_set(int fd, short type, off_t start, off_t len)
{
    struct flock  fl;

    memset(&fl, 0, sizeof(struct flock));
    fl.l_type = type;
    fl.l_whence = SEEK_SET;
    fl.l_start = start;
    fl.l_len = len;

    while (fcntl(fd, F_OFD_SETLK, &fl) == -1) {
        if (errno == EINTR) {
            continue;
        }

        if (errno == EAGAIN || errno == EACCES) {
            return OCI_AGAIN;
        }

        return oci_fail("fcntl(F_OFD_SETLK)", NULL);
    }

    return OCI_OK;
}


static int
oci_lock_held(int fd, off_t start, off_t len)
{
    struct flock  fl;

    memset(&fl, 0, sizeof(struct flock));
    fl.l_type = F_WRLCK;
    fl.l_whence = SEEK_SET;
    fl.l_start = start;
    fl.l_len = len;

    if (fcntl(fd, F_OFD_GETLK, &fl) == -1) {

        /* who can't be asked counts as alive */

        (void) oci_fail("fcntl(F_OFD_GETLK)", NULL);
        return 1;
    }

    return fl.l_type != F_UNLCK;
}
