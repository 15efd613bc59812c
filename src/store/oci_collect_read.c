
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What the collector reads of a repository: its manifests and tags.
 */


#include "oci_collect_repo.h"
#include "oci_generation.h"
#include "oci_manifest_store.h"
#include "oci_tag.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>


/*
 * Times of folders are as coarse as a kernel's tick, on file systems of
 * another machine perhaps a second
 */

#define OCI_COLLECT_SETTLED  (2 * OCI_COLLECT_SECOND)


static void oci_collect_look_at(oci_collect_sign_t *sign, const char *path,
    int64_t now);
static int oci_collect_load_one(oci_collect_repo_t *rp, size_t i);
static int oci_collect_names(oci_collect_repo_t *rp, size_t i,
    const oci_manifest_t *m);
static int oci_collect_edge(oci_collect_repo_t *rp, size_t i,
    const oci_digest_t *d, unsigned subject, unsigned add);
static int oci_collect_tags_read(oci_collect_repo_t *rp, DIR **dir,
    int64_t deadline);
static int oci_collect_tag(oci_collect_repo_t *rp, int dir,
    const char *name);
static int oci_collect_tag_add(oci_collect_repo_t *rp,
    const oci_collect_tag_t *tag);
static int oci_collect_tag_compare(const void *one, const void *two);
static void oci_collect_tags_cut(oci_collect_repo_t *rp);


int64_t
oci_collect_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * OCI_COLLECT_SECOND + ts.tv_nsec;
}


int64_t
oci_collect_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    return (int64_t) ts.tv_sec * OCI_COLLECT_SECOND + ts.tv_nsec;
}


void
oci_collect_folder(char *buf, const oci_collect_repo_t *rp,
    oci_collect_kind_t kind, unsigned alg)
{
    char          *slash;
    oci_digest_t   d;

    /* the path of any digest, cut at its last slash */

    d.alg = (oci_alg_t) alg;
    d.hex_len = 2;
    memcpy(d.hex, "00", sizeof("00"));

    switch (kind) {

    case OCI_COLLECT_BLOBS:
        (void) oci_path_repo_blob(buf, rp->store, &rp->repo, &d);
        break;

    case OCI_COLLECT_CACHED:
        (void) oci_path_repo_cached(buf, rp->store, &rp->repo, &d);
        break;

    case OCI_COLLECT_MANIFESTS:
        (void) oci_path_manifest(buf, rp->store, &rp->repo, &d);
        break;

    case OCI_COLLECT_REFERRED:
        (void) oci_path_referrers(buf, rp->store, &rp->repo, &d);
        break;
    }

    slash = strrchr(buf, '/');
    *slash = '\0';
}


int
oci_collect_digest(oci_digest_t *d, unsigned alg, const char *hex)
{
    char    text[OCI_DIGEST_MAX + 2];
    size_t  n;

    n = (size_t) snprintf(text, sizeof(text), "%s:%s",
                          oci_alg_name((oci_alg_t) alg), hex);

    if (n >= sizeof(text)) {
        return OCI_INVALID;
    }

    return oci_digest_parse(d, (u_char *) text, n);
}


int
oci_collect_next(const oci_collect_repo_t *rp, oci_collect_iter_t *iter,
    oci_collect_kind_t kind, oci_digest_t *d, const char **name)
{
    char            path[OCI_PATH_MAX];
    struct dirent  *de;

    while (iter->alg < OCI_ALG_COUNT) {

        if (iter->dir == NULL) {
            oci_collect_folder(path, rp, kind, iter->alg);

            iter->dir = opendir(path);

            if (iter->dir == NULL) {
                if (errno == ENOENT) {
                    iter->alg++;
                    continue;
                }

                iter->alg = 0;
                return oci_fail("opendir()", path);
            }
        }

        errno = 0;
        de = readdir(iter->dir);

        if (de == NULL) {
            if (errno) {
                oci_collect_folder(path, rp, kind, iter->alg);
                (void) oci_fail("readdir()", path);
                oci_collect_iter_end(iter);
                return OCI_ERROR;
            }

            (void) closedir(iter->dir);
            iter->dir = NULL;
            iter->alg++;
            continue;
        }

        if (oci_collect_digest(d, iter->alg, de->d_name) == OCI_OK) {
            if (name != NULL) {
                *name = de->d_name;
            }

            return OCI_OK;
        }
    }

    iter->alg = 0;

    return OCI_NOT_FOUND;
}


void
oci_collect_iter_end(oci_collect_iter_t *iter)
{
    if (iter->dir != NULL) {
        (void) closedir(iter->dir);
        iter->dir = NULL;
    }

    iter->alg = 0;
}


void
oci_collect_look(const oci_collect_repo_t *rp, unsigned blobs,
    oci_collect_sign_t *sign)
{
    char      path[OCI_PATH_MAX];
    int64_t   now;
    unsigned  alg;

    sign->hash = 0xcbf29ce484222325ULL;
    sign->settled = 1;

    now = oci_collect_now();

    for (alg = 0; alg < OCI_ALG_COUNT; alg++) {
        oci_collect_folder(path, rp,
                           blobs ? OCI_COLLECT_BLOBS : OCI_COLLECT_MANIFESTS,
                           alg);
        oci_collect_look_at(sign, path, now);
    }

    if (!blobs) {
        (void) oci_path_tags(path, rp->store, &rp->repo);
        oci_collect_look_at(sign, path, now);
    }
}


static void
oci_collect_look_at(oci_collect_sign_t *sign, const char *path, int64_t now)
{
    size_t       i;
    int64_t      mtime;
    uint64_t     value[2];
    struct stat  st;

    value[0] = 0;
    value[1] = 0;

    if (stat(path, &st) == 0) {
        mtime = oci_collect_mtime(&st);

        value[0] = (uint64_t) st.st_ino;
        value[1] = (uint64_t) mtime;

        if (mtime + OCI_COLLECT_SETTLED > now) {
            sign->settled = 0;
        }
    }

    for (i = 0; i < 2; i++) {
        sign->hash = (sign->hash ^ value[i]) * 0x9e3779b97f4a7c15ULL;
        sign->hash ^= sign->hash >> 29;
    }
}


int
oci_collect_list(oci_collect_repo_t *rp, int64_t deadline)
{
    int           rc;
    size_t        i;
    oci_digest_t  d;

    if (rp->iter.dir == NULL && rp->iter.alg == 0) {

        /* before the first name is read: what comes later differs from it */

        oci_collect_look(rp, 0, &rp->sign);
        rp->generation = oci_generation_read(rp->store, &rp->repo);
    }

    do {
        rc = oci_collect_next(rp, &rp->iter, OCI_COLLECT_MANIFESTS, &d, NULL);

        if (rc != OCI_OK) {
            return rc;
        }

        i = oci_marks_add(&rp->manifests, &d);

        if (i == OCI_MARK_NONE) {
            return oci_fail("malloc()", rp->path);
        }

        rp->manifests.mark[i].present = 1;

    } while (!oci_collect_late(deadline));

    return OCI_OK;
}


int
oci_collect_load(oci_collect_repo_t *rp, int64_t deadline)
{
    oci_mark_t  *m;

    while (rp->pos < rp->manifests.n) {
        m = &rp->manifests.mark[rp->pos];

        if (m->present && !m->loaded
            && oci_collect_load_one(rp, rp->pos) != OCI_OK)
        {
            return OCI_ERROR;
        }

        rp->pos++;

        if (oci_collect_late(deadline)) {
            return OCI_OK;
        }
    }

    rp->pos = 0;

    return OCI_NOT_FOUND;
}


static int
oci_collect_load_one(oci_collect_repo_t *rp, size_t i)
{
    int              rc;
    char             path[OCI_PATH_MAX];
    u_char          *data;
    struct stat      st;
    oci_mark_t      *mark;
    oci_digest_t     d;
    oci_record_t     rec;
    oci_manifest_t   m;

    oci_mark_digest(&rp->manifests.mark[i], &d);

    (void) oci_path_manifest(path, rp->store, &rp->repo, &d);

    if (lstat(path, &st) == -1) {
        if (errno != ENOENT) {
            return oci_fail("lstat()", path);
        }

        rp->manifests.mark[i].present = 0;
        return OCI_OK;
    }

    data = NULL;
    rec.fd = -1;

    rc = oci_manifest_load(rp->store, &rp->repo, &d, rp->policy.max_size, &m,
                           &data, &rec);

    if (rc == OCI_NOT_FOUND) {
        rp->manifests.mark[i].present = 0;
        return OCI_OK;
    }

    if (rc != OCI_OK) {

        /* what it names is not known, so nothing here is garbage for sure */

        rp->stats->damaged++;

        if (rc == OCI_ERROR) {
            return OCI_ERROR;
        }

        errno = EBADMSG;
        return oci_fail("reading a manifest", path);
    }

    rc = oci_collect_names(rp, i, &m);

    oci_manifest_free(&m);
    free(data);

    if (rc != OCI_OK) {
        return oci_fail("malloc()", rp->path);
    }

    mark = &rp->manifests.mark[i];

    mark->mtime = oci_collect_mtime(&st);
    mark->index = m.is_index;
    mark->loaded = 1;

    return OCI_OK;
}


static int
oci_collect_names(oci_collect_repo_t *rp, size_t i, const oci_manifest_t *m)
{
    size_t                   n, link;
    const oci_descriptor_t  *desc;

    for (n = 0; n < m->count; n++) {
        desc = &m->descriptors[n];

        if (desc->unsupported) {
            continue;
        }

        link = oci_marks_find(&rp->links, &desc->digest);

        if (link != OCI_MARK_NONE) {
            rp->links.mark[link].named = 1;
        }

        if (oci_collect_edge(rp, i, &desc->digest, 0,
                             desc->kind == OCI_DESC_MANIFEST)
            != OCI_OK)
        {
            return OCI_ERROR;
        }
    }

    if (m->has_subject) {
        link = oci_marks_find(&rp->links, &m->subject);

        if (link != OCI_MARK_NONE) {
            rp->links.mark[link].named = 1;
        }

        return oci_collect_edge(rp, i, &m->subject, 1, 1);
    }

    return OCI_OK;
}


/*
 * An index keeps its children, a subject its referrers.  One that is named
 * but not there gets a place nevertheless, it may come before the pass ends.
 */

static int
oci_collect_edge(oci_collect_repo_t *rp, size_t i, const oci_digest_t *d,
    unsigned subject, unsigned add)
{
    size_t  other;

    if (rp->policy.untagged < 0 || d->hex_len == 0) {
        return OCI_OK;
    }

    other = add ? oci_marks_add(&rp->manifests, d)
                : oci_marks_find(&rp->manifests, d);

    if (other == OCI_MARK_NONE) {
        return add ? OCI_ERROR : OCI_OK;
    }

    return subject ? oci_marks_edge(&rp->manifests, other, i)
                   : oci_marks_edge(&rp->manifests, i, other);
}


int
oci_collect_tags(oci_collect_repo_t *rp, int64_t deadline)
{
    return oci_collect_tags_read(rp, &rp->iter.dir, deadline);
}


static int
oci_collect_tags_read(oci_collect_repo_t *rp, DIR **dir, int64_t deadline)
{
    int             rc;
    char            path[OCI_PATH_MAX];
    size_t          i;
    struct dirent  *de;

    if (*dir == NULL) {
        rp->ntags = 0;

        for (i = 0; i < rp->manifests.n; i++) {
            rp->manifests.mark[i].tagged = 0;
        }

        (void) oci_path_tags(path, rp->store, &rp->repo);

        *dir = opendir(path);

        if (*dir == NULL) {
            return errno == ENOENT ? OCI_NOT_FOUND
                                   : oci_fail("opendir()", path);
        }
    }

    do {
        errno = 0;
        de = readdir(*dir);

        if (de == NULL) {
            rc = errno ? oci_fail("readdir()", rp->path) : OCI_NOT_FOUND;

            (void) closedir(*dir);
            *dir = NULL;

            oci_collect_tags_cut(rp);

            return rc;
        }

        if (oci_collect_tag(rp, dirfd(*dir), de->d_name) != OCI_OK) {
            (void) closedir(*dir);
            *dir = NULL;
            return OCI_ERROR;
        }

    } while (!oci_collect_late(deadline));

    return OCI_OK;
}


static int
oci_collect_tag(oci_collect_repo_t *rp, int dir, const char *name)
{
    int                 rc;
    size_t              i;
    oci_str_t           str;
    struct stat         st;
    oci_digest_t        d;
    oci_collect_tag_t   tag;

    str.len = strlen(name);
    str.data = (u_char *) name;

    if (!oci_tag_valid(str.data, str.len)) {
        return OCI_OK;
    }

    rc = oci_tag_get(rp->store, &rp->repo, &str, &d);

    if (rc != OCI_OK) {
        return rc == OCI_ERROR ? OCI_ERROR : OCI_OK;
    }

    i = oci_marks_find(&rp->manifests, &d);

    if (i != OCI_MARK_NONE) {
        rp->manifests.mark[i].tagged = 1;
    }

    tag.dangles = 0;

    if (fstatat(dir, name, &st, 0) == -1) {
        if (errno != ENOENT) {
            return oci_fail("fstatat()", name);
        }

        tag.dangles = 1;
    }

    if (!tag.dangles && rp->policy.keep_tags <= 0) {
        return OCI_OK;
    }

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1) {
        return errno == ENOENT ? OCI_OK : oci_fail("fstatat()", name);
    }

    tag.mtime = oci_collect_mtime(&st);
    tag.inode = st.st_ino;
    memcpy(tag.name, name, str.len + 1);

    return oci_collect_tag_add(rp, &tag);
}


static int
oci_collect_tag_add(oci_collect_repo_t *rp, const oci_collect_tag_t *tag)
{
    size_t              size;
    oci_collect_tag_t  *tags;

    if (rp->ntags == rp->tags_size) {
        size = rp->tags_size ? 2 * rp->tags_size : 64;

        tags = realloc(rp->tags, size * sizeof(oci_collect_tag_t));
        if (tags == NULL) {
            return oci_fail("malloc()", rp->path);
        }

        rp->tags = tags;
        rp->tags_size = size;
    }

    rp->tags[rp->ntags++] = *tag;

    return OCI_OK;
}


/* those that dangle first, then the oldest; the last ones stay */

static int
oci_collect_tag_compare(const void *one, const void *two)
{
    const oci_collect_tag_t  *a, *b;

    a = one;
    b = two;

    if (a->dangles != b->dangles) {
        return a->dangles ? -1 : 1;
    }

    if (a->mtime != b->mtime) {
        return a->mtime < b->mtime ? -1 : 1;
    }

    return strcmp(a->name, b->name);
}


/* leaves those tags in the list that are to go */

static void
oci_collect_tags_cut(oci_collect_repo_t *rp)
{
    size_t  i, keep;

    if (rp->ntags == 0) {
        return;
    }

    qsort(rp->tags, rp->ntags, sizeof(oci_collect_tag_t),
          oci_collect_tag_compare);

    for (i = 0; i < rp->ntags && rp->tags[i].dangles; i++) { /* void */ }

    keep = rp->ntags - i;

    if (rp->policy.keep_tags > 0 && (uint64_t) rp->policy.keep_tags < keep) {
        keep = (size_t) rp->policy.keep_tags;
    }

    rp->ntags -= keep;
}


int
oci_collect_catch_up(oci_collect_repo_t *rp, int64_t deadline)
{
    int                 rc;
    DIR                *dir;
    size_t              i;
    uint64_t            generation;
    oci_digest_t        d;
    oci_mark_t         *m;
    oci_collect_iter_t  iter;
    oci_collect_sign_t  sign;

    generation = oci_generation_read(rp->store, &rp->repo);
    oci_collect_look(rp, 0, &sign);

    if (rp->sign.settled && sign.hash == rp->sign.hash
        && generation == rp->generation)
    {
        return OCI_OK;
    }

    memset(&iter, 0, sizeof(oci_collect_iter_t));

    for ( ;; ) {
        rc = oci_collect_next(rp, &iter, OCI_COLLECT_MANIFESTS, &d, NULL);

        if (rc == OCI_NOT_FOUND) {
            break;
        }

        if (rc != OCI_OK) {
            return rc;
        }

        i = oci_marks_add(&rp->manifests, &d);

        if (i == OCI_MARK_NONE) {
            oci_collect_iter_end(&iter);
            return oci_fail("malloc()", rp->path);
        }

        m = &rp->manifests.mark[i];

        if (!m->present || !m->loaded) {
            m->present = 1;
            m->late = 1;

            if (oci_collect_load_one(rp, i) != OCI_OK) {
                oci_collect_iter_end(&iter);
                return OCI_ERROR;
            }
        }

        if (oci_collect_late(deadline)) {
            oci_collect_iter_end(&iter);
            return OCI_AGAIN;
        }
    }

    if (rp->policy.untagged >= 0 || rp->policy.keep_tags > 0) {
        dir = NULL;

        rc = oci_collect_tags_read(rp, &dir, deadline);

        if (rc != OCI_NOT_FOUND) {
            if (dir != NULL) {
                (void) closedir(dir);
            }

            return rc == OCI_OK ? OCI_AGAIN : rc;
        }
    }

    rp->sign = sign;
    rp->generation = generation;

    return OCI_OK;
}
