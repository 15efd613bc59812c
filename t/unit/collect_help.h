
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Little stores for the tests of the collector.
 */


#ifndef _COLLECT_HELP_H_INCLUDED_
#define _COLLECT_HELP_H_INCLUDED_


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "oci_blob.h"
#include "oci_collect.h"
#include "oci_lock.h"
#include "oci_manifest_store.h"
#include "oci_path.h"
#include "oci_store.h"
#include "oci_tag.h"


#define DAY   86400
#define HOUR  3600


extern oci_store_t           store;
extern oci_collect_policy_t  policy;
extern oci_collect_t        *collector;


int store_setup(void **state);
int store_teardown(void **state);

oci_repo_t repo(const char *path);
oci_str_t str(const char *text);

const oci_collect_policy_t *policy_of(void *data, const oci_str_t *ns);

/* content of a text brought into the repository */
oci_digest_t blob(const char *path, const char *text);
int blob_try(const char *path, const char *text, oci_digest_t *d);

/*
 * A manifest over a list of blobs or manifests that ends with NULL; n makes
 * it unlike others.  subject and tag may be NULL.
 */
oci_digest_t image(const char *path, const char *tag,
    const oci_digest_t *subject, unsigned n, ...);
oci_digest_t image_index(const char *path, const char *tag, unsigned n, ...);
int image_try(const char *path, const char *tag, const oci_digest_t *subject,
    unsigned n, unsigned index, const oci_digest_t *const *list,
    size_t count, oci_digest_t *d);

/* sets times back by so many seconds */
void age_blob(const char *path, const oci_digest_t *d, int seconds);
void age_manifest(const char *path, const oci_digest_t *d, int seconds);
void age_tag(const char *path, const char *tag, int seconds);
void age_folders(int seconds);

void remove_repo(const char *path);

int has_blob(const char *path, const oci_digest_t *d);
int has_manifest(const char *path, const oci_digest_t *d);
int has_tag(const char *path, const char *tag);
int has_content(const oci_digest_t *d);         /* blobs/ */
int has_folder(const char *name);               /* below repositories/ */

/* one whole pass; returns how many steps failed */
unsigned pass(unsigned budget);

/* passes until one removes nothing; returns how many there were */
unsigned passes(void);


#endif /* _COLLECT_HELP_H_INCLUDED_ */
