
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A manifest, and behind a NUL an archive, which is what each of its layers
 * that are tars holds.
 */


#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "oci_hub.h"


#define check(expr)                                                           \
    if (!(expr)) {                                                            \
        abort();                                                              \
    }


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_model(const oci_model_t *m, const uint8_t *data,
    size_t size);
static void fuzz_table(const oci_model_table_t *t);
static void fuzz_folders(const oci_model_table_t *t,
    const oci_model_file_t *file, size_t index);
static void fuzz_answers(const oci_model_table_t *t);
static json_t *fuzz_json(oci_text_t *text);
static u_char *copy(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int              rc;
    size_t           n;
    u_char          *body;
    oci_model_t      m;
    const char      *reason;
    const uint8_t   *end;

    end = size ? memchr(data, '\0', size) : NULL;
    n = end ? (size_t) (end - data) : size;

    body = copy(data, n);
    n += (end != NULL);

    reason = "none";

    rc = oci_model_parse(&m, body, n - (end != NULL), &reason);

    check(rc == OCI_OK || rc == OCI_INVALID || rc == OCI_NOT_FOUND);
    check((rc == OCI_OK) == (reason == NULL));

    /* nothing points into what was given */

    memset(body, 0, n - (end != NULL));
    free(body);

    if (rc == OCI_OK) {
        fuzz_model(&m, data + n, size - n);
        oci_model_free(&m);
    }

    return 0;
}


static void
fuzz_model(const oci_model_t *m, const uint8_t *data, size_t size)
{
    int                 rc;
    size_t              i;
    oci_tar_t           tar, **tars;
    oci_tar_parser_t   *p;
    oci_model_table_t  *table;

    check(m->count != 0);
    check(m->tars + m->packed <= m->count);

    p = oci_tar_create(NULL);
    check(p != NULL);

    (void) oci_tar_feed(p, 0, data, size);
    rc = oci_tar_end(p, (int64_t) size, &tar);

    oci_tar_destroy(p);

    tars = calloc(m->tars + 1, sizeof(oci_tar_t *));
    check(tars != NULL);

    for (i = 0; i < m->tars; i++) {
        tars[i] = (rc == OCI_OK && (i & 3) != 3) ? &tar : NULL;
    }

    if (oci_model_build(m, tars, &table) == OCI_OK) {
        fuzz_table(table);
        fuzz_answers(table);
        free(table);

    } else {
        check(table == NULL);
    }

    if (rc == OCI_OK) {
        oci_tar_free(&tar);
    }

    free(tars);
}


static void
fuzz_table(const oci_model_table_t *t)
{
    size_t             i;
    u_char             etag[OCI_MODEL_ETAG];
    oci_model_file_t   file, found;

    check(t->len <= OCI_MODEL_TABLE_MAX);
    check(t->count <= OCI_MODEL_FILES_MAX);

    for (i = 0; i < t->count; i++) {
        oci_model_file(t, i, &file);

        check(oci_file_path_valid(file.path.data, file.path.len));
        check(file.offset >= 0 && file.size >= 0);
        check(file.offset <= file.blob_size);
        check(file.size <= file.blob_size - file.offset);
        check(!file.whole || file.size == file.blob_size);

        check(oci_model_find(t, &file.path, &found) == OCI_OK);
        check(found.path.data == file.path.data);

        check(oci_model_etag(&file, etag)
              == ((file.whole && file.digest.alg == OCI_SHA256) ? 64 : 40));

        fuzz_folders(t, &file, i);
    }
}


/* each folder above a file is one, and is no file */

static void
fuzz_folders(const oci_model_table_t *t, const oci_model_file_t *file,
    size_t index)
{
    size_t             n, first, last;
    oci_str_t          folder;
    oci_model_file_t   none;

    for (n = 0; n < file->path.len; n++) {

        if (n && file->path.data[n] != '/') {
            continue;
        }

        folder.data = file->path.data;
        folder.len = n;

        check(oci_model_folder(t, &folder, &first, &last) == OCI_OK);
        check(first <= index && index < last && last <= t->count);

        if (n) {
            check(oci_model_find(t, &folder, &none) == OCI_EXISTS);
        }
    }
}


static void
fuzz_answers(const oci_model_table_t *t)
{
    size_t            i, files;
    json_t           *root, *list;
    oci_str_t         folder;
    oci_text_t        text;
    const char       *type;
    oci_hub_model_t   model;

    memset(&text, 0, sizeof(text));
    memset(&model, 0, sizeof(model));
    memset(model.commit, '1', OCI_HUB_COMMIT);
    model.id.data = (u_char *) "o/m";
    model.id.len = 3;

    check(oci_hub_info(&text, &model, t, 1) == OCI_OK);
    root = fuzz_json(&text);
    list = json_object_get(root, "siblings");
    check(json_array_size(list) == t->count);
    json_decref(root);

    folder.len = 0;
    folder.data = NULL;

    check(oci_hub_tree(&text, &model, t, &folder, 1, 1) == OCI_OK);
    root = fuzz_json(&text);

    for (i = 0, files = 0; i < json_array_size(root); i++) {
        type = json_string_value(json_object_get(json_array_get(root, i),
                                                 "type"));
        check(type != NULL);
        files += (strcmp(type, "file") == 0);
    }

    check(files == t->count);
    json_decref(root);

    check(oci_hub_tree(&text, &model, t, &folder, 0, 0) == OCI_OK);
    root = fuzz_json(&text);
    check(json_array_size(root) <= t->count);
    json_decref(root);

    free(text.data);
}


static json_t *
fuzz_json(oci_text_t *text)
{
    json_t        *root;
    json_error_t   error;

    root = json_loadb((char *) text->data, text->len, JSON_REJECT_DUPLICATES,
                      &error);
    check(root != NULL);

    text->len = 0;

    return root;
}


/* exactly that much memory, so that a step too far is seen */

static u_char *
copy(const uint8_t *data, size_t size)
{
    u_char  *p;

    p = malloc(size ? size : 1);
    check(p != NULL);

    if (size) {
        memcpy(p, data, size);
    }

    return p;
}
