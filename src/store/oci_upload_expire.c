
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Removes upload sessions and temporary files that were left behind.
 *
 * Names are visited in the order of a hash of them, the cursor being the
 * hash of the last one: each name that stands during a whole round is met
 * once, whatever comes and goes meanwhile, and nothing is kept between two
 * calls.
 */


#include "oci_upload.h"
#include "oci_upload_state.h"
#include "oci_lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>


#define OCI_EXPIRE_MAX   256
#define OCI_EXPIRE_TMP   (1ULL << 62)           /* the second half of a round */
#define OCI_EXPIRE_HASH  (OCI_EXPIRE_TMP - 1)


typedef struct {
    uint64_t    hash;
    char        name[NAME_MAX + 1];
} oci_expire_name_t;


static int oci_expire_names(const char *path, uint64_t after,
    oci_expire_name_t *names, unsigned max, unsigned *n);
static uint64_t oci_expire_hash(const char *name);
static int oci_expire_session(const oci_store_t *s, const char *id,
    int64_t timeout);
static int oci_expire_idle(const oci_store_t *s, const char *id,
    int64_t timeout);
static int oci_expire_tmp(const oci_store_t *s, const char *name,
    int64_t timeout);


int
oci_upload_expire(const oci_store_t *s, int64_t timeout, unsigned max,
    uint64_t *cursor)
{
    int                 rc;
    char                path[OCI_PATH_MAX];
    unsigned            i, n, tmp;
    oci_expire_name_t  *names;

    if (max == 0 || max > OCI_EXPIRE_MAX) {
        max = OCI_EXPIRE_MAX;
    }

    names = malloc(max * sizeof(oci_expire_name_t));

    if (names == NULL) {
        return oci_fail("malloc()", s->root);
    }

    tmp = (*cursor & OCI_EXPIRE_TMP) ? 1 : 0;

    if (tmp) {
        oci_path_tmps(path, s);

    } else {
        oci_path_uploads(path, s);
    }

    rc = oci_expire_names(path, *cursor & OCI_EXPIRE_HASH, names, max, &n);

    if (rc != OCI_OK) {
        free(names);
        return rc;
    }

    for (i = 0; i < n; i++) {
        rc += tmp ? oci_expire_tmp(s, names[i].name, timeout)
                  : oci_expire_session(s, names[i].name, timeout);
    }

    if (n == max) {
        *cursor = names[n - 1].hash | (tmp ? OCI_EXPIRE_TMP : 0);

    } else {
        *cursor = tmp ? 0 : OCI_EXPIRE_TMP;
    }

    free(names);

    return rc;
}


/* the max names of the smallest hashes above after, sorted */

static int
oci_expire_names(const char *path, uint64_t after, oci_expire_name_t *names,
    unsigned max, unsigned *n)
{
    DIR            *dir;
    uint64_t        hash;
    unsigned        i;
    struct dirent  *de;

    *n = 0;

    dir = opendir(path);

    if (dir == NULL) {
        return oci_fail("opendir()", path);
    }

    while ((de = readdir(dir)) != NULL) {

        if (de->d_name[0] == '.') {
            continue;
        }

        hash = oci_expire_hash(de->d_name);

        if (hash <= after
            || (*n == max && hash >= names[max - 1].hash))
        {
            continue;
        }

        if (*n < max) {
            (*n)++;
        }

        for (i = *n - 1; i > 0 && names[i - 1].hash > hash; i--) {
            names[i] = names[i - 1];
        }

        names[i].hash = hash;
        strcpy(names[i].name, de->d_name);
    }

    closedir(dir);

    return OCI_OK;
}


/* FNV-1a, never 0: that is where a round begins */

static uint64_t
oci_expire_hash(const char *name)
{
    uint64_t  h;

    h = 0xcbf29ce484222325ULL;

    while (*name) {
        h = (h ^ (u_char) *name++) * 0x100000001b3ULL;
    }

    h = (h ^ (h >> 62)) & OCI_EXPIRE_HASH;

    return h ? h : 1;
}


/* 1 if it was removed */

static int
oci_expire_session(const oci_store_t *s, const char *id, int64_t timeout)
{
    int  fd, rc;

    if (!oci_expire_idle(s, id, timeout)) {
        return 0;
    }

    rc = oci_upload_data_open(&fd, s, id);

    if (rc == OCI_NOT_FOUND) {

        /* what a killed maker or remover left */

        return oci_upload_unlink(s, id) == OCI_OK;
    }

    if (rc != OCI_OK) {
        return 0;
    }

    /*
     * Any owner's byte: the number in the state is not needed then, which
     * may be damaged.  Under byte 0 no new owner comes; one that came since
     * the first look has made data young.
     */

    rc = 0;

    if (oci_lock_byte(fd, 0) == OCI_OK && !oci_lock_from_held(fd, 1)
        && oci_expire_idle(s, id, timeout))
    {
        rc = oci_upload_unlink(s, id) == OCI_OK;
    }

    close(fd);

    return rc;
}


/* 1 if neither data nor state moved for timeout seconds */

static int
oci_expire_idle(const oci_store_t *s, const char *id, int64_t timeout)
{
    char         path[OCI_PATH_MAX];
    int64_t      mtime;
    unsigned     i;
    struct stat  st;

    static const char *const  files[] = { "data", "state" };

    mtime = -1;

    for (i = 0; i < 2; i++) {
        oci_path_upload(path, s, id, files[i]);

        if (lstat(path, &st) == 0 && st.st_mtim.tv_sec > mtime) {
            mtime = st.st_mtim.tv_sec;
        }
    }

    if (mtime == -1) {
        oci_path_upload(path, s, id, NULL);

        if (lstat(path, &st) == -1) {
            return 0;
        }

        mtime = st.st_mtim.tv_sec;
    }

    return time(NULL) - mtime > timeout;
}


static int
oci_expire_tmp(const oci_store_t *s, const char *name, int64_t timeout)
{
    char         path[OCI_PATH_MAX];
    size_t       len;
    int64_t      age, moved;
    struct stat  st;

    len = oci_path_tmps(path, s);

    path[len++] = '/';
    strcpy(path + len, name);

    if (lstat(path, &st) == -1) {
        return 0;
    }

    /*
     * The younger of both: what the collector moves here for a moment has an
     * old mtime.
     */

    age = time(NULL) - st.st_mtim.tv_sec;
    moved = time(NULL) - st.st_ctim.tv_sec;

    if (age <= timeout || moved <= timeout) {
        return 0;
    }

    return unlink(path) == 0;
}
