
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The state file of an upload session.  For oci_upload*.c alone.
 *
 * Three slots in blocks of their own, each with a whole state, a number that
 * rises with every save, and a CRC; the slot of the highest number that is
 * whole counts.  A save goes into a slot that holds neither the newest state
 * nor the one last made durable: whenever it ends, in the middle too, there
 * is the state of before, and after a power loss the one that was synced.
 */


#ifndef _OCI_UPLOAD_STATE_H_INCLUDED_
#define _OCI_UPLOAD_STATE_H_INCLUDED_


#include "oci_store.h"
#include "oci_digest.h"


#define OCI_STATE_SLOTS  3


typedef struct {
    uint64_t      number;               /* of the save; 0: never saved */
    unsigned      slot;                 /* where it stands */
    unsigned      durable;              /* the slot of the last synced one;
                                           OCI_STATE_SLOTS: none */
    uint64_t      owner;
    int64_t       offset;
    int64_t       synced;
    int64_t       created;
    oci_hash_t    hash;                 /* at offset */
    oci_hash_t    synced_hash;          /* at synced */
    char          boot_id[OCI_BOOT_ID_LEN + 1];
    unsigned      hashed:1;             /* user is the sha256 of a longer one */
    size_t        ns_len;
    size_t        name_len;
    size_t        user_len;
    u_char        ns[OCI_NAMESPACE_MAX];
    u_char        name[OCI_NAME_MAX];
    u_char        user[255];
} oci_upload_state_t;


/* sets whose session it is */
void oci_upload_state_identity(oci_upload_state_t *st, const oci_repo_t *r,
    const oci_str_t *user);

/* 1 if it is a session of that repository and user */
int oci_upload_state_match(const oci_upload_state_t *st, const oci_repo_t *r,
    const oci_str_t *user);

/*
 * Reads the state of a session.  When the boot that wrote it has ended, the
 * offset is the synced one.  OCI_OK; OCI_NOT_FOUND: none, or a damaged one;
 * OCI_ERROR.
 */
int oci_upload_state_load(oci_upload_state_t *st, const oci_store_t *s,
    const char *id);

/* reads the owner's number alone; the same codes */
int oci_upload_state_owner(uint64_t *owner, const oci_store_t *s,
    const char *id);

/*
 * Saves a state that was loaded, or the first one of a session, under this
 * boot's id; synced makes it last.  The caller holds byte 0 of data since it
 * was loaded, or made the session just now.  OCI_OK, or OCI_ERROR: the state
 * is as before.
 */
int oci_upload_state_save(oci_upload_state_t *st, const oci_store_t *s,
    const char *id, unsigned synced);

/*
 * Opens data for writing and locking, also where a commit was killed after
 * it took the right to write away.  OCI_OK, OCI_NOT_FOUND or OCI_ERROR.
 */
int oci_upload_data_open(int *fd, const oci_store_t *s, const char *id);

/*
 * Removes a session.  The state goes first: what is left when this is
 * interrupted counts as not found, and expires.  The caller holds byte 0.
 */
int oci_upload_unlink(const oci_store_t *s, const char *id);


#endif /* _OCI_UPLOAD_STATE_H_INCLUDED_ */
