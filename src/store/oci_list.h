
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Lists in byte order with pages: tags of a repository, repositories of a
 * namespace.  Also the walk over all repositories that mounts and the
 * collector use.
 */


#ifndef _OCI_LIST_H_INCLUDED_
#define _OCI_LIST_H_INCLUDED_


#include "oci_store.h"


#define OCI_LIST_ALL          -1
#define OCI_CATALOG_PAGE_MAX  1000


typedef struct {
    u_char   *body;             /* malloc's: the JSON answer */
    size_t    len;
    char      next[OCI_NAME_MAX + 1];   /* last name of the page when more
                                           follow, else "" */
} oci_list_t;


/*
 * {"name":..,"tags":[..]}: the tags after last (len 0: from the start; need
 * not exist), at most n (OCI_LIST_ALL: all; 0: none and no next).  Tags that
 * dangle are left out.  OCI_OK; OCI_NOT_FOUND: no such repository;
 * OCI_ERROR.
 */
int oci_list_tags(const oci_store_t *s, const oci_repo_t *r,
    const oci_str_t *last, int64_t n, oci_list_t *list);

/* 1 if there is such a repository: two stats, fit for the event loop */
int oci_repo_known(const oci_store_t *s, const oci_repo_t *r);

/*
 * {"repositories":[..]} of a namespace, at most n and never more than
 * OCI_CATALOG_PAGE_MAX.  A repository is a folder with _manifests in it that
 * is not empty.
 */
int oci_list_catalog(const oci_store_t *s, const oci_str_t *ns,
    const oci_str_t *last, int64_t n, oci_list_t *list);


/*
 * Calls back for every repository of a namespace (ns NULL: of all), in no
 * order, without holding all of them in memory.  A repository here is a
 * folder that holds any of our own folders.  The walk ends when the callback
 * returns anything but OCI_OK, and returns that.
 */

typedef int (*oci_repo_pt)(const oci_store_t *s, const oci_repo_t *r,
    void *data);

int oci_list_walk(const oci_store_t *s, const oci_str_t *ns, oci_repo_pt call,
    void *data);

/*
 * The next repository in byte order of its full path ("@ns/name" or "name")
 * after the one called after ("" at first); next is a buffer of
 * OCI_NAME_MAX + OCI_NAMESPACE_MAX + 3 bytes.  For passes that work in small
 * steps and go on after a restart.  OCI_OK, OCI_NOT_FOUND (the end) or
 * OCI_ERROR.
 */
int oci_list_next(const oci_store_t *s, const char *after, char *next);

/* splits "@ns/name" or "name" into views of it */
void oci_list_repo(const char *path, oci_repo_t *r);


#endif /* _OCI_LIST_H_INCLUDED_ */
