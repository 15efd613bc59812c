
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_model.h"
#include "oci_json.h"
#include "oci_reference.h"

#include <stdio.h>
#include <stdlib.h>


#define OCI_MODEL_DEPTH_MAX  64
#define OCI_MODEL_NAME_MAX   64         /* of a name that is made here */


/* what a layer without a path is, and what its file is called then */

typedef struct {
    oci_str_t     type;
    const char   *stem;
    const char   *suffix;
} oci_model_kind_t;


static int oci_model_layers(oci_model_t *m, json_t *layers,
    const char **reason);
static int oci_model_layer(oci_model_t *m, json_t *json,
    const oci_model_kind_t **kind);
static int oci_model_form(json_t *json, json_t *annotations,
    oci_model_form_t *form);
static int oci_model_annotation(json_t *annotations, const char *key,
    oci_str_t *value);
static int oci_model_names(oci_model_t *m, const oci_model_kind_t **kinds,
    size_t unnamed);
static const oci_model_kind_t *oci_model_kind(json_t *json);
static int oci_str_begins(const oci_str_t *text, const char *with);
static int oci_str_ends(const oci_str_t *text, const char *with);


/* families whose media types say by their end what the content is */

static const char *const  oci_model_families[] = {
    "application/vnd.cncf.model.",
    "application/vnd.cnai.model.",
    "application/vnd.docker.ai.",
    "application/vnd.kitops.modelkit."
};


static const char *const  oci_model_path_keys[] = {
    "org.cncf.model.filepath",
    "org.cnai.model.filepath",
    "org.opencontainers.image.title"
};


static const oci_model_kind_t  oci_model_kinds[] = {
    { oci_string("application/vnd.docker.ai.gguf.v3"), "model", ".gguf" },
    { oci_string("application/vnd.docker.ai.safetensors"),
      "model", ".safetensors" },
    { oci_string("application/vnd.docker.ai.dduf"), "model", ".dduf" },
    { oci_string("application/vnd.docker.ai.mmproj"), "mmproj", ".gguf" },
    { oci_string("application/vnd.docker.ai.chat.template.jinja"),
      "chat_template", ".jinja" },
    { oci_string("application/vnd.docker.ai.license"), "LICENSE", "" },
    { oci_string("application/vnd.cncf.model.weight.v1.gguf"),
      "model", ".gguf" },
    { oci_string("application/vnd.cncf.model.weight.v1.safetensors"),
      "model", ".safetensors" },
    { oci_string("application/vnd.ollama.image.model"), "model", ".gguf" },
    { oci_string("application/vnd.ollama.image.adapter"),
      "adapter", ".gguf" },
    { oci_string("application/vnd.ollama.image.projector"),
      "mmproj", ".gguf" },
    { oci_string("application/vnd.ollama.image.license"), "LICENSE", "" },
    { oci_string("application/vnd.ollama.image.template"), "template", "" },
    { oci_string("application/vnd.ollama.image.system"), "system", "" },
    { oci_string("application/vnd.ollama.image.params"), "params", ".json" },
    { oci_string("application/vnd.ollama.image.messages"),
      "messages", ".json" }
};

#define OCI_MODEL_KINDS  (sizeof(oci_model_kinds) / sizeof(oci_model_kind_t))


int
oci_model_parse(oci_model_t *m, const u_char *data, size_t len,
    const char **reason)
{
    int      rc;
    json_t  *root, *layers;

    memset(m, 0, sizeof(oci_model_t));
    *reason = NULL;

    rc = oci_json_load(&root, data, len, OCI_MODEL_DEPTH_MAX, reason);

    if (rc != OCI_OK) {
        return rc;
    }

    m->json = root;

    layers = oci_json_get(root, "layers");

    if (!json_is_object(root)) {
        *reason = "not a JSON object";
        rc = OCI_INVALID;

    } else if (oci_json_get(root, "manifests") != NULL) {
        *reason = "an index is no model";
        rc = OCI_NOT_FOUND;

    } else if (json_array_size(layers) > OCI_MODEL_LAYERS_MAX) {
        *reason = "too many layers";
        rc = OCI_INVALID;

    } else {
        rc = oci_model_layers(m, layers, reason);
    }

    if (rc != OCI_OK) {
        oci_model_free(m);
    }

    return rc;
}


void
oci_model_free(oci_model_t *m)
{
    json_decref(m->json);
    free(m->names);
    free(m->layers);
    memset(m, 0, sizeof(oci_model_t));
}


static int
oci_model_layers(oci_model_t *m, json_t *layers, const char **reason)
{
    int                       rc;
    size_t                    i, n, unnamed;
    const oci_model_kind_t  **kinds;

    n = json_array_size(layers);

    if (n == 0) {
        *reason = "a manifest without layers is no model";
        return OCI_NOT_FOUND;
    }

    m->layers = malloc(n * sizeof(oci_model_layer_t));
    kinds = malloc(n * sizeof(oci_model_kind_t *));

    if (m->layers == NULL || kinds == NULL) {
        free(kinds);
        return OCI_ERROR;
    }

    unnamed = 0;

    for (i = 0; i < n; i++) {

        if (oci_model_layer(m, json_array_get(layers, i), &kinds[m->count])
            != OCI_OK)
        {
            m->left_out++;
            continue;
        }

        switch (m->layers[m->count].form) {

        case OCI_MODEL_TAR:
            m->tars++;
            break;

        case OCI_MODEL_PACKED:
            m->packed++;
            break;

        default:
            unnamed += (kinds[m->count] != NULL);
            break;
        }

        m->count++;
    }

    if (m->count == 0) {
        *reason = "none of its layers is a file of a model";
        rc = OCI_NOT_FOUND;

    } else if (m->tars > OCI_MODEL_TARS_MAX) {
        *reason = "too many layers are archives";
        rc = OCI_INVALID;

    } else {
        rc = oci_model_names(m, kinds, unnamed);
    }

    free(kinds);

    return rc;
}


/*
 * The next of m->layers.  OCI_OK with *kind set where the file needs a name;
 * OCI_NOT_FOUND: it is none.
 */

static int
oci_model_layer(oci_model_t *m, json_t *json, const oci_model_kind_t **kind)
{
    size_t              i;
    json_t             *annotations, *size;
    oci_str_t           digest;
    oci_model_layer_t  *layer;

    layer = &m->layers[m->count];
    memset(layer, 0, sizeof(oci_model_layer_t));

    *kind = NULL;

    size = oci_json_get(json, "size");
    annotations = oci_json_get(json, "annotations");

    if (!oci_json_str(oci_json_get(json, "digest"), &digest)
        || oci_digest_parse(&layer->digest, digest.data, digest.len)
           != OCI_OK
        || !json_is_integer(size) || json_integer_value(size) < 0)
    {
        return OCI_NOT_FOUND;
    }

    layer->size = json_integer_value(size);

    if (oci_model_form(json, annotations, &layer->form) == OCI_OK
        && layer->form != OCI_MODEL_RAW)
    {
        return OCI_OK;
    }

    for (i = 0; i < sizeof(oci_model_path_keys) / sizeof(char *); i++) {

        if (oci_model_annotation(annotations, oci_model_path_keys[i],
                                 &layer->path))
        {
            return oci_file_path_valid(layer->path.data, layer->path.len)
                   ? OCI_OK : OCI_NOT_FOUND;
        }
    }

    *kind = oci_model_kind(json);

    return *kind ? OCI_OK : OCI_NOT_FOUND;
}


/*
 * Elsewhere than in the families of models a title makes a file of whatever
 * type: ORAS calls any file a tar unless told otherwise, and says so when it
 * means a folder.
 */

static int
oci_model_form(json_t *json, json_t *annotations, oci_model_form_t *form)
{
    size_t     i, n;
    oci_str_t  type, unpack;

    if (!oci_json_str(oci_json_get(json, "mediaType"), &type)) {
        return OCI_NOT_FOUND;
    }

    n = sizeof(oci_model_families) / sizeof(char *);

    for (i = 0; i < n; i++) {
        if (oci_str_begins(&type, oci_model_families[i])) {
            break;
        }
    }

    if (i == n
        && (!oci_model_annotation(annotations, "io.deis.oras.content.unpack",
                                  &unpack)
            || !oci_str_eq(&unpack, "true")))
    {
        return OCI_NOT_FOUND;
    }

    if (oci_str_ends(&type, ".tar")) {
        *form = OCI_MODEL_TAR;

    } else if (oci_str_ends(&type, ".tar+gzip")
               || oci_str_ends(&type, ".tar.gzip")
               || oci_str_ends(&type, ".tar+zstd"))
    {
        *form = OCI_MODEL_PACKED;
    }

    return OCI_OK;
}


static int
oci_model_annotation(json_t *annotations, const char *key, oci_str_t *value)
{
    return oci_json_str(oci_json_get(annotations, key), value);
}


static const oci_model_kind_t *
oci_model_kind(json_t *json)
{
    size_t                   i;
    oci_str_t                type;
    const oci_model_kind_t  *kind;

    (void) oci_json_str(oci_json_get(json, "mediaType"), &type);

    for (i = 0; i < OCI_MODEL_KINDS; i++) {
        kind = &oci_model_kinds[i];

        if (type.len == kind->type.len
            && memcmp(type.data, kind->type.data, type.len) == 0)
        {
            return kind;
        }
    }

    return NULL;
}


/* as shards are called: "model.gguf", or "model-00001-of-00003.gguf" */

static int
oci_model_names(oci_model_t *m, const oci_model_kind_t **kinds,
    size_t unnamed)
{
    int      n;
    size_t   i, k, total[OCI_MODEL_KINDS], count[OCI_MODEL_KINDS];
    u_char  *name;

    if (unnamed == 0) {
        return OCI_OK;
    }

    m->names = malloc(unnamed * OCI_MODEL_NAME_MAX);

    if (m->names == NULL) {
        return OCI_ERROR;
    }

    memset(total, 0, sizeof(total));
    memset(count, 0, sizeof(count));

    for (i = 0; i < m->count; i++) {
        if (kinds[i]) {
            total[kinds[i] - oci_model_kinds]++;
        }
    }

    name = m->names;

    for (i = 0; i < m->count; i++) {

        if (kinds[i] == NULL) {
            continue;
        }

        k = (size_t) (kinds[i] - oci_model_kinds);

        if (total[k] == 1) {
            n = snprintf((char *) name, OCI_MODEL_NAME_MAX, "%s%s",
                         kinds[i]->stem, kinds[i]->suffix);

        } else {
            n = snprintf((char *) name, OCI_MODEL_NAME_MAX,
                         "%s-%05zu-of-%05zu%s", kinds[i]->stem, ++count[k],
                         total[k], kinds[i]->suffix);
        }

        m->layers[i].path.data = name;
        m->layers[i].path.len = (size_t) n;

        name += OCI_MODEL_NAME_MAX;
    }

    return OCI_OK;
}


static int
oci_str_begins(const oci_str_t *text, const char *with)
{
    size_t  n;

    n = strlen(with);

    return text->len >= n && memcmp(text->data, with, n) == 0;
}


static int
oci_str_ends(const oci_str_t *text, const char *with)
{
    size_t  n;

    n = strlen(with);

    return text->len >= n
           && memcmp(text->data + text->len - n, with, n) == 0;
}
