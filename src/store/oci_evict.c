
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Passes of eviction.
 *
 * A file may have several names in _cached/, and some in _blobs/.  Each name
 * counts for its share of the file, and what is freed counts when the last
 * name has gone, which is the one in blobs/, when no repository has any.  Of
 * a companion each name has its share as well: it goes with its blob.
 */


#include "oci_evict_part.h"
#include "oci_generation.h"
#include "oci_list.h"
#include "oci_lock.h"
#include "oci_path.h"
#include "oci_zstd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>


#define OCI_EVICT_SAVE  5               /* seconds between two */


static int64_t oci_evict_free(const oci_store_t *s);
static int oci_evict_lease(oci_evict_t *e);
static int oci_evict_walk(oci_evict_t *e, int64_t deadline);
static int oci_evict_folder(oci_evict_t *e);
static int oci_evict_look(oci_evict_t *e, const char *name);
static void oci_evict_leave(oci_evict_t *e);
static int oci_evict_drop(oci_evict_t *e, const oci_evict_limits_t *limits,
    int64_t deadline);
static int oci_evict_remove(oci_evict_t *e, const oci_evict_name_t *name);
static int oci_evict_unlink(oci_evict_t *e, const oci_repo_t *r,
    const char *path);
static int oci_evict_short(const oci_evict_t *e,
    const oci_evict_limits_t *limits);
static int oci_evict_compare(const void *one, const void *two);
static void oci_evict_finish(oci_evict_t *e);
static int64_t oci_evict_clock(void);


oci_evict_t *
oci_evict_create(const oci_store_t *s)
{
    oci_evict_t  *e;

    e = calloc(1, sizeof(oci_evict_t));

    if (e == NULL) {
        return NULL;
    }

    e->names = calloc(OCI_EVICT_OLDEST, sizeof(oci_evict_name_t));

    if (e->names == NULL) {
        free(e);
        return NULL;
    }

    e->store = s;
    e->lease = -1;

    return e;
}


void
oci_evict_destroy(oci_evict_t *e)
{
    oci_evict_finish(e);
    free(e->names);
    free(e);
}


const oci_evict_stats_t *
oci_evict_stats(const oci_evict_t *e)
{
    return &e->stats;
}


int
oci_evict_step(oci_evict_t *e, const oci_evict_limits_t *limits,
    unsigned budget)
{
    int      rc;
    int64_t  deadline;

    deadline = oci_evict_clock() + (int64_t) budget;

    if (e->lease == -1) {
        rc = oci_evict_lease(e);

        if (rc != OCI_OK) {
            return rc;
        }

        oci_evict_load(e);
    }

    if (!e->walked) {
        rc = oci_evict_walk(e, deadline);

        if (rc != OCI_NOT_FOUND) {
            return rc;
        }

        e->walked = 1;
        e->stats.size = e->size;
        e->bytes = e->stats.bytes;

        qsort(e->names, e->n, sizeof(oci_evict_name_t), oci_evict_compare);

        if (oci_evict_clock() >= deadline) {
            return OCI_OK;
        }
    }

    rc = oci_evict_drop(e, limits, deadline);

    if (rc != OCI_NOT_FOUND && rc != OCI_EXISTS) {
        return rc;
    }

    oci_evict_finish(e);
    e->stats.passes++;

    return rc;
}


int
oci_evict_urgent(const oci_store_t *s, const oci_evict_limits_t *limits)
{
    int64_t  need;

    need = limits->min_free + limits->wanted;

    return need != 0 && oci_evict_free(s) < need;
}


static int64_t
oci_evict_free(const oci_store_t *s)
{
    struct statvfs  fs;

    if (statvfs(s->root, &fs) == -1) {
        return INT64_MAX;
    }

    return (int64_t) fs.f_bavail * (int64_t) fs.f_frsize;
}


static int
oci_evict_lease(oci_evict_t *e)
{
    int     fd, rc;
    char    path[OCI_PATH_MAX];

    (void) oci_path_run(path, e->store, "evict");

    fd = open(path, O_RDWR|O_CREAT|O_CLOEXEC, 0600);

    if (fd == -1) {
        return oci_fail("open()", path);
    }

    rc = oci_lock_byte(fd, 0);

    if (rc != OCI_OK) {
        close(fd);
        return rc;
    }

    e->lease = fd;

    return OCI_OK;
}


/* OCI_OK: the time is over; OCI_NOT_FOUND: all were looked at; OCI_ERROR */

static int
oci_evict_walk(oci_evict_t *e, int64_t deadline)
{
    int             rc;
    unsigned        n;
    struct dirent  *de;

    n = 0;

    for ( ;; ) {

        if (!e->inside) {

            /* each call gets somewhere, however little time it has */

            if (n && oci_evict_clock() >= deadline) {
                return OCI_OK;
            }

            n++;

            rc = oci_list_next(e->store, e->done, e->repo);

            if (rc != OCI_OK) {
                return rc;
            }

            e->inside = 1;
            e->alg = 0;
            e->part = 0;
        }

        if (e->dir == NULL) {

            if (e->alg == OCI_ALG_COUNT) {
                oci_evict_leave(e);
                continue;
            }

            rc = oci_evict_folder(e);

            if (rc == OCI_NOT_FOUND) {
                e->alg++;
                continue;
            }

            if (rc != OCI_OK) {
                e->alg++;
                return rc;
            }
        }

        while ((de = readdir(e->dir)) != NULL) {

            if (de->d_name[0] == '.') {
                continue;
            }

            rc = oci_evict_look(e, de->d_name);

            if (rc != OCI_OK) {
                return rc;
            }

            if (++n % 64 == 0 && oci_evict_clock() >= deadline) {
                return OCI_OK;
            }
        }

        closedir(e->dir);
        e->dir = NULL;
        e->alg++;
    }
}


static int
oci_evict_folder(oci_evict_t *e)
{
    char          path[OCI_PATH_MAX];
    oci_repo_t    r;
    oci_digest_t  d;

    oci_list_repo(e->repo, &r);

    memset(&d, 0, sizeof(oci_digest_t));
    d.alg = e->alg;

    oci_path_repo_cached(path, e->store, &r, &d);
    *strrchr(path, '/') = '\0';

    e->dir = opendir(path);

    if (e->dir == NULL) {
        return (errno == ENOENT || errno == ENOTDIR)
               ? OCI_NOT_FOUND : oci_fail("opendir()", path);
    }

    return OCI_OK;
}


static int
oci_evict_look(oci_evict_t *e, const char *name)
{
    char          text[OCI_DIGEST_MAX + 2];
    int64_t       share;
    oci_digest_t  d;
    struct stat   st;

    if (snprintf(text, sizeof(text), "%s:%s", oci_alg_name(e->alg), name)
        >= (int) sizeof(text)
        || oci_digest_parse(&d, (u_char *) text, strlen(text)) != OCI_OK
        || fstatat(dirfd(e->dir), name, &st, AT_SYMLINK_NOFOLLOW) == -1)
    {
        return OCI_OK;
    }

    share = (int64_t) st.st_size + oci_zstd_size(e->store, &d);

    /* but for the one in blobs/ */

    if (st.st_nlink > 2) {
        share /= (int64_t) st.st_nlink - 1;
    }

    e->part += share;

    return oci_evict_remember(e, e->repo, &d, (int64_t) st.st_mtim.tv_sec,
                              share);
}


static void
oci_evict_leave(oci_evict_t *e)
{
    int64_t  now;

    e->inside = 0;
    e->size += e->part;
    strcpy(e->done, e->repo);

    now = oci_evict_clock();

    if (now - e->saved >= OCI_EVICT_SAVE * 1000) {
        e->saved = now;
        oci_evict_save(e);
    }
}


/* OCI_OK: the time is over; OCI_NOT_FOUND; OCI_EXISTS; OCI_ERROR */

static int
oci_evict_drop(oci_evict_t *e, const oci_evict_limits_t *limits,
    int64_t deadline)
{
    int64_t            oldest;
    oci_evict_name_t  *name;

    oldest = limits->inactive ? (int64_t) time(NULL) - limits->inactive
                              : INT64_MIN;

    while (e->next < e->n) {

        name = &e->names[e->next];

        if (name->mtime >= oldest && !oci_evict_short(e, limits)) {
            return OCI_NOT_FOUND;
        }

        e->next++;

        if (oci_evict_remove(e, name) == OCI_ERROR) {
            return OCI_ERROR;
        }

        if (oci_evict_clock() >= deadline) {
            return OCI_OK;
        }
    }

    /* all that was remembered: there may be more that has to go */

    return e->left ? OCI_EXISTS : OCI_NOT_FOUND;
}


static int
oci_evict_remove(oci_evict_t *e, const oci_evict_name_t *name)
{
    int          rc;
    char         path[OCI_PATH_MAX];
    oci_repo_t   r;
    struct stat  st;

    oci_list_repo(name->repo, &r);
    oci_path_repo_cached(path, e->store, &r, &name->digest);

    if (lstat(path, &st) == -1) {
        return (errno == ENOENT) ? OCI_NOT_FOUND : oci_fail("stat()", path);
    }

    /* used since it was looked at: not one of the oldest any more */

    if ((int64_t) st.st_mtim.tv_sec != name->mtime) {
        return OCI_NOT_FOUND;
    }

    rc = oci_evict_unlink(e, &r, path);

    if (rc != OCI_OK) {
        return rc;
    }

    e->stats.names++;

    e->stats.size -= name->share;

    /*
     * As with a delete: a pusher that links it between the stat and the
     * unlink has its content by its own name.
     */

    oci_path_blob(path, e->store, &name->digest);

    if (stat(path, &st) == 0 && st.st_nlink == 1) {

        if (unlink(path) == -1 && errno != ENOENT) {
            return oci_fail("unlink()", path);
        }

        e->stats.files++;
        e->stats.bytes += (uint64_t) st.st_size;
        e->stats.bytes += (uint64_t) oci_zstd_drop(e->store, &name->digest);
    }

    return OCI_OK;
}


static int
oci_evict_unlink(oci_evict_t *e, const oci_repo_t *r, const char *path)
{
    int  rc;

    rc = OCI_OK;

    oci_generation_raise(e->store, r);

    if (unlink(path) == -1) {
        rc = (errno == ENOENT) ? OCI_NOT_FOUND : oci_fail("unlink()", path);
    }

    oci_generation_raise(e->store, r);

    return rc;
}


static int
oci_evict_short(const oci_evict_t *e, const oci_evict_limits_t *limits)
{
    int64_t  free;

    free = oci_evict_free(e->store);

    if ((limits->max_size && e->stats.size > limits->max_size)
        || (limits->min_free && free < limits->min_free))
    {
        return 1;
    }

    /*
     * What can't be had even if all goes is not tried for; and a file that
     * is still being sent frees nothing yet: no more goes in its place.
     */

    return limits->wanted
           && free < limits->min_free + limits->wanted
           && free + e->stats.size >= limits->min_free + limits->wanted
           && (int64_t) (e->stats.bytes - e->bytes)
              < limits->min_free + limits->wanted;
}


static int
oci_evict_compare(const void *one, const void *two)
{
    const oci_evict_name_t  *a = one;
    const oci_evict_name_t  *b = two;

    if (a->mtime != b->mtime) {
        return (a->mtime < b->mtime) ? -1 : 1;
    }

    /* the names of one file behind each other, so that it goes as a whole */

    return memcmp(a->digest.hex, b->digest.hex, a->digest.hex_len);
}


static void
oci_evict_finish(oci_evict_t *e)
{
    if (e->dir != NULL) {
        closedir(e->dir);
        e->dir = NULL;
    }

    oci_evict_forget(e);

    e->done[0] = '\0';
    e->inside = 0;
    e->walked = 0;
    e->size = 0;
    e->part = 0;

    if (e->lease != -1) {

        if (e->loaded) {
            oci_evict_save(e);
        }

        close(e->lease);
        e->lease = -1;
    }
}


static int64_t
oci_evict_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
