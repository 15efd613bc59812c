
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Upload sessions: uploads/<id>/{data,state}.  Any worker continues one.
 *
 * The state file holds, with a version and a CRC: the owner's number, the
 * offset and the hash state there, the last synced offset and the hash state
 * there, the boot id, the repository, the user; in slots, of which no save
 * touches the one that counts (oci_upload_state.h).
 * After a reboot (another boot id) the page cache is gone and the session is
 * back at its synced offset.  Bytes of data beyond the offset never count.
 *
 * Ownership: who writes takes a new owner's number n into the state and
 * holds the byte 1 + n of data as an OFD lock as long as its session is
 * open; byte 0 guards each single step and is held within one call only.
 * A newcomer finds the owner dead (its byte is free), idle (the mtime of
 * data is more than OCI_UPLOAD_IDLE seconds old) or alive: OCI_CONFLICT.
 * Who lost its ownership learns it before its next write: OCI_CONFLICT.
 */


#ifndef _OCI_UPLOAD_H_INCLUDED_
#define _OCI_UPLOAD_H_INCLUDED_


#include "oci_store.h"
#include "oci_digest.h"
#include "oci_path.h"


#define OCI_UPLOAD_IDLE       5                 /* seconds */
#define OCI_UPLOAD_SYNC_SIZE  (64 * 1024 * 1024)
#define OCI_USER_MAX          255


typedef struct {
    const oci_store_t  *store;
    char                id[OCI_UPLOAD_ID_LEN + 1];
    int                 fd;                     /* of data, -1: not open */
    uint64_t            owner;
    int64_t             offset;                 /* bytes that count */
    int64_t             end;                    /* bytes that are written */
    int64_t             reserved;               /* blocks are, up to there */
    int64_t             more;                   /* bytes to come after end; a
                                                   hint, from the caller */
    int64_t             synced;
    int64_t             start;                  /* offset when acquired */
    int64_t             mark;                   /* offset at the last sync or
                                                   save on the way */
    oci_hash_t          hash;                   /* at offset */
    oci_hash_t          synced_hash;            /* at synced */
    oci_hash_t          start_hash;             /* at start */
    oci_alg_t           alg;
    int64_t             created;
    unsigned            unreserved;             /* it can't be done */
    unsigned            owned:1;
    unsigned            sealed:1;               /* a commit was tried: data
                                                   may be published, so no
                                                   byte of it changes again */
} oci_upload_t;


/*
 * Opens a new session of the repository for the user (len 0: anonymous; a
 * longer name than OCI_USER_MAX is kept as its sha256).  Fills in u->id,
 * not owned, nothing left open.  The repository's own folder is not made.
 * OCI_OK or OCI_ERROR.
 */
int oci_upload_create(oci_upload_t *u, const oci_store_t *s,
    const oci_repo_t *r, const oci_str_t *user, oci_alg_t alg);

/*
 * Reads the state of a session: offset and alg are valid then, nothing is
 * held.  OCI_OK; OCI_NOT_FOUND: no such session, or not of this repository
 * and user; OCI_AGAIN: a step is under way, try again soon; OCI_ERROR.
 */
int oci_upload_status(oci_upload_t *u, const oci_store_t *s,
    const oci_repo_t *r, const oci_str_t *user, const oci_str_t *id);

/*
 * Opens the session for writing and takes ownership.  Cuts data back to the
 * offset.  OCI_OK; OCI_NOT_FOUND; OCI_CONFLICT: another request is writing
 * (u->offset tells how far it is); OCI_AGAIN; OCI_ERROR.
 */
int oci_upload_acquire(oci_upload_t *u, const oci_store_t *s,
    const oci_repo_t *r, const oci_str_t *user, const oci_str_t *id);

/*
 * Writes len bytes where the last ones ended; they count once they are
 * hashed.  OCI_OK; OCI_CONFLICT: ownership was lost, nothing was written;
 * OCI_NOT_FOUND: the session was cancelled; OCI_ERROR: what was written
 * before stands.
 */
int oci_upload_put(oci_upload_t *u, const u_char *data, size_t len);

/*
 * Hashes the next len bytes that were written, and counts them.  May run
 * beside the oci_upload_put() of later ones, in another thread.
 */
void oci_upload_count(oci_upload_t *u, const u_char *data, size_t len);

/*
 * 1 when enough was counted for a sync or, if keep is set, for a save of the
 * state on the way: oci_upload_mark() is called then, with nothing beside it.
 */
int oci_upload_due(oci_upload_t *u, unsigned keep);

/*
 * Syncs the data and, if keep is set, saves the state.  OCI_OK, OCI_CONFLICT
 * or OCI_NOT_FOUND; OCI_ERROR: when it was the sync that failed, the offset
 * is back at the last synced one, as nobody knows what of the bytes since
 * reached the disk.
 */
int oci_upload_mark(oci_upload_t *u, unsigned keep);

/*
 * Saves offset and hash state.  OCI_OK, OCI_CONFLICT, OCI_NOT_FOUND or
 * OCI_ERROR.
 */
int oci_upload_save(oci_upload_t *u);

/* back to the offset that was found when acquired, data cut to it */
int oci_upload_rollback(oci_upload_t *u);

/*
 * Ends a session with content: checks the digest (re-reads the data only
 * when it is of another algorithm than the running hash), syncs, links
 * (oci_blob_link()) and removes the session.
 * OCI_OK; OCI_MISMATCH: wrong digest, the session is removed; OCI_CONFLICT;
 * OCI_NOT_FOUND; OCI_ERROR: the session stays.
 */
int oci_upload_commit(oci_upload_t *u, const oci_repo_t *r,
    const oci_digest_t *d);

/* closes what is open and gives up ownership; the session itself stays */
void oci_upload_close(oci_upload_t *u);

/*
 * Removes an acquired session and closes it.  OCI_OK (also when it was gone
 * already), OCI_CONFLICT or OCI_ERROR.
 */
int oci_upload_remove(oci_upload_t *u);

/*
 * Removes sessions of which nothing moved for timeout seconds, and files in
 * tmp/ older than that; looks at no more than max entries from *cursor on
 * (0 at first, 0 again when the round is over).  Never a session whose owner
 * lives.  Returns how many were removed, or OCI_ERROR.
 */
int oci_upload_expire(const oci_store_t *s, int64_t timeout, unsigned max,
    uint64_t *cursor);


#endif /* _OCI_UPLOAD_H_INCLUDED_ */
