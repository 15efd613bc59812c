
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_record.h"
#include "oci_path.h"

#include <sys/stat.h>
#include <sys/uio.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>


#define OCI_RECORD_MAGIC  "oci-manifest 1\n"
#define OCI_RECORD_CHUNK  65536


static int oci_record_line(const u_char **p, const u_char *last,
    oci_str_t *line);
static int oci_record_open(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const oci_str_t *tag, char *path,
    oci_record_t *rec);
static int oci_record_read(oci_record_t *rec, const char *path,
    unsigned nowait);
static int oci_record_damaged(const char *path);
static int oci_record_again(const oci_store_t *s, const char *path,
    const oci_manifest_t *m, const oci_digest_t *d, const u_char *data,
    size_t len);
static int oci_record_same(oci_record_t *rec, const oci_digest_t *d,
    const u_char *data, size_t len);


int
oci_record_parse(oci_record_t *rec, const u_char *header)
{
    size_t         i;
    int64_t        size;
    oci_str_t      line;
    const u_char  *p, *last;

    p = header;
    last = header + OCI_RECORD_HEADER;

    if (memcmp(p, OCI_RECORD_MAGIC, sizeof(OCI_RECORD_MAGIC) - 1) != 0) {
        return OCI_INVALID;
    }

    p += sizeof(OCI_RECORD_MAGIC) - 1;

    if (!oci_record_line(&p, last, &line)
        || !oci_media_type_valid(line.data, line.len))
    {
        return OCI_INVALID;
    }

    memcpy(rec->media_type, line.data, line.len);
    rec->media_type[line.len] = '\0';
    rec->media_type_len = line.len;

    if (!oci_record_line(&p, last, &line)
        || oci_digest_parse(&rec->digest, line.data, line.len) != OCI_OK)
    {
        return OCI_INVALID;
    }

    if (!oci_record_line(&p, last, &line)
        || line.len == 0
        || (line.data[0] == '0' && line.len > 1))
    {
        return OCI_INVALID;
    }

    size = 0;

    for (i = 0; i < line.len; i++) {

        if (line.data[i] < '0' || line.data[i] > '9'
            || size > (INT64_MAX - 9) / 10)
        {
            return OCI_INVALID;
        }

        size = size * 10 + (line.data[i] - '0');
    }

    rec->size = size;

    /* the rest are line feeds: each equals the one before it */

    if (p < last
        && (*p != '\n' || memcmp(p, p + 1, (size_t) (last - p) - 1) != 0))
    {
        return OCI_INVALID;
    }

    return OCI_OK;
}


void
oci_record_header(u_char *header, const oci_str_t *media_type,
    const oci_digest_t *d, int64_t size)
{
    int      n;
    size_t   len;
    u_char  *p, *last;

    p = header;
    last = header + OCI_RECORD_HEADER;

    memset(p, '\n', OCI_RECORD_HEADER);

    memcpy(p, OCI_RECORD_MAGIC, sizeof(OCI_RECORD_MAGIC) - 1);
    p += sizeof(OCI_RECORD_MAGIC) - 1;

    /* the longest type and digest leave room for any size */

    len = media_type->len;

    if (len > OCI_MEDIA_TYPE_MAX) {
        len = OCI_MEDIA_TYPE_MAX;
    }

    memcpy(p, media_type->data, len);
    p += len + 1;

    p += oci_digest_text(d, p) + 1;

    n = snprintf((char *) p, (size_t) (last - p), "%lld", (long long) size);

    p[n] = '\n';
}


int
oci_manifest_open(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const oci_str_t *tag, unsigned nowait,
    oci_record_t *rec)
{
    int   rc;
    char  path[OCI_PATH_MAX];

    rc = oci_record_open(s, r, d, tag, path, rec);
    if (rc != OCI_OK) {
        return rc;
    }

    rc = oci_record_read(rec, path, nowait);

    if (rc == OCI_OK && d != NULL && !oci_digest_equal(&rec->digest, d)) {
        rc = oci_record_damaged(path);
    }

    if (rc != OCI_OK) {
        (void) close(rec->fd);
        rec->fd = -1;

        if (rc == OCI_INVALID) {
            errno = EBADMSG;
        }
    }

    return rc;
}


int
oci_manifest_read(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const oci_str_t *tag, unsigned nowait, u_char *buf,
    size_t size, oci_record_t *rec)
{
    int           rc;
    char          path[OCI_PATH_MAX];
    u_char        header[OCI_RECORD_HEADER];
    ssize_t       n;
    struct stat   st;
    struct iovec  iov[2];

    rc = oci_record_open(s, r, d, tag, path, rec);
    if (rc != OCI_OK) {
        return rc;
    }

    memset(header, 0, OCI_RECORD_HEADER);

    iov[0].iov_base = header;
    iov[0].iov_len = OCI_RECORD_HEADER;
    iov[1].iov_base = buf;
    iov[1].iov_len = size;

    /* the stamp first: what changes in between must not go unseen */

    n = (fstat(rec->fd, &st) == -1)
        ? -1
        : preadv2(rec->fd, iov, 2, 0, nowait ? RWF_NOWAIT : 0);

    (void) close(rec->fd);
    rec->fd = -1;

    /*
     * With room left over the read has met the end of the file, or a page
     * that is not in memory.  Who may wait, or look closer, tells what is
     * wrong with a record.
     */

    if (n < OCI_RECORD_HEADER
        || (size_t) n == OCI_RECORD_HEADER + size
        || oci_record_parse(rec, header) != OCI_OK
        || rec->size != n - OCI_RECORD_HEADER
        || (d != NULL && !oci_digest_equal(&rec->digest, d)))
    {
        return OCI_AGAIN;
    }

    oci_stamp_set(&rec->stamp, &st);

    return OCI_OK;
}


int
oci_manifest_stat(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const oci_str_t *tag, oci_stamp_t *stamp)
{
    char         path[OCI_PATH_MAX];
    struct stat  st;

    if (d != NULL) {
        (void) oci_path_manifest(path, s, r, d);

    } else {
        (void) oci_path_tag(path, s, r, tag);
    }

    if (stat(path, &st) == -1) {

        switch (errno) {

        case ENOENT:
        case ENOTDIR:
        case ENAMETOOLONG:
            return OCI_NOT_FOUND;

        default:
            return oci_fail("stat()", path);
        }
    }

    oci_stamp_set(stamp, &st);

    return OCI_OK;
}


static int
oci_record_open(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const oci_str_t *tag, char *path,
    oci_record_t *rec)
{
    int  flags;

    flags = O_RDONLY|O_CLOEXEC|O_NONBLOCK;

    if (d != NULL) {
        (void) oci_path_manifest(path, s, r, d);
        flags |= O_NOFOLLOW;

    } else {
        (void) oci_path_tag(path, s, r, tag);
    }

    rec->fd = open(path, flags);

    if (rec->fd == -1) {

        switch (errno) {

        case ENOENT:
        case ENOTDIR:
        case ENAMETOOLONG:
            return OCI_NOT_FOUND;

        default:
            return oci_fail("open()", path);
        }
    }

    return OCI_OK;
}


int
oci_manifest_load(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, int64_t max, oci_manifest_t *m, u_char **data,
    oci_record_t *rec)
{
    int          rc;
    char         path[OCI_PATH_MAX];
    size_t       len;
    ssize_t      n;
    oci_str_t    type;
    const char  *reason;

    rc = oci_manifest_open(s, r, d, NULL, 0, rec);
    if (rc != OCI_OK) {
        return rc;
    }

    (void) oci_path_manifest(path, s, r, d);

    if (rec->size > max) {
        (void) close(rec->fd);
        rec->fd = -1;
        errno = EFBIG;
        return OCI_INVALID;
    }

    len = (size_t) rec->size;

    *data = malloc(len ? len : 1);
    if (*data == NULL) {
        rc = oci_fail("malloc()", path);
        (void) close(rec->fd);
        rec->fd = -1;
        return rc;
    }

    n = pread(rec->fd, *data, len, OCI_RECORD_HEADER);

    if (n == -1) {
        rc = oci_fail("pread()", path);

    } else if ((size_t) n != len) {
        rc = oci_record_damaged(path);

    } else {
        type.len = rec->media_type_len;
        type.data = (u_char *) rec->media_type;

        rc = oci_manifest_parse(m, *data, len, &type, &reason);

        if (rc == OCI_ERROR) {
            (void) oci_fail("oci_manifest_parse()", path);

        } else if (rc != OCI_OK) {
            rc = oci_record_damaged(path);
        }
    }

    (void) close(rec->fd);
    rec->fd = -1;

    if (rc != OCI_OK) {
        free(*data);
        *data = NULL;
    }

    if (rc == OCI_INVALID) {
        errno = EBADMSG;
    }

    return rc;
}


int
oci_record_write(const oci_store_t *s, const char *path,
    const oci_manifest_t *m, const oci_digest_t *d, const u_char *data,
    size_t len)
{
    int      rc, n;
    char     dir[OCI_PATH_MAX], tmp[OCI_PATH_MAX];
    u_char  *record;

    n = (int) (strrchr(path, '/') - path);
    (void) snprintf(dir, sizeof(dir), "%.*s", n, path);

    if (oci_dir_make(s, dir) != OCI_OK) {
        return OCI_ERROR;
    }

    rc = oci_record_again(s, path, m, d, data, len);

    if (rc != OCI_NOT_FOUND && rc != OCI_INVALID) {
        return rc;
    }

    record = malloc(OCI_RECORD_HEADER + len);
    if (record == NULL) {
        return oci_fail("malloc()", path);
    }

    oci_record_header(record, &m->media_type, d, (int64_t) len);
    memcpy(record + OCI_RECORD_HEADER, data, len);

    (void) oci_path_tmp(tmp, s);

    n = oci_file_write(s, tmp, 0444, record, OCI_RECORD_HEADER + len);

    free(record);

    if (n != OCI_OK) {
        return n;
    }

    if (rc == OCI_NOT_FOUND && link(tmp, path) == -1) {

        if (errno != EEXIST) {
            rc = oci_fail("link()", path);
            (void) unlink(tmp);
            return rc;
        }

        /* another push was faster: its record is judged as any other */

        rc = oci_record_again(s, path, m, d, data, len);

        if (rc != OCI_INVALID) {
            (void) unlink(tmp);

            if (rc == OCI_NOT_FOUND) {
                errno = ENOENT;
                rc = oci_fail("open()", path);
            }

            return rc;
        }
    }

    if (rc == OCI_INVALID) {

        /* damaged by a crash of a store that is not durable */

        if (rename(tmp, path) == -1) {
            rc = oci_fail("rename()", path);
            (void) unlink(tmp);
            return rc;
        }

    } else {
        (void) unlink(tmp);
    }

    return oci_dir_sync(s, dir);
}


/* 1 and the line without its end, or 0 if it has none */

static int
oci_record_line(const u_char **p, const u_char *last, oci_str_t *line)
{
    const u_char  *end;

    end = memchr(*p, '\n', (size_t) (last - *p));

    if (end == NULL) {
        return 0;
    }

    line->data = (u_char *) (uintptr_t) *p;
    line->len = (size_t) (end - *p);

    *p = end + 1;

    return 1;
}


static int
oci_record_read(oci_record_t *rec, const char *path, unsigned nowait)
{
    u_char        header[OCI_RECORD_HEADER];
    ssize_t       n;
    struct stat   st;
    struct iovec  iov;

    if (fstat(rec->fd, &st) == -1) {
        return oci_fail("fstat()", path);
    }

    if (!S_ISREG(st.st_mode) || st.st_size < OCI_RECORD_HEADER) {
        return oci_record_damaged(path);
    }

    iov.iov_base = header;
    iov.iov_len = OCI_RECORD_HEADER;

    n = preadv2(rec->fd, &iov, 1, 0, nowait ? RWF_NOWAIT : 0);

    if (n != OCI_RECORD_HEADER) {

        /* whatever hinders a read from memory, one that may wait can tell */

        if (nowait) {
            return OCI_AGAIN;
        }

        return n == -1 ? oci_fail("preadv2()", path)
                       : oci_record_damaged(path);
    }

    if (oci_record_parse(rec, header) != OCI_OK
        || rec->size != st.st_size - OCI_RECORD_HEADER)
    {
        return oci_record_damaged(path);
    }

    oci_stamp_set(&rec->stamp, &st);
    rec->mtime = st.st_mtim.tv_sec;

    return OCI_OK;
}


static int
oci_record_damaged(const char *path)
{
    errno = EBADMSG;
    (void) oci_fail("manifest record", path);

    return OCI_INVALID;
}


/*
 * The same manifest as one that is here already: OCI_OK, its record is sound
 * and durable and looks new; OCI_MISMATCH; OCI_INVALID: it is damaged;
 * OCI_NOT_FOUND: there is none; OCI_ERROR.
 */

static int
oci_record_again(const oci_store_t *s, const char *path,
    const oci_manifest_t *m, const oci_digest_t *d, const u_char *data,
    size_t len)
{
    int           rc;
    oci_record_t  rec;

    rec.fd = open(path, O_RDONLY|O_CLOEXEC|O_NOFOLLOW);

    if (rec.fd == -1) {
        return errno == ENOENT ? OCI_NOT_FOUND : oci_fail("open()", path);
    }

    rc = oci_record_read(&rec, path, 0);

    if (rc == OCI_OK) {
        rc = oci_record_same(&rec, d, data, len);

        if (rc == OCI_ERROR) {
            (void) oci_fail("pread()", path);
        }
    }

    if (rc == OCI_OK
        && (rec.media_type_len != m->media_type.len
            || memcmp(rec.media_type, m->media_type.data,
                      rec.media_type_len) != 0))
    {
        rc = OCI_MISMATCH;
    }

    if (rc == OCI_OK && futimens(rec.fd, NULL) == -1) {
        rc = oci_fail("futimens()", path);
    }

    /* whoever wrote it may not have come to its fsync of the folder */

    if (rc == OCI_OK && s->durable && fsync(rec.fd) == -1) {
        rc = oci_fail("fsync()", path);
    }

    (void) close(rec.fd);

    if (rc == OCI_OK) {
        rc = oci_dir_sync_parent(s, path);
    }

    return rc;
}


static int
oci_record_same(oci_record_t *rec, const oci_digest_t *d, const u_char *data,
    size_t len)
{
    off_t    pos;
    u_char   buf[OCI_RECORD_CHUNK];
    size_t   size;
    ssize_t  n;

    if (!oci_digest_equal(&rec->digest, d) || rec->size != (int64_t) len) {
        return OCI_INVALID;
    }

    pos = OCI_RECORD_HEADER;

    while (len != 0) {
        size = len < sizeof(buf) ? len : sizeof(buf);

        n = pread(rec->fd, buf, size, pos);

        if (n == -1) {
            return OCI_ERROR;
        }

        if (n == 0 || memcmp(buf, data, (size_t) n) != 0) {
            return OCI_INVALID;
        }

        data += n;
        len -= (size_t) n;
        pos += n;
    }

    return OCI_OK;
}
