
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A store for the tests of a program, and content to put into it.
 */


#ifndef _MANIFEST_FIXTURE_H_INCLUDED_
#define _MANIFEST_FIXTURE_H_INCLUDED_


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oci_store.h"
#include "oci_manifest.h"
#include "oci_manifest_store.h"
#include "oci_path.h"


#define FX_MANIFEST  "application/vnd.oci.image.manifest.v1+json"
#define FX_INDEX     "application/vnd.oci.image.index.v1+json"
#define FX_LAYER     "application/vnd.oci.image.layer.v1.tar"
#define FX_CONFIG    "application/vnd.oci.image.config.v1+json"


/* of the whole group: the making of a store takes a while */
int fx_begin(void **state);
int fx_end(void **state);

/* of each test: fx_store is durable or not, and has no repository */
int fx_setup(void **state);
int fx_setup_durable(void **state);
int fx_teardown(void **state);

extern oci_store_t  fx_store;


oci_str_t fx_str(const char *text);
oci_repo_t fx_repo(const char *ns, const char *name);

/* the sha256 or sha512 of a text, and "alg:hex" in one of a few buffers */
oci_digest_t fx_digest(oci_alg_t alg, const char *text);
const char *fx_text(const oci_digest_t *d);

/* stores text as a blob of the repository */
oci_digest_t fx_blob(const oci_repo_t *r, const char *text);

/* stores a manifest and asserts that it works; tags are separated by spaces */
oci_digest_t fx_put(const oci_repo_t *r, const char *type, const char *json,
    const char *tags);

/* the same, but returns what oci_manifest_put() did */
int fx_try(const oci_repo_t *r, const char *type, const char *json,
    const char *tags, unsigned sparse, oci_digest_t *missing);

/* 1 if the name is there, be it a link that dangles */
int fx_exists(const char *path);

/* sets the mtime to an hour ago; the seconds of the mtime */
void fx_age(const char *path);
int fx_fresh(const char *path);

/* the number of entries in the store's tmp/ */
unsigned fx_tmp_count(void);

/* a manifest without config and layers that differs by its number */
const char *fx_empty(unsigned n);


/*
 * What the tests of records and manifests share: the repository fx_r, paths
 * of what is in it (valid until the next call), and what it should hold.
 */

extern oci_repo_t  fx_r;

int fx_setup_r(void **state);
int fx_setup_r_durable(void **state);

const char *fx_record(const oci_digest_t *d);
const char *fx_blob_path(const oci_digest_t *d);
const char *fx_tag(const char *name);

/* an image of one config and one layer, both named by their texts */
const char *fx_image(const char *config, const char *layer, const char *more);

/* the same with a subject */
const char *fx_referring(const oci_digest_t *subject, const char *layer);

/* asserts that a manifest is there whole, by tag if name is not NULL */
void fx_expect(const oci_digest_t *d, const char *name, const char *type,
    const char *text);

/* asserts that there is none */
void fx_gone(const oci_digest_t *d, const char *name);


#endif /* _MANIFEST_FIXTURE_H_INCLUDED_ */
