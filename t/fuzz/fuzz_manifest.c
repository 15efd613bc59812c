
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The Content-Type up to the first newline and the body behind it.
 */


#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "oci_manifest.h"
#include "oci_manifest_store.h"
#include "oci_reference.h"


#define check(expr)                                                           \
    if (!(expr)) {                                                            \
        abort();                                                              \
    }


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static u_char *copy(const uint8_t *data, size_t size);
static void fuzz_fields(const oci_manifest_t *m);
static void fuzz_again(const oci_manifest_t *m, const u_char *body,
    size_t size);
static void fuzz_descriptor(const oci_manifest_t *m);
static void fuzz_record(const oci_manifest_t *m);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int              rc;
    size_t           n;
    u_char          *type, *body;
    oci_str_t        content_type;
    const char      *reason;
    const uint8_t   *end;
    oci_manifest_t   m;

    end = size ? memchr(data, '\n', size) : NULL;
    n = end ? (size_t) (end - data) : 0;

    type = copy(data, n);
    content_type.data = type;
    content_type.len = n;

    n += (end != NULL);
    size -= n;
    body = copy(data + n, size);

    reason = "none";

    rc = oci_manifest_parse(&m, body, size, &content_type, &reason);

    check(rc == OCI_OK || rc == OCI_INVALID || rc == OCI_UNSUPPORTED);
    check((rc == OCI_OK) == (reason == NULL));

    if (rc == OCI_OK) {
        fuzz_fields(&m);
        fuzz_again(&m, body, size);

        /* nothing points into what was given */

        memset(body, 0, size);
        memset(type, 0, content_type.len);

        fuzz_fields(&m);
        fuzz_descriptor(&m);
        fuzz_record(&m);

        oci_manifest_free(&m);
    }

    free(body);
    free(type);

    return 0;
}


static void
fuzz_fields(const oci_manifest_t *m)
{
    size_t                   i;
    const oci_descriptor_t  *desc;

    check(oci_media_type_valid(m->media_type.data, m->media_type.len));
    check(m->has_artifact_type == (m->artifact_type.len != 0));
    check(m->count <= OCI_MANIFEST_DESCRIPTORS_MAX);

    if (m->has_subject) {
        check(strlen(m->subject.hex) == m->subject.hex_len);
        check(m->subject.hex_len != 0);
    }

    for (i = 0; i < m->count; i++) {
        desc = &m->descriptors[i];

        check(desc->size >= 0);
        check(desc->unsupported == (desc->digest.hex_len == 0));
        check(strlen(desc->digest.hex) == desc->digest.hex_len);
    }
}


/* what a record says of its type leads to the same when it is read back */

static void
fuzz_again(const oci_manifest_t *m, const u_char *body, size_t size)
{
    int              rc;
    const char      *reason;
    oci_manifest_t   again;

    rc = oci_manifest_parse(&again, body, size, &m->media_type, &reason);

    check(rc == OCI_OK);
    check(again.count == m->count);
    check(again.is_index == m->is_index);
    check(again.has_subject == m->has_subject);
    check(again.artifact_type.len == m->artifact_type.len);

    oci_manifest_free(&again);
}


static void
fuzz_descriptor(const oci_manifest_t *m)
{
    char          *text;
    size_t         len;
    json_t        *root, *value, *annotations;
    oci_digest_t   d;
    const char    *key;
    json_error_t   error;

    oci_digest_of(&d, OCI_SHA256, (const u_char *) "", 0);

    text = oci_manifest_descriptor(m, &d, 12345, &len);

    check(text != NULL && len == strlen(text));
    check(text[0] == '{' && text[len - 1] == '}');

    root = json_loadb(text, len, JSON_REJECT_DUPLICATES|JSON_ALLOW_NUL,
                      &error);
    check(root != NULL);

    value = json_object_get(root, "mediaType");
    check(json_string_length(value) == m->media_type.len);
    check(json_integer_value(json_object_get(root, "size")) == 12345);

    value = json_object_get(root, "artifactType");
    check(json_string_length(value) == m->artifact_type.len);
    check(m->artifact_type.len == 0
          || memcmp(json_string_value(value), m->artifact_type.data,
                    m->artifact_type.len) == 0);

    annotations = json_object_get(root, "annotations");

    json_object_foreach(annotations, key, value) {
        check(json_is_string(value));
    }

    json_decref(root);
    free(text);
}


static void
fuzz_record(const oci_manifest_t *m)
{
    u_char         header[OCI_RECORD_HEADER];
    oci_digest_t   d;
    oci_record_t   rec;

    oci_digest_of(&d, OCI_SHA512, (const u_char *) "", 0);
    oci_record_header(header, &m->media_type, &d, 12345);

    check(oci_record_parse(&rec, header) == OCI_OK);
    check(rec.media_type_len == m->media_type.len);
    check(memcmp(rec.media_type, m->media_type.data, rec.media_type_len)
          == 0);
    check(rec.size == 12345);
    check(oci_digest_equal(&rec.digest, &d));
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
