
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A store: a root folder, laid out as docs/architecture.md says, and what
 * every room of it needs.  All calls of this floor may block on a disk, so
 * they run in threads or in the cache manager process, never in the event
 * loop of a worker, save for those that say otherwise.
 */


#ifndef _OCI_STORE_H_INCLUDED_
#define _OCI_STORE_H_INCLUDED_


#include "oci_core.h"
#include "oci_digest.h"
#include "oci_reference.h"


#define OCI_STORE_FORMAT    1
#define OCI_STORE_ROOT_MAX  1024
#define OCI_BOOT_ID_LEN     36
#define OCI_BOOT_UNKNOWN    "unknown"   /* where the kernel tells none */


typedef struct {
    char                 root[OCI_STORE_ROOT_MAX];  /* absolute, no slash at
                                                       its end, NUL */
    size_t               root_len;
    unsigned             durable:1;     /* fsync before success */
    char                 boot_id[OCI_BOOT_ID_LEN + 1];
    volatile uint64_t   *counters;      /* see oci_generation.h, or NULL */
} oci_store_t;


/* a repository: a name inside the grammar and the namespace above it */

typedef struct {
    oci_str_t            ns;            /* len 0: none */
    oci_str_t            name;
} oci_repo_t;


/* of namespace and name, spread over all 64 bits */
uint64_t oci_repo_hash(const oci_repo_t *r);


/*
 * What a file was when it was read: one that has the same stamp later is the
 * same file, unchanged.
 */

typedef struct {
    uint64_t             inode;         /* 0: not known, equals nothing */
    int64_t              ctime;         /* ns since the epoch */
} oci_stamp_t;


/*
 * Reads PATH/format.  OCI_OK; OCI_NOT_FOUND: a new store; OCI_UNSUPPORTED:
 * a layout of another version or not a store; OCI_ERROR.  Creates nothing:
 * safe under "nginx -t".
 */
int oci_store_check(const char *root);

/*
 * Fills in *s for a root that exists, creates what is missing in it
 * (folders, "format" last) and maps the counters.  Idempotent, safe in
 * several processes at once.  OCI_OK or OCI_ERROR.
 */
int oci_store_open(oci_store_t *s, const char *root, unsigned durable);

void oci_store_close(oci_store_t *s);


/*
 * Of a file that was looked at just now.  One that changed within the last
 * two seconds gets none: a further change might leave no trace in its ctime,
 * which is as coarse as a tick of the kernel or of another machine.
 */
struct stat;
void oci_stamp_set(oci_stamp_t *stamp, const struct stat *st);

/* 1 if both are known and equal */
int oci_stamp_equal(const oci_stamp_t *a, const oci_stamp_t *b);


/*
 * What failed last in this thread: the calls of this floor note it when they
 * return OCI_ERROR, so that whoever has a log can say more than an errno.
 */

typedef struct {
    int                  err;           /* errno */
    const char          *op;            /* "open()" and so on, static */
    char                 path[256];     /* cut at the left when longer */
} oci_failure_t;

/* notes errno, op and path for this thread; returns OCI_ERROR */
int oci_fail(const char *op, const char *path);

/* this thread's last failure, valid until its next one */
const oci_failure_t *oci_failure(void);


#endif /* _OCI_STORE_H_INCLUDED_ */
