
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_fill_from.h"
#include "oci_fill_part.h"
#include "oci_blob.h"
#include "oci_lock.h"
#include "oci_path.h"
#include "oci_reference.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>


#define OCI_FILL_FROM_HEAD   "oci-fill-from 1\n"
#define OCI_FILL_FROM_LINES  4


static int oci_fill_from_write(const oci_fill_file_t *f, const u_char *text,
    size_t len);
static u_char *oci_fill_from_line(u_char *p, const u_char *end,
    const oci_str_t *s);
static int oci_fill_from_get(oci_fill_left_t *left, const oci_store_t *s);
static int oci_fill_from_parse(oci_fill_from_t *from, u_char *p, size_t len);
static int oci_fill_left_one(oci_fill_left_t *left, const oci_store_t *s,
    int64_t idle, int64_t reserve);
static int oci_fill_left_open(const oci_store_t *s, const oci_digest_t *d);
static int oci_fill_left_total(oci_fill_left_t *left, const oci_store_t *s);
static int oci_fill_left_room(const oci_fill_left_t *left,
    const oci_store_t *s, int64_t reserve);


int
oci_fill_from_put(const oci_fill_file_t *f, const oci_fill_from_t *from)
{
    int     rc;
    u_char  text[OCI_FILL_FROM_MAX], *p, *end;

    end = text + sizeof(text);

    memcpy(text, OCI_FILL_FROM_HEAD, sizeof(OCI_FILL_FROM_HEAD) - 1);
    p = text + sizeof(OCI_FILL_FROM_HEAD) - 1;

    p = oci_fill_from_line(p, end, &from->upstream);
    p = oci_fill_from_line(p, end, &from->remote);
    p = oci_fill_from_line(p, end, &from->repo.ns);
    p = oci_fill_from_line(p, end, &from->repo.name);

    if (p == NULL) {
        return OCI_INVALID;
    }

    /* not beside who ends it, nor into the folder of another one */

    rc = oci_lock_byte(f->lock, OCI_FILL_LIFE);

    if (rc != OCI_OK) {
        return rc;
    }

    rc = oci_fill_stands(f);

    if (rc == OCI_OK) {
        rc = oci_fill_from_write(f, text, (size_t) (p - text));
    }

    oci_unlock_byte(f->lock, OCI_FILL_LIFE);

    return rc;
}


static int
oci_fill_from_write(const oci_fill_file_t *f, const u_char *text, size_t len)
{
    int      fd;
    char     path[OCI_PATH_MAX], tmp[OCI_PATH_MAX];
    ssize_t  n;

    oci_path_fill(tmp, f->store, &f->digest, "from.tmp");
    oci_path_fill(path, f->store, &f->digest, "from");

    fd = open(tmp, O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC|O_NOFOLLOW, 0600);

    if (fd == -1) {
        return oci_fail("open()", tmp);
    }

    do {
        n = write(fd, text, len);
    } while (n == -1 && errno == EINTR);

    close(fd);

    if (n != (ssize_t) len || rename(tmp, path) == -1) {
        (void) oci_fail("write()", tmp);
        (void) unlink(tmp);
        return OCI_ERROR;
    }

    return OCI_OK;
}


/* NULL: it does not fit, or is no line */

static u_char *
oci_fill_from_line(u_char *p, const u_char *end, const oci_str_t *s)
{
    size_t  i;

    if (p == NULL || (size_t) (end - p) < s->len + 1) {
        return NULL;
    }

    for (i = 0; i < s->len; i++) {
        if (s->data[i] <= 0x20 || s->data[i] >= 0x7f) {
            return NULL;
        }

        *p++ = s->data[i];
    }

    *p++ = '\n';

    return p;
}


/* OCI_OK, OCI_NOT_FOUND or OCI_INVALID */

static int
oci_fill_from_get(oci_fill_left_t *left, const oci_store_t *s)
{
    int      fd;
    char     path[OCI_PATH_MAX];
    ssize_t  n;

    oci_path_fill(path, s, &left->digest, "from");

    fd = open(path, O_RDONLY|O_CLOEXEC|O_NOFOLLOW);

    if (fd == -1) {
        return OCI_NOT_FOUND;
    }

    do {
        n = read(fd, left->text, sizeof(left->text));
    } while (n == -1 && errno == EINTR);

    close(fd);

    return (n > 0) ? oci_fill_from_parse(&left->from, left->text, (size_t) n)
                   : OCI_INVALID;
}


static int
oci_fill_from_parse(oci_fill_from_t *from, u_char *p, size_t len)
{
    u_char     *end, *nl;
    unsigned    i;
    oci_str_t   lines[OCI_FILL_FROM_LINES];

    if (len < sizeof(OCI_FILL_FROM_HEAD) - 1
        || memcmp(p, OCI_FILL_FROM_HEAD, sizeof(OCI_FILL_FROM_HEAD) - 1) != 0)
    {
        return OCI_INVALID;
    }

    end = p + len;
    p += sizeof(OCI_FILL_FROM_HEAD) - 1;

    for (i = 0; i < OCI_FILL_FROM_LINES; i++) {
        nl = memchr(p, '\n', (size_t) (end - p));

        if (nl == NULL) {
            return OCI_INVALID;
        }

        lines[i].data = p;
        lines[i].len = (size_t) (nl - p);

        p = nl + 1;
    }

    from->upstream = lines[0];
    from->remote = lines[1];
    from->repo.ns = lines[2];
    from->repo.name = lines[3];

    if (p != end || from->upstream.len == 0
        || !oci_name_valid(from->remote.data, from->remote.len)
        || !oci_name_valid(from->repo.name.data, from->repo.name.len)
        || (from->repo.ns.len
            && !oci_namespace_valid(from->repo.ns.data, from->repo.ns.len)))
    {
        return OCI_INVALID;
    }

    return OCI_OK;
}


int
oci_fill_left(const oci_store_t *s, int64_t idle, int64_t reserve,
    unsigned *cursor, oci_fill_left_t *left, unsigned max)
{
    DIR            *dir;
    char            path[OCI_PATH_MAX], text[OCI_DIGEST_MAX + 2];
    unsigned        n, seen;
    oci_alg_t       alg;
    struct dirent  *de;

    n = 0;
    seen = 0;

    for (alg = 0; alg < OCI_ALG_COUNT; alg++) {

        oci_path_fills(path, s, alg);

        dir = opendir(path);

        if (dir == NULL) {
            if (errno == ENOENT) {
                continue;
            }

            return oci_fail("opendir()", path);
        }

        while (n < max && (de = readdir(dir)) != NULL) {

            if (snprintf(text, sizeof(text), "%s:%s", oci_alg_name(alg),
                         de->d_name)
                >= (int) sizeof(text)
                || oci_digest_parse(&left[n].digest, (u_char *) text,
                                    strlen(text))
                   != OCI_OK
                || seen++ < *cursor)
            {
                continue;
            }

            n += (oci_fill_left_one(&left[n], s, idle, reserve) == OCI_OK);
        }

        closedir(dir);
    }

    *cursor = (n == max) ? seen : 0;

    return (int) n;
}


/* OCI_OK: it is one */

static int
oci_fill_left_one(oci_fill_left_t *left, const oci_store_t *s, int64_t idle,
    int64_t reserve)
{
    int64_t  size;

    if (oci_fill_idle(s, &left->digest) < idle
        || oci_fill_from_get(left, s) != OCI_OK
        || oci_fill_left_open(s, &left->digest))
    {
        return OCI_CONFLICT;
    }

    if (oci_blob_known(s, &left->digest, &size) == OCI_OK) {
        (void) oci_fill_expire_one(s, &left->digest, idle);
        return OCI_EXISTS;
    }

    if (oci_fill_left_total(left, s) != OCI_OK) {
        return OCI_INVALID;
    }

    return oci_fill_left_room(left, s, reserve);
}


/* 1 if some process has it open */

static int
oci_fill_left_open(const oci_store_t *s, const oci_digest_t *d)
{
    int   fd, held;
    char  path[OCI_PATH_MAX];

    oci_path_fill(path, s, d, "lock");

    fd = open(path, O_RDWR|O_CLOEXEC|O_NOFOLLOW);

    if (fd == -1) {
        return 1;
    }

    held = oci_lock_byte_held(fd, OCI_FILL_HOLD);

    close(fd);

    return held;
}


static int
oci_fill_left_total(oci_fill_left_t *left, const oci_store_t *s)
{
    int              fd, rc;
    char             path[OCI_PATH_MAX];
    void            *image;
    struct stat      st;
    oci_chunkmap_t   map;

    oci_path_fill(path, s, &left->digest, "map");

    fd = open(path, O_RDONLY|O_CLOEXEC|O_NOFOLLOW);

    if (fd == -1) {
        return OCI_NOT_FOUND;
    }

    image = MAP_FAILED;

    if (fstat(fd, &st) == 0 && st.st_size >= OCI_CHUNKMAP_HEAD) {
        image = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    }

    close(fd);

    if (image == MAP_FAILED) {
        return OCI_INVALID;
    }

    rc = oci_chunkmap_view(&map, image, (size_t) st.st_size, &left->digest);

    if (rc == OCI_OK) {
        left->total = oci_chunkmap_total(&map);
    }

    (void) munmap(image, (size_t) st.st_size);

    return rc;
}


/* what was reserved may not have survived: a copy of the store has holes */

static int
oci_fill_left_room(const oci_fill_left_t *left, const oci_store_t *s,
    int64_t reserve)
{
    int             fd, rc;
    char            path[OCI_PATH_MAX];
    int64_t         missing;
    struct stat     st;
    struct statvfs  fs;

    oci_path_fill(path, s, &left->digest, "data");

    if (stat(path, &st) == -1) {
        return OCI_NOT_FOUND;
    }

    missing = (int64_t) st.st_size - (int64_t) st.st_blocks * 512;

    if (missing <= 0) {
        return OCI_OK;
    }

    if (statvfs(path, &fs) == 0
        && (int64_t) fs.f_bavail * (int64_t) fs.f_frsize - reserve < missing)
    {
        return OCI_RANGE;
    }

    fd = open(path, O_RDWR|O_CLOEXEC|O_NOFOLLOW);

    if (fd == -1) {

        /* content by now: it only has to be ended */

        return OCI_OK;
    }

    rc = (fallocate(fd, 0, 0, st.st_size) == -1 && oci_fill_no_room(errno))
         ? OCI_RANGE : OCI_OK;

    close(fd);

    return rc;
}
