
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * One repository of a pass: its stages, the scan of its links, and what is
 * remembered of it.
 *
 * Reading all manifests each time would cost most where nothing is garbage.
 * So a repository is read only if one of its links is older than the grace
 * period (or untagged manifests are to go), and when it was read and nothing
 * was left to do, this is remembered in a table of a fixed size: as long as
 * the times of its folders stand and no link or manifest comes of age, the
 * next passes cost it a few stat() calls.
 */


#include "oci_collect_repo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>


/*
 * A name in blobs/ can be missing without any sign in the repository's
 * folders (too many links once), so each is looked at once a day
 */

#define OCI_COLLECT_MEMO_TIME  (86400 * OCI_COLLECT_SECOND)


static int oci_collect_look_first(oci_collect_repo_t *rp);
static int oci_collect_links(oci_collect_repo_t *rp, int64_t deadline);
static int oci_collect_link(oci_collect_repo_t *rp, const oci_digest_t *d,
    const char *name);
static void oci_collect_restore(oci_collect_repo_t *rp,
    const oci_digest_t *d);
static int oci_collect_stage(oci_collect_repo_t *rp, int64_t deadline);
static void oci_collect_stage_next(oci_collect_repo_t *rp);
static uint64_t oci_collect_signs(const oci_collect_repo_t *rp);
static void oci_collect_remember(oci_collect_repo_t *rp);


void
oci_collect_repo_begin(oci_collect_repo_t *rp, const oci_store_t *s,
    oci_collect_stats_t *stats, const oci_collect_policy_t *policy,
    const char *path, oci_collect_memo_t *memo, size_t n)
{
    const char  *p;

    memset(rp, 0, sizeof(oci_collect_repo_t));

    rp->store = s;
    rp->stats = stats;
    rp->policy = *policy;
    rp->now = oci_collect_now();
    rp->due = OCI_COLLECT_NEVER;

    (void) snprintf(rp->path, sizeof(rp->path), "%s", path);
    oci_list_repo(rp->path, &rp->repo);

    rp->key = 0xcbf29ce484222325ULL;

    for (p = path; *p; p++) {
        rp->key = (rp->key ^ (u_char) *p) * 0x100000001b3ULL;
    }

    rp->key ^= rp->key >> 32;
    rp->memo = &memo[rp->key % n];

    rp->stats->repositories++;
}


void
oci_collect_repo_end(oci_collect_repo_t *rp)
{
    oci_collect_iter_end(&rp->iter);

    oci_marks_reset(&rp->links);
    oci_marks_reset(&rp->manifests);

    free(rp->tags);
    free(rp->referrers);

    rp->tags = NULL;
    rp->referrers = NULL;
}


int
oci_collect_repo_step(oci_collect_repo_t *rp, int64_t deadline)
{
    int  rc;

    while (rp->stage != OCI_COLLECT_DONE) {
        rc = oci_collect_stage(rp, deadline);

        switch (rc) {

        case OCI_OK:
        case OCI_AGAIN:
            break;

        case OCI_NOT_FOUND:
            oci_collect_stage_next(rp);
            break;

        case OCI_CONFLICT:

            /* in use, or gone: not in this pass */

            rp->stage = OCI_COLLECT_DONE;
            rp->changed = 1;
            break;

        default:
            return OCI_ERROR;
        }

        if (rp->stage == OCI_COLLECT_DONE) {
            break;
        }

        if (rc == OCI_AGAIN) {
            return OCI_AGAIN;
        }

        if (oci_collect_late(deadline)) {
            return OCI_OK;
        }
    }

    oci_collect_remember(rp);

    return OCI_NOT_FOUND;
}


static int
oci_collect_stage(oci_collect_repo_t *rp, int64_t deadline)
{
    switch (rp->stage) {

    case OCI_COLLECT_LOOK:
        return oci_collect_look_first(rp);

    case OCI_COLLECT_LINKS:
        return oci_collect_links(rp, deadline);

    case OCI_COLLECT_LIST:
        return oci_collect_list(rp, deadline);

    case OCI_COLLECT_LOAD:
        return oci_collect_load(rp, deadline);

    case OCI_COLLECT_TAGS:
        return oci_collect_tags(rp, deadline);

    case OCI_COLLECT_REFERRERS:
        return oci_collect_referrers(rp, deadline);

    case OCI_COLLECT_DROP_TAGS:
        return oci_collect_drop_tags(rp, deadline);

    case OCI_COLLECT_DROP_MANIFESTS:
        return oci_collect_drop_manifests(rp, deadline);

    case OCI_COLLECT_DROP_LINKS:
        return oci_collect_drop_links(rp, deadline);

    case OCI_COLLECT_DROP_REFERRERS:
        return oci_collect_drop_referrers(rp, deadline);

    case OCI_COLLECT_PRUNE:
        return oci_collect_prune(rp, deadline);

    case OCI_COLLECT_DONE:
        break;
    }

    return OCI_NOT_FOUND;
}


static void
oci_collect_stage_next(oci_collect_repo_t *rp)
{
    rp->pos = 0;
    rp->tries = 0;

    switch (rp->stage) {

    case OCI_COLLECT_LOOK:

        if (rp->memo->key == rp->key && rp->memo->due > rp->now
            && rp->memo->sign == oci_collect_signs(rp))
        {
            rp->due = rp->memo->due;
            rp->changed = 1;
            rp->stage = OCI_COLLECT_DONE;
            return;
        }

        break;

    case OCI_COLLECT_LINKS:

        if (!rp->aged && rp->policy.untagged < 0) {

            /* nothing can be garbage: no manifest need be read */

            rp->stage = OCI_COLLECT_TAGS;
            return;
        }

        break;

    case OCI_COLLECT_DROP_MANIFESTS:

        if (!rp->aged) {
            rp->stage = OCI_COLLECT_DROP_REFERRERS;
            return;
        }

        break;

    default:
        break;
    }

    rp->stage++;
}


static int
oci_collect_look_first(oci_collect_repo_t *rp)
{
    oci_collect_look(rp, 1, &rp->blobs_sign);
    oci_collect_look(rp, 0, &rp->sign);

    return OCI_NOT_FOUND;
}


static int
oci_collect_links(oci_collect_repo_t *rp, int64_t deadline)
{
    int            rc;
    const char    *name;
    oci_digest_t   d;

    do {
        rc = oci_collect_next(rp, &rp->iter, OCI_COLLECT_BLOBS, &d, &name);

        if (rc != OCI_OK) {
            return rc;
        }

        if (oci_collect_link(rp, &d, name) != OCI_OK) {
            return OCI_ERROR;
        }

    } while (!oci_collect_late(deadline));

    return OCI_OK;
}


static int
oci_collect_link(oci_collect_repo_t *rp, const oci_digest_t *d,
    const char *name)
{
    size_t        i;
    int64_t       mtime;
    struct stat   st;

    if (fstatat(dirfd(rp->iter.dir), name, &st, AT_SYMLINK_NOFOLLOW) == -1) {
        return errno == ENOENT ? OCI_OK : oci_fail("fstatat()", name);
    }

    if (!S_ISREG(st.st_mode)) {
        return OCI_OK;
    }

    i = oci_marks_add(&rp->links, d);

    if (i == OCI_MARK_NONE) {
        return oci_fail("malloc()", rp->path);
    }

    mtime = oci_collect_mtime(&st);

    rp->links.mark[i].mtime = mtime;

    if (mtime <= rp->now - rp->policy.grace * OCI_COLLECT_SECOND) {
        rp->aged = 1;
    }

    oci_collect_restore(rp, d);

    return OCI_OK;
}


/*
 * A name in blobs/ that is missing: a push linked it while the collector
 * removed it, or the file system had no room for one more link
 */

static void
oci_collect_restore(oci_collect_repo_t *rp, const oci_digest_t *d)
{
    char         blob[OCI_PATH_MAX], path[OCI_PATH_MAX];
    struct stat  st;

    (void) oci_path_blob(blob, rp->store, d);

    if (lstat(blob, &st) == 0 || errno != ENOENT) {
        return;
    }

    (void) oci_path_repo_blob(path, rp->store, &rp->repo, d);

    if (link(path, blob) == 0) {
        rp->stats->restored++;
    }
}


static uint64_t
oci_collect_signs(const oci_collect_repo_t *rp)
{
    return rp->blobs_sign.hash ^ (rp->sign.hash << 1 | rp->sign.hash >> 63);
}


static void
oci_collect_remember(oci_collect_repo_t *rp)
{
    size_t             i;
    int64_t            t, due;
    const oci_mark_t  *m;

    if (rp->changed || !rp->blobs_sign.settled || !rp->sign.settled) {
        return;
    }

    due = rp->now + OCI_COLLECT_MEMO_TIME;

    for (i = 0; i < rp->links.n; i++) {
        m = &rp->links.mark[i];

        /* not one is named where the manifests were not read */

        if (!m->named) {
            t = m->mtime + rp->policy.grace * OCI_COLLECT_SECOND;
            due = (t < due) ? t : due;
        }
    }

    if (rp->policy.untagged >= 0) {
        for (i = 0; i < rp->manifests.n; i++) {
            m = &rp->manifests.mark[i];

            if (!m->loaded || m->tagged) {
                continue;
            }

            t = m->mtime + rp->policy.untagged * OCI_COLLECT_SECOND;

            if (t > rp->now && t < due) {
                due = t;
            }
        }
    }

    rp->memo->key = rp->key;
    rp->memo->sign = oci_collect_signs(rp);
    rp->memo->due = due;
}
