
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * JSON from strangers: jansson behind limits, and views of what it holds.
 */


#ifndef _OCI_JSON_H_INCLUDED_
#define _OCI_JSON_H_INCLUDED_


#include "oci_core.h"

#include <jansson.h>


/*
 * jansson spends some 250 bytes on a "{}" and some 50 on a "0,": without
 * these bounds a few megabytes of text become hundreds in memory.
 */

#define OCI_JSON_CONTAINERS_MAX  (256 * 1024)
#define OCI_JSON_COMMAS_MAX      (1024 * 1024)


/*
 * Parses an object or an array.  OCI_OK; OCI_INVALID with *reason set to a
 * static text: no JSON, over a limit, duplicate keys; OCI_ERROR: no memory.
 */
int oci_json_load(json_t **root, const u_char *data, size_t len,
    size_t max_depth, const char **reason);

/*
 * The value of a key, NULL if there is none, and also for null, which Go's
 * encoder writes for an empty slice.
 */
json_t *oci_json_get(json_t *object, const char *key);

/* 1 and a view of the string, or 0 and an empty one if it is none */
int oci_json_str(json_t *json, oci_str_t *text);


#endif /* _OCI_JSON_H_INCLUDED_ */
