
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A blob whose upstream tells no length and knows no ranges: it is written
 * to a file that nobody reads until it is whole and its digest holds.
 */


#include "ngx_http_oci_fill_part.h"

#include "oci_blob.h"
#include "oci_path.h"

#include <fcntl.h>


typedef struct {
    int           fd;
    off_t         size;
    oci_hash_t    hash;
    char          path[OCI_PATH_MAX];
} ngx_http_oci_spool_t;


static int ngx_http_oci_spool_create(ngx_http_oci_fill_fetch_t *ff);


/* runs in a thread: the next bytes */

int
ngx_http_oci_spool_write(ngx_http_oci_fill_fetch_t *ff)
{
    u_char                *p;
    size_t                 len;
    ssize_t                n;
    ngx_http_oci_spool_t  *spool;

    if (ff->spool == NULL && ngx_http_oci_spool_create(ff) != OCI_OK) {
        return OCI_ERROR;
    }

    spool = ff->spool;
    p = ff->out.data;
    len = ff->out.len;

    oci_hash_update(&spool->hash, p, len);

    while (len) {
        n = write(spool->fd, p, len);

        if (n == -1) {
            if (ngx_errno == NGX_EINTR) {
                continue;
            }

            return (ngx_errno == NGX_ENOSPC)
                   ? OCI_RANGE : oci_fail("write()", spool->path);
        }

        p += n;
        len -= n;
        spool->size += n;
    }

    return OCI_OK;
}


static int
ngx_http_oci_spool_create(ngx_http_oci_fill_fetch_t *ff)
{
    ngx_http_oci_spool_t  *spool;

    spool = ngx_alloc(sizeof(ngx_http_oci_spool_t), ff->fill->log);
    if (spool == NULL) {
        return oci_fail("malloc()", NULL);
    }

    spool->size = 0;
    oci_hash_init(&spool->hash, ff->fill->digest.alg);
    oci_path_tmp(spool->path, ff->fill->store);

    spool->fd = open(spool->path, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600);

    if (spool->fd == -1) {
        (void) oci_fail("open()", spool->path);
        ngx_free(spool);
        return OCI_ERROR;
    }

    ff->spool = spool;

    return OCI_OK;
}


/*
 * Runs in a thread: all has come.  OCI_OK: the source's repository has it;
 * OCI_MISMATCH: it is another content; OCI_ERROR.
 */

int
ngx_http_oci_spool_end(ngx_http_oci_fill_t *fill)
{
    ngx_http_oci_spool_t  *spool;

    spool = fill->spool;

    oci_hash_digest(&spool->hash, &fill->file.found);

    if (!oci_digest_equal(&fill->file.found, &fill->digest)) {
        return OCI_MISMATCH;
    }

    if (fill->store->durable && fsync(spool->fd) == -1) {
        return oci_fail("fsync()", spool->path);
    }

    return oci_blob_cache(fill->store, &fill->spooler->repo, &fill->digest,
                          spool->path, spool->size);
}


void
ngx_http_oci_spool_free(void *data)
{
    ngx_http_oci_spool_t  *spool = data;

    (void) unlink(spool->path);
    (void) close(spool->fd);

    ngx_free(spool);
}
