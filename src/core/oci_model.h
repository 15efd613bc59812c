
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The files of a model that is stored as an OCI artifact: ModelPack, Docker
 * models, Ollama's, ModelKits, and whatever has titles on its layers, as ORAS
 * gives them.
 *
 * First oci_model_parse() tells what the layers are; layers that are tars
 * are indexed by oci_tar.h; then oci_model_build() makes one table of it.
 */


#ifndef _OCI_MODEL_H_INCLUDED_
#define _OCI_MODEL_H_INCLUDED_


#include "oci_core.h"
#include "oci_digest.h"
#include "oci_tar.h"


#define OCI_MODEL_LAYERS_MAX  (64 * 1024)
#define OCI_MODEL_FILES_MAX   (64 * 1024)
#define OCI_MODEL_TARS_MAX    4096
#define OCI_MODEL_TABLE_MAX   (32 * 1024 * 1024)
#define OCI_MODEL_ETAG        64            /* hex digits at most */


typedef enum {
    OCI_MODEL_RAW = 0,              /* the blob is the file */
    OCI_MODEL_TAR,                  /* its members are ranges of it */
    OCI_MODEL_PACKED                /* a compressed tar: nothing is a range */
} oci_model_form_t;


typedef struct {
    oci_model_form_t    form;
    oci_digest_t        digest;
    int64_t             size;
    oci_str_t           path;       /* of a raw one; it passed
                                       oci_file_path_valid() */
} oci_model_layer_t;


/* all memory is its own, freed by oci_model_free() */

typedef struct {
    void               *json;       /* jansson's root */
    u_char             *names;      /* paths that no annotation gave */
    oci_model_layer_t  *layers;
    size_t              count;
    size_t              tars;       /* layers of the form OCI_MODEL_TAR */
    size_t              packed;     /* of the form OCI_MODEL_PACKED */
    size_t              left_out;   /* layers with hostile paths, or that are
                                       no file of a model */
} oci_model_t;


/*
 * A table is one piece of memory without pointers in it: it may be copied
 * and kept anywhere (aligned as malloc's), and is freed by free().
 */

typedef struct {
    size_t              len;        /* of all of it */
    uint32_t            count;      /* of files, sorted: a folder's lie
                                       together */
    uint32_t            layers;
    uint32_t            left_out;   /* what is not served: hostile names,
                                       files below files, links */
    uint32_t            packed;     /* layers that are compressed tars */
} oci_model_table_t;


/* one file: a view of a table */

typedef struct {
    oci_str_t           path;
    oci_digest_t        digest;     /* of the blob that it is in */
    int64_t             blob_size;
    int64_t             offset;
    int64_t             size;
    unsigned            whole:1;    /* it is the whole blob */
} oci_model_file_t;


/*
 * Parses a manifest of len bytes.  OCI_OK; OCI_NOT_FOUND with *reason: a
 * manifest, but no model's (an index, a container image, nothing in it that
 * could be a file); OCI_INVALID with *reason: no JSON object, over a limit;
 * OCI_ERROR: no memory.  On anything but OCI_OK nothing is to be freed.
 */
int oci_model_parse(oci_model_t *m, const u_char *data, size_t len,
    const char **reason);

void oci_model_free(oci_model_t *m);

/*
 * The table of all files.  tars has an index for each layer of the form
 * OCI_MODEL_TAR, in their order; NULL for one that could not be read: its
 * files are then left out.  Of two files with one path the later layer's
 * wins; what lies below the path of another file is left out.  OCI_OK,
 * OCI_RANGE: over a limit, or OCI_ERROR: no memory.
 */
int oci_model_build(const oci_model_t *m, oci_tar_t *const *tars,
    oci_model_table_t **table);

/* the index-th file, below table->count */
void oci_model_file(const oci_model_table_t *table, size_t index,
    oci_model_file_t *file);

/* OCI_OK; OCI_NOT_FOUND; OCI_EXISTS: it is a folder */
int oci_model_find(const oci_model_table_t *table, const oci_str_t *path,
    oci_model_file_t *file);

/*
 * The files below a folder (path len 0: all of them) are [*first, *last).
 * OCI_OK or OCI_NOT_FOUND: there is no such folder.
 */
int oci_model_folder(const oci_model_table_t *table, const oci_str_t *path,
    size_t *first, size_t *last);

/*
 * The strong ETag without its quotes, and the name of the file's content in
 * a client's cache.  Clients take 64 hex digits for the sha256 of the file
 * and compare, so it is that where the file is a blob of that algorithm; for
 * others 40 digits made of blob, offset and size.  Returns the length.
 */
size_t oci_model_etag(const oci_model_file_t *file,
    u_char buf[OCI_MODEL_ETAG]);


#endif /* _OCI_MODEL_H_INCLUDED_ */
