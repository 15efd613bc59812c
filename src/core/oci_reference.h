
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The grammars of names, tags, media types and ids.  Everything that ends
 * up in a path passed one of these first.
 */


#ifndef _OCI_REFERENCE_H_INCLUDED_
#define _OCI_REFERENCE_H_INCLUDED_


#include "oci_core.h"


#define OCI_NAME_MAX        255
#define OCI_TAG_MAX         128
#define OCI_NAMESPACE_MAX   128
#define OCI_MEDIA_TYPE_MAX  255
#define OCI_UPLOAD_ID_LEN   32          /* hex of 128 random bits */
#define OCI_FILE_PATH_MAX   1024


/* All return 1 when the text is inside the grammar, else 0. */

/*
 * <name> of the distribution spec, at most OCI_NAME_MAX bytes; lower case,
 * separators '.', '_', '__' or any number of '-' inside a component only
 */
int oci_name_valid(const u_char *p, size_t len);

/* <reference> as a tag: [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127} */
int oci_tag_valid(const u_char *p, size_t len);

/* a namespace: [a-z0-9.:-]+, at most OCI_NAMESPACE_MAX, not "." or ".." */
int oci_namespace_valid(const u_char *p, size_t len);

/* type "/" subtype of RFC 6838 without parameters, 1..OCI_MEDIA_TYPE_MAX */
int oci_media_type_valid(const u_char *p, size_t len);

/*
 * A path that may be handed to a client that writes files under such names:
 * relative, no empty part, no "." or "..", no backslash, no control
 * character, UTF-8, at most OCI_FILE_PATH_MAX bytes
 */
int oci_file_path_valid(const u_char *p, size_t len);

/* OCI_UPLOAD_ID_LEN lower-case hex digits */
int oci_upload_id_valid(const u_char *p, size_t len);


#endif /* _OCI_REFERENCE_H_INCLUDED_ */
