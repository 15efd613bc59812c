
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Collection of one repository, in stages and small steps; shared by the
 * rooms of the collector alone.
 *
 * Links and manifests are read without the lock, however long that takes.
 * What is then removed is removed in batches under the exclusive lock, and
 * at the start of each batch the lists are brought up to date: a manifest
 * that came meanwhile is loaded and its names are marked.  A push of a
 * manifest holds the lock shared from checking its blobs until it is
 * visible, so that a batch sees it or it sees the batch.
 */


#ifndef _OCI_COLLECT_REPO_H_INCLUDED_
#define _OCI_COLLECT_REPO_H_INCLUDED_


#include "oci_collect.h"
#include "oci_collect_mark.h"
#include "oci_lock.h"
#include "oci_path.h"

#include <dirent.h>


#define OCI_COLLECT_SECOND  1000000000LL
#define OCI_COLLECT_NEVER   INT64_MAX

/* "@", a namespace, "/", a name, NUL */

#define OCI_COLLECT_REPO_MAX  (OCI_NAMESPACE_MAX + OCI_NAME_MAX + 3)


typedef enum {
    OCI_COLLECT_LOOK = 0,
    OCI_COLLECT_LINKS,
    OCI_COLLECT_LIST,
    OCI_COLLECT_LOAD,
    OCI_COLLECT_TAGS,
    OCI_COLLECT_REFERRERS,
    OCI_COLLECT_DROP_TAGS,
    OCI_COLLECT_DROP_MANIFESTS,
    OCI_COLLECT_DROP_LINKS,
    OCI_COLLECT_DROP_REFERRERS,
    OCI_COLLECT_PRUNE,
    OCI_COLLECT_DONE
} oci_collect_stage_t;


typedef enum {
    OCI_COLLECT_BLOBS = 0,
    OCI_COLLECT_CACHED,
    OCI_COLLECT_MANIFESTS,
    OCI_COLLECT_REFERRED
} oci_collect_kind_t;


/* a walk over <kind>/<alg>/ of a repository */

typedef struct {
    DIR                   *dir;
    unsigned               alg;
} oci_collect_iter_t;


typedef struct {
    int64_t                mtime;       /* of the link itself */
    ino_t                  inode;
    unsigned               dangles:1;
    char                   name[OCI_TAG_MAX + 1];
} oci_collect_tag_t;


typedef struct {
    oci_digest_t           subject;
    oci_digest_t           digest;
} oci_collect_referrer_t;


/*
 * What some folders looked like.  It is settled when the last change lies
 * so far back that another one would show in the times.
 */

typedef struct {
    uint64_t               hash;
    unsigned               settled:1;
} oci_collect_sign_t;


/* what is known of a repository in which nothing was left to do */

typedef struct {
    uint64_t               key;
    uint64_t               sign;
    int64_t                due;         /* when a look is needed again */
} oci_collect_memo_t;


typedef struct {
    const oci_store_t     *store;
    oci_collect_stats_t   *stats;
    oci_collect_memo_t    *memo;        /* the repository's place */
    uint64_t               key;
    oci_collect_policy_t   policy;
    oci_repo_t             repo;        /* views of path */
    char                   path[OCI_COLLECT_REPO_MAX];
    int64_t                now;         /* wall clock at the start, ns */
    int64_t                due;

    oci_collect_stage_t    stage;
    oci_collect_iter_t     iter;
    size_t                 pos;
    unsigned               tries;

    oci_marks_t            links;
    oci_marks_t            manifests;

    oci_collect_tag_t     *tags;        /* those that are to go */
    size_t                 ntags;
    size_t                 tags_size;

    oci_collect_referrer_t *referrers;  /* those that are to go */
    size_t                 nreferrers;
    size_t                 referrers_size;

    oci_collect_sign_t     blobs_sign;
    oci_collect_sign_t     sign;        /* of _manifests/ and _tags/ */
    uint64_t               generation;

    unsigned               aged:1;      /* a link is older than grace */
    unsigned               changed:1;   /* something was removed or skipped */
} oci_collect_repo_t;


/* ---- oci_collect_repo.c */

/* starts with a repository; memo is a table of n places */
void oci_collect_repo_begin(oci_collect_repo_t *rp, const oci_store_t *s,
    oci_collect_stats_t *stats, const oci_collect_policy_t *policy,
    const char *path, oci_collect_memo_t *memo, size_t n);

/*
 * Works until deadline (oci_collect_clock()).  OCI_OK: more to do;
 * OCI_AGAIN: the lock is held elsewhere, go on in another step;
 * OCI_NOT_FOUND: done; OCI_ERROR: noted, the repository is left as it is.
 */
int oci_collect_repo_step(oci_collect_repo_t *rp, int64_t deadline);

void oci_collect_repo_end(oci_collect_repo_t *rp);


/* ---- oci_collect_read.c */

/* nanoseconds that only grow, and those of the wall clock */
int64_t oci_collect_clock(void);
int64_t oci_collect_now(void);

#define oci_collect_late(deadline)  (oci_collect_clock() >= (deadline))
#define oci_collect_mtime(st)                                                 \
    ((int64_t) (st)->st_mtim.tv_sec * OCI_COLLECT_SECOND                      \
     + (st)->st_mtim.tv_nsec)

/* the folder <kind>/<alg> of a repository */
void oci_collect_folder(char *buf, const oci_collect_repo_t *rp,
    oci_collect_kind_t kind, unsigned alg);

/*
 * The next digest of <kind>/; name, if not NULL, is set to the entry in
 * iter->dir.  OCI_OK, OCI_NOT_FOUND (the end; iter is ready for a new walk)
 * or OCI_ERROR.
 */
int oci_collect_next(const oci_collect_repo_t *rp, oci_collect_iter_t *iter,
    oci_collect_kind_t kind, oci_digest_t *d, const char **name);
void oci_collect_iter_end(oci_collect_iter_t *iter);

/* what _blobs/ (blobs set), or _manifests/ and _tags/ look like now */
void oci_collect_look(const oci_collect_repo_t *rp, unsigned blobs,
    oci_collect_sign_t *sign);

/*
 * Stages.  OCI_OK: the time is over; OCI_NOT_FOUND: the stage is; OCI_ERROR.
 */
int oci_collect_list(oci_collect_repo_t *rp, int64_t deadline);
int oci_collect_load(oci_collect_repo_t *rp, int64_t deadline);
int oci_collect_tags(oci_collect_repo_t *rp, int64_t deadline);

/*
 * Under the lock: brings the manifests and, where it matters, the tags up to
 * date.  OCI_OK; OCI_AGAIN: not done by deadline; OCI_ERROR.
 */
int oci_collect_catch_up(oci_collect_repo_t *rp, int64_t deadline);


/* the digest of that name; OCI_OK or OCI_INVALID */
int oci_collect_digest(oci_digest_t *d, unsigned alg, const char *hex);


/* ---- oci_collect_drop.c */

/*
 * Takes the exclusive lock and, if asked, catches up.  OCI_OK; OCI_AGAIN: in
 * another step; OCI_CONFLICT: not in this pass; OCI_ERROR.
 */
int oci_collect_enter(oci_collect_repo_t *rp, oci_lock_t *lock,
    unsigned catch_up, int64_t deadline);

/* stages as above, OCI_AGAIN too: the lock is held elsewhere */
int oci_collect_drop_tags(oci_collect_repo_t *rp, int64_t deadline);
int oci_collect_drop_manifests(oci_collect_repo_t *rp, int64_t deadline);
int oci_collect_drop_links(oci_collect_repo_t *rp, int64_t deadline);
int oci_collect_prune(oci_collect_repo_t *rp, int64_t deadline);


/* ---- oci_collect_referrer.c, stages too */

int oci_collect_referrers(oci_collect_repo_t *rp, int64_t deadline);
int oci_collect_drop_referrers(oci_collect_repo_t *rp, int64_t deadline);


#endif /* _OCI_COLLECT_REPO_H_INCLUDED_ */
