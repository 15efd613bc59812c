
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What clients of the Hugging Face hub ask for, and the JSON that they get:
 * a repository is a model, a tag or a manifest is a revision.
 */


#ifndef _OCI_HUB_H_INCLUDED_
#define _OCI_HUB_H_INCLUDED_


#include "oci_core.h"
#include "oci_digest.h"
#include "oci_model.h"
#include "oci_reference.h"
#include "oci_text.h"


#define OCI_HUB_COMMIT     40       /* hex digits of a commit id */
#define OCI_HUB_ID_MAX     96       /* of "owner/model", as clients have it */
#define OCI_HUB_PATHS_MAX  1000     /* paths of one request */


typedef enum {
    OCI_HUB_UNKNOWN = 0,            /* nothing that is answered here */
    OCI_HUB_INFO,           /* /api/models/<id>[/revision/<revision>] */
    OCI_HUB_TREE,           /* /api/models/<id>/tree/<revision>[/<path>] */
    OCI_HUB_REFS,           /* /api/models/<id>/refs */
    OCI_HUB_COMMITS,        /* /api/models/<id>/commits/<revision> */
    OCI_HUB_PATHS,          /* /api/models/<id>/paths-info/<revision>, POST */
    OCI_HUB_RESOLVE,        /* /<id>/resolve/<revision>/<path>, .../raw/...,
                               /api/resolve-cache/models/<id>/<rev>/<path> */
    OCI_HUB_WHOAMI,         /* /api/whoami-v2 */
    OCI_HUB_OTHER           /* of a dataset or a space: there are none */
} oci_hub_endpoint_t;


typedef enum {
    OCI_HUB_REV_MAIN = 0,           /* "main", or none said */
    OCI_HUB_REV_TAG,
    OCI_HUB_REV_COMMIT,             /* 40 hex digits: oci_commit_find() */
    OCI_HUB_REV_DIGEST,
    OCI_HUB_REV_NONE                /* can be none of these: not found */
} oci_hub_rev_t;


/* views of the path that was parsed, decoded in place */

typedef struct {
    oci_hub_endpoint_t   endpoint;
    oci_str_t            id;                /* as asked, inside its grammar */
    oci_hub_rev_t        rev;
    oci_str_t            revision;          /* as asked; "main" for none */
    oci_digest_t         digest;            /* of OCI_HUB_REV_DIGEST */
    oci_str_t            path;              /* of a file or folder, safe */
    unsigned             bad_path:1;        /* it is not: no such entry */
    unsigned             bad_id:1;          /* no such repository */
} oci_hub_route_t;


/* what answers say of a model beside its files */

typedef struct {
    oci_str_t   id;                         /* as asked */
    u_char      commit[OCI_HUB_COMMIT];
    int64_t     time;                       /* of the manifest, seconds since
                                               the epoch; 0: not known */
} oci_hub_model_t;


typedef struct {
    oci_str_t   name;                       /* a tag */
    u_char      commit[OCI_HUB_COMMIT];
} oci_hub_ref_t;


/*
 * Parses a path as sent, without its query and from the "/" behind whatever
 * the location has in front; it must be writable and outlive the route.
 * OCI_OK, or OCI_INVALID: a bad escape or a NUL.
 */
int oci_hub_parse(oci_hub_route_t *route, u_char *path, size_t len);

/*
 * The repository of a model id: prefix, then the id in lower case, into buf
 * of OCI_NAME_MAX bytes.  OCI_OK with *name, or OCI_NOT_FOUND: no repository
 * can have that name.
 */
int oci_hub_repository(const oci_str_t *id, const oci_str_t *prefix,
    u_char *buf, oci_str_t *name);

/* the commit id of a manifest: the first digits of its digest */
void oci_hub_commit(const oci_digest_t *d, u_char commit[OCI_HUB_COMMIT]);

/* 1 if a query ("recursive=true&expand=False") says yes to a key */
int oci_hub_flag(const oci_str_t *args, const char *key);

/*
 * The values of "paths" in the body of a POST, a form or a JSON object, which
 * is decoded in place: at most OCI_HUB_PATHS_MAX views of it or of *json, to
 * be freed by oci_hub_paths_free().  OCI_OK; OCI_INVALID: of no such form;
 * OCI_RANGE: too many; OCI_ERROR: no memory.
 */

typedef struct {
    void       *json;
    oci_str_t  *paths;
    size_t      count;
    unsigned    expand:1;
} oci_hub_paths_t;

int oci_hub_paths(oci_hub_paths_t *paths, u_char *body, size_t len,
    unsigned is_json);
void oci_hub_paths_free(oci_hub_paths_t *paths);


/*
 * Writers of answers, each a whole JSON document behind what text holds.
 * OCI_OK or OCI_ERROR: no memory; text->data is to be freed either way.
 */

/* of OCI_HUB_INFO; with blobs set each sibling has its size and digest */
int oci_hub_info(oci_text_t *text, const oci_hub_model_t *model,
    const oci_model_table_t *table, unsigned blobs);

/*
 * Of OCI_HUB_TREE.  OCI_NOT_FOUND: no such folder.  With expand set each has
 * its commit.
 */
int oci_hub_tree(oci_text_t *text, const oci_hub_model_t *model,
    const oci_model_table_t *table, const oci_str_t *folder,
    unsigned recursive, unsigned expand);

/* of OCI_HUB_PATHS: files and folders, what is not there is left out */
int oci_hub_paths_info(oci_text_t *text, const oci_hub_model_t *model,
    const oci_model_table_t *table, const oci_hub_paths_t *paths);

/*
 * Of OCI_HUB_REFS: main, if it is one (len 0: there is none), is the only
 * branch; the others are tags.
 */
int oci_hub_refs(oci_text_t *text, const oci_hub_ref_t *main_ref,
    const oci_hub_ref_t *tags, size_t count, unsigned pull_requests);

/* of OCI_HUB_COMMITS: there is but one */
int oci_hub_commits(oci_text_t *text, const oci_hub_model_t *model);

/* {"error":"..."} */
int oci_hub_error(oci_text_t *text, const char *message);

#endif /* _OCI_HUB_H_INCLUDED_ */
