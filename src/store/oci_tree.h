
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A pass over the folders of repositories in byte order of their full names,
 * from any of them on, in bounded memory.
 */


#ifndef _OCI_TREE_H_INCLUDED_
#define _OCI_TREE_H_INCLUDED_


#include "oci_list.h"

#include <dirent.h>


/* "@ns/name", a slash, NUL */

#define OCI_TREE_PATH_MAX  (OCI_NAME_MAX + OCI_NAMESPACE_MAX + 4)


typedef struct oci_tree_s  oci_tree_t;

/*
 * Called for each folder that may be a repository by its name: t->path is
 * its full name of t->len bytes, component is the last part, to be opened
 * from the folder dir.  Anything but OCI_OK ends the pass.
 */

typedef int (*oci_tree_pt)(oci_tree_t *t, int dir, const char *component);

struct oci_tree_s {
    const char   *after;            /* "": from the first one */
    size_t        window;           /* names to take from a folder at once */
    unsigned      namespaces:1;     /* the folders "@ns" belong to it */
    oci_tree_pt   found;
    void         *data;

    char          path[OCI_TREE_PATH_MAX];
    size_t        len;
};


/* OCI_OK: no more; what t->found() returned; OCI_ERROR */
int oci_tree_pass(oci_tree_t *t, const char *root);

/* OCI_OK, OCI_NOT_FOUND (also for what is no folder) or OCI_ERROR */
int oci_tree_open(int parent, const char *name, const char *path, DIR **dir);

/* 1 if component/folder is a folder, else 0 */
int oci_tree_has(int dir, const char *component, const char *folder);

/* copies what fits into size bytes, with a NUL */
void oci_tree_cut(char *buf, size_t size, const oci_str_t *text);


#endif /* _OCI_TREE_H_INCLUDED_ */
