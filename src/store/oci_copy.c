
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Content into files: writes in turns, and copies.
 */


#include "oci_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>


#define OCI_COPY_SIZE  (1024 * 1024)

/*
 * The kernel takes the memory for a write in one part, if it can, and keeps
 * the processor while it copies into it.  Large parts are slow to come by
 * where memory was handed back to a host (docs/decisions.md, "A file is
 * written in turns").
 */

#define OCI_COPY_TURN  (128 * 1024)


static int oci_copy_verified(const oci_store_t *s, int in, int out,
    const oci_digest_t *d, const char *path);
static int oci_copy_range(int in, int out, int64_t size, oci_hash_t *h,
    const char *path);


int
oci_pwrite(int fd, const u_char *data, size_t len, off_t offset)
{
    size_t   turn;
    ssize_t  n;

    while (len) {
        turn = (len < OCI_COPY_TURN) ? len : OCI_COPY_TURN;

        n = pwrite(fd, data, turn, offset);

        if (n == -1) {
            if (errno == EINTR) {
                continue;
            }

            return OCI_ERROR;
        }

        data += n;
        len -= (size_t) n;
        offset += n;
    }

    return OCI_OK;
}


int
oci_copy_blob(const oci_store_t *s, const char *from, const char *to,
    const oci_digest_t *d)
{
    int  rc, in, out;

    in = open(from, O_RDONLY|O_CLOEXEC);

    if (in == -1) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return OCI_NOT_FOUND;
        }

        return oci_fail("open()", from);
    }

    out = open(to, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600);

    if (out == -1) {
        (void) oci_fail("open()", to);
        close(in);
        return OCI_ERROR;
    }

    rc = oci_copy_verified(s, in, out, d, to);

    close(in);
    close(out);

    if (rc != OCI_OK) {
        (void) unlink(to);
        errno = oci_failure()->err;
    }

    return rc;
}


int
oci_copy_data(int in, int out, int64_t size, const char *path)
{
    return oci_copy_range(in, out, size, NULL, path);
}


int
oci_copy_hash(int fd, int64_t size, oci_hash_t *h, const char *path)
{
    return oci_copy_range(fd, -1, size, h, path);
}


/* a copy is content that comes in: it is verified as all of it is */

static int
oci_copy_verified(const oci_store_t *s, int in, int out,
    const oci_digest_t *d, const char *path)
{
    oci_hash_t    hash;
    struct stat   st;
    oci_digest_t  have;

    if (fstat(in, &st) == -1) {
        return oci_fail("fstat()", path);
    }

    oci_hash_init(&hash, d->alg);

    if (oci_copy_range(in, out, st.st_size, &hash, path) != OCI_OK) {
        return OCI_ERROR;
    }

    oci_hash_digest(&hash, &have);

    if (!oci_digest_equal(&have, d)) {
        errno = EBADMSG;
        return oci_fail("digest", path);
    }

    if (s->durable && fsync(out) == -1) {
        return oci_fail("fsync()", path);
    }

    return OCI_OK;
}


static int
oci_copy_range(int in, int out, int64_t size, oci_hash_t *h, const char *path)
{
    int       rc;
    off_t     offset;
    size_t    len;
    u_char   *buf;
    ssize_t   n;

    buf = malloc(OCI_COPY_SIZE);

    if (buf == NULL) {
        return oci_fail("malloc()", path);
    }

    rc = OCI_OK;
    offset = 0;

    while (offset < size) {
        len = OCI_COPY_SIZE;

        if ((int64_t) len > size - offset) {
            len = (size_t) (size - offset);
        }

        n = pread(in, buf, len, offset);

        if (n == -1) {
            if (errno == EINTR) {
                continue;
            }

            rc = oci_fail("pread()", path);
            break;
        }

        if (n == 0) {
            errno = EBADMSG;
            rc = oci_fail("pread() of a file cut short", path);
            break;
        }

        if (h != NULL) {
            oci_hash_update(h, buf, (size_t) n);
        }

        if (out != -1) {
            rc = oci_pwrite(out, buf, (size_t) n, offset);

            if (rc != OCI_OK) {
                rc = oci_fail("pwrite()", path);
                break;
            }
        }

        offset += n;
    }

    free(buf);

    return rc;
}
