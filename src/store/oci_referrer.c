
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_referrer.h"
#include "oci_path.h"
#include "oci_names.h"

#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>


#define OCI_REFERRERS_WINDOW  16384     /* names in memory at once */

#define OCI_INDEX_BEGIN                                                       \
    "{\"schemaVersion\":2,"                                                   \
    "\"mediaType\":\"application/vnd.oci.image.index.v1+json\","              \
    "\"manifests\":["
#define OCI_INDEX_END  "]}"


typedef struct {
    const oci_store_t   *store;
    const oci_repo_t    *repo;
    const oci_str_t     *type;
    const char          *path;          /* of the folder */
    int                  fd;
    oci_text_t           text;
    size_t               count;
    char                 last[OCI_DIGEST_MAX + 1];
    unsigned             more:1;
} oci_referrers_t;


static int oci_referrers_fill(oci_referrers_t *l, DIR *dir);
static int oci_referrers_window(oci_referrers_t *l, DIR *dir,
    const char *after, oci_names_t *names);
static int oci_referrers_add(oci_referrers_t *l, const char *name);
static int oci_referrers_read(oci_referrers_t *l, const char *name,
    char **text, size_t *len);
static int oci_referrers_match(const oci_referrers_t *l, const char *text,
    size_t len);
static int oci_referrer_digest(oci_digest_t *d, const char *name);


int
oci_referrer_add(const oci_store_t *s, const oci_repo_t *r,
    const oci_manifest_t *m, const oci_digest_t *d, size_t size)
{
    int      rc;
    char     dir[OCI_PATH_MAX], path[OCI_PATH_MAX], tmp[OCI_PATH_MAX], *text;
    size_t   len;

    (void) oci_path_referrers(dir, s, r, &m->subject);
    (void) oci_path_referrer(path, s, r, &m->subject, d);

    text = oci_manifest_descriptor(m, d, size, &len);

    if (text == NULL) {
        errno = ENOMEM;
        return oci_fail("oci_manifest_descriptor()", path);
    }

    (void) oci_path_tmp(tmp, s);

    rc = oci_dir_make(s, dir);

    if (rc == OCI_OK) {
        rc = oci_file_write(s, tmp, 0444, text, len);
    }

    free(text);

    if (rc != OCI_OK) {
        return rc;
    }

    if (rename(tmp, path) == -1) {
        rc = oci_fail("rename()", path);
        (void) unlink(tmp);
        return rc;
    }

    return oci_dir_sync(s, dir);
}


int
oci_referrer_remove(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *subject, const oci_digest_t *d)
{
    char  path[OCI_PATH_MAX], stop[OCI_PATH_MAX];

    (void) oci_path_referrer(path, s, r, subject, d);

    if (unlink(path) == -1) {

        if (errno != ENOENT && errno != ENOTDIR) {
            return oci_fail("unlink()", path);
        }

    } else if (oci_dir_sync_parent(s, path) != OCI_OK) {
        return OCI_ERROR;
    }

    (void) oci_path_referrers(path, s, r, subject);
    (void) oci_path_repo(stop, s, r);

    oci_dir_prune(path, stop);

    return OCI_OK;
}


int
oci_referrer_stat(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *subject, oci_stamp_t *stamp)
{
    char         path[OCI_PATH_MAX];
    struct stat  st;

    (void) oci_path_referrers(path, s, r, subject);

    if (stat(path, &st) == -1) {
        return (errno == ENOENT || errno == ENOTDIR) ? OCI_NOT_FOUND
                                                 : oci_fail("stat()", path);
    }

    oci_stamp_set(stamp, &st);

    return OCI_OK;
}


int
oci_referrer_list(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *subject, const oci_str_t *type, const oci_str_t *last,
    u_char **body, size_t *len, char *next)
{
    int              rc;
    DIR             *dir;
    char             path[OCI_PATH_MAX];
    size_t           n;
    oci_referrers_t  l;

    memset(&l, 0, sizeof(oci_referrers_t));

    l.store = s;
    l.repo = r;
    l.type = type;
    l.path = path;

    /* longer than any entry: what is cut off can't change the order */

    n = last->len < sizeof(l.last) ? last->len : sizeof(l.last) - 1;
    memcpy(l.last, last->data ? last->data : (u_char *) "", n);

    (void) oci_path_referrers(path, s, r, subject);

    oci_text_lit(&l.text, OCI_INDEX_BEGIN);

    dir = opendir(path);

    if (dir != NULL) {
        l.fd = dirfd(dir);
        rc = oci_referrers_fill(&l, dir);
        (void) closedir(dir);

    } else if (errno == ENOENT || errno == ENOTDIR) {
        rc = OCI_OK;

    } else {
        rc = oci_fail("opendir()", path);
    }

    oci_text_lit(&l.text, OCI_INDEX_END);

    if (rc == OCI_OK && l.text.failed) {
        errno = ENOMEM;
        rc = oci_fail("realloc()", path);
    }

    if (rc != OCI_OK) {
        free(l.text.data);
        return OCI_ERROR;
    }

    next[0] = '\0';

    if (l.more) {
        memcpy(next, l.last, sizeof(l.last));
    }

    *body = l.text.data;
    *len = l.text.len;

    return OCI_OK;
}


/* window after window of names until the page is full or all were seen */

static int
oci_referrers_fill(oci_referrers_t *l, DIR *dir)
{
    int           rc;
    char          after[OCI_DIGEST_MAX + 1];
    size_t        i;
    unsigned      cut;
    oci_names_t   names;

    oci_names_init(&names, OCI_REFERRERS_WINDOW);

    memcpy(after, l->last, sizeof(after));

    do {
        oci_names_clear(&names);

        rc = oci_referrers_window(l, dir, after, &names);

        for (i = 0; rc == OCI_OK && i < names.n; i++) {
            rc = oci_referrers_add(l, names.names[i]);

            if (l->more) {
                goto done;
            }
        }

        cut = (names.bound != NULL);

        if (cut) {
            (void) strcpy(after, names.names[names.n - 1]);
        }

    } while (rc == OCI_OK && cut);

done:

    oci_names_clear(&names);

    return rc;
}


static int
oci_referrers_window(oci_referrers_t *l, DIR *dir, const char *after,
    oci_names_t *names)
{
    oci_digest_t    d;
    struct dirent  *entry;

    rewinddir(dir);

    for ( ;; ) {

        errno = 0;
        entry = readdir(dir);

        if (entry == NULL) {

            if (errno) {
                return oci_fail("readdir()", l->path);
            }

            break;
        }

        if (strcmp(entry->d_name, after) <= 0
            || oci_referrer_digest(&d, entry->d_name) != OCI_OK)
        {
            continue;
        }

        if (oci_names_add(names, entry->d_name) != OCI_OK) {
            return oci_fail("malloc()", l->path);
        }
    }

    oci_names_sort(names);

    return OCI_OK;
}


/* adds an entry, or sets l->more if it belongs to the next page */

static int
oci_referrers_add(oci_referrers_t *l, const char *name)
{
    int            rc;
    char           path[OCI_PATH_MAX], *text;
    size_t         len;
    struct stat    st;
    oci_digest_t   d;

    (void) oci_referrer_digest(&d, name);
    (void) oci_path_manifest(path, l->store, l->repo, &d);

    if (lstat(path, &st) == -1) {

        /* its manifest was deleted and a crash left the entry */

        return errno == ENOENT || errno == ENOTDIR
               ? OCI_OK : oci_fail("lstat()", path);
    }

    text = NULL;
    len = 0;

    rc = oci_referrers_read(l, name, &text, &len);

    if (rc != OCI_OK) {
        return rc == OCI_ERROR ? rc : OCI_OK;
    }

    if (!oci_referrers_match(l, text, len)) {
        free(text);
        return OCI_OK;
    }

    if (l->count != 0 && l->text.len + len > OCI_REFERRERS_PAGE) {
        free(text);
        l->more = 1;
        return OCI_OK;
    }

    if (l->count != 0) {
        oci_text_lit(&l->text, ",");
    }

    oci_text_add(&l->text, text, len);

    free(text);

    l->count++;
    (void) strcpy(l->last, name);

    return OCI_OK;
}


/* OCI_NOT_FOUND also for what a crash of a store not durable left of it */

static int
oci_referrers_read(oci_referrers_t *l, const char *name, char **text,
    size_t *len)
{
    int          fd, rc;
    char        *buf;
    size_t       size;
    ssize_t      n;
    struct stat  st;

    fd = openat(l->fd, name, O_RDONLY|O_CLOEXEC|O_NOFOLLOW|O_NONBLOCK);

    if (fd == -1) {
        return errno == ENOENT ? OCI_NOT_FOUND : oci_fail("openat()", l->path);
    }

    rc = OCI_OK;
    buf = NULL;
    size = 0;

    if (fstat(fd, &st) == -1) {
        rc = oci_fail("fstat()", l->path);

    } else if (!S_ISREG(st.st_mode) || st.st_size < 2) {
        rc = OCI_NOT_FOUND;

    } else {
        size = (size_t) st.st_size;

        buf = malloc(size);

        if (buf == NULL) {
            rc = oci_fail("malloc()", l->path);
        }
    }

    if (buf != NULL) {
        n = read(fd, buf, size);

        if (n == -1) {
            rc = oci_fail("read()", l->path);

        } else if ((size_t) n != size
                   || buf[0] != '{' || buf[size - 1] != '}'
                   || memchr(buf, '\0', size) != NULL)
        {
            rc = OCI_NOT_FOUND;
        }
    }

    (void) close(fd);

    if (rc != OCI_OK) {
        free(buf);
        return rc;
    }

    *text = buf;
    *len = size;

    return OCI_OK;
}


static int
oci_referrers_match(const oci_referrers_t *l, const char *text, size_t len)
{
    int            match;
    size_t         n;
    json_t        *root, *type;
    const char    *value;
    json_error_t   error;

    if (l->type == NULL) {
        return 1;
    }

    root = json_loadb(text, len, JSON_ALLOW_NUL, &error);

    if (root == NULL) {
        return 0;
    }

    type = json_object_get(root, "artifactType");

    n = json_string_length(type);
    value = json_string_value(type);

    match = (n == l->type->len
             && (n == 0 || memcmp(value, l->type->data, n) == 0));

    json_decref(root);

    return match;
}


/* "<alg>-<hex>" */

static int
oci_referrer_digest(oci_digest_t *d, const char *name)
{
    char    text[OCI_DIGEST_MAX + 1], *dash;
    size_t  len;

    len = strlen(name);

    if (len > OCI_DIGEST_MAX) {
        return OCI_INVALID;
    }

    memcpy(text, name, len + 1);

    dash = strchr(text, '-');

    if (dash == NULL) {
        return OCI_INVALID;
    }

    *dash = ':';

    return oci_digest_parse(d, (u_char *) text, len);
}
