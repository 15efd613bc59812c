
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_commit.h"
#include "oci_manifest_store.h"
#include "oci_names.h"
#include "oci_path.h"
#include "oci_tag.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>


static int oci_commit_folder(const oci_store_t *s, const oci_repo_t *r,
    oci_alg_t alg, const u_char *commit, size_t *left, oci_digest_t *d);
static int oci_commit_names(const oci_store_t *s, const oci_repo_t *r,
    oci_names_t *names);
static int oci_commit_read(const oci_store_t *s, const oci_repo_t *r,
    const oci_names_t *names, oci_commit_tag_t *tags, size_t *count);


int
oci_commit_find(const oci_store_t *s, const oci_repo_t *r,
    const u_char commit[OCI_COMMIT_LEN], oci_digest_t *d)
{
    int           rc, found;
    size_t        left;
    oci_alg_t     alg;
    oci_digest_t  one;

    left = OCI_COMMIT_NAMES_MAX;
    found = OCI_NOT_FOUND;

    for (alg = 0; alg < OCI_ALG_COUNT; alg++) {

        rc = oci_commit_folder(s, r, alg, commit, &left, &one);

        if (rc == OCI_NOT_FOUND) {
            continue;
        }

        if (rc != OCI_OK) {
            return rc;
        }

        if (found == OCI_OK) {
            return OCI_CONFLICT;
        }

        *d = one;
        found = OCI_OK;
    }

    return found;
}


/* all of a folder is read: a second one of that commit makes both unusable */

static int
oci_commit_folder(const oci_store_t *s, const oci_repo_t *r, oci_alg_t alg,
    const u_char *commit, size_t *left, oci_digest_t *d)
{
    int             rc;
    DIR            *dir;
    char            path[OCI_PATH_MAX], text[OCI_DIGEST_MAX + 2];
    oci_digest_t    m;
    struct dirent  *entry;

    memset(&m, 0, sizeof(oci_digest_t));
    m.alg = alg;

    (void) oci_path_manifest(path, s, r, &m);
    *strrchr(path, '/') = '\0';

    dir = opendir(path);

    if (dir == NULL) {
        return (errno == ENOENT || errno == ENOTDIR)
               ? OCI_NOT_FOUND : oci_fail("opendir()", path);
    }

    rc = OCI_NOT_FOUND;

    for ( ;; ) {

        errno = 0;
        entry = readdir(dir);

        if (entry == NULL) {

            if (errno) {
                rc = oci_fail("readdir()", path);
            }

            break;
        }

        if (entry->d_name[0] == '.') {
            continue;
        }

        if ((*left)-- == 0) {
            *left = 0;
            rc = OCI_RANGE;
            break;
        }

        if (strncmp(entry->d_name, (const char *) commit, OCI_COMMIT_LEN) != 0
            || snprintf(text, sizeof(text), "%s:%s", oci_alg_name(alg),
                        entry->d_name)
               >= (int) sizeof(text)
            || oci_digest_parse(&m, (u_char *) text, strlen(text)) != OCI_OK)
        {
            continue;
        }

        if (rc == OCI_OK) {
            rc = OCI_CONFLICT;
            break;
        }

        *d = m;
        rc = OCI_OK;
    }

    (void) closedir(dir);

    return rc;
}


int
oci_commit_tags(const oci_store_t *s, const oci_repo_t *r,
    oci_commit_tag_t **tags, size_t *count)
{
    int          rc;
    oci_names_t  names;

    *tags = NULL;
    *count = 0;

    oci_names_init(&names, OCI_COMMIT_TAGS_MAX);

    rc = oci_commit_names(s, r, &names);

    if (rc == OCI_OK && names.n) {

        *tags = malloc(names.n * sizeof(oci_commit_tag_t));

        rc = *tags ? oci_commit_read(s, r, &names, *tags, count)
                   : oci_fail("malloc()", s->root);
    }

    oci_names_clear(&names);

    if (rc != OCI_OK || *count == 0) {
        free(*tags);
        *tags = NULL;
    }

    return rc;
}


static int
oci_commit_names(const oci_store_t *s, const oci_repo_t *r,
    oci_names_t *names)
{
    int             rc;
    DIR            *dir;
    char            path[OCI_PATH_MAX];
    struct dirent  *entry;

    (void) oci_path_tags(path, s, r);

    dir = opendir(path);

    if (dir == NULL) {
        return (errno == ENOENT || errno == ENOTDIR)
               ? OCI_NOT_FOUND : oci_fail("opendir()", path);
    }

    rc = OCI_OK;

    while (rc == OCI_OK) {

        errno = 0;
        entry = readdir(dir);

        if (entry == NULL) {

            if (errno) {
                rc = oci_fail("readdir()", path);
            }

            break;
        }

        if (oci_tag_valid((u_char *) entry->d_name, strlen(entry->d_name))
            && oci_names_add(names, entry->d_name) != OCI_OK)
        {
            rc = oci_fail("malloc()", path);
        }
    }

    (void) closedir(dir);

    oci_names_sort(names);

    return rc;
}


/* those that lead to a manifest */

static int
oci_commit_read(const oci_store_t *s, const oci_repo_t *r,
    const oci_names_t *names, oci_commit_tag_t *tags, size_t *count)
{
    int                rc;
    size_t             i;
    oci_str_t          name;
    oci_stamp_t        stamp;
    oci_commit_tag_t  *tag;

    for (i = 0; i < names->n; i++) {

        name.data = (u_char *) names->names[i];
        name.len = strlen(names->names[i]);

        tag = &tags[*count];

        rc = oci_tag_get(s, r, &name, &tag->digest);

        if (rc == OCI_OK) {
            rc = oci_manifest_stat(s, r, &tag->digest, NULL, &stamp);
        }

        if (rc == OCI_ERROR) {
            return rc;
        }

        if (rc != OCI_OK) {
            continue;
        }

        tag->tag_len = name.len;
        memcpy(tag->tag, name.data, name.len + 1);
        (*count)++;
    }

    return OCI_OK;
}
