
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What the collector removes of a repository, in batches under its exclusive
 * lock.
 */


#include "oci_collect_repo.h"
#include "oci_generation.h"
#include "oci_manifest_store.h"
#include "oci_tag.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>


/* how long the lock is asked for in one step, and in how many steps */

#define OCI_COLLECT_LOCK_PAUSE  1000000L
#define OCI_COLLECT_LOCK_TRIES  10
#define OCI_COLLECT_LOCK_STEPS  16

/* what a push waits at most for lists to be brought up to date */

#define OCI_COLLECT_LOCK_TIME   (50 * 1000000LL)

/* a folder that is younger may be on its way to get something */

#define OCI_COLLECT_PRUNE_AGE   60


static int oci_collect_enter_later(oci_collect_repo_t *rp);
static int oci_collect_drop_tag(oci_collect_repo_t *rp,
    const oci_collect_tag_t *tag);
static int oci_collect_keep(oci_collect_repo_t *rp, size_t *garbage);
static int oci_collect_drop_manifest(oci_collect_repo_t *rp, oci_mark_t *m);
static size_t oci_collect_next_link(const oci_collect_repo_t *rp,
    size_t pos);
static int oci_collect_drop_link(oci_collect_repo_t *rp,
    const oci_mark_t *m);
static int oci_collect_empty(const oci_collect_repo_t *rp);
static int oci_collect_empty_folder(const char *path);
static int oci_collect_remove_folders(const oci_collect_repo_t *rp);
static int oci_collect_remove_subjects(const char *path);
static int oci_collect_rmdir(const char *path);


int
oci_collect_enter(oci_collect_repo_t *rp, oci_lock_t *lock, unsigned catch_up,
    int64_t deadline)
{
    int              rc;
    unsigned         try;
    struct timespec  ts;

    ts.tv_sec = 0;
    ts.tv_nsec = OCI_COLLECT_LOCK_PAUSE;

    for (try = 0; /* void */ ; try++) {
        rc = oci_lock_repo(lock, rp->store, &rp->repo, 1, 0);

        if (rc != OCI_AGAIN) {
            break;
        }

        if (try == OCI_COLLECT_LOCK_TRIES || oci_collect_late(deadline)) {
            return oci_collect_enter_later(rp);
        }

        (void) nanosleep(&ts, NULL);
    }

    if (rc == OCI_NOT_FOUND) {
        return OCI_CONFLICT;
    }

    if (rc != OCI_OK) {
        return rc;
    }

    if (catch_up) {
        rc = oci_collect_catch_up(rp, oci_collect_clock()
                                      + OCI_COLLECT_LOCK_TIME);

        if (rc != OCI_OK) {
            oci_lock_release(lock);
            return rc == OCI_AGAIN ? oci_collect_enter_later(rp) : rc;
        }
    }

    rp->tries = 0;
    rp->changed = 1;

    return OCI_OK;
}


static int
oci_collect_enter_later(oci_collect_repo_t *rp)
{
    if (++rp->tries < OCI_COLLECT_LOCK_STEPS) {
        return OCI_AGAIN;
    }

    rp->stats->busy++;

    return OCI_CONFLICT;
}


int
oci_collect_drop_tags(oci_collect_repo_t *rp, int64_t deadline)
{
    int         rc;
    unsigned    dropped;
    oci_lock_t  lock;

    if (rp->ntags == 0) {
        return OCI_NOT_FOUND;
    }

    rc = oci_collect_enter(rp, &lock, 0, deadline);

    if (rc != OCI_OK) {
        return rc;
    }

    /* tags may have been set or removed: count them again */

    if (rp->policy.keep_tags > 0) {
        rc = oci_collect_tags(rp, oci_collect_clock()
                                  + OCI_COLLECT_LOCK_TIME);

        if (rc != OCI_NOT_FOUND) {
            oci_lock_release(&lock);
            oci_collect_iter_end(&rp->iter);

            return rc == OCI_OK ? oci_collect_enter_later(rp) : rc;
        }
    }

    rc = OCI_OK;
    dropped = 0;

    oci_generation_raise(rp->store, &rp->repo);

    while (rp->ntags) {
        rc = oci_collect_drop_tag(rp, &rp->tags[rp->ntags - 1]);

        if (rc == OCI_ERROR) {
            break;
        }

        if (rc == OCI_OK) {
            dropped = 1;
        }

        rp->ntags--;
        rc = OCI_OK;

        if (oci_collect_late(deadline)) {
            break;
        }
    }

    if (dropped && oci_tags_sync(rp->store, &rp->repo) != OCI_OK) {
        rc = OCI_ERROR;
    }

    oci_generation_raise(rp->store, &rp->repo);
    oci_lock_release(&lock);

    if (rc != OCI_OK) {
        return rc;
    }

    return rp->ntags ? OCI_OK : OCI_NOT_FOUND;
}


/* OCI_NOT_FOUND: it changed and stays */

static int
oci_collect_drop_tag(oci_collect_repo_t *rp, const oci_collect_tag_t *tag)
{
    int           rc;
    char          path[OCI_PATH_MAX];
    oci_str_t     name;
    struct stat   st;
    oci_digest_t  d;

    name.len = strlen(tag->name);
    name.data = (u_char *) tag->name;

    (void) oci_path_tag(path, rp->store, &rp->repo, &name);

    if (lstat(path, &st) == -1) {
        return errno == ENOENT ? OCI_NOT_FOUND : oci_fail("lstat()", path);
    }

    if (st.st_ino != tag->inode || oci_collect_mtime(&st) != tag->mtime) {
        return OCI_NOT_FOUND;
    }

    if (tag->dangles && stat(path, &st) == 0) {
        return OCI_NOT_FOUND;
    }

    rc = oci_tag_get(rp->store, &rp->repo, &name, &d);

    if (rc != OCI_OK) {
        return rc == OCI_ERROR ? rc : OCI_NOT_FOUND;
    }

    if (unlink(path) == -1) {
        return errno == ENOENT ? OCI_NOT_FOUND : oci_fail("unlink()", path);
    }

    rp->stats->tags++;

    /* the time without a tag begins now */

    (void) oci_path_manifest(path, rp->store, &rp->repo, &d);
    (void) utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW);

    return OCI_OK;
}


/* which manifests stay, by tags, age, indexes and subjects */

static int
oci_collect_keep(oci_collect_repo_t *rp, size_t *garbage)
{
    size_t       i;
    int64_t      until;
    oci_mark_t  *m;

    until = rp->now - rp->policy.untagged * OCI_COLLECT_SECOND;

    for (i = 0; i < rp->manifests.n; i++) {
        m = &rp->manifests.mark[i];

        m->kept = m->present
                  && (m->tagged || m->late || !m->loaded || m->mtime > until);
    }

    if (oci_marks_spread(&rp->manifests) != OCI_OK) {
        return oci_fail("malloc()", rp->path);
    }

    *garbage = 0;

    for (i = 0; i < rp->manifests.n; i++) {
        m = &rp->manifests.mark[i];

        if (m->present && !m->kept) {
            (*garbage)++;
        }
    }

    return OCI_OK;
}


int
oci_collect_drop_manifests(oci_collect_repo_t *rp, int64_t deadline)
{
    int          rc;
    size_t       i, n, garbage;
    unsigned     index;
    oci_lock_t   lock;
    oci_mark_t  *m;

    if (rp->policy.untagged < 0) {
        return OCI_NOT_FOUND;
    }

    if (oci_collect_keep(rp, &garbage) != OCI_OK) {
        return OCI_ERROR;
    }

    if (garbage == 0) {
        return OCI_NOT_FOUND;
    }

    rc = oci_collect_enter(rp, &lock, 1, deadline);

    if (rc != OCI_OK) {
        return rc;
    }

    if (oci_collect_keep(rp, &garbage) != OCI_OK) {
        oci_lock_release(&lock);
        return OCI_ERROR;
    }

    oci_generation_raise(rp->store, &rp->repo);

    n = rp->manifests.n;
    rc = OCI_NOT_FOUND;

    /* indexes first: nobody shall see one without its children */

    for (i = 0; i < 2 * n && garbage; i++) {
        index = i < n;
        m = &rp->manifests.mark[i % n];

        if (!m->present || m->kept || m->index != index) {
            continue;
        }

        if (oci_collect_drop_manifest(rp, m) != OCI_OK) {
            rc = OCI_ERROR;
            break;
        }

        garbage--;

        if (oci_collect_late(deadline)) {
            rc = garbage ? OCI_OK : OCI_NOT_FOUND;
            break;
        }
    }

    oci_generation_raise(rp->store, &rp->repo);
    oci_lock_release(&lock);

    return rc;
}


static int
oci_collect_drop_manifest(oci_collect_repo_t *rp, oci_mark_t *m)
{
    int           rc;
    char          path[OCI_PATH_MAX];
    struct stat   st;
    oci_digest_t  d;

    oci_mark_digest(m, &d);

    (void) oci_path_manifest(path, rp->store, &rp->repo, &d);

    if (lstat(path, &st) == -1) {
        if (errno != ENOENT) {
            return oci_fail("lstat()", path);
        }

        m->present = 0;
        return OCI_OK;
    }

    /* pushed again, or a tag was lost just now */

    if (oci_collect_mtime(&st) > rp->now
                                 - rp->policy.untagged * OCI_COLLECT_SECOND)
    {
        m->mtime = oci_collect_mtime(&st);
        m->late = 1;
        return OCI_OK;
    }

    rc = oci_manifest_delete_untagged(rp->store, &rp->repo, &d);

    if (rc == OCI_OK) {
        rp->stats->manifests++;
        rp->stats->bytes += (uint64_t) st.st_size;

    } else if (rc != OCI_NOT_FOUND) {
        return OCI_ERROR;
    }

    m->present = 0;

    return OCI_OK;
}


static size_t
oci_collect_next_link(const oci_collect_repo_t *rp, size_t pos)
{
    int64_t            until;
    const oci_mark_t  *m;

    until = rp->now - rp->policy.grace * OCI_COLLECT_SECOND;

    while (pos < rp->links.n) {
        m = &rp->links.mark[pos];

        if (!m->named && m->mtime <= until) {
            break;
        }

        pos++;
    }

    return pos;
}


int
oci_collect_drop_links(oci_collect_repo_t *rp, int64_t deadline)
{
    int         rc;
    oci_lock_t  lock;

    rp->pos = oci_collect_next_link(rp, rp->pos);

    if (rp->pos == rp->links.n) {
        rp->pos = 0;
        return OCI_NOT_FOUND;
    }

    rc = oci_collect_enter(rp, &lock, 1, deadline);

    if (rc != OCI_OK) {
        return rc;
    }

    oci_generation_raise(rp->store, &rp->repo);

    for ( ;; ) {
        rp->pos = oci_collect_next_link(rp, rp->pos);

        if (rp->pos == rp->links.n) {
            rp->pos = 0;
            rc = OCI_NOT_FOUND;
            break;
        }

        rc = oci_collect_drop_link(rp, &rp->links.mark[rp->pos++]);

        if (rc != OCI_OK || oci_collect_late(deadline)) {
            break;
        }
    }

    oci_generation_raise(rp->store, &rp->repo);
    oci_lock_release(&lock);

    return rc;
}


/*
 * The link is first taken out of sight and looked at once more then: who
 * touched it before that is seen, and who comes later does not find it.
 */

static int
oci_collect_drop_link(oci_collect_repo_t *rp, const oci_mark_t *m)
{
    char          path[OCI_PATH_MAX], tmp[OCI_PATH_MAX];
    int64_t       until;
    struct stat   st;
    oci_digest_t  d;

    until = rp->now - rp->policy.grace * OCI_COLLECT_SECOND;

    oci_mark_digest(m, &d);

    (void) oci_path_repo_blob(path, rp->store, &rp->repo, &d);

    if (lstat(path, &st) == -1) {
        return errno == ENOENT ? OCI_OK : oci_fail("lstat()", path);
    }

    if (oci_collect_mtime(&st) > until) {
        return OCI_OK;
    }

    (void) oci_path_tmp(tmp, rp->store);

    if (rename(path, tmp) == -1) {
        return errno == ENOENT ? OCI_OK : oci_fail("rename()", path);
    }

    if (lstat(tmp, &st) == -1) {
        return oci_fail("lstat()", tmp);
    }

    if (oci_collect_mtime(&st) > until) {

        if (link(tmp, path) == -1 && errno != EEXIST) {
            return oci_fail("link()", path);
        }

        return unlink(tmp) == -1 ? oci_fail("unlink()", tmp) : OCI_OK;
    }

    if (unlink(tmp) == -1) {
        return oci_fail("unlink()", tmp);
    }

    rp->stats->links++;

    if (st.st_nlink == 1) {
        rp->stats->bytes += (uint64_t) st.st_size;
    }

    return OCI_OK;
}


/*
 * An empty repository.  A folder is removed only while it is empty, whoever
 * brings something in makes it again, and who has the file of the lock open
 * finds that its name is gone (oci_lock_repo()).
 */

int
oci_collect_prune(oci_collect_repo_t *rp, int64_t deadline)
{
    int          rc;
    char         path[OCI_PATH_MAX], stop[OCI_PATH_MAX];
    int64_t      age;
    oci_str_t    none;
    oci_lock_t   lock;
    struct stat  st;

    age = rp->policy.grace;

    if (age > OCI_COLLECT_PRUNE_AGE) {
        age = OCI_COLLECT_PRUNE_AGE;
    }

    (void) oci_path_repo(path, rp->store, &rp->repo);

    if (stat(path, &st) == -1 || !oci_collect_empty(rp)) {
        return OCI_NOT_FOUND;
    }

    if (oci_collect_mtime(&st) > rp->now - age * OCI_COLLECT_SECOND) {
        rp->changed = 1;
        return OCI_NOT_FOUND;
    }

    rc = oci_collect_enter(rp, &lock, 0, deadline);

    if (rc != OCI_OK) {
        return rc;
    }

    rc = oci_collect_remove_folders(rp);

    if (rc == OCI_OK) {
        (void) oci_path_repo_lock(stop, rp->store, &rp->repo);

        if (unlink(stop) == -1 && errno != ENOENT) {
            rc = oci_fail("unlink()", stop);
        }

        none.len = 0;
        none.data = NULL;

        (void) oci_path_repositories(stop, rp->store, &none);

        oci_dir_prune(path, stop);
    }

    oci_lock_release(&lock);

    return rc == OCI_ERROR ? rc : OCI_NOT_FOUND;
}


static int
oci_collect_empty(const oci_collect_repo_t *rp)
{
    char                 path[OCI_PATH_MAX];
    unsigned             alg;
    oci_digest_t         d;
    oci_collect_iter_t   iter;

    (void) oci_path_tags(path, rp->store, &rp->repo);

    if (!oci_collect_empty_folder(path)) {
        return 0;
    }

    for (alg = 0; alg < OCI_ALG_COUNT; alg++) {
        oci_collect_folder(path, rp, OCI_COLLECT_BLOBS, alg);

        if (!oci_collect_empty_folder(path)) {
            return 0;
        }

        oci_collect_folder(path, rp, OCI_COLLECT_CACHED, alg);

        if (!oci_collect_empty_folder(path)) {
            return 0;
        }

        oci_collect_folder(path, rp, OCI_COLLECT_MANIFESTS, alg);

        if (!oci_collect_empty_folder(path)) {
            return 0;
        }
    }

    memset(&iter, 0, sizeof(oci_collect_iter_t));

    while (oci_collect_next(rp, &iter, OCI_COLLECT_REFERRED, &d, NULL)
           == OCI_OK)
    {
        (void) oci_path_referrers(path, rp->store, &rp->repo, &d);

        if (!oci_collect_empty_folder(path)) {
            oci_collect_iter_end(&iter);
            return 0;
        }
    }

    return 1;
}


static int
oci_collect_empty_folder(const char *path)
{
    int             empty;
    DIR            *dir;
    struct dirent  *de;

    dir = opendir(path);

    if (dir == NULL) {
        return errno == ENOENT;
    }

    empty = 1;

    while ((de = readdir(dir)) != NULL) {

        if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0) {
            empty = 0;
            break;
        }
    }

    (void) closedir(dir);

    return empty;
}


/* OCI_OK, OCI_EXISTS (something is in there) or OCI_ERROR */

static int
oci_collect_remove_folders(const oci_collect_repo_t *rp)
{
    int         rc;
    char        path[OCI_PATH_MAX];
    unsigned    kind, alg;

    (void) oci_path_tags(path, rp->store, &rp->repo);

    rc = oci_collect_rmdir(path);

    for (kind = OCI_COLLECT_BLOBS;
         rc == OCI_OK && kind <= OCI_COLLECT_REFERRED;
         kind++)
    {
        for (alg = 0; rc == OCI_OK && alg < OCI_ALG_COUNT; alg++) {
            oci_collect_folder(path, rp, (oci_collect_kind_t) kind, alg);

            if (kind == OCI_COLLECT_REFERRED) {
                rc = oci_collect_remove_subjects(path);
            }

            if (rc == OCI_OK) {
                rc = oci_collect_rmdir(path);
            }
        }

        if (rc == OCI_OK) {
            *strrchr(path, '/') = '\0';
            rc = oci_collect_rmdir(path);
        }
    }

    return rc;
}


static int
oci_collect_remove_subjects(const char *path)
{
    DIR            *dir;
    struct dirent  *de;

    dir = opendir(path);

    if (dir == NULL) {
        return errno == ENOENT ? OCI_OK : oci_fail("opendir()", path);
    }

    while ((de = readdir(dir)) != NULL) {

        if (de->d_name[0] != '.') {
            (void) unlinkat(dirfd(dir), de->d_name, AT_REMOVEDIR);
        }
    }

    (void) closedir(dir);

    return OCI_OK;
}


static int
oci_collect_rmdir(const char *path)
{
    if (rmdir(path) == 0 || errno == ENOENT) {
        return OCI_OK;
    }

    if (errno == ENOTEMPTY || errno == EEXIST) {
        return OCI_EXISTS;
    }

    return oci_fail("rmdir()", path);
}
