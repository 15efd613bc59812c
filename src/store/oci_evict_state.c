
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What a pass of eviction remembers: the oldest names, in a heap of bounded
 * size, and all of it in a file.
 *
 * The file: magic, version, how many names, the bytes added up so far and of
 * the pass before, the repository that was done last; then each name; then a
 * CRC32C.  All numbers little-endian.
 */


#include "oci_evict_part.h"
#include "oci_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>


#define OCI_EVICT_MAGIC    "OCI-EVI\n"
#define OCI_EVICT_VERSION  1
#define OCI_EVICT_HEAD     36
#define OCI_EVICT_NAME     20
#define OCI_EVICT_MAX      (OCI_EVICT_HEAD + OCI_TREE_PATH_MAX                \
                            + OCI_EVICT_OLDEST                               \
                              * (OCI_EVICT_NAME + OCI_HEX_MAX                \
                                 + OCI_TREE_PATH_MAX)                        \
                            + 4)


static void oci_evict_up(oci_evict_t *e, size_t i);
static void oci_evict_down(oci_evict_t *e);
static int oci_evict_decode(oci_evict_t *e, const u_char *p, size_t len);
static int oci_evict_decode_name(oci_evict_t *e, const u_char **pos,
    const u_char *last);
static void oci_evict_path(const oci_evict_t *e, char *path);
static void oci_evict_put(oci_text_t *t, uint64_t value, unsigned bytes);
static uint64_t oci_evict_get(const u_char *p, unsigned bytes);


int
oci_evict_remember(oci_evict_t *e, const char *repo, const oci_digest_t *d,
    int64_t mtime, int64_t share)
{
    char              *copy;
    oci_evict_name_t  *name;

    if (e->n == OCI_EVICT_OLDEST) {
        e->left = 1;

        if (mtime >= e->names[0].mtime) {
            return OCI_OK;
        }
    }

    copy = strdup(repo);

    if (copy == NULL) {
        return oci_fail("malloc()", repo);
    }

    if (e->n == OCI_EVICT_OLDEST) {
        name = &e->names[0];
        free(name->repo);

    } else {
        name = &e->names[e->n++];
    }

    name->mtime = mtime;
    name->share = share;
    name->digest = *d;
    name->repo = copy;

    if (name == &e->names[0]) {
        oci_evict_down(e);

    } else {
        oci_evict_up(e, e->n - 1);
    }

    return OCI_OK;
}


void
oci_evict_forget(oci_evict_t *e)
{
    size_t  i;

    for (i = 0; i < e->n; i++) {
        free(e->names[i].repo);
    }

    e->n = 0;
    e->next = 0;
    e->left = 0;
}


void
oci_evict_save(oci_evict_t *e)
{
    char               path[OCI_PATH_MAX], tmp[OCI_PATH_MAX];
    size_t             i;
    oci_text_t         t;
    oci_evict_name_t  *name;

    memset(&t, 0, sizeof(oci_text_t));

    oci_text_lit(&t, OCI_EVICT_MAGIC);
    oci_evict_put(&t, OCI_EVICT_VERSION, 4);
    oci_evict_put(&t, e->n | (e->left ? 1u << 31 : 0), 4);
    oci_evict_put(&t, (uint64_t) e->size, 8);
    oci_evict_put(&t, (uint64_t) e->stats.size, 8);
    oci_evict_put(&t, strlen(e->done), 4);
    oci_text_add(&t, e->done, strlen(e->done));

    for (i = 0; i < e->n; i++) {
        name = &e->names[i];

        oci_evict_put(&t, (uint64_t) name->mtime, 8);
        oci_evict_put(&t, (uint64_t) name->share, 8);
        oci_evict_put(&t, (uint64_t) name->digest.alg, 2);
        oci_evict_put(&t, strlen(name->repo), 2);
        oci_text_add(&t, name->digest.hex, name->digest.hex_len);
        oci_text_add(&t, name->repo, strlen(name->repo));
    }

    if (t.failed) {
        free(t.data);
        return;
    }

    oci_evict_put(&t, oci_crc32c(0, t.data, t.len), 4);

    oci_evict_path(e, path);
    oci_path_tmp(tmp, e->store);

    if (!t.failed
        && oci_file_write(e->store, tmp, 0600, t.data, t.len) == OCI_OK
        && rename(tmp, path) == -1)
    {
        (void) unlink(tmp);
    }

    free(t.data);
}


/* once in the life of a process, and only what holds in every byte */

void
oci_evict_load(oci_evict_t *e)
{
    int          fd;
    char         path[OCI_PATH_MAX];
    u_char      *data;
    ssize_t      n;
    struct stat  st;

    if (e->loaded) {
        return;
    }

    e->loaded = 1;

    oci_evict_path(e, path);

    fd = open(path, O_RDONLY|O_CLOEXEC|O_NOFOLLOW);

    if (fd == -1) {
        return;
    }

    if (fstat(fd, &st) == 0 && st.st_size >= OCI_EVICT_HEAD + 4
        && st.st_size <= (off_t) OCI_EVICT_MAX)
    {
        data = malloc((size_t) st.st_size);

        if (data != NULL) {

            do {
                n = read(fd, data, (size_t) st.st_size);
            } while (n == -1 && errno == EINTR);

            if (n != (ssize_t) st.st_size
                || oci_evict_decode(e, data, (size_t) n) != OCI_OK)
            {
                oci_evict_forget(e);
                e->done[0] = '\0';
                e->size = 0;
            }

            free(data);
        }
    }

    close(fd);
}


static int
oci_evict_decode(oci_evict_t *e, const u_char *p, size_t len)
{
    size_t         done;
    uint32_t       i, n;
    const u_char  *last;

    last = p + len - 4;

    if (memcmp(p, OCI_EVICT_MAGIC, 8) != 0
        || oci_evict_get(p + 8, 4) != OCI_EVICT_VERSION
        || oci_evict_get(last, 4) != oci_crc32c(0, p, len - 4))
    {
        return OCI_INVALID;
    }

    n = (uint32_t) oci_evict_get(p + 12, 4);
    e->size = (int64_t) oci_evict_get(p + 16, 8);
    e->stats.size = (int64_t) oci_evict_get(p + 24, 8);
    done = (size_t) oci_evict_get(p + 32, 4);

    p += OCI_EVICT_HEAD;

    if (done >= sizeof(e->done) || done > (size_t) (last - p)) {
        return OCI_INVALID;
    }

    memcpy(e->done, p, done);
    e->done[done] = '\0';
    p += done;

    for (i = 0; i < (n & 0x7fffffff); i++) {
        if (oci_evict_decode_name(e, &p, last) != OCI_OK) {
            return OCI_INVALID;
        }
    }

    e->left = (n & 0x80000000) != 0;

    return (p == last) ? OCI_OK : OCI_INVALID;
}


static int
oci_evict_decode_name(oci_evict_t *e, const u_char **pos, const u_char *last)
{
    char           repo[OCI_TREE_PATH_MAX];
    size_t         hex, len;
    int64_t        mtime, share;
    uint64_t       alg;
    oci_digest_t   d;
    const u_char  *p;

    p = *pos;

    if (last - p < OCI_EVICT_NAME || e->n == OCI_EVICT_OLDEST) {
        return OCI_INVALID;
    }

    mtime = (int64_t) oci_evict_get(p, 8);
    share = (int64_t) oci_evict_get(p + 8, 8);
    alg = oci_evict_get(p + 16, 2);
    len = (size_t) oci_evict_get(p + 18, 2);

    p += OCI_EVICT_NAME;

    hex = (alg == OCI_SHA512) ? 128 : 64;

    if (alg >= OCI_ALG_COUNT || len >= sizeof(repo)
        || (size_t) (last - p) < hex + len)
    {
        return OCI_INVALID;
    }

    memset(&d, 0, sizeof(oci_digest_t));
    d.alg = (oci_alg_t) alg;
    d.hex_len = hex;
    memcpy(d.hex, p, hex);

    memcpy(repo, p + hex, len);
    repo[len] = '\0';

    *pos = p + hex + len;

    return oci_evict_remember(e, repo, &d, mtime, share);
}


static void
oci_evict_up(oci_evict_t *e, size_t i)
{
    size_t            parent;
    oci_evict_name_t  name;

    while (i) {
        parent = (i - 1) / 2;

        if (e->names[parent].mtime >= e->names[i].mtime) {
            break;
        }

        name = e->names[parent];
        e->names[parent] = e->names[i];
        e->names[i] = name;

        i = parent;
    }
}


static void
oci_evict_down(oci_evict_t *e)
{
    size_t            i, child;
    oci_evict_name_t  name;

    i = 0;

    for ( ;; ) {
        child = 2 * i + 1;

        if (child >= e->n) {
            break;
        }

        if (child + 1 < e->n
            && e->names[child + 1].mtime > e->names[child].mtime)
        {
            child++;
        }

        if (e->names[i].mtime >= e->names[child].mtime) {
            break;
        }

        name = e->names[child];
        e->names[child] = e->names[i];
        e->names[i] = name;

        i = child;
    }
}


static void
oci_evict_path(const oci_evict_t *e, char *path)
{
    (void) oci_path_run(path, e->store, "evict.state");
}


static void
oci_evict_put(oci_text_t *t, uint64_t value, unsigned bytes)
{
    u_char    p[8];
    unsigned  i;

    for (i = 0; i < bytes; i++) {
        p[i] = (u_char) (value >> (8 * i));
    }

    oci_text_add(t, p, bytes);
}


static uint64_t
oci_evict_get(const u_char *p, unsigned bytes)
{
    unsigned  i;
    uint64_t  value;

    value = 0;

    for (i = 0; i < bytes; i++) {
        value |= (uint64_t) p[i] << (8 * i);
    }

    return value;
}
