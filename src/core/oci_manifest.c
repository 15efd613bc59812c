
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_manifest.h"
#include "oci_reference.h"
#include "oci_json.h"

#include <stdlib.h>


typedef enum {
    OCI_FORM_OTHER = 0,             /* nothing is known of the type */
    OCI_FORM_IMAGE,
    OCI_FORM_INDEX,
    OCI_FORM_SCHEMA1
} oci_form_t;


typedef struct {
    oci_str_t        type;
    oci_form_t       form;
} oci_known_type_t;


static void oci_manifest_bare_type(oci_str_t *type,
    const oci_str_t *content_type);
static int oci_manifest_fill(oci_manifest_t *m, const oci_str_t *type,
    const char **reason);
static int oci_manifest_type(oci_manifest_t *m, oci_str_t *type,
    const char **reason);
static int oci_manifest_check(const oci_manifest_t *m, oci_form_t form,
    const char **reason);
static int oci_manifest_subject(oci_manifest_t *m, unsigned strict,
    const char **reason);
static int oci_manifest_artifact_type(oci_manifest_t *m, unsigned strict,
    const char **reason);
static int oci_manifest_descriptors(oci_manifest_t *m, oci_form_t form,
    const char **reason);
static int oci_manifest_array(oci_manifest_t *m, const char *key,
    oci_desc_kind_t kind, unsigned strict, const char **reason);
static int oci_manifest_add(oci_manifest_t *m, json_t *json,
    oci_desc_kind_t kind, unsigned strict, const char **reason);
static int oci_manifest_foreign(json_t *json, unsigned strict,
    unsigned *foreign);
static oci_form_t oci_manifest_form(const oci_str_t *type);
static int oci_type_begins(const oci_str_t *type, const oci_str_t *with);


static const oci_known_type_t  oci_known_types[] = {
    { oci_string("application/vnd.oci.image.manifest.v1+json"),
      OCI_FORM_IMAGE },
    { oci_string("application/vnd.oci.image.index.v1+json"),
      OCI_FORM_INDEX },
    { oci_string("application/vnd.docker.distribution.manifest.v2+json"),
      OCI_FORM_IMAGE },
    { oci_string("application/vnd.docker.distribution.manifest.list.v2+json"),
      OCI_FORM_INDEX },
    { oci_string("application/vnd.docker.distribution.manifest.v1+json"),
      OCI_FORM_SCHEMA1 },
    { oci_string("application/vnd.docker.distribution.manifest.v1+prettyjws"),
      OCI_FORM_SCHEMA1 }
};


/* each of these alone, or with a compression behind it */

static const oci_str_t  oci_foreign_types[] = {
    oci_string("application/vnd.oci.image.layer.nondistributable.v1.tar"),
    oci_string("application/vnd.docker.image.rootfs.foreign.diff.tar")
};


static const char  oci_reason_schema1[] =
    "docker schema 1 manifests are not supported";


int
oci_manifest_parse(oci_manifest_t *m, const u_char *data, size_t len,
    const oci_str_t *content_type, const char **reason)
{
    int         rc;
    json_t     *root;
    oci_str_t   type;

    memset(m, 0, sizeof(oci_manifest_t));
    *reason = NULL;

    oci_manifest_bare_type(&type, content_type);

    if (type.len != 0 && !oci_media_type_valid(type.data, type.len)) {
        *reason = "invalid media type in Content-Type";
        return OCI_INVALID;
    }

    if (oci_manifest_form(&type) == OCI_FORM_SCHEMA1) {
        *reason = oci_reason_schema1;
        return OCI_UNSUPPORTED;
    }

    rc = oci_json_load(&root, data, len, OCI_MANIFEST_DEPTH_MAX, reason);
    if (rc != OCI_OK) {
        return rc;
    }

    m->json = root;

    if (!json_is_object(root)) {
        *reason = "not a JSON object";
        rc = OCI_INVALID;

    } else {
        rc = oci_manifest_fill(m, &type, reason);
    }

    if (rc != OCI_OK) {
        oci_manifest_free(m);
    }

    return rc;
}


void
oci_manifest_free(oci_manifest_t *m)
{
    json_decref(m->json);
    free(m->media_type.data);
    free(m->descriptors);

    memset(m, 0, sizeof(oci_manifest_t));
}


char *
oci_manifest_descriptor(const oci_manifest_t *m, const oci_digest_t *digest,
    size_t size, size_t *out_len)
{
    int          failed;
    char        *text;
    size_t       n;
    u_char       buf[OCI_DIGEST_MAX];
    json_t      *desc, *from, *annotations, *value;
    const char  *key;

    desc = json_object();
    if (desc == NULL) {
        return NULL;
    }

    n = oci_digest_text(digest, buf);

    failed = json_object_set_new(desc, "mediaType",
                 json_stringn((char *) m->media_type.data, m->media_type.len));
    failed |= json_object_set_new(desc, "digest",
                                  json_stringn((char *) buf, n));
    failed |= json_object_set_new(desc, "size",
                                  json_integer((json_int_t) size));

    if (m->has_artifact_type) {
        failed |= json_object_set_new(desc, "artifactType",
                      json_stringn((char *) m->artifact_type.data,
                                   m->artifact_type.len));
    }

    /*
     * Clients decode a whole list into maps from string to string: one value
     * of another type would make them fail on everybody's entries.
     */

    from = oci_json_get(m->json, "annotations");

    annotations = json_object();

    json_object_foreach(from, key, value) {
        if (json_is_string(value)) {
            failed |= json_object_set(annotations, key, value);
        }
    }

    if (annotations == NULL) {
        failed = 1;

    } else if (json_object_size(annotations) != 0) {
        failed |= json_object_set(desc, "annotations", annotations);
    }

    text = failed ? NULL : json_dumps(desc, JSON_COMPACT);

    json_decref(annotations);
    json_decref(desc);

    if (text != NULL) {
        *out_len = strlen(text);
    }

    return text;
}


/* Content-Type without parameters and the spaces around it */

static void
oci_manifest_bare_type(oci_str_t *type, const oci_str_t *content_type)
{
    size_t   len;
    u_char  *p, *end;

    p = content_type->data;
    len = content_type->len;

    while (len != 0 && (*p == ' ' || *p == '\t')) {
        p++;
        len--;
    }

    if (len != 0) {
        end = memchr(p, ';', len);

        if (end != NULL) {
            len = (size_t) (end - p);
        }
    }

    while (len != 0 && (p[len - 1] == ' ' || p[len - 1] == '\t')) {
        len--;
    }

    type->data = p;
    type->len = len;
}


static int
oci_manifest_fill(oci_manifest_t *m, const oci_str_t *content_type,
    const char **reason)
{
    int         rc;
    oci_str_t   type;
    oci_form_t  form;

    type = *content_type;

    rc = oci_manifest_type(m, &type, reason);
    if (rc != OCI_OK) {
        return rc;
    }

    m->media_type.data = malloc(type.len);
    if (m->media_type.data == NULL) {
        return OCI_ERROR;
    }

    memcpy(m->media_type.data, type.data, type.len);
    m->media_type.len = type.len;

    form = oci_manifest_form(&type);

    rc = oci_manifest_check(m, form, reason);
    if (rc != OCI_OK) {
        return rc;
    }

    if (form == OCI_FORM_OTHER) {
        m->is_index = json_is_array(oci_json_get(m->json, "manifests"));

    } else {
        m->is_index = (form == OCI_FORM_INDEX);
    }

    rc = oci_manifest_subject(m, form != OCI_FORM_OTHER, reason);
    if (rc != OCI_OK) {
        return rc;
    }

    rc = oci_manifest_descriptors(m, form, reason);
    if (rc != OCI_OK) {
        return rc;
    }

    return oci_manifest_artifact_type(m, form != OCI_FORM_OTHER, reason);
}


/* Content-Type first, then what the JSON says, then its shape */

static int
oci_manifest_type(oci_manifest_t *m, oci_str_t *type, const char **reason)
{
    json_t           *json;
    oci_str_t         named;
    const oci_str_t  *guess;

    named.len = 0;
    named.data = NULL;

    json = oci_json_get(m->json, "mediaType");

    if (json != NULL && !oci_json_str(json, &named)) {
        *reason = "mediaType is not a string";
        return OCI_INVALID;
    }

    if (named.len != 0) {

        if (type->len == 0) {

            if (!oci_media_type_valid(named.data, named.len)) {
                *reason = "invalid mediaType";
                return OCI_INVALID;
            }

            *type = named;

        } else if (type->len != named.len
                   || memcmp(type->data, named.data, named.len) != 0)
        {
            *reason = "mediaType differs from Content-Type";
            return OCI_INVALID;
        }
    }

    switch (oci_manifest_form(type)) {

    case OCI_FORM_SCHEMA1:
        *reason = oci_reason_schema1;
        return OCI_UNSUPPORTED;

    case OCI_FORM_OTHER:

        if (json_is_array(oci_json_get(m->json, "fsLayers"))
            && json_integer_value(oci_json_get(m->json, "schemaVersion")) == 1)
        {
            *reason = oci_reason_schema1;
            return OCI_UNSUPPORTED;
        }

        break;

    default:
        break;
    }

    if (type->len != 0) {
        return OCI_OK;
    }

    if (oci_json_get(m->json, "manifests") != NULL) {
        guess = &oci_known_types[1].type;

    } else if (oci_json_get(m->json, "layers") != NULL
               || oci_json_get(m->json, "config") != NULL)
    {
        guess = &oci_known_types[0].type;

    } else {
        *reason = "no media type given";
        return OCI_INVALID;
    }

    *type = *guess;

    return OCI_OK;
}


/* one body must not be two kinds of manifest to two kinds of clients */

static int
oci_manifest_check(const oci_manifest_t *m, oci_form_t form,
    const char **reason)
{
    json_t    *version;
    unsigned   config, layers, manifests;

    config = (oci_json_get(m->json, "config") != NULL);
    layers = (oci_json_get(m->json, "layers") != NULL);
    manifests = (oci_json_get(m->json, "manifests") != NULL);

    if (layers && manifests) {
        *reason = "both layers and manifests";
        return OCI_INVALID;
    }

    if (form == OCI_FORM_OTHER) {
        return OCI_OK;
    }

    if (form == OCI_FORM_INDEX && (layers || config)) {
        *reason = "an index with layers or config";
        return OCI_INVALID;
    }

    if (form == OCI_FORM_IMAGE && manifests) {
        *reason = "an image manifest with manifests";
        return OCI_INVALID;
    }

    version = oci_json_get(m->json, "schemaVersion");

    if (version != NULL
        && (!json_is_integer(version) || json_integer_value(version) != 2))
    {
        *reason = "schemaVersion is not 2";
        return OCI_INVALID;
    }

    return OCI_OK;
}


static int
oci_manifest_subject(oci_manifest_t *m, unsigned strict, const char **reason)
{
    json_t     *subject, *size;
    oci_str_t   text;

    subject = oci_json_get(m->json, "subject");

    if (subject == NULL) {
        return OCI_OK;
    }

    size = oci_json_get(subject, "size");

    if (!oci_json_str(oci_json_get(subject, "digest"), &text)
        || oci_digest_parse(&m->subject, text.data, text.len) != OCI_OK
        || (size != NULL
            && (!json_is_integer(size) || json_integer_value(size) < 0)))
    {
        memset(&m->subject, 0, sizeof(oci_digest_t));

        if (strict) {
            *reason = "invalid subject";
            return OCI_INVALID;
        }

        return OCI_OK;
    }

    m->has_subject = 1;

    return OCI_OK;
}


/* what referrers are filtered by: artifactType, else the config's type */

static int
oci_manifest_artifact_type(oci_manifest_t *m, unsigned strict,
    const char **reason)
{
    json_t     *json;
    oci_str_t   text;

    json = oci_json_get(m->json, "artifactType");

    if (json != NULL && !oci_json_str(json, &text)) {

        if (strict) {
            *reason = "artifactType is not a string";
            return OCI_INVALID;
        }

        json = NULL;
    }

    if (json == NULL || text.len == 0) {

        if (m->is_index) {
            return OCI_OK;
        }

        json = oci_json_get(oci_json_get(m->json, "config"), "mediaType");

        if (!oci_json_str(json, &text) || text.len == 0) {
            return OCI_OK;
        }
    }

    m->artifact_type = text;
    m->has_artifact_type = 1;

    return OCI_OK;
}


static int
oci_manifest_descriptors(oci_manifest_t *m, oci_form_t form,
    const char **reason)
{
    int        rc;
    size_t     n;
    json_t    *config;
    unsigned   strict;

    n = 1;
    n += json_array_size(oci_json_get(m->json, "layers"));
    n += json_array_size(oci_json_get(m->json, "manifests"));

    if (form == OCI_FORM_OTHER) {
        n += json_array_size(oci_json_get(m->json, "blobs"));
    }

    if (n > OCI_MANIFEST_DESCRIPTORS_MAX) {
        *reason = "too many descriptors";
        return OCI_INVALID;
    }

    m->descriptors = malloc(n * sizeof(oci_descriptor_t));
    if (m->descriptors == NULL) {
        return OCI_ERROR;
    }

    strict = (form != OCI_FORM_OTHER);

    config = oci_json_get(m->json, "config");

    if (config != NULL) {
        rc = oci_manifest_add(m, config, OCI_DESC_CONFIG, strict, reason);
        if (rc != OCI_OK) {
            return rc;
        }
    }

    rc = oci_manifest_array(m, "layers", OCI_DESC_LAYER, strict, reason);
    if (rc != OCI_OK) {
        return rc;
    }

    if (!strict) {

        /* of an OCI artifact manifest; a custom field of the known types */

        rc = oci_manifest_array(m, "blobs", OCI_DESC_LAYER, strict, reason);
        if (rc != OCI_OK) {
            return rc;
        }
    }

    return oci_manifest_array(m, "manifests", OCI_DESC_MANIFEST, strict,
                              reason);
}


static int
oci_manifest_array(oci_manifest_t *m, const char *key, oci_desc_kind_t kind,
    unsigned strict, const char **reason)
{
    int      rc;
    size_t   i, n;
    json_t  *array;

    array = oci_json_get(m->json, key);

    if (array == NULL) {
        return OCI_OK;
    }

    if (!json_is_array(array)) {

        if (strict) {
            *reason = "layers or manifests is not an array";
            return OCI_INVALID;
        }

        return OCI_OK;
    }

    n = json_array_size(array);

    for (i = 0; i < n; i++) {
        rc = oci_manifest_add(m, json_array_get(array, i), kind, strict,
                              reason);
        if (rc != OCI_OK) {
            return rc;
        }
    }

    return OCI_OK;
}


static int
oci_manifest_add(oci_manifest_t *m, json_t *json, oci_desc_kind_t kind,
    unsigned strict, const char **reason)
{
    int                rc;
    json_t            *size, *type;
    unsigned           foreign;
    oci_str_t          text;
    oci_descriptor_t  *desc;

    desc = &m->descriptors[m->count];
    memset(desc, 0, sizeof(oci_descriptor_t));

    if (!oci_json_str(oci_json_get(json, "digest"), &text)) {
        *reason = "a descriptor without a digest";
        goto invalid;
    }

    rc = oci_digest_parse(&desc->digest, text.data, text.len);

    if (rc == OCI_INVALID) {
        *reason = "a descriptor with an invalid digest";
        goto invalid;
    }

    size = oci_json_get(json, "size");

    if (!json_is_integer(size) || json_integer_value(size) < 0) {
        *reason = "a descriptor without a valid size";
        goto invalid;
    }

    type = oci_json_get(json, "mediaType");

    if (type != NULL && !json_is_string(type)) {
        *reason = "a descriptor's mediaType is not a string";
        goto invalid;
    }

    if (oci_manifest_foreign(json, strict, &foreign) != OCI_OK) {
        *reason = "a descriptor's urls is not an array";
        goto invalid;
    }

    desc->size = json_integer_value(size);
    desc->kind = kind;
    desc->foreign = (foreign != 0);
    desc->unsupported = (rc == OCI_UNSUPPORTED);
    desc->manifest = (oci_json_str(type, &text)
                      && oci_manifest_form(&text) != OCI_FORM_OTHER);

    m->count++;

    return OCI_OK;

invalid:

    if (strict) {
        return OCI_INVALID;
    }

    *reason = NULL;

    return OCI_OK;
}


static int
oci_manifest_foreign(json_t *json, unsigned strict, unsigned *foreign)
{
    size_t      i;
    json_t     *urls;
    oci_str_t   type;

    *foreign = 0;

    urls = oci_json_get(json, "urls");

    if (urls != NULL && !json_is_array(urls) && strict) {
        return OCI_INVALID;
    }

    if (json_array_size(urls) != 0) {
        *foreign = 1;
        return OCI_OK;
    }

    if (!oci_json_str(oci_json_get(json, "mediaType"), &type)) {
        return OCI_OK;
    }

    for (i = 0; i < sizeof(oci_foreign_types) / sizeof(oci_str_t); i++) {
        if (oci_type_begins(&type, &oci_foreign_types[i])) {
            *foreign = 1;
            break;
        }
    }

    return OCI_OK;
}


static oci_form_t
oci_manifest_form(const oci_str_t *type)
{
    size_t                   i, n;
    const oci_known_type_t  *known;

    n = sizeof(oci_known_types) / sizeof(oci_known_type_t);

    for (i = 0; i < n; i++) {
        known = &oci_known_types[i];

        if (type->len == known->type.len
            && memcmp(type->data, known->type.data, type->len) == 0)
        {
            return known->form;
        }
    }

    return OCI_FORM_OTHER;
}


static int
oci_type_begins(const oci_str_t *type, const oci_str_t *with)
{
    if (type->len < with->len
        || memcmp(type->data, with->data, with->len) != 0)
    {
        return 0;
    }

    return type->len == with->len || type->data[with->len] == '+'
           || type->data[with->len] == '.';
}
