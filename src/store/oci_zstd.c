
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A companion is written under a name in tmp/, synced whatever the store
 * says of other content (nobody would look at it again), and renamed.  It
 * never outlives its blob for long: whoever removes the last name of the
 * content removes it, its maker looks whether that came in between, and the
 * collector sweeps.
 */


#include "oci_zstd.h"
#include "oci_encoding.h"
#include "oci_lock.h"
#include "oci_path.h"

#include <zstd.h>
#include <zstd_errors.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>


#define OCI_ZSTD_IN       (1024 * 1024)
#define OCI_ZSTD_OUT      (256 * 1024)

/* of a large blob some pieces are tried first */

#define OCI_ZSTD_LARGE    (64LL * 1024 * 1024)
#define OCI_ZSTD_SAMPLES  16

/*
 * Files find each other in the 8 MiB that any decoder of HTTP can hold (RFC
 * 9659): it costs a quarter more time.  Numbers don't.
 */

#define OCI_ZSTD_WINDOW   23


struct oci_zstd_s {
    const oci_store_t   *store;
    oci_digest_t         digest;
    oci_repo_t           repo;
    oci_zstd_params_t    params;

    int                  lease;         /* -1: not begun */
    int                  in;
    int                  out;
    int64_t              size;
    int64_t              pos;
    int64_t              written;
    int64_t              most;          /* that it may become */
    unsigned             far:1;         /* may repeat itself far away */
    ZSTD_CCtx           *ctx;
    u_char              *ibuf;
    u_char              *obuf;
    char                 tmp[OCI_PATH_MAX];
    u_char               names[OCI_NAMESPACE_MAX + OCI_NAME_MAX];
};


static int oci_zstd_work(oci_zstd_t *z, size_t max);
static int oci_zstd_begin(oci_zstd_t *z);
static int oci_zstd_lease(oci_zstd_t *z);
static int oci_zstd_worth(oci_zstd_t *z);
static int oci_zstd_context(oci_zstd_t *z);
static int oci_zstd_chunk(oci_zstd_t *z);
static int oci_zstd_put(oci_zstd_t *z, const u_char *p, size_t len);
static int oci_zstd_end(oci_zstd_t *z);
static int oci_zstd_never(oci_zstd_t *z);
static int oci_zstd_room(oci_zstd_t *z, int64_t bytes);
static int oci_zstd_read(oci_zstd_t *z, int64_t pos, size_t len, size_t *n);


int
oci_zstd_open(const oci_store_t *s, const oci_digest_t *d, oci_file_t *f)
{
    int   rc;
    char  path[OCI_PATH_MAX];

    oci_path_zstd(path, s, d);

    rc = oci_blob_fd(path, f);

    if (rc == OCI_OK && f->size == 0) {
        close(f->fd);
        f->fd = -1;
        return OCI_EXISTS;
    }

    return rc;
}


int64_t
oci_zstd_size(const oci_store_t *s, const oci_digest_t *d)
{
    char         path[OCI_PATH_MAX];
    struct stat  st;

    oci_path_zstd(path, s, d);

    return (lstat(path, &st) == 0) ? (int64_t) st.st_size : 0;
}


int64_t
oci_zstd_drop(const oci_store_t *s, const oci_digest_t *d)
{
    char         path[OCI_PATH_MAX];
    struct stat  st;

    oci_path_zstd(path, s, d);

    if (lstat(path, &st) == -1 || unlink(path) == -1) {
        return 0;
    }

    return st.st_size;
}


int
oci_zstd_sweep(const oci_store_t *s, const oci_digest_t *d)
{
    int             n, rc;
    DIR            *dir;
    char            path[OCI_PATH_MAX];
    char            text[OCI_DIGEST_MAX + 2];
    struct stat     st;
    oci_digest_t    own;
    struct dirent  *de;

    oci_path_zstd(path, s, d);
    *strrchr(path, '/') = '\0';

    dir = opendir(path);

    if (dir == NULL) {
        return (errno == ENOENT || errno == ENOTDIR)
               ? 0 : oci_fail("opendir()", path);
    }

    n = 0;

    while ((de = readdir(dir)) != NULL) {

        if (de->d_name[0] == '.') {
            continue;
        }

        rc = snprintf(text, sizeof(text), "%s:%s", oci_alg_name(d->alg),
                      de->d_name);

        if (rc >= (int) sizeof(text)
            || oci_digest_parse(&own, (u_char *) text, (size_t) rc)
               != OCI_OK)
        {
            continue;
        }

        oci_path_blob(path, s, &own);

        if (lstat(path, &st) == -1 && errno == ENOENT
            && unlinkat(dirfd(dir), de->d_name, 0) == 0)
        {
            n++;
        }
    }

    (void) closedir(dir);

    return n;
}


oci_zstd_t *
oci_zstd_create(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const oci_zstd_params_t *params)
{
    oci_zstd_t  *z;

    z = calloc(1, sizeof(oci_zstd_t));
    if (z == NULL) {
        return NULL;
    }

    z->store = s;
    z->digest = *d;
    z->params = *params;
    z->lease = -1;
    z->in = -1;
    z->out = -1;

    z->repo.ns.len = r->ns.len;
    z->repo.ns.data = z->names;
    z->repo.name.len = r->name.len;
    z->repo.name.data = z->names + r->ns.len;

    if (r->ns.len) {
        memcpy(z->repo.ns.data, r->ns.data, r->ns.len);
    }

    memcpy(z->repo.name.data, r->name.data, r->name.len);

    return z;
}


int
oci_zstd_step(oci_zstd_t *z, size_t max)
{
    int  rc;

    rc = oci_zstd_work(z, max);

    /* here, since it waits for the library's threads */

    if (rc != OCI_AGAIN) {
        ZSTD_freeCCtx(z->ctx);
        z->ctx = NULL;
    }

    return rc;
}


static int
oci_zstd_work(oci_zstd_t *z, size_t max)
{
    int      rc;
    int64_t  from;

    if (z->lease == -1) {
        rc = oci_zstd_begin(z);

        if (rc != OCI_OK) {
            return rc;
        }
    }

    from = z->pos;

    do {

        if (z->pos == z->size) {
            return oci_zstd_end(z);
        }

        rc = oci_zstd_chunk(z);

        if (rc != OCI_OK) {
            return rc;
        }

    } while (z->pos - from < (int64_t) max || z->pos == z->size);

    return OCI_AGAIN;
}


static int
oci_zstd_begin(oci_zstd_t *z)
{
    int         rc;
    oci_file_t  f;

    rc = oci_zstd_lease(z);

    if (rc != OCI_OK) {
        return rc;
    }

    rc = oci_blob_open(z->store, &z->repo, &z->digest, &f);

    if (rc != OCI_OK) {
        return rc;
    }

    z->in = f.fd;
    z->size = f.size;

    /* who had the lease before may have made it */

    rc = oci_zstd_open(z->store, &z->digest, &f);

    if (rc == OCI_OK) {
        close(f.fd);
        return OCI_EXISTS;
    }

    if (rc != OCI_NOT_FOUND) {
        return rc;
    }

    z->most = z->size - z->size / 1000 * z->params.min_ratio;

    z->ibuf = malloc(OCI_ZSTD_IN + ZSTD_compressBound(OCI_ZSTD_IN));
    if (z->ibuf == NULL) {
        return oci_fail("malloc()", z->store->root);
    }

    z->obuf = z->ibuf + OCI_ZSTD_IN;

    rc = oci_zstd_worth(z);

    if (rc != OCI_OK) {
        return rc;
    }

    rc = oci_zstd_room(z, z->most);

    if (rc != OCI_OK) {
        return rc;
    }

    rc = oci_zstd_context(z);

    if (rc != OCI_OK) {
        return rc;
    }

    oci_path_tmp(z->tmp, z->store);

    z->out = open(z->tmp, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600);

    if (z->out == -1) {
        (void) oci_fail("open()", z->tmp);
        z->tmp[0] = '\0';
        return OCI_ERROR;
    }

    return OCI_OK;
}


/* one at a time on this machine: it is nothing that anybody waits for */

static int
oci_zstd_lease(oci_zstd_t *z)
{
    int   rc;
    char  path[OCI_PATH_MAX];

    (void) oci_path_run(path, z->store, "zstd");

    z->lease = open(path, O_RDWR|O_CREAT|O_CLOEXEC, 0600);

    if (z->lease == -1) {
        return oci_fail("open()", path);
    }

    rc = oci_lock_byte(z->lease, 0);

    return (rc == OCI_AGAIN) ? OCI_CONFLICT : rc;
}


/* what is compressed already needs no file that says so: its head tells */

static int
oci_zstd_worth(oci_zstd_t *z)
{
    int       rc;
    size_t    n, packed;
    int64_t   in, out;
    unsigned  i;

    rc = oci_zstd_read(z, 0, OCI_ENCODING_MAGIC, &n);

    if (rc != OCI_OK) {
        return rc;
    }

    if (z->size < OCI_ZSTD_MIN || oci_encoding_packed(z->ibuf, n)) {
        return OCI_EXISTS;
    }

    if (z->size < OCI_ZSTD_LARGE) {
        z->far = 1;
        return OCI_OK;
    }

    in = 0;
    out = 0;

    for (i = 0; i < OCI_ZSTD_SAMPLES; i++) {

        rc = oci_zstd_read(z, z->size / OCI_ZSTD_SAMPLES * i, OCI_ZSTD_IN,
                           &n);

        if (rc != OCI_OK) {
            return rc;
        }

        packed = ZSTD_compress(z->obuf, ZSTD_compressBound(n), z->ibuf, n, 1);

        if (ZSTD_isError(packed)) {
            errno = ENOMEM;
            return oci_fail("ZSTD_compress()", z->store->root);
        }

        in += (int64_t) n;
        out += (int64_t) packed;
    }

    z->far = (in - out >= in / 3);

    /* pieces say less than the whole: half of it is enough to go on */

    return (in - out >= in / 2000 * z->params.min_ratio) ? OCI_OK
                                                        : oci_zstd_never(z);
}


static int
oci_zstd_context(oci_zstd_t *z)
{
    size_t  rc;

    z->ctx = ZSTD_createCCtx();

    if (z->ctx == NULL) {
        errno = ENOMEM;
        return oci_fail("ZSTD_createCCtx()", z->store->root);
    }

    rc = ZSTD_CCtx_setParameter(z->ctx, ZSTD_c_compressionLevel,
                                z->params.level);

    if (!ZSTD_isError(rc)) {
        rc = ZSTD_CCtx_setParameter(z->ctx, ZSTD_c_checksumFlag, 1);
    }

    if (!ZSTD_isError(rc) && z->far) {
        rc = ZSTD_CCtx_setParameter(z->ctx, ZSTD_c_windowLog,
                                    OCI_ZSTD_WINDOW);
    }

    if (!ZSTD_isError(rc) && z->far) {
        rc = ZSTD_CCtx_setParameter(z->ctx,
                                    ZSTD_c_enableLongDistanceMatching, 1);
    }

    /* the library's own: a library without them does all in this one */

    if (!ZSTD_isError(rc) && z->params.threads > 1) {
        (void) ZSTD_CCtx_setParameter(z->ctx, ZSTD_c_nbWorkers,
                                      z->params.threads);
    }

    if (!ZSTD_isError(rc)) {
        rc = ZSTD_CCtx_setPledgedSrcSize(z->ctx,
                                         (unsigned long long) z->size);
    }

    if (ZSTD_isError(rc)) {
        errno = EINVAL;
        return oci_fail("ZSTD_CCtx_setParameter()", z->store->root);
    }

    return OCI_OK;
}


static int
oci_zstd_chunk(oci_zstd_t *z)
{
    int                rc;
    size_t             n, left;
    ZSTD_inBuffer      in;
    ZSTD_outBuffer     out;
    ZSTD_EndDirective  mode;

    rc = oci_zstd_read(z, z->pos, OCI_ZSTD_IN, &n);

    if (rc != OCI_OK) {
        return rc;
    }

    z->pos += (int64_t) n;
    mode = (z->pos == z->size) ? ZSTD_e_end : ZSTD_e_continue;

    in.src = z->ibuf;
    in.size = n;
    in.pos = 0;

    do {
        out.dst = z->obuf;
        out.size = OCI_ZSTD_OUT;
        out.pos = 0;

        left = ZSTD_compressStream2(z->ctx, &out, &in, mode);

        if (ZSTD_isError(left)) {
            errno = ENOMEM;
            return oci_fail("ZSTD_compressStream2()", z->tmp);
        }

        z->written += (int64_t) out.pos;

        if (z->written > z->most) {
            return oci_zstd_never(z);
        }

        rc = oci_zstd_put(z, z->obuf, out.pos);

        if (rc != OCI_OK) {
            return rc;
        }

    } while (in.pos < in.size || (mode == ZSTD_e_end && left));

    return OCI_OK;
}


static int
oci_zstd_put(oci_zstd_t *z, const u_char *p, size_t len)
{
    ssize_t  n;

    while (len) {
        n = write(z->out, p, len);

        if (n == -1) {
            if (errno == EINTR) {
                continue;
            }

            if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) {
                return OCI_RANGE;
            }

            return oci_fail("write()", z->tmp);
        }

        p += n;
        len -= (size_t) n;
    }

    return OCI_OK;
}


static int
oci_zstd_end(oci_zstd_t *z)
{
    int          rc;
    char         path[OCI_PATH_MAX];
    struct stat  st;

    if (fchmod(z->out, 0444) == -1) {
        return oci_fail("fchmod()", z->tmp);
    }

    if (fsync(z->out) == -1) {
        return oci_fail("fsync()", z->tmp);
    }

    oci_path_zstd(path, z->store, &z->digest);

    *strrchr(path, '/') = '\0';
    rc = oci_dir_make(z->store, path);

    if (rc != OCI_OK) {
        return rc;
    }

    oci_path_zstd(path, z->store, &z->digest);

    if (rename(z->tmp, path) == -1) {
        return oci_fail("rename()", path);
    }

    z->tmp[0] = '\0';

    /* removed meanwhile, by who found no companion yet */

    if (fstat(z->in, &st) == -1 || st.st_nlink == 0) {
        (void) oci_zstd_drop(z->store, &z->digest);
        return OCI_NOT_FOUND;
    }

    return OCI_OK;
}


/* remembered by an empty file, so that nobody tries again */

static int
oci_zstd_never(oci_zstd_t *z)
{
    int          fd;
    char         path[OCI_PATH_MAX];
    struct stat  st;

    oci_path_zstd(path, z->store, &z->digest);
    *strrchr(path, '/') = '\0';

    if (oci_dir_make(z->store, path) != OCI_OK) {
        return OCI_ERROR;
    }

    oci_path_zstd(path, z->store, &z->digest);

    fd = open(path, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0444);

    if (fd == -1) {
        return (errno == EEXIST) ? OCI_EXISTS : oci_fail("open()", path);
    }

    close(fd);

    if (fstat(z->in, &st) == -1 || st.st_nlink == 0) {
        (void) oci_zstd_drop(z->store, &z->digest);
    }

    return OCI_EXISTS;
}


static int
oci_zstd_room(oci_zstd_t *z, int64_t bytes)
{
    struct statvfs  fs;

    if (statvfs(z->store->root, &fs) == -1) {
        return oci_fail("statvfs()", z->store->root);
    }

    return ((int64_t) fs.f_bavail * (int64_t) fs.f_frsize - bytes
            < z->params.reserve)
           ? OCI_RANGE : OCI_OK;
}


static int
oci_zstd_read(oci_zstd_t *z, int64_t pos, size_t len, size_t *n)
{
    size_t   got;
    ssize_t  rc;

    if ((int64_t) len > z->size - pos) {
        len = (size_t) (z->size - pos);
    }

    for (got = 0; got < len; got += (size_t) rc) {

        rc = pread(z->in, z->ibuf + got, len - got, pos + (int64_t) got);

        if (rc == -1 && errno == EINTR) {
            rc = 0;
            continue;
        }

        if (rc <= 0) {
            if (rc == 0) {
                errno = EIO;
            }

            return oci_fail("pread()", "content of a store");
        }
    }

    *n = got;

    return OCI_OK;
}


void
oci_zstd_destroy(oci_zstd_t *z)
{
    if (z->tmp[0]) {
        (void) unlink(z->tmp);
    }

    if (z->out != -1) {
        close(z->out);
    }

    if (z->in != -1) {
        close(z->in);
    }

    if (z->lease != -1) {
        close(z->lease);
    }

    ZSTD_freeCCtx(z->ctx);
    free(z->ibuf);
    free(z);
}


oci_zstd_small_t *
oci_zstd_small_create(int level)
{
    ZSTD_CCtx  *ctx;

    ctx = ZSTD_createCCtx();

    if (ctx != NULL
        && ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel,
                                               level)))
    {
        ZSTD_freeCCtx(ctx);
        ctx = NULL;
    }

    return ctx;
}


int
oci_zstd_small(oci_zstd_small_t *ctx, const u_char *body, size_t len,
    u_char *out, size_t *n)
{
    size_t  rc;

    rc = ZSTD_compress2(ctx, out, *n, body, len);

    if (!ZSTD_isError(rc)) {
        *n = rc;
        return OCI_OK;
    }

    return ZSTD_getErrorCode(rc) == ZSTD_error_dstSize_tooSmall ? OCI_RANGE
                                                                : OCI_ERROR;
}
