
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A table holds, one behind the other: its head, the files in the order of a
 * tree ("/" before any other character), the layers, and all paths.
 */


#include "oci_model.h"

#include <stdio.h>
#include <stdlib.h>


typedef struct {
    int64_t       offset;
    int64_t       size;
    uint32_t      path;                 /* where in the paths */
    uint32_t      path_len;
    uint32_t      layer;
    uint32_t      whole;
} oci_model_entry_t;


typedef struct {
    oci_digest_t  digest;
    int64_t       size;
} oci_model_blob_t;


/* a file while the table is made */

typedef struct {
    oci_str_t     path;
    size_t        order;
    size_t        layer;
    int64_t       offset;
    int64_t       size;
    unsigned      whole:1;
} oci_model_draft_t;


static int oci_model_drafts(const oci_model_t *m, oci_tar_t *const *tars,
    oci_model_draft_t *drafts, size_t *n, size_t *left_out);
static size_t oci_model_unique(oci_model_draft_t *drafts, size_t n,
    size_t *left_out);
static int oci_model_write(const oci_model_t *m,
    const oci_model_draft_t *drafts, size_t n, oci_model_table_t **table);
static const oci_model_entry_t *oci_model_entries(
    const oci_model_table_t *table);
static const oci_model_blob_t *oci_model_blobs(
    const oci_model_table_t *table);
static void oci_model_path(const oci_model_table_t *table, size_t index,
    oci_str_t *path);
static size_t oci_model_lower(const oci_model_table_t *table,
    const oci_str_t *path);
static int oci_model_below(const oci_str_t *path, const oci_str_t *folder);
static int oci_model_sort(const void *one, const void *two);
static int oci_model_compare(const oci_str_t *a, const oci_str_t *b);


int
oci_model_build(const oci_model_t *m, oci_tar_t *const *tars,
    oci_model_table_t **table)
{
    int                 rc;
    size_t              i, n, left_out;
    oci_model_draft_t  *drafts;

    *table = NULL;

    n = m->count;

    for (i = 0; i < m->tars; i++) {
        n += (tars[i] != NULL) ? tars[i]->count : 0;
    }

    if (n > OCI_MODEL_FILES_MAX) {
        return OCI_RANGE;
    }

    drafts = malloc(n * sizeof(oci_model_draft_t));

    if (drafts == NULL) {
        return OCI_ERROR;
    }

    left_out = m->left_out;

    rc = oci_model_drafts(m, tars, drafts, &n, &left_out);

    if (rc == OCI_OK) {
        qsort(drafts, n, sizeof(oci_model_draft_t), oci_model_sort);

        n = oci_model_unique(drafts, n, &left_out);

        rc = oci_model_write(m, drafts, n, table);
    }

    if (rc == OCI_OK) {
        (*table)->left_out = (uint32_t) left_out;
    }

    free(drafts);

    return rc;
}


static int
oci_model_drafts(const oci_model_t *m, oci_tar_t *const *tars,
    oci_model_draft_t *drafts, size_t *n, size_t *left_out)
{
    size_t                    i, j, tar;
    const oci_tar_t          *index;
    oci_model_draft_t        *draft;
    const oci_tar_file_t     *file;
    const oci_model_layer_t  *layer;

    tar = 0;
    draft = drafts;

    for (i = 0; i < m->count; i++) {
        layer = &m->layers[i];

        if (layer->form == OCI_MODEL_RAW) {
            draft->path = layer->path;
            draft->order = (size_t) (draft - drafts);
            draft->layer = i;
            draft->offset = 0;
            draft->size = layer->size;
            draft->whole = 1;
            draft++;
            continue;
        }

        if (layer->form != OCI_MODEL_TAR) {
            continue;
        }

        index = tars[tar++];

        if (index == NULL) {
            (*left_out)++;
            continue;
        }

        *left_out += index->left_out;

        for (j = 0; j < index->count; j++) {
            file = &index->files[j];

            /* an index of another blob than the manifest speaks of */

            if (file->offset > layer->size
                || file->size > layer->size - file->offset)
            {
                return OCI_RANGE;
            }

            draft->path.data = index->names + file->name;
            draft->path.len = file->name_len;
            draft->order = (size_t) (draft - drafts);
            draft->layer = i;
            draft->offset = file->offset;
            draft->size = file->size;
            draft->whole = 0;
            draft++;
        }
    }

    *n = (size_t) (draft - drafts);

    return OCI_OK;
}


/* the last of each path, and nothing that lies below a file */

static size_t
oci_model_unique(oci_model_draft_t *drafts, size_t n, size_t *left_out)
{
    size_t  i, kept;

    kept = 0;

    for (i = 0; i < n; i++) {

        if (i + 1 < n
            && oci_model_compare(&drafts[i].path, &drafts[i + 1].path) == 0)
        {
            continue;
        }

        if (kept
            && oci_model_below(&drafts[i].path, &drafts[kept - 1].path))
        {
            (*left_out)++;
            continue;
        }

        drafts[kept++] = drafts[i];
    }

    return kept;
}


static int
oci_model_write(const oci_model_t *m, const oci_model_draft_t *drafts,
    size_t n, oci_model_table_t **table)
{
    u_char             *paths;
    size_t              i, len, used;
    oci_model_blob_t   *blob;
    oci_model_entry_t  *entry;
    oci_model_table_t  *t;

    used = 0;

    for (i = 0; i < n; i++) {
        used += drafts[i].path.len;
    }

    len = sizeof(oci_model_table_t) + n * sizeof(oci_model_entry_t)
          + m->count * sizeof(oci_model_blob_t) + used;

    if (len > OCI_MODEL_TABLE_MAX) {
        return OCI_RANGE;
    }

    t = calloc(1, len);

    if (t == NULL) {
        return OCI_ERROR;
    }

    t->len = len;
    t->count = (uint32_t) n;
    t->layers = (uint32_t) m->count;
    t->packed = (uint32_t) m->packed;

    entry = (oci_model_entry_t *) (t + 1);
    blob = (oci_model_blob_t *) (entry + n);
    paths = (u_char *) (blob + m->count);

    for (i = 0; i < m->count; i++) {
        blob[i].digest = m->layers[i].digest;
        blob[i].size = m->layers[i].size;
    }

    used = 0;

    for (i = 0; i < n; i++) {
        entry[i].offset = drafts[i].offset;
        entry[i].size = drafts[i].size;
        entry[i].path = (uint32_t) used;
        entry[i].path_len = (uint32_t) drafts[i].path.len;
        entry[i].layer = (uint32_t) drafts[i].layer;
        entry[i].whole = drafts[i].whole;

        memcpy(paths + used, drafts[i].path.data, drafts[i].path.len);
        used += drafts[i].path.len;
    }

    *table = t;

    return OCI_OK;
}


void
oci_model_file(const oci_model_table_t *table, size_t index,
    oci_model_file_t *file)
{
    const oci_model_blob_t   *blob;
    const oci_model_entry_t  *entry;

    entry = oci_model_entries(table) + index;
    blob = oci_model_blobs(table) + entry->layer;

    oci_model_path(table, index, &file->path);

    file->digest = blob->digest;
    file->blob_size = blob->size;
    file->offset = entry->offset;
    file->size = entry->size;
    file->whole = (entry->whole != 0);
}


int
oci_model_find(const oci_model_table_t *table, const oci_str_t *path,
    oci_model_file_t *file)
{
    size_t     i;
    oci_str_t  found;

    i = oci_model_lower(table, path);

    if (i == table->count) {
        return OCI_NOT_FOUND;
    }

    oci_model_path(table, i, &found);

    if (oci_model_compare(&found, path) == 0) {
        oci_model_file(table, i, file);
        return OCI_OK;
    }

    return oci_model_below(&found, path) ? OCI_EXISTS : OCI_NOT_FOUND;
}


int
oci_model_folder(const oci_model_table_t *table, const oci_str_t *path,
    size_t *first, size_t *last)
{
    size_t     i;
    oci_str_t  found;

    if (path->len == 0) {
        *first = 0;
        *last = table->count;
        return OCI_OK;
    }

    i = oci_model_lower(table, path);

    *first = i;

    for ( /* void */ ; i < table->count; i++) {

        oci_model_path(table, i, &found);

        if (!oci_model_below(&found, path)) {
            break;
        }
    }

    *last = i;

    return (*last > *first) ? OCI_OK : OCI_NOT_FOUND;
}


size_t
oci_model_etag(const oci_model_file_t *file, u_char buf[OCI_MODEL_ETAG])
{
    int           n;
    char          text[OCI_DIGEST_MAX + 64];
    oci_digest_t  d;

    if (file->whole && file->digest.alg == OCI_SHA256) {
        memcpy(buf, file->digest.hex, OCI_MODEL_ETAG);
        return OCI_MODEL_ETAG;
    }

    n = snprintf(text, sizeof(text), "%s:%s %lld %lld",
                 oci_alg_name(file->digest.alg), file->digest.hex,
                 (long long) file->offset, (long long) file->size);

    oci_digest_of(&d, OCI_SHA256, (u_char *) text, (size_t) n);

    memcpy(buf, d.hex, 40);

    return 40;
}


static const oci_model_entry_t *
oci_model_entries(const oci_model_table_t *table)
{
    return (const oci_model_entry_t *) (table + 1);
}


static const oci_model_blob_t *
oci_model_blobs(const oci_model_table_t *table)
{
    return (const oci_model_blob_t *) (oci_model_entries(table)
                                       + table->count);
}


static void
oci_model_path(const oci_model_table_t *table, size_t index, oci_str_t *path)
{
    const u_char             *paths;
    const oci_model_entry_t  *entry;

    entry = oci_model_entries(table) + index;
    paths = (const u_char *) (oci_model_blobs(table) + table->layers);

    path->data = (u_char *) (uintptr_t) (paths + entry->path);
    path->len = entry->path_len;
}


/* the first that is not before path */

static size_t
oci_model_lower(const oci_model_table_t *table, const oci_str_t *path)
{
    size_t     low, high, i;
    oci_str_t  found;

    low = 0;
    high = table->count;

    while (low < high) {
        i = low + (high - low) / 2;

        oci_model_path(table, i, &found);

        if (oci_model_compare(&found, path) < 0) {
            low = i + 1;

        } else {
            high = i;
        }
    }

    return low;
}


static int
oci_model_below(const oci_str_t *path, const oci_str_t *folder)
{
    return path->len > folder->len
           && path->data[folder->len] == '/'
           && memcmp(path->data, folder->data, folder->len) == 0;
}


static int
oci_model_sort(const void *one, const void *two)
{
    int                       rc;
    const oci_model_draft_t  *a, *b;

    a = one;
    b = two;

    rc = oci_model_compare(&a->path, &b->path);

    if (rc == 0) {
        return (a->order > b->order) - (a->order < b->order);
    }

    return rc;
}


/* "/" is before all others, so that a folder's files lie together */

static int
oci_model_compare(const oci_str_t *a, const oci_str_t *b)
{
    size_t  i, n;
    u_char  c, d;

    n = (a->len < b->len) ? a->len : b->len;

    for (i = 0; i < n; i++) {

        c = a->data[i];
        d = b->data[i];

        if (c == d) {
            continue;
        }

        if (c == '/') {
            return -1;
        }

        if (d == '/') {
            return 1;
        }

        return (int) c - (int) d;
    }

    return (a->len > b->len) - (a->len < b->len);
}
