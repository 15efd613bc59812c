
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The root of a store: its layout, made once, and the check of its version.
 */


#include "oci_store.h"
#include "oci_generation.h"
#include "oci_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>


#define OCI_STAMP_AGE  2                /* s; see oci_stamp_set() */


#define OCI_STORE_MAGIC  "ngx_http_oci store "


static int oci_store_foreign(const char *root);
static int oci_store_create(const oci_store_t *s);
static int oci_store_repair(const oci_store_t *s);
static int oci_store_folder(const char *path);
static int oci_store_blobs(const oci_store_t *s);
static int oci_store_format(const oci_store_t *s);
static void oci_store_boot_id(oci_store_t *s);
static size_t oci_store_path(char *buf, const char *root, const char *name);


static __thread oci_failure_t  oci_last_failure;

static const char *const  oci_store_folders[] = {
    "blobs", "repositories", "uploads", "fills", "fills/sha256",
    "fills/sha512", "run", "tmp", NULL
};


int
oci_store_check(const char *root)
{
    int      fd;
    char     buf[64], want[64], path[OCI_PATH_MAX];
    ssize_t  n;

    if (strlen(root) >= OCI_STORE_ROOT_MAX) {
        errno = ENAMETOOLONG;
        return oci_fail("open()", root);
    }

    oci_store_path(path, root, "format");

    fd = open(path, O_RDONLY|O_CLOEXEC);

    if (fd == -1) {
        if (errno == ENOENT) {
            return oci_store_foreign(root);
        }

        return oci_fail("open()", path);
    }

    do {
        n = read(fd, buf, sizeof(buf));
    } while (n == -1 && errno == EINTR);

    if (n == -1) {
        (void) oci_fail("read()", path);
        close(fd);
        return OCI_ERROR;
    }

    close(fd);

    (void) snprintf(want, sizeof(want), OCI_STORE_MAGIC "%d\n",
                    OCI_STORE_FORMAT);

    if ((size_t) n != strlen(want) || memcmp(buf, want, (size_t) n) != 0) {
        return OCI_UNSUPPORTED;
    }

    return OCI_OK;
}


int
oci_store_open(oci_store_t *s, const char *root, unsigned durable)
{
    int     rc;
    size_t  len;

    memset(s, 0, sizeof(oci_store_t));

    len = strlen(root);

    while (len > 1 && root[len - 1] == '/') {
        len--;
    }

    if (len == 0 || root[0] != '/') {
        errno = EINVAL;
        return oci_fail("store root", root);
    }

    if (len >= OCI_STORE_ROOT_MAX) {
        errno = ENAMETOOLONG;
        return oci_fail("store root", root);
    }

    memcpy(s->root, root, len);
    s->root[len] = '\0';
    s->root_len = len;
    s->durable = durable ? 1 : 0;

    oci_store_boot_id(s);

    rc = oci_store_check(s->root);

    switch (rc) {

    case OCI_OK:
        rc = oci_store_repair(s);

        if (rc == OCI_ERROR && errno == EROFS) {

            /* a node that only serves what others push */

            rc = OCI_OK;
        }

        break;

    case OCI_NOT_FOUND:
        rc = oci_store_create(s);
        break;

    case OCI_UNSUPPORTED:
        errno = EPROTONOSUPPORT;
        return oci_fail("store format", s->root);

    default:
        break;
    }

    if (rc != OCI_OK) {
        return OCI_ERROR;
    }

    /*
     * Without counters nothing is cached for longer than a recheck allows,
     * so a file system that can't map a shared file is still of use.
     */

    (void) oci_generation_map(s);

    return OCI_OK;
}


void
oci_store_close(oci_store_t *s)
{
    oci_generation_unmap(s);
}


/* FNV-1a over the namespace, a NUL, and the name */

uint64_t
oci_repo_hash(const oci_repo_t *r)
{
    size_t    i;
    uint64_t  h;

    h = 0xcbf29ce484222325ULL;

    for (i = 0; i < r->ns.len; i++) {
        h = (h ^ r->ns.data[i]) * 0x100000001b3ULL;
    }

    h *= 0x100000001b3ULL;

    for (i = 0; i < r->name.len; i++) {
        h = (h ^ r->name.data[i]) * 0x100000001b3ULL;
    }

    return h;
}


void
oci_stamp_set(oci_stamp_t *stamp, const struct stat *st)
{
    stamp->inode = 0;
    stamp->ctime = 0;

    if (time(NULL) - st->st_ctim.tv_sec < OCI_STAMP_AGE) {
        return;
    }

    stamp->inode = (uint64_t) st->st_ino;
    stamp->ctime = (int64_t) st->st_ctim.tv_sec * 1000000000
                   + st->st_ctim.tv_nsec;
}


int
oci_stamp_equal(const oci_stamp_t *a, const oci_stamp_t *b)
{
    return a->inode != 0 && a->inode == b->inode && a->ctime == b->ctime;
}


int
oci_fail(const char *op, const char *path)
{
    int             err;
    size_t          len;
    oci_failure_t  *f;

    err = errno;
    f = &oci_last_failure;

    f->err = err;
    f->op = op;
    f->path[0] = '\0';

    if (path != NULL) {
        len = strlen(path);

        if (len >= sizeof(f->path)) {
            path += len - (sizeof(f->path) - 1);
            len = sizeof(f->path) - 1;
        }

        memmove(f->path, path, len + 1);
    }

    errno = err;

    return OCI_ERROR;
}


const oci_failure_t *
oci_failure(void)
{
    if (oci_last_failure.op == NULL) {
        oci_last_failure.op = "";
    }

    return &oci_last_failure;
}


/*
 * No format: a new store, or one whose making was interrupted.  A folder
 * that holds anything else is not taken over.
 */

static int
oci_store_foreign(const char *root)
{
    int             rc;
    DIR            *dir;
    unsigned        i;
    struct dirent  *de;

    dir = opendir(root);

    if (dir == NULL) {
        if (errno == ENOENT) {
            return OCI_NOT_FOUND;
        }

        return oci_fail("opendir()", root);
    }

    rc = OCI_NOT_FOUND;

    for ( ;; ) {
        errno = 0;
        de = readdir(dir);

        if (de == NULL) {
            if (errno != 0) {
                rc = oci_fail("readdir()", root);
            }

            break;
        }

        if (de->d_name[0] == '.' || strcmp(de->d_name, "lost+found") == 0) {
            continue;
        }

        for (i = 0; oci_store_folders[i] != NULL; i++) {
            if (strcmp(de->d_name, oci_store_folders[i]) == 0) {
                break;
            }
        }

        /* another process may have come to its end of the making just now */

        if (oci_store_folders[i] == NULL
            && strcmp(de->d_name, "format") != 0)
        {
            rc = OCI_UNSUPPORTED;
            break;
        }
    }

    closedir(dir);

    return rc;
}


static int
oci_store_create(const oci_store_t *s)
{
    char      path[OCI_PATH_MAX];
    unsigned  i;

    for (i = 0; oci_store_folders[i] != NULL; i++) {
        oci_store_path(path, s->root, oci_store_folders[i]);

        if (oci_store_folder(path) != OCI_OK) {
            return OCI_ERROR;
        }
    }

    if (oci_store_blobs(s) != OCI_OK) {
        return OCI_ERROR;
    }

    oci_store_path(path, s->root, "fills");

    if (oci_dir_sync(s, path) != OCI_OK
        || oci_dir_sync(s, s->root) != OCI_OK)
    {
        return OCI_ERROR;
    }

    return oci_store_format(s);
}


/* a store that was made before: only what a hand may have cleared away */

static int
oci_store_repair(const oci_store_t *s)
{
    char         path[OCI_PATH_MAX];
    unsigned     i;
    struct stat  st;

    for (i = 0; oci_store_folders[i] != NULL; i++) {
        oci_store_path(path, s->root, oci_store_folders[i]);

        if (stat(path, &st) == 0) {
            continue;
        }

        if (errno != ENOENT) {
            return oci_fail("stat()", path);
        }

        if (oci_store_folder(path) != OCI_OK) {
            return OCI_ERROR;
        }

        if (strcmp(oci_store_folders[i], "blobs") == 0
            && oci_store_blobs(s) != OCI_OK)
        {
            return OCI_ERROR;
        }

        if (oci_dir_sync_parent(s, path) != OCI_OK) {
            return OCI_ERROR;
        }
    }

    oci_store_path(path, s->root, "tmp");

    if (faccessat(AT_FDCWD, path, W_OK|X_OK, AT_EACCESS) == -1) {
        return oci_fail("access()", path);
    }

    return OCI_OK;
}


static int
oci_store_folder(const char *path)
{
    struct stat  st;

    if (mkdir(path, 0700) == 0) {
        return OCI_OK;
    }

    if (errno != EEXIST) {
        return oci_fail("mkdir()", path);
    }

    if (stat(path, &st) == -1) {
        return oci_fail("stat()", path);
    }

    if (!S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        return oci_fail("mkdir()", path);
    }

    return OCI_OK;
}


static int
oci_store_blobs(const oci_store_t *s)
{
    char       path[OCI_PATH_MAX], name[32];
    unsigned   n;
    oci_alg_t  alg;

    for (alg = 0; alg < OCI_ALG_COUNT; alg++) {
        (void) snprintf(name, sizeof(name), "blobs/%s", oci_alg_name(alg));
        oci_store_path(path, s->root, name);

        if (oci_store_folder(path) != OCI_OK) {
            return OCI_ERROR;
        }

        for (n = 0; n < 256; n++) {
            (void) snprintf(name, sizeof(name), "blobs/%s/%02x",
                            oci_alg_name(alg), n);
            oci_store_path(path, s->root, name);

            if (oci_store_folder(path) != OCI_OK) {
                return OCI_ERROR;
            }
        }

        if (oci_dir_sync_parent(s, path) != OCI_OK) {
            return OCI_ERROR;
        }
    }

    oci_store_path(path, s->root, "blobs");

    return oci_dir_sync(s, path);
}


static int
oci_store_format(const oci_store_t *s)
{
    int   n, rc;
    char  text[64], path[OCI_PATH_MAX], tmp[OCI_PATH_MAX];

    n = snprintf(text, sizeof(text), OCI_STORE_MAGIC "%d\n",
                 OCI_STORE_FORMAT);

    oci_path_tmp(tmp, s);
    oci_store_path(path, s->root, "format");

    if (oci_file_write(s, tmp, 0444, text, (size_t) n) != OCI_OK) {
        return OCI_ERROR;
    }

    rc = OCI_OK;

    /* of several processes that start at once the first one makes it */

    if (link(tmp, path) == -1 && errno != EEXIST) {
        rc = oci_fail("link()", path);
    }

    (void) unlink(tmp);

    return (rc == OCI_OK) ? oci_dir_sync(s, s->root) : rc;
}


/*
 * Where /proc is not there, all boots are called "unknown"; what asks for
 * the boot then can't tell one from another and has to take the safe side.
 */

static void
oci_store_boot_id(oci_store_t *s)
{
    int      fd;
    char     buf[OCI_BOOT_ID_LEN + 1];
    size_t   i;
    ssize_t  n;

    strcpy(s->boot_id, OCI_BOOT_UNKNOWN);

    fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY|O_CLOEXEC);

    if (fd == -1) {
        return;
    }

    do {
        n = read(fd, buf, OCI_BOOT_ID_LEN);
    } while (n == -1 && errno == EINTR);

    close(fd);

    if (n != OCI_BOOT_ID_LEN) {
        return;
    }

    for (i = 0; i < OCI_BOOT_ID_LEN; i++) {
        if ((buf[i] < '0' || buf[i] > '9') && (buf[i] < 'a' || buf[i] > 'f')
            && buf[i] != '-')
        {
            return;
        }
    }

    buf[OCI_BOOT_ID_LEN] = '\0';
    memcpy(s->boot_id, buf, sizeof(buf));
}


static size_t
oci_store_path(char *buf, const char *root, const char *name)
{
    return (size_t) snprintf(buf, OCI_PATH_MAX, "%s/%s", root, name);
}
