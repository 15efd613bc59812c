
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Paths of a store, and names that last.
 */


#include "oci_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>


#define OCI_DIR_YOUNG   60          /* seconds */
#define OCI_DIR_TRIES   16


typedef struct {
    char    *start;
    char    *pos;
} oci_path_t;


static void oci_path_root(oci_path_t *p, char *buf, const oci_store_t *s);
static void oci_path_text(oci_path_t *p, const char *text);
static void oci_path_data(oci_path_t *p, const void *data, size_t len);
static void oci_path_str(oci_path_t *p, const oci_str_t *str);
static void oci_path_alg(oci_path_t *p, const oci_digest_t *d);
static size_t oci_path_end(oci_path_t *p);
static void oci_path_repo_start(oci_path_t *p, char *buf,
    const oci_store_t *s, const oci_repo_t *r);
static size_t oci_path_repo_digest(char *buf, const oci_store_t *s,
    const oci_repo_t *r, const char *folder, const oci_digest_t *d);
static size_t oci_path_content(char *buf, const oci_store_t *s,
    const char *folder, const oci_digest_t *d);

static int oci_dir_try(const oci_store_t *s, const char *path);
static int oci_dir_old(const char *path);


size_t
oci_path_blob(char *buf, const oci_store_t *s, const oci_digest_t *d)
{
    return oci_path_content(buf, s, "/blobs/", d);
}


size_t
oci_path_zstd(char *buf, const oci_store_t *s, const oci_digest_t *d)
{
    return oci_path_content(buf, s, "/zstd/", d);
}


static size_t
oci_path_content(char *buf, const oci_store_t *s, const char *folder,
    const oci_digest_t *d)
{
    oci_path_t  p;

    oci_path_root(&p, buf, s);
    oci_path_text(&p, folder);
    oci_path_text(&p, oci_alg_name(d->alg));
    oci_path_text(&p, "/");
    oci_path_data(&p, d->hex, 2);
    oci_path_text(&p, "/");
    oci_path_data(&p, d->hex, d->hex_len);

    return oci_path_end(&p);
}


size_t
oci_path_repo(char *buf, const oci_store_t *s, const oci_repo_t *r)
{
    oci_path_t  p;

    oci_path_repo_start(&p, buf, s, r);

    return oci_path_end(&p);
}


size_t
oci_path_repo_lock(char *buf, const oci_store_t *s, const oci_repo_t *r)
{
    oci_path_t  p;

    oci_path_repo_start(&p, buf, s, r);
    oci_path_text(&p, "/_lock");

    return oci_path_end(&p);
}


size_t
oci_path_repo_blob(char *buf, const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d)
{
    return oci_path_repo_digest(buf, s, r, "/_blobs/", d);
}


size_t
oci_path_repo_cached(char *buf, const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d)
{
    return oci_path_repo_digest(buf, s, r, "/_cached/", d);
}


size_t
oci_path_manifest(char *buf, const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d)
{
    return oci_path_repo_digest(buf, s, r, "/_manifests/", d);
}


size_t
oci_path_tag(char *buf, const oci_store_t *s, const oci_repo_t *r,
    const oci_str_t *tag)
{
    oci_path_t  p;

    oci_path_repo_start(&p, buf, s, r);
    oci_path_text(&p, "/_tags/");
    oci_path_str(&p, tag);

    return oci_path_end(&p);
}


size_t
oci_path_tags(char *buf, const oci_store_t *s, const oci_repo_t *r)
{
    oci_path_t  p;

    oci_path_repo_start(&p, buf, s, r);
    oci_path_text(&p, "/_tags");

    return oci_path_end(&p);
}


size_t
oci_path_tag_target(char *buf, const oci_digest_t *d)
{
    oci_path_t  p;

    p.start = buf;
    p.pos = buf;

    oci_path_text(&p, "../_manifests/");
    oci_path_alg(&p, d);

    return oci_path_end(&p);
}


size_t
oci_path_tag_filled(char *buf, const oci_digest_t *d)
{
    oci_path_t  p;

    p.start = buf;
    p.pos = buf;

    oci_path_text(&p, ".././_manifests/");
    oci_path_alg(&p, d);

    return oci_path_end(&p);
}


size_t
oci_path_referrers(char *buf, const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *subject)
{
    return oci_path_repo_digest(buf, s, r, "/_referrers/", subject);
}


size_t
oci_path_referrer(char *buf, const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *subject, const oci_digest_t *d)
{
    oci_path_t  p;

    p.start = buf;
    p.pos = buf + oci_path_referrers(buf, s, r, subject);

    oci_path_text(&p, "/");
    oci_path_text(&p, oci_alg_name(d->alg));
    oci_path_text(&p, "-");
    oci_path_data(&p, d->hex, d->hex_len);

    return oci_path_end(&p);
}


size_t
oci_path_repositories(char *buf, const oci_store_t *s, const oci_str_t *ns)
{
    oci_path_t  p;

    oci_path_root(&p, buf, s);
    oci_path_text(&p, "/repositories");

    if (ns != NULL && ns->len) {
        oci_path_text(&p, "/@");
        oci_path_str(&p, ns);
    }

    return oci_path_end(&p);
}


size_t
oci_path_upload(char *buf, const oci_store_t *s, const char *id,
    const char *file)
{
    oci_path_t  p;

    oci_path_root(&p, buf, s);
    oci_path_text(&p, "/uploads/");
    oci_path_text(&p, id);

    if (file != NULL) {
        oci_path_text(&p, "/");
        oci_path_text(&p, file);
    }

    return oci_path_end(&p);
}


size_t
oci_path_uploads(char *buf, const oci_store_t *s)
{
    oci_path_t  p;

    oci_path_root(&p, buf, s);
    oci_path_text(&p, "/uploads");

    return oci_path_end(&p);
}


size_t
oci_path_fill(char *buf, const oci_store_t *s, const oci_digest_t *d,
    const char *file)
{
    oci_path_t  p;

    p.start = buf;
    p.pos = buf + oci_path_fills(buf, s, d->alg);

    oci_path_text(&p, "/");
    oci_path_data(&p, d->hex, d->hex_len);

    if (file != NULL) {
        oci_path_text(&p, "/");
        oci_path_text(&p, file);
    }

    return oci_path_end(&p);
}


size_t
oci_path_fills(char *buf, const oci_store_t *s, oci_alg_t alg)
{
    oci_path_t  p;

    oci_path_root(&p, buf, s);
    oci_path_text(&p, "/fills/");
    oci_path_text(&p, oci_alg_name(alg));

    return oci_path_end(&p);
}


size_t
oci_path_tmp(char *buf, const oci_store_t *s)
{
    char                name[48];
    oci_path_t          p;
    struct timespec     ts;

    static unsigned     count;

    if (oci_random_hex(name, 32) != OCI_OK) {

        /* names in tmp/ have to be unused, they need not be secret */

        (void) clock_gettime(CLOCK_REALTIME, &ts);
        (void) snprintf(name, sizeof(name), "%08x%016llx%08x",
                        (unsigned) getpid(),
                        (unsigned long long) ts.tv_sec * 1000000000ULL
                        + (unsigned long long) ts.tv_nsec,
                        __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED));
    }

    oci_path_root(&p, buf, s);
    oci_path_text(&p, "/tmp/");
    oci_path_text(&p, name);

    return oci_path_end(&p);
}


size_t
oci_path_tmps(char *buf, const oci_store_t *s)
{
    oci_path_t  p;

    oci_path_root(&p, buf, s);
    oci_path_text(&p, "/tmp");

    return oci_path_end(&p);
}


size_t
oci_path_run(char *buf, const oci_store_t *s, const char *file)
{
    oci_path_t  p;

    oci_path_root(&p, buf, s);
    oci_path_text(&p, "/run/");
    oci_path_text(&p, file ? file : s->boot_id);

    return oci_path_end(&p);
}


int
oci_dir_make(const oci_store_t *s, const char *path)
{
    int       rc;
    unsigned  try;

    for (try = 0; try < OCI_DIR_TRIES; try++) {
        rc = oci_dir_try(s, path);

        if (rc != OCI_AGAIN) {
            return rc;
        }
    }

    errno = ENOENT;

    return oci_fail("mkdir()", path);
}


int
oci_dir_sync(const oci_store_t *s, const char *path)
{
    int  fd;

    if (!s->durable) {
        return OCI_OK;
    }

    fd = open(path, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (fd == -1) {
        return oci_fail("open()", path);
    }

    if (fsync(fd) == -1) {
        (void) oci_fail("fsync()", path);
        close(fd);
        return OCI_ERROR;
    }

    close(fd);

    return OCI_OK;
}


int
oci_dir_sync_parent(const oci_store_t *s, const char *path)
{
    char        dir[OCI_PATH_MAX];
    size_t      len;
    const char  *slash;

    slash = strrchr(path, '/');

    if (slash == NULL) {
        errno = EINVAL;
        return oci_fail("fsync()", path);
    }

    len = (slash == path) ? 1 : (size_t) (slash - path);

    memcpy(dir, path, len);
    dir[len] = '\0';

    return oci_dir_sync(s, dir);
}


void
oci_dir_prune(const char *path, const char *stop)
{
    char    dir[OCI_PATH_MAX], *slash;
    size_t  len, stop_len;

    len = strlen(path);
    stop_len = strlen(stop);

    if (len >= sizeof(dir) || len <= stop_len
        || memcmp(path, stop, stop_len) != 0 || path[stop_len] != '/')
    {
        return;
    }

    memcpy(dir, path, len + 1);

    while (strlen(dir) > stop_len) {

        /* one that is gone already is no reason to stop */

        if (rmdir(dir) == -1 && errno != ENOENT) {
            return;
        }

        slash = strrchr(dir, '/');
        *slash = '\0';
    }
}


int
oci_file_write(const oci_store_t *s, const char *path, unsigned mode,
    const void *data, size_t len)
{
    int            fd;
    size_t         done;
    ssize_t        n;
    const char    *op;
    const u_char  *p;

    fd = open(path, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, (mode_t) mode);

    if (fd == -1) {
        return oci_fail("open()", path);
    }

    p = data;

    for (done = 0; done < len; done += (size_t) n) {
        n = write(fd, p + done, len - done);

        if (n == -1) {
            if (errno == EINTR) {
                n = 0;
                continue;
            }

            op = "write()";
            goto failed;
        }
    }

    if (s->durable && fsync(fd) == -1) {
        op = "fsync()";
        goto failed;
    }

    if (close(fd) == -1) {
        (void) oci_fail("close()", path);
        (void) unlink(path);
        return OCI_ERROR;
    }

    return OCI_OK;

failed:

    (void) oci_fail(op, path);
    close(fd);
    (void) unlink(path);
    errno = oci_failure()->err;

    return OCI_ERROR;
}


int
oci_random_hex(char *buf, size_t n)
{
    size_t   i;
    u_char   byte[32];
    ssize_t  got;

    static const char  hex[] = "0123456789abcdef";

    got = 0;

    for (i = 0; i < n; i++) {

        if (i % sizeof(byte) == 0) {
            do {
                got = getrandom(byte, sizeof(byte), 0);
            } while (got == -1 && errno == EINTR);

            if (got != (ssize_t) sizeof(byte)) {
                buf[0] = '\0';
                return oci_fail("getrandom()", NULL);
            }
        }

        buf[i] = hex[byte[i % sizeof(byte)] & 15];
    }

    buf[n] = '\0';

    return OCI_OK;
}


/* OCI_AGAIN: a folder went away below our feet */

static int
oci_dir_try(const oci_store_t *s, const char *path)
{
    int     rc;
    char    buf[OCI_PATH_MAX], *slash, *end;
    size_t  len;

    len = strlen(path);

    if (len >= sizeof(buf) || len <= s->root_len
        || memcmp(path, s->root, s->root_len) != 0
        || path[s->root_len] != '/')
    {
        errno = EINVAL;
        return oci_fail("mkdir()", path);
    }

    memcpy(buf, path, len + 1);

    /* up to what stands for long enough, or to the root itself */

    for (end = buf + len; end > buf + s->root_len; end = slash) {
        *end = '\0';

        rc = oci_dir_old(buf);

        if (rc == OCI_OK || (rc == OCI_EXISTS && !s->durable)) {
            break;
        }

        if (rc == OCI_ERROR) {
            return OCI_ERROR;
        }

        slash = strrchr(buf, '/');
    }

    /* and down again */

    while (end < buf + len) {
        *end = '/';
        slash = end;
        end = buf + strlen(buf);

        if (mkdir(buf, 0700) == -1 && errno != EEXIST) {
            if (errno == ENOENT) {
                return OCI_AGAIN;
            }

            return oci_fail("mkdir()", buf);
        }

        *slash = '\0';

        if (oci_dir_sync(s, buf) != OCI_OK) {
            return (errno == ENOENT) ? OCI_AGAIN : OCI_ERROR;
        }

        *slash = '/';
    }

    return OCI_OK;
}


/*
 * OCI_OK: stands for a while, so its maker has long synced it; OCI_EXISTS:
 * young or of unknown age; OCI_NOT_FOUND; OCI_ERROR
 */

static int
oci_dir_old(const char *path)
{
    struct statx     stx;
    struct timespec  now;

    if (statx(AT_FDCWD, path, AT_STATX_SYNC_AS_STAT, STATX_TYPE|STATX_BTIME,
              &stx)
        == -1)
    {
        if (errno == ENOENT) {
            return OCI_NOT_FOUND;
        }

        return oci_fail("statx()", path);
    }

    if (!S_ISDIR(stx.stx_mode)) {
        errno = ENOTDIR;
        return oci_fail("mkdir()", path);
    }

    if (!(stx.stx_mask & STATX_BTIME) || stx.stx_btime.tv_sec == 0) {
        return OCI_EXISTS;
    }

    (void) clock_gettime(CLOCK_REALTIME, &now);

    if (now.tv_sec - stx.stx_btime.tv_sec > OCI_DIR_YOUNG) {
        return OCI_OK;
    }

    return OCI_EXISTS;
}


static void
oci_path_root(oci_path_t *p, char *buf, const oci_store_t *s)
{
    p->start = buf;
    p->pos = buf;

    oci_path_data(p, s->root, s->root_len);
}


static void
oci_path_text(oci_path_t *p, const char *text)
{
    oci_path_data(p, text, strlen(text));
}


static void
oci_path_str(oci_path_t *p, const oci_str_t *str)
{
    oci_path_data(p, str->data, str->len);
}


/*
 * Every part was bounded by its grammar; should one not have been, the path
 * is cut, never the stack.
 */

static void
oci_path_data(oci_path_t *p, const void *data, size_t len)
{
    size_t  room;

    room = OCI_PATH_MAX - 1 - (size_t) (p->pos - p->start);

    if (len > room) {
        len = room;
    }

    if (len) {
        memcpy(p->pos, data, len);
        p->pos += len;
    }
}


static void
oci_path_alg(oci_path_t *p, const oci_digest_t *d)
{
    oci_path_text(p, oci_alg_name(d->alg));
    oci_path_text(p, "/");
    oci_path_data(p, d->hex, d->hex_len);
}


static size_t
oci_path_end(oci_path_t *p)
{
    *p->pos = '\0';

    return (size_t) (p->pos - p->start);
}


static void
oci_path_repo_start(oci_path_t *p, char *buf, const oci_store_t *s,
    const oci_repo_t *r)
{
    p->start = buf;
    p->pos = buf + oci_path_repositories(buf, s, &r->ns);

    oci_path_text(p, "/");
    oci_path_str(p, &r->name);
}


static size_t
oci_path_repo_digest(char *buf, const oci_store_t *s, const oci_repo_t *r,
    const char *folder, const oci_digest_t *d)
{
    oci_path_t  p;

    oci_path_repo_start(&p, buf, s, r);
    oci_path_text(&p, folder);
    oci_path_alg(&p, d);

    return oci_path_end(&p);
}
