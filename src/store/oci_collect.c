
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Passes of the collector: the walk over all repositories, then over blobs/.
 */


#include "oci_collect_repo.h"
#include "oci_zstd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>


#define OCI_COLLECT_MEMOS   16384

/* the folder of repositories, a namespace, components of a name */

#define OCI_COLLECT_DEPTH   (OCI_NAME_MAX / 2 + 3)

#define OCI_COLLECT_FOLDERS  256


typedef struct {
    DIR                    *dir;
    size_t                  len;        /* of the path above it */
    unsigned                repo:1;     /* holds a folder of ours */
} oci_collect_level_t;


struct oci_collect_s {
    const oci_store_t      *store;
    oci_collect_policy_pt   policy;
    void                   *data;
    oci_collect_stats_t     stats;

    int                     lease;      /* of a pass, -1: not held */

    /* the walk over repositories */

    oci_collect_level_t     level[OCI_COLLECT_DEPTH];
    size_t                  depth;
    char                    path[OCI_COLLECT_REPO_MAX];
    oci_collect_repo_t      repo;
    unsigned                working:1;  /* on repo */
    unsigned                walked:1;

    /* the walk over blobs/ */

    DIR                    *dir;
    unsigned                alg;
    unsigned                folder;
    oci_digest_t            opened;     /* two digits: which dir is */

    oci_collect_memo_t      memo[OCI_COLLECT_MEMOS];
};


static int oci_collect_lease(oci_collect_t *c);
static void oci_collect_finish(oci_collect_t *c);
static int oci_collect_walk(oci_collect_t *c, int64_t deadline);
static int oci_collect_enter_folder(oci_collect_t *c, const char *name);
static int oci_collect_leave_folder(oci_collect_t *c);
static int oci_collect_blobs(oci_collect_t *c, int64_t deadline);
static int oci_collect_blobs_open(oci_collect_t *c);
static int oci_collect_blob(oci_collect_t *c, const char *name);


oci_collect_t *
oci_collect_create(const oci_store_t *s, oci_collect_policy_pt policy,
    void *data)
{
    oci_collect_t  *c;

    c = calloc(1, sizeof(oci_collect_t));
    if (c == NULL) {
        return NULL;
    }

    c->store = s;
    c->policy = policy;
    c->data = data;
    c->lease = -1;

    return c;
}


void
oci_collect_destroy(oci_collect_t *c)
{
    oci_collect_finish(c);
    free(c);
}


const oci_collect_stats_t *
oci_collect_stats(const oci_collect_t *c)
{
    return &c->stats;
}


int
oci_collect_step(oci_collect_t *c, unsigned budget)
{
    int      rc;
    int64_t  deadline;

    deadline = oci_collect_clock() + (int64_t) budget * 1000000;

    if (c->lease == -1) {
        rc = oci_collect_lease(c);

        if (rc != OCI_OK) {
            return rc;
        }
    }

    while (!c->walked) {
        rc = oci_collect_walk(c, deadline);

        if (rc == OCI_NOT_FOUND) {
            c->walked = 1;

        } else if (rc != OCI_OK) {
            return rc == OCI_AGAIN ? OCI_OK : rc;
        }

        if (oci_collect_late(deadline)) {
            return OCI_OK;
        }
    }

    rc = oci_collect_blobs(c, deadline);

    if (rc == OCI_NOT_FOUND) {
        oci_collect_finish(c);
        c->stats.passes++;
    }

    return rc;
}


static int
oci_collect_lease(oci_collect_t *c)
{
    int   fd, rc;
    char  path[OCI_PATH_MAX];

    (void) oci_path_run(path, c->store, "collect");

    fd = open(path, O_RDWR|O_CREAT|O_CLOEXEC, 0600);

    if (fd == -1) {
        return oci_fail("open()", path);
    }

    rc = oci_lock_byte(fd, 0);

    if (rc != OCI_OK) {
        close(fd);
        return rc;
    }

    c->lease = fd;

    return OCI_OK;
}


/* the pass is over, whether it came to its end or not */

static void
oci_collect_finish(oci_collect_t *c)
{
    if (c->working) {
        oci_collect_repo_end(&c->repo);
        c->working = 0;
    }

    while (c->depth) {
        (void) closedir(c->level[--c->depth].dir);
    }

    if (c->dir != NULL) {
        (void) closedir(c->dir);
        c->dir = NULL;
    }

    c->walked = 0;
    c->alg = 0;
    c->folder = 0;

    if (c->lease != -1) {
        close(c->lease);
        c->lease = -1;
    }
}


/*
 * Depth first, each folder read once, however many lie beside each other; a
 * repository's turn comes when its folder was read to the end, so that those
 * below it are pruned before it.
 * OCI_OK: go on; OCI_AGAIN: in another step; OCI_NOT_FOUND: the end;
 * OCI_ERROR.
 */

static int
oci_collect_walk(oci_collect_t *c, int64_t deadline)
{
    int                   rc;
    struct dirent        *de;
    oci_collect_level_t  *level;

    if (c->working) {
        rc = oci_collect_repo_step(&c->repo, deadline);

        if (rc == OCI_OK || rc == OCI_AGAIN) {
            return rc;
        }

        oci_collect_repo_end(&c->repo);
        c->working = 0;

        return rc == OCI_NOT_FOUND ? OCI_OK : rc;
    }

    if (c->depth == 0) {
        return oci_collect_enter_folder(c, NULL);
    }

    level = &c->level[c->depth - 1];

    do {
        errno = 0;
        de = readdir(level->dir);

        if (de == NULL) {
            if (errno) {
                (void) oci_fail("readdir()", c->path);
                (void) closedir(level->dir);
                c->path[level->len] = '\0';

                return --c->depth ? OCI_ERROR : OCI_NOT_FOUND;
            }

            return oci_collect_leave_folder(c);
        }

        if (de->d_name[0] == '_') {
            level->repo = 1;
            continue;
        }

        if (de->d_name[0] == '.'
            || (de->d_type != DT_DIR && de->d_type != DT_UNKNOWN))
        {
            continue;
        }

        return oci_collect_enter_folder(c, de->d_name);

    } while (!oci_collect_late(deadline));

    return OCI_OK;
}


static int
oci_collect_enter_folder(oci_collect_t *c, const char *name)
{
    int                   fd;
    DIR                  *dir;
    char                  path[OCI_PATH_MAX];
    size_t                len, n;
    oci_str_t             none;
    oci_collect_level_t  *level;

    len = strlen(c->path);

    if (name == NULL) {
        none.len = 0;
        none.data = NULL;

        (void) oci_path_repositories(path, c->store, &none);

        len = 0;
        c->path[0] = '\0';

        fd = open(path, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    } else {
        n = strlen(name);

        /* what no name of a repository can be is none of ours */

        if (c->depth == OCI_COLLECT_DEPTH
            || len + n + 2 > OCI_COLLECT_REPO_MAX
            || (name[0] == '@' && c->depth != 1))
        {
            return OCI_OK;
        }

        fd = openat(dirfd(c->level[c->depth - 1].dir), name,
                    O_RDONLY|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC);
    }

    if (fd == -1) {

        if (name != NULL
            && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        {
            return OCI_OK;
        }

        (void) oci_fail("open()", name ? name : path);

        return name ? OCI_ERROR : OCI_NOT_FOUND;
    }

    dir = fdopendir(fd);

    if (dir == NULL) {
        close(fd);
        (void) oci_fail("fdopendir()", c->path);

        return name ? OCI_ERROR : OCI_NOT_FOUND;
    }

    level = &c->level[c->depth++];

    level->dir = dir;
    level->len = len;
    level->repo = 0;

    if (name != NULL) {
        (void) snprintf(c->path + len, sizeof(c->path) - len, "%s%s",
                        len ? "/" : "", name);
    }

    return OCI_OK;
}


static int
oci_collect_leave_folder(oci_collect_t *c)
{
    oci_repo_t                   r;
    oci_collect_level_t         *level;
    const oci_collect_policy_t  *policy;

    level = &c->level[c->depth - 1];

    (void) closedir(level->dir);
    c->depth--;

    if (c->depth == 0) {
        return OCI_NOT_FOUND;
    }

    policy = NULL;

    if (level->repo) {
        oci_list_repo(c->path, &r);

        if (oci_name_valid(r.name.data, r.name.len)
            && (r.ns.len == 0 || oci_namespace_valid(r.ns.data, r.ns.len)))
        {
            policy = c->policy(c->data, &r.ns);
        }
    }

    if (policy != NULL) {
        oci_collect_repo_begin(&c->repo, c->store, &c->stats, policy, c->path,
                               c->memo, OCI_COLLECT_MEMOS);
        c->working = 1;
    }

    c->path[level->len] = '\0';

    return OCI_OK;
}


/* OCI_OK: the time is over; OCI_NOT_FOUND: the end; OCI_ERROR */

static int
oci_collect_blobs(oci_collect_t *c, int64_t deadline)
{
    int             rc;
    struct dirent  *de;

    while (c->alg < OCI_ALG_COUNT) {

        if (c->dir == NULL) {
            rc = oci_collect_blobs_open(c);

            if (rc == OCI_ERROR) {
                return rc;
            }

            if (c->dir == NULL) {
                continue;
            }
        }

        while ((de = readdir(c->dir)) != NULL) {

            if (de->d_name[0] != '.'
                && oci_collect_blob(c, de->d_name) != OCI_OK)
            {
                return OCI_ERROR;
            }

            if (oci_collect_late(deadline)) {
                return OCI_OK;
            }
        }

        (void) closedir(c->dir);
        c->dir = NULL;

        if (oci_zstd_sweep(c->store, &c->opened) == OCI_ERROR) {
            return OCI_ERROR;
        }
    }

    return OCI_NOT_FOUND;
}


/* the next of the folders blobs/<alg>/<2 hex>/ */

static int
oci_collect_blobs_open(oci_collect_t *c)
{
    char          path[OCI_PATH_MAX];
    char         *slash;
    oci_digest_t  d;

    d.alg = (oci_alg_t) c->alg;
    d.hex_len = 2;
    (void) snprintf(d.hex, sizeof(d.hex), "%02x", c->folder);

    (void) oci_path_blob(path, c->store, &d);

    slash = strrchr(path, '/');
    *slash = '\0';

    c->opened = d;

    if (++c->folder == OCI_COLLECT_FOLDERS) {
        c->folder = 0;
        c->alg++;
    }

    c->dir = opendir(path);

    if (c->dir == NULL && errno != ENOENT) {
        return oci_fail("opendir()", path);
    }

    return OCI_OK;
}


/*
 * No reader uses a name in blobs/, so one without any other may go at once.
 * A push may link it to a repository between the look and the unlink: what
 * it got stays its own, only the name here is missing then.  The file that
 * is held open tells, and gets its name back.
 */

static int
oci_collect_blob(oci_collect_t *c, const char *name)
{
    int          fd, dir;
    char         path[64];
    struct stat  st;

    dir = dirfd(c->dir);

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1) {
        return errno == ENOENT ? OCI_OK : oci_fail("fstatat()", name);
    }

    if (!S_ISREG(st.st_mode) || st.st_nlink != 1) {
        return OCI_OK;
    }

    fd = openat(dir, name, O_PATH|O_NOFOLLOW|O_CLOEXEC);

    if (fd == -1) {
        return errno == ENOENT ? OCI_OK : oci_fail("openat()", name);
    }

    if (unlinkat(dir, name, 0) == -1) {
        close(fd);
        return errno == ENOENT ? OCI_OK : oci_fail("unlinkat()", name);
    }

    if (fstat(fd, &st) == -1) {
        close(fd);
        return oci_fail("fstat()", name);
    }

    if (st.st_nlink == 0) {
        c->stats.blobs++;
        c->stats.bytes += (uint64_t) st.st_size;

    } else {
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);

        if (linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW) == 0) {
            c->stats.restored++;
        }
    }

    close(fd);

    return OCI_OK;
}
