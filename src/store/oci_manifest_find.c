
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Most manifests do not name what is looked for: they are read, and only
 * what holds the text of the digest is parsed.
 */


#include "oci_manifest_find.h"
#include "oci_manifest_store.h"
#include "oci_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>


#define OCI_FIND_SIZE  (4 * 1024 * 1024)        /* of a manifest that counts */


static int oci_find_folder(const oci_store_t *s, const oci_repo_t *r,
    oci_alg_t alg, const oci_digest_t *d, unsigned *left, int64_t *size);
static int oci_find_holds(int dir, const char *name, const char *hex);
static int oci_find_descriptor(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *manifest, const oci_digest_t *d, int64_t *size);


int
oci_manifest_find(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, unsigned max, int64_t *size)
{
    int        rc;
    oci_alg_t  alg;

    rc = OCI_NOT_FOUND;

    for (alg = 0; alg < OCI_ALG_COUNT && rc == OCI_NOT_FOUND; alg++) {
        rc = oci_find_folder(s, r, alg, d, &max, size);
    }

    return rc;
}


static int
oci_find_folder(const oci_store_t *s, const oci_repo_t *r, oci_alg_t alg,
    const oci_digest_t *d, unsigned *left, int64_t *size)
{
    int             rc;
    DIR            *dir;
    char            path[OCI_PATH_MAX], text[OCI_DIGEST_MAX + 2];
    oci_digest_t    m;
    struct dirent  *de;

    memset(&m, 0, sizeof(oci_digest_t));
    m.alg = alg;

    oci_path_manifest(path, s, r, &m);
    *strrchr(path, '/') = '\0';

    dir = opendir(path);

    if (dir == NULL) {
        return (errno == ENOENT || errno == ENOTDIR)
               ? OCI_NOT_FOUND : oci_fail("opendir()", path);
    }

    rc = OCI_NOT_FOUND;

    while (rc == OCI_NOT_FOUND && *left && (de = readdir(dir)) != NULL) {

        if (snprintf(text, sizeof(text), "%s:%s", oci_alg_name(alg),
                     de->d_name)
            >= (int) sizeof(text)
            || oci_digest_parse(&m, (u_char *) text, strlen(text)) != OCI_OK)
        {
            continue;
        }

        (*left)--;

        if (oci_find_holds(dirfd(dir), de->d_name, d->hex)) {
            rc = oci_find_descriptor(s, r, &m, d, size);
        }
    }

    closedir(dir);

    return rc;
}


static int
oci_find_holds(int dir, const char *name, const char *hex)
{
    int          fd, holds;
    char        *data;
    size_t       done;
    ssize_t      n;
    struct stat  st;

    fd = openat(dir, name, O_RDONLY|O_CLOEXEC|O_NOFOLLOW);

    if (fd == -1) {
        return 0;
    }

    data = NULL;
    holds = 0;

    if (fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size < OCI_FIND_SIZE) {
        data = malloc((size_t) st.st_size);
    }

    if (data != NULL) {

        for (done = 0; done < (size_t) st.st_size; done += (size_t) n) {
            n = read(fd, data + done, (size_t) st.st_size - done);

            if (n == -1 && errno == EINTR) {
                n = 0;
                continue;
            }

            if (n <= 0) {
                break;
            }
        }

        holds = (memmem(data, done, hex, strlen(hex)) != NULL);

        free(data);
    }

    close(fd);

    return holds;
}


/* OCI_OK, or OCI_NOT_FOUND: it does not name it, or is of no use */

static int
oci_find_descriptor(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *manifest, const oci_digest_t *d, int64_t *size)
{
    int              rc;
    size_t           i;
    u_char          *data;
    oci_record_t     rec;
    oci_manifest_t   m;

    if (oci_manifest_load(s, r, manifest, OCI_FIND_SIZE, &m, &data, &rec)
        != OCI_OK)
    {
        return OCI_NOT_FOUND;
    }

    rc = OCI_NOT_FOUND;

    for (i = 0; i < m.count; i++) {

        if (!m.descriptors[i].unsupported
            && m.descriptors[i].kind != OCI_DESC_MANIFEST
            && oci_digest_equal(&m.descriptors[i].digest, d))
        {
            *size = m.descriptors[i].size;
            rc = OCI_OK;
            break;
        }
    }

    oci_manifest_free(&m);
    free(data);

    return rc;
}
