
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Blobs for the tests of src/store.
 */


#ifndef _BLOB_HELP_H_INCLUDED_
#define _BLOB_HELP_H_INCLUDED_


#include "store_help.h"
#include "oci_blob.h"


#define TEXT   "the content of a layer"
#define TEXT2  "the content of another"


typedef struct {
    oci_store_t   *s;
    oci_repo_t    *r;
    oci_digest_t  *d;
} help_step_t;


void help_digest(oci_digest_t *d, const char *text);

/* a file of its own in tmp/, which stays, or not */
void help_own(char *path, const oci_store_t *s, const char *text);
int help_push(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const char *text);

/* 1 if the repository has exactly that content */
int help_has(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const char *text);

/* as a fill leaves it */
void help_cache(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const char *text);

/* for help_before(): a path, a path, a help_step_t */
void help_remove_name(void *data);
void help_remove_folder(void *data);
void help_push_elsewhere(void *data);


#endif /* _BLOB_HELP_H_INCLUDED_ */
