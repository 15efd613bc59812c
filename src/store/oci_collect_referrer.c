
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Entries of referrers whose manifest is gone: a crash in the middle of a
 * delete leaves them.
 */


#include "oci_collect_repo.h"
#include "oci_generation.h"
#include "oci_referrer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>


static int oci_collect_subject(oci_collect_repo_t *rp, const char *path,
    const oci_digest_t *subject);
static int oci_collect_referrer(oci_collect_repo_t *rp,
    const oci_digest_t *subject, const char *name);


int
oci_collect_referrers(oci_collect_repo_t *rp, int64_t deadline)
{
    int           rc;
    char          path[OCI_PATH_MAX];
    oci_digest_t  subject;

    do {
        rc = oci_collect_next(rp, &rp->iter, OCI_COLLECT_REFERRED, &subject,
                              NULL);

        if (rc != OCI_OK) {
            return rc;
        }

        (void) oci_path_referrers(path, rp->store, &rp->repo, &subject);

        if (oci_collect_subject(rp, path, &subject) != OCI_OK) {
            return OCI_ERROR;
        }

    } while (!oci_collect_late(deadline));

    return OCI_OK;
}


static int
oci_collect_subject(oci_collect_repo_t *rp, const char *path,
    const oci_digest_t *subject)
{
    int             rc;
    DIR            *dir;
    struct dirent  *de;

    dir = opendir(path);

    if (dir == NULL) {
        return errno == ENOENT ? OCI_OK : oci_fail("opendir()", path);
    }

    for ( ;; ) {
        errno = 0;
        de = readdir(dir);

        if (de == NULL) {
            rc = errno ? oci_fail("readdir()", path) : OCI_OK;
            break;
        }

        rc = oci_collect_referrer(rp, subject, de->d_name);

        if (rc != OCI_OK) {
            break;
        }
    }

    (void) closedir(dir);

    return rc;
}


static int
oci_collect_referrer(oci_collect_repo_t *rp, const oci_digest_t *subject,
    const char *name)
{
    char                     path[OCI_PATH_MAX];
    size_t                   size;
    oci_alg_t                a;
    const char              *dash;
    struct stat              st;
    oci_digest_t             d;
    oci_collect_referrer_t  *list;

    dash = strchr(name, '-');

    if (dash == NULL
        || oci_alg_find(&a, (const u_char *) name, (size_t) (dash - name))
           != OCI_OK
        || oci_collect_digest(&d, a, dash + 1) != OCI_OK)
    {
        return OCI_OK;
    }

    (void) oci_path_manifest(path, rp->store, &rp->repo, &d);

    if (lstat(path, &st) == 0 || errno != ENOENT) {
        return OCI_OK;
    }

    if (rp->nreferrers == rp->referrers_size) {
        size = rp->referrers_size ? 2 * rp->referrers_size : 16;

        list = realloc(rp->referrers, size * sizeof(oci_collect_referrer_t));
        if (list == NULL) {
            return oci_fail("malloc()", rp->path);
        }

        rp->referrers = list;
        rp->referrers_size = size;
    }

    rp->referrers[rp->nreferrers].subject = *subject;
    rp->referrers[rp->nreferrers++].digest = d;

    return OCI_OK;
}


int
oci_collect_drop_referrers(oci_collect_repo_t *rp, int64_t deadline)
{
    int                      rc;
    char                     path[OCI_PATH_MAX];
    oci_lock_t               lock;
    struct stat              st;
    oci_collect_referrer_t  *ref;

    if (rp->nreferrers == 0) {
        return OCI_NOT_FOUND;
    }

    rc = oci_collect_enter(rp, &lock, 0, deadline);

    if (rc != OCI_OK) {
        return rc;
    }

    oci_generation_raise(rp->store, &rp->repo);

    do {
        ref = &rp->referrers[--rp->nreferrers];

        (void) oci_path_manifest(path, rp->store, &rp->repo, &ref->digest);

        if (lstat(path, &st) == -1 && errno == ENOENT) {
            rc = oci_referrer_remove(rp->store, &rp->repo, &ref->subject,
                                     &ref->digest);
        }

    } while (rc == OCI_OK && rp->nreferrers && !oci_collect_late(deadline));

    oci_generation_raise(rp->store, &rp->repo);
    oci_lock_release(&lock);

    if (rc != OCI_OK) {
        return OCI_ERROR;
    }

    return rp->nreferrers ? OCI_OK : OCI_NOT_FOUND;
}
