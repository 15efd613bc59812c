
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_manifest_store.h"
#include "oci_record.h"
#include "oci_path.h"
#include "oci_blob.h"
#include "oci_tag.h"
#include "oci_referrer.h"
#include "oci_generation.h"

#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>


static int oci_manifest_put_locked(const oci_store_t *s, const oci_repo_t *r,
    const oci_manifest_t *m, const oci_digest_t *d, const u_char *data,
    size_t len, const oci_str_t *tags, size_t ntags, unsigned flags,
    oci_digest_t *missing);
static int oci_manifest_require(const oci_store_t *s, const oci_repo_t *r,
    const oci_manifest_t *m, unsigned sparse, oci_digest_t *missing);
static int oci_manifest_require_each(const oci_store_t *s,
    const oci_repo_t *r, const oci_manifest_t *m, unsigned sparse,
    const u_char *repeated, oci_digest_t *missing);
static int oci_manifest_sync_named(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *blob, const oci_digest_t *child);
static int oci_manifest_present(const oci_store_t *s, const oci_repo_t *r,
    const oci_descriptor_t *desc);
static u_char *oci_manifest_repeated(const oci_manifest_t *m);
static int oci_descriptor_compare(const void *one, const void *two);
static int oci_descriptor_order(const oci_descriptor_t *a,
    const oci_descriptor_t *b);
static int oci_manifest_remove(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, unsigned tags);
static int oci_manifest_remove_names(const oci_store_t *s,
    const oci_repo_t *r, const oci_digest_t *d, const oci_manifest_t *m,
    unsigned tags);
static void oci_manifest_touch_named(const oci_store_t *s,
    const oci_repo_t *r, const oci_manifest_t *m);


int
oci_manifest_put(const oci_store_t *s, const oci_repo_t *r,
    const oci_manifest_t *m, const oci_digest_t *d, const u_char *data,
    size_t len, const oci_str_t *tags, size_t ntags, unsigned flags,
    oci_digest_t *missing)
{
    int         rc;
    oci_lock_t  lock;

    rc = oci_lock_repo(&lock, s, r, 0, 1);
    if (rc != OCI_OK) {
        return rc;
    }

    oci_generation_raise(s, r);

    rc = oci_manifest_put_locked(s, r, m, d, data, len, tags, ntags, flags,
                                 missing);

    oci_generation_raise(s, r);

    oci_lock_release(&lock);

    return rc;
}


int
oci_manifest_delete(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d)
{
    int         rc;
    oci_lock_t  lock;

    /* before the record goes, so that OCI_AGAIN leaves all as it was */

    rc = oci_lock_repo(&lock, s, r, 1, 0);
    if (rc != OCI_OK) {
        return rc;
    }

    rc = oci_manifest_remove(s, r, d, 1);

    oci_lock_release(&lock);

    return rc;
}


int
oci_manifest_delete_locked(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d)
{
    return oci_manifest_remove(s, r, d, 1);
}


int
oci_manifest_delete_untagged(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d)
{
    return oci_manifest_remove(s, r, d, 0);
}


static int
oci_manifest_put_locked(const oci_store_t *s, const oci_repo_t *r,
    const oci_manifest_t *m, const oci_digest_t *d, const u_char *data,
    size_t len, const oci_str_t *tags, size_t ntags, unsigned flags,
    oci_digest_t *missing)
{
    int     rc;
    char    path[OCI_PATH_MAX];
    size_t  i;

    if (!(flags & OCI_MANIFEST_FILLED)) {
        rc = oci_manifest_require(s, r, m, flags & OCI_MANIFEST_SPARSE,
                                  missing);
        if (rc != OCI_OK) {
            return rc;
        }
    }

    (void) oci_path_manifest(path, s, r, d);

    rc = oci_record_write(s, path, m, d, data, len);
    if (rc != OCI_OK) {
        return rc;
    }

    if (m->has_subject) {
        rc = oci_referrer_add(s, r, m, d, len);
        if (rc != OCI_OK) {
            return rc;
        }
    }

    for (i = 0; i < ntags; i++) {
        rc = (flags & OCI_MANIFEST_FILLED)
             ? oci_tag_fill(s, r, &tags[i], d, flags & OCI_MANIFEST_YIELD)
             : oci_tag_set(s, r, &tags[i], d);
        if (rc != OCI_OK) {
            return rc;
        }
    }

    return ntags ? oci_tags_sync(s, r) : OCI_OK;
}


static int
oci_manifest_require(const oci_store_t *s, const oci_repo_t *r,
    const oci_manifest_t *m, unsigned sparse, oci_digest_t *missing)
{
    int      rc;
    u_char  *repeated;

    if (m->count == 0) {
        return OCI_OK;
    }

    repeated = oci_manifest_repeated(m);
    if (repeated == NULL) {
        return oci_fail("malloc()", "");
    }

    rc = oci_manifest_require_each(s, r, m, sparse, repeated, missing);

    free(repeated);

    return rc;
}


static int
oci_manifest_require_each(const oci_store_t *s, const oci_repo_t *r,
    const oci_manifest_t *m, unsigned sparse, const u_char *repeated,
    oci_digest_t *missing)
{
    int                      rc;
    size_t                   i;
    unsigned                 alg;
    const oci_digest_t      *blobs[OCI_ALG_COUNT], *children[OCI_ALG_COUNT];
    const oci_descriptor_t  *desc;

    memset(blobs, 0, sizeof(blobs));
    memset(children, 0, sizeof(children));

    for (i = 0; i < m->count; i++) {
        desc = &m->descriptors[i];

        if (repeated[i] && !desc->unsupported) {
            continue;
        }

        rc = desc->unsupported ? OCI_NOT_FOUND
                               : oci_manifest_present(s, r, desc);

        switch (rc) {

        case OCI_OK:
            blobs[desc->digest.alg] = &desc->digest;
            break;

        case OCI_EXISTS:
            children[desc->digest.alg] = &desc->digest;
            break;

        case OCI_NOT_FOUND:

            if (!sparse && !desc->foreign) {
                *missing = desc->digest;
                return OCI_UNKNOWN_BLOB;
            }

            break;

        default:
            return rc;
        }
    }

    for (alg = 0; alg < OCI_ALG_COUNT; alg++) {
        rc = oci_manifest_sync_named(s, r, blobs[alg], children[alg]);
        if (rc != OCI_OK) {
            return rc;
        }
    }

    return OCI_OK;
}


/*
 * A name is seen before its maker has synced the folder: what the manifest
 * relies on is made as durable as the manifest itself.
 */

static int
oci_manifest_sync_named(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *blob, const oci_digest_t *child)
{
    char  path[OCI_PATH_MAX];

    if (blob != NULL) {
        (void) oci_path_repo_blob(path, s, r, blob);
        *strrchr(path, '/') = '\0';

        if (oci_dir_make(s, path) != OCI_OK
            || oci_dir_sync(s, path) != OCI_OK)
        {
            return OCI_ERROR;
        }
    }

    if (child != NULL) {
        (void) oci_path_manifest(path, s, r, child);
        *strrchr(path, '/') = '\0';

        if (oci_dir_make(s, path) != OCI_OK
            || oci_dir_sync(s, path) != OCI_OK)
        {
            return OCI_ERROR;
        }
    }

    return OCI_OK;
}


/* OCI_OK: as a blob; OCI_EXISTS: as a manifest; OCI_NOT_FOUND; OCI_ERROR */

static int
oci_manifest_present(const oci_store_t *s, const oci_repo_t *r,
    const oci_descriptor_t *desc)
{
    char         path[OCI_PATH_MAX];
    struct stat  st;

    if (desc->kind == OCI_DESC_MANIFEST) {
        (void) oci_path_manifest(path, s, r, &desc->digest);

        if (lstat(path, &st) == 0) {
            return OCI_EXISTS;
        }

        if (errno != ENOENT && errno != ENOTDIR) {
            return oci_fail("lstat()", path);
        }

        if (desc->manifest) {
            return OCI_NOT_FOUND;
        }

        /* an index may list what is no manifest, and was pushed as a blob */
    }

    return oci_blob_keep(s, r, &desc->digest);
}


/*
 * Marks all but the first of equal descriptors.  Sorted, not hashed: the
 * digests are chosen by whoever pushes.  One that must be here comes before
 * one that need not, so that its absence is not passed over.
 */

static u_char *
oci_manifest_repeated(const oci_manifest_t *m)
{
    size_t                    i, n;
    u_char                   *repeated;
    const oci_descriptor_t  **sorted;

    n = m->count;

    repeated = calloc(n, 1);
    sorted = malloc(n * sizeof(oci_descriptor_t *));

    if (repeated == NULL || sorted == NULL) {
        free(repeated);
        free(sorted);
        return NULL;
    }

    for (i = 0; i < n; i++) {
        sorted[i] = &m->descriptors[i];
    }

    qsort(sorted, n, sizeof(oci_descriptor_t *), oci_descriptor_compare);

    for (i = 1; i < n; i++) {
        if (oci_descriptor_order(sorted[i - 1], sorted[i]) == 0) {
            repeated[sorted[i] - m->descriptors] = 1;
        }
    }

    free(sorted);

    return repeated;
}


static int
oci_descriptor_compare(const void *one, const void *two)
{
    int                      rc;
    const oci_descriptor_t  *a, *b;

    a = *(const oci_descriptor_t *const *) one;
    b = *(const oci_descriptor_t *const *) two;

    rc = oci_descriptor_order(a, b);

    if (rc != 0) {
        return rc;
    }

    if (a->foreign != b->foreign) {
        return a->foreign ? 1 : -1;
    }

    return a < b ? -1 : a > b;
}


static int
oci_descriptor_order(const oci_descriptor_t *a, const oci_descriptor_t *b)
{
    int  one, two;

    one = (a->kind == OCI_DESC_MANIFEST);
    two = (b->kind == OCI_DESC_MANIFEST);

    if (one != two) {
        return one - two;
    }

    if (a->digest.alg != b->digest.alg) {
        return a->digest.alg < b->digest.alg ? -1 : 1;
    }

    return strcmp(a->digest.hex, b->digest.hex);
}


/* the caller holds the exclusive lock */

static int
oci_manifest_remove(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, unsigned tags)
{
    int              rc, loaded;
    char             path[OCI_PATH_MAX];
    u_char          *data;
    oci_record_t     rec;
    oci_manifest_t   m;

    loaded = oci_manifest_load(s, r, d, INT64_MAX, &m, &data, &rec);

    if (loaded == OCI_ERROR) {
        return loaded;
    }

    if (loaded == OCI_OK) {
        oci_manifest_touch_named(s, r, &m);
    }

    oci_generation_raise(s, r);

    (void) oci_path_manifest(path, s, r, d);

    if (loaded == OCI_NOT_FOUND) {
        rc = OCI_NOT_FOUND;

    } else if (unlink(path) == -1) {
        rc = errno == ENOENT ? OCI_NOT_FOUND : oci_fail("unlink()", path);

    } else {
        rc = oci_dir_sync_parent(s, path);
    }

    /* also when it was not there: a crash may have left its tags */

    if (rc != OCI_ERROR
        && oci_manifest_remove_names(s, r, d, loaded == OCI_OK ? &m : NULL,
                                     tags)
           != OCI_OK)
    {
        rc = OCI_ERROR;
    }

    oci_generation_raise(s, r);

    if (loaded == OCI_OK) {
        oci_manifest_free(&m);
        free(data);
    }

    return rc;
}


static int
oci_manifest_remove_names(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const oci_manifest_t *m, unsigned tags)
{
    int  rc;

    rc = OCI_OK;

    if (tags && oci_tags_drop(s, r, d) != OCI_OK) {
        rc = OCI_ERROR;
    }

    if (m != NULL && m->has_subject
        && oci_referrer_remove(s, r, &m->subject, d) != OCI_OK)
    {
        rc = OCI_ERROR;
    }

    return rc;
}


/* best effort: what is not here needs no grace */

static void
oci_manifest_touch_named(const oci_store_t *s, const oci_repo_t *r,
    const oci_manifest_t *m)
{
    char                     path[OCI_PATH_MAX];
    size_t                   i;
    const oci_descriptor_t  *desc;

    for (i = 0; i < m->count; i++) {
        desc = &m->descriptors[i];

        if (desc->unsupported) {
            continue;
        }

        if (desc->kind == OCI_DESC_MANIFEST) {
            (void) oci_path_manifest(path, s, r, &desc->digest);
            (void) utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW);
        }

        (void) oci_blob_touch(s, r, &desc->digest);
    }
}
