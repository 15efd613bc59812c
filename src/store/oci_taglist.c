
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_taglist.h"
#include "oci_path.h"

#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>


static int oci_taglist_names(DIR *dir, const char *path, size_t max,
    oci_names_t *names);
static int oci_taglist_run(DIR *dir, const char *path,
    const oci_names_t *names, oci_text_t *run, size_t *count);


int
oci_taglist_stat(const oci_store_t *s, const oci_repo_t *r,
    oci_stamp_t *stamp)
{
    char         path[OCI_PATH_MAX];
    struct stat  st;

    (void) oci_path_tags(path, s, r);

    if (stat(path, &st) == -1) {
        return (errno == ENOENT || errno == ENOTDIR) ? OCI_NOT_FOUND
                                                 : oci_fail("stat()", path);
    }

    oci_stamp_set(stamp, &st);

    return OCI_OK;
}


int
oci_taglist_read(const oci_store_t *s, const oci_repo_t *r, size_t max,
    oci_text_t *run, size_t *count)
{
    int           rc;
    DIR          *dir;
    char          path[OCI_PATH_MAX];
    oci_names_t   names;

    (void) oci_path_tags(path, s, r);

    dir = opendir(path);

    if (dir == NULL) {
        return (errno == ENOENT || errno == ENOTDIR) ? OCI_NOT_FOUND
                                              : oci_fail("opendir()", path);
    }

    memset(run, 0, sizeof(oci_text_t));
    *count = 0;

    oci_names_init(&names, OCI_NAMES_ALL);

    rc = oci_taglist_names(dir, path, max, &names);

    if (rc == OCI_OK) {
        rc = oci_taglist_run(dir, path, &names, run, count);
    }

    oci_names_clear(&names);

    (void) closedir(dir);

    if (rc != OCI_OK) {
        free(run->data);
    }

    return rc;
}


static int
oci_taglist_names(DIR *dir, const char *path, size_t max, oci_names_t *names)
{
    struct dirent  *entry;

    for ( ;; ) {

        errno = 0;
        entry = readdir(dir);

        if (entry == NULL) {

            if (errno) {
                return oci_fail("readdir()", path);
            }

            break;
        }

        if (!oci_tag_valid((u_char *) entry->d_name, strlen(entry->d_name))) {
            continue;
        }

        if (names->n == max) {
            return OCI_RANGE;
        }

        if (oci_names_add(names, entry->d_name) != OCI_OK) {
            return oci_fail("malloc()", path);
        }
    }

    oci_names_sort(names);

    return OCI_OK;
}


static int
oci_taglist_run(DIR *dir, const char *path, const oci_names_t *names,
    oci_text_t *run, size_t *count)
{
    size_t        i, len;
    u_char        n;
    struct stat   st;

    for (i = 0; i < names->n; i++) {

        if (fstatat(dirfd(dir), names->names[i], &st, 0) == -1) {

            if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) {
                return oci_fail("fstatat()", path);
            }

            continue;
        }

        len = strlen(names->names[i]);
        n = (u_char) len;

        oci_text_add(run, &n, 1);
        oci_text_add(run, names->names[i], len);

        (*count)++;
    }

    if (run->failed) {
        errno = ENOMEM;
        return oci_fail("realloc()", path);
    }

    return OCI_OK;
}


void
oci_tagpage_begin(oci_tagpage_t *page, const oci_repo_t *r, int64_t n)
{
    memset(page, 0, sizeof(oci_tagpage_t));

    page->n = n;

    oci_text_lit(&page->text, "{\"name\":\"");
    oci_text_add(&page->text, r->name.data, r->name.len);
    oci_text_lit(&page->text, "\",\"tags\":[");
}


int
oci_tagpage_name(oci_tagpage_t *page, const void *name, size_t len)
{
    if (page->n >= 0 && page->count == page->n) {

        /* no page follows one that has nothing in it */

        page->more = (page->n != 0);
        return 1;
    }

    if (page->count++ != 0) {
        oci_text_lit(&page->text, ",");
    }

    oci_text_lit(&page->text, "\"");
    oci_text_add(&page->text, name, len);
    oci_text_lit(&page->text, "\"");

    memcpy(page->last, name, len);
    page->last[len] = '\0';

    return 0;
}


int
oci_tagpage_run(oci_tagpage_t *page, const oci_str_t *last,
    const u_char *run, size_t len)
{
    int            rc;
    size_t         n;
    unsigned       after;
    const u_char  *p, *end;

    after = (last->len == 0);
    end = run + len;

    for (p = run; p < end; p += n) {

        n = *p++;

        if (!after) {
            rc = memcmp(p, last->data, n < last->len ? n : last->len);

            if (rc < 0 || (rc == 0 && n <= last->len)) {
                continue;
            }

            after = 1;
        }

        if (oci_tagpage_name(page, p, n)) {
            return 1;
        }
    }

    return 0;
}


int
oci_tagpage_end(oci_tagpage_t *page, oci_list_t *list, int rc)
{
    oci_text_lit(&page->text, "]}");

    if (rc == OCI_OK && page->text.failed) {
        errno = ENOMEM;
        rc = oci_fail("realloc()", "");
    }

    if (rc != OCI_OK) {
        free(page->text.data);
        return rc;
    }

    list->body = page->text.data;
    list->len = page->text.len;

    list->next[0] = '\0';

    if (page->more) {
        (void) strcpy(list->next, page->last);
    }

    return OCI_OK;
}
