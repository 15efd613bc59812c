
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Upload sessions for the tests of src/store.
 */


#ifndef _UPLOAD_HELP_H_INCLUDED_
#define _UPLOAD_HELP_H_INCLUDED_


#include "store_help.h"
#include "oci_upload.h"


#define MIB   (1024 * 1024)
#define BOOT  "11111111-2222-3333-4444-555555555555"


typedef struct {
    oci_store_t  *s;
    oci_repo_t   *r;
    oci_str_t     id;
} help_session_t;


/* sessions of nobody: create, acquire, write, and what its status says */
void help_begin(oci_upload_t *u, const oci_store_t *s, const oci_repo_t *r,
    oci_alg_t alg);
int help_take(oci_upload_t *u, const oci_store_t *s, const oci_repo_t *r,
    const char *id);
int help_put(oci_upload_t *u, const char *text, unsigned keep);
int help_bytes(oci_upload_t *u, const u_char *data, size_t len,
    unsigned keep);
int64_t help_offset(const oci_store_t *s, const oci_repo_t *r, const char *id);

void help_digest_of(oci_digest_t *d, oci_alg_t alg, const char *text);

/* 1 if the repository has exactly that content */
int help_stored(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const char *text);

/* the path of a file of the session, or of its folder */
void help_file(char *path, const oci_upload_t *u, const char *name);


extern const oci_str_t  help_nobody;


#endif /* _UPLOAD_HELP_H_INCLUDED_ */
