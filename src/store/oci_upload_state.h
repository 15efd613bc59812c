
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The state file of an upload session.  For oci_upload*.c alone.
 */


#ifndef _OCI_UPLOAD_STATE_H_INCLUDED_
#define _OCI_UPLOAD_STATE_H_INCLUDED_


#include "oci_store.h"
#include "oci_digest.h"


typedef struct {
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
 * Replaces the state, under this boot's id; synced makes it last.  The
 * caller holds byte 0 of data, or made the session just now.
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
