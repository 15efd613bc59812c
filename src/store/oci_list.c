
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_list.h"
#include "oci_taglist.h"
#include "oci_tree.h"
#include "oci_path.h"
#include "oci_names.h"

#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>


typedef struct {
    oci_text_t           text;
    int64_t              n;
    int64_t              max;
    char                *last;
} oci_catalog_t;


static int oci_tags_page(DIR *dir, const char *path, const oci_str_t *last,
    oci_tagpage_t *page);
static int oci_tags_window(DIR *dir, const char *path, const char *after,
    oci_names_t *names);
static int oci_catalog_found(oci_tree_t *t, int dir, const char *component);
static int oci_list_manifests(int dir, const char *component);
static int oci_list_done(oci_list_t *list, oci_text_t *text, int rc);


int
oci_list_tags(const oci_store_t *s, const oci_repo_t *r,
    const oci_str_t *last, int64_t n, oci_list_t *list)
{
    int             rc;
    DIR            *dir;
    char            path[OCI_PATH_MAX];
    oci_tagpage_t   page;

    memset(list, 0, sizeof(oci_list_t));

    (void) oci_path_tags(path, s, r);

    dir = opendir(path);

    if (dir == NULL) {

        if (errno != ENOENT && errno != ENOTDIR) {
            return oci_fail("opendir()", path);
        }

        if (!oci_repo_known(s, r)) {
            return OCI_NOT_FOUND;
        }
    }

    oci_tagpage_begin(&page, r, n);

    rc = OCI_OK;

    if (dir != NULL) {

        if (n != 0) {
            rc = oci_tags_page(dir, path, last, &page);
        }

        (void) closedir(dir);
    }

    return oci_tagpage_end(&page, list, rc);
}


int
oci_list_catalog(const oci_store_t *s, const oci_str_t *ns,
    const oci_str_t *last, int64_t n, oci_list_t *list)
{
    int             rc;
    char            path[OCI_PATH_MAX], after[OCI_TREE_PATH_MAX];
    oci_tree_t      t;
    oci_catalog_t   catalog;

    memset(list, 0, sizeof(oci_list_t));
    memset(&catalog, 0, sizeof(oci_catalog_t));

    /* longer than any name: what is cut off can't change the order */

    oci_tree_cut(after, sizeof(after), last);

    catalog.max = (n < 0 || n > OCI_CATALOG_PAGE_MAX) ? OCI_CATALOG_PAGE_MAX
                                                      : n;
    catalog.last = list->next;

    t.after = after;
    t.window = (size_t) catalog.max;
    t.namespaces = 0;
    t.found = oci_catalog_found;
    t.data = &catalog;

    oci_text_lit(&catalog.text, "{\"repositories\":[");

    rc = OCI_OK;

    if (catalog.max != 0) {
        (void) oci_path_repositories(path, s, ns);
        rc = oci_tree_pass(&t, path);
    }

    oci_text_lit(&catalog.text, "]}");

    if (rc == OCI_EXISTS) {
        rc = OCI_OK;

    } else {
        list->next[0] = '\0';
    }

    return oci_list_done(list, &catalog.text, rc);
}


/*
 * The n + 1 smallest names are taken and looked at only then.  Where some of
 * them dangle the next ones make up for it, twice as many each time.
 */

static int
oci_tags_page(DIR *dir, const char *path, const oci_str_t *last,
    oci_tagpage_t *page)
{
    int           rc;
    char          after[OCI_TAG_MAX + 2];
    size_t        i;
    int64_t       n;
    unsigned      cut;
    const char   *name;
    oci_names_t   names;
    struct stat   st;

    n = page->n;

    /* one byte more than any tag: what is cut off can't change the order */

    oci_tree_cut(after, sizeof(after), last);

    oci_names_init(&names, (n < 0 || n >= INT32_MAX) ? OCI_NAMES_ALL
                                                     : (size_t) n + 1);

    do {
        oci_names_clear(&names);

        rc = oci_tags_window(dir, path, after, &names);

        for (i = 0; rc == OCI_OK && i < names.n; i++) {
            name = names.names[i];

            if (fstatat(dirfd(dir), name, &st, 0) == -1) {

                if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) {
                    rc = oci_fail("fstatat()", path);
                }

                continue;
            }

            if (oci_tagpage_name(page, name, strlen(name))) {
                goto done;
            }
        }

        cut = (names.bound != NULL);

        if (cut) {
            (void) strcpy(after, names.names[names.n - 1]);
            names.limit *= 2;
        }

    } while (rc == OCI_OK && cut);

done:

    oci_names_clear(&names);

    return rc;
}


static int
oci_tags_window(DIR *dir, const char *path, const char *after,
    oci_names_t *names)
{
    const char     *name;
    struct dirent  *entry;

    rewinddir(dir);

    for ( ;; ) {

        errno = 0;
        entry = readdir(dir);

        if (entry == NULL) {

            if (errno) {
                return oci_fail("readdir()", path);
            }

            break;
        }

        name = entry->d_name;

        if (strcmp(name, after) <= 0
            || !oci_tag_valid((u_char *) name, strlen(name)))
        {
            continue;
        }

        if (oci_names_add(names, name) != OCI_OK) {
            return oci_fail("malloc()", path);
        }
    }

    oci_names_sort(names);

    return OCI_OK;
}


int
oci_repo_known(const oci_store_t *s, const oci_repo_t *r)
{
    char  path[OCI_PATH_MAX];

    (void) oci_path_repo(path, s, r);

    return oci_tree_has(AT_FDCWD, path, "_manifests")
           || oci_tree_has(AT_FDCWD, path, "_blobs");
}


/* OCI_EXISTS: the page is full and another one follows */

static int
oci_catalog_found(oci_tree_t *t, int dir, const char *component)
{
    int             rc;
    oci_catalog_t  *catalog;

    catalog = t->data;

    rc = oci_list_manifests(dir, component);

    if (rc != OCI_OK) {
        return rc == OCI_NOT_FOUND ? OCI_OK : rc;
    }

    if (catalog->n == catalog->max) {
        return OCI_EXISTS;
    }

    if (catalog->n++ != 0) {
        oci_text_lit(&catalog->text, ",");
    }

    oci_text_lit(&catalog->text, "\"");
    oci_text_add(&catalog->text, t->path, t->len);
    oci_text_lit(&catalog->text, "\"");

    memcpy(catalog->last, t->path, t->len + 1);

    return OCI_OK;
}


/* OCI_OK: it has a manifest; OCI_NOT_FOUND; OCI_ERROR */

static int
oci_list_manifests(int dir, const char *component)
{
    int             rc;
    DIR            *manifests;
    char            path[OCI_TREE_PATH_MAX + 32], *p;
    unsigned        alg;
    struct dirent  *entry;

    p = stpcpy(path, component);
    p = stpcpy(p, "/_manifests/");

    for (alg = 0; alg < OCI_ALG_COUNT; alg++) {

        (void) strcpy(p, oci_alg_name((oci_alg_t) alg));

        rc = oci_tree_open(dir, path, path, &manifests);

        if (rc == OCI_ERROR) {
            return rc;
        }

        if (rc != OCI_OK) {
            continue;
        }

        do {
            entry = readdir(manifests);
        } while (entry != NULL && entry->d_name[0] == '.');

        (void) closedir(manifests);

        if (entry != NULL) {
            return OCI_OK;
        }
    }

    return OCI_NOT_FOUND;
}


static int
oci_list_done(oci_list_t *list, oci_text_t *text, int rc)
{
    if (rc == OCI_OK && text->failed) {
        errno = ENOMEM;
        rc = oci_fail("realloc()", "");
    }

    if (rc != OCI_OK) {
        free(text->data);
        return rc;
    }

    list->body = text->data;
    list->len = text->len;

    return OCI_OK;
}
