
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What a registry needs to know of a manifest or an index: the descriptors
 * that it names, its subject, and the descriptor by which referrers list it.
 */


#ifndef _OCI_MANIFEST_H_INCLUDED_
#define _OCI_MANIFEST_H_INCLUDED_


#include "oci_core.h"
#include "oci_digest.h"


#define OCI_MANIFEST_DEPTH_MAX        64
#define OCI_MANIFEST_DESCRIPTORS_MAX  65536


typedef enum {
    OCI_DESC_CONFIG = 0,
    OCI_DESC_LAYER,             /* "layers", "blobs", docker schema 2 layers */
    OCI_DESC_MANIFEST           /* a child of an index */
} oci_desc_kind_t;


typedef struct {
    oci_digest_t      digest;
    int64_t           size;
    oci_desc_kind_t   kind;
    unsigned          foreign:1;        /* need not be here: nondistributable
                                           media type or "urls" */
    unsigned          manifest:1;       /* its media type is a manifest's, so
                                           content stored as a blob is not it */
    unsigned          unsupported:1;    /* digest of an unknown algorithm,
                                           digest.hex_len is 0 */
} oci_descriptor_t;


/* all memory is the manifest's own, freed by oci_manifest_free() */

typedef struct {
    void               *json;           /* jansson's root */
    oci_str_t           media_type;     /* what the record will say */
    oci_str_t           artifact_type;  /* effective for referrers (spec.md
                                           item 55), len 0 if none */
    unsigned            has_artifact_type:1;
    unsigned            has_subject:1;
    unsigned            is_index:1;
    oci_digest_t        subject;
    oci_descriptor_t   *descriptors;
    size_t              count;
} oci_manifest_t;


/*
 * Parses len bytes.  content_type is the request's Content-Type (parameters
 * are ignored), len 0 if absent: then "mediaType" of the JSON counts, then a
 * guess by shape.
 *
 * OCI_OK; OCI_INVALID with *reason set to a static text: not a JSON object,
 * nested deeper than OCI_MANIFEST_DEPTH_MAX, duplicate keys, both "layers"
 * and "manifests", "mediaType" differing from Content-Type, a descriptor
 * without a valid digest or size, a media type outside its grammar;
 * OCI_UNSUPPORTED with *reason: docker schema 1;
 * OCI_ERROR: no memory.  On anything but OCI_OK nothing is to be freed.
 */
int oci_manifest_parse(oci_manifest_t *m, const u_char *data, size_t len,
    const oci_str_t *content_type, const char **reason);

void oci_manifest_free(oci_manifest_t *m);

/*
 * The descriptor of this manifest as one JSON object for a referrers list:
 * mediaType, digest, size, artifactType if any, all annotations.  Returns
 * memory of malloc with its length in *out_len, or NULL.
 */
char *oci_manifest_descriptor(const oci_manifest_t *m,
    const oci_digest_t *digest, size_t size, size_t *out_len);


#endif /* _OCI_MANIFEST_H_INCLUDED_ */
