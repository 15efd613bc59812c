
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_tree.h"
#include "oci_path.h"
#include "oci_names.h"

#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>


/* names of one folder in memory at once, at most */

#define OCI_TREE_WINDOW_MAX  8192


typedef struct {
    const oci_store_t   *store;
    oci_repo_pt          call;
    void                *data;
    char                 path[OCI_TREE_PATH_MAX];
} oci_walk_t;


static int oci_tree_folder(oci_tree_t *t, int parent, const char *name);
static int oci_tree_items(oci_tree_t *t, DIR *dir, oci_names_t *names);
static int oci_tree_window(oci_tree_t *t, DIR *dir, const char *after,
    unsigned first, oci_names_t *names);
static int oci_tree_next(oci_tree_t *t, int dir, const char *component);
static int oci_walk_folder(oci_walk_t *w, int parent, const char *name,
    size_t len, unsigned namespaces);
static size_t oci_tree_component(DIR *dir, const struct dirent *entry,
    const char *path, size_t len, unsigned namespaces);
static int oci_tree_ours(int dir, const char *component);


/* by which a folder is known to be a repository, the likeliest first */

static const char  *oci_tree_ours_names[] = {
    "_manifests", "_blobs", "_tags", "_cached", "_referrers"
};


int
oci_list_next(const oci_store_t *s, const char *after, char *next)
{
    int         rc;
    char        path[OCI_PATH_MAX];
    oci_str_t   ns;
    oci_tree_t  t;

    ns.len = 0;
    ns.data = NULL;

    (void) oci_path_repositories(path, s, &ns);

    /* after and next may be the same buffer: it is written at the end */

    t.after = after;
    t.window = 0;
    t.namespaces = 1;
    t.found = oci_tree_next;
    t.data = next;

    rc = oci_tree_pass(&t, path);

    if (rc == OCI_EXISTS) {
        return OCI_OK;
    }

    next[0] = '\0';

    return rc == OCI_OK ? OCI_NOT_FOUND : rc;
}


int
oci_list_walk(const oci_store_t *s, const oci_str_t *ns, oci_repo_pt call,
    void *data)
{
    char        path[OCI_PATH_MAX];
    size_t      len;
    oci_str_t   none;
    oci_walk_t  w;

    w.store = s;
    w.call = call;
    w.data = data;

    none.len = 0;
    none.data = NULL;

    (void) oci_path_repositories(path, s, ns ? ns : &none);

    len = 0;

    if (ns != NULL && ns->len != 0) {
        w.path[0] = '@';
        memcpy(w.path + 1, ns->data, ns->len);
        len = ns->len + 1;
        w.path[len++] = '/';
    }

    w.path[len] = '\0';

    return oci_walk_folder(&w, AT_FDCWD, path, len, ns == NULL);
}


void
oci_list_repo(const char *path, oci_repo_t *r)
{
    const char  *slash;

    r->ns.len = 0;
    r->ns.data = NULL;

    if (path[0] == '@') {
        slash = strchr(path, '/');

        if (slash != NULL) {
            r->ns.data = (u_char *) (uintptr_t) (path + 1);
            r->ns.len = (size_t) (slash - path) - 1;
            path = slash + 1;
        }
    }

    r->name.data = (u_char *) (uintptr_t) path;
    r->name.len = strlen(path);
}


int
oci_tree_pass(oci_tree_t *t, const char *root)
{
    t->path[0] = '\0';
    t->len = 0;

    return oci_tree_folder(t, AT_FDCWD, root);
}


int
oci_tree_open(int parent, const char *name, const char *path, DIR **dir)
{
    int  fd;

    *dir = NULL;

    fd = openat(parent, name, O_RDONLY|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC);

    if (fd == -1) {
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
               ? OCI_NOT_FOUND : oci_fail("openat()", path);
    }

    *dir = fdopendir(fd);

    if (*dir == NULL) {
        (void) oci_fail("fdopendir()", path);
        (void) close(fd);
        return OCI_ERROR;
    }

    return OCI_OK;
}


int
oci_tree_has(int dir, const char *component, const char *folder)
{
    char         path[OCI_PATH_MAX], *p;
    struct stat  st;

    p = stpcpy(path, component);
    *p++ = '/';
    (void) strcpy(p, folder);

    return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0
           && S_ISDIR(st.st_mode);
}


void
oci_tree_cut(char *buf, size_t size, const oci_str_t *text)
{
    size_t  len;

    len = text->len < size ? text->len : size - 1;

    if (len != 0) {
        memcpy(buf, text->data, len);
    }

    buf[len] = '\0';
}


static int
oci_tree_folder(oci_tree_t *t, int parent, const char *name)
{
    int           rc;
    DIR          *dir;
    size_t        window;
    oci_names_t   names;

    rc = oci_tree_open(parent, name, t->path, &dir);

    if (rc != OCI_OK) {
        return rc == OCI_NOT_FOUND ? OCI_OK : rc;
    }

    /* somewhat more than is wanted: not each name is a repository */

    window = 2 * t->window + 64;

    oci_names_init(&names, window < OCI_TREE_WINDOW_MAX
                           ? window : OCI_TREE_WINDOW_MAX);

    rc = oci_tree_items(t, dir, &names);

    oci_names_clear(&names);
    (void) closedir(dir);

    return rc;
}


static int
oci_tree_items(oci_tree_t *t, DIR *dir, oci_names_t *names)
{
    int           rc;
    char          after[OCI_TREE_PATH_MAX], *item;
    size_t        i, len, base;
    unsigned      first, cut;
    oci_str_t     rest;

    base = t->len;

    /* what is wanted here comes after the rest of t->after, or is all */

    after[0] = '\0';

    if (strncmp(t->after, t->path, base) == 0) {
        rest.data = (u_char *) (uintptr_t) (t->after + base);
        rest.len = strlen(t->after + base);

        oci_tree_cut(after, sizeof(after), &rest);
    }

    first = 1;

    do {
        oci_names_clear(names);

        rc = oci_tree_window(t, dir, after, first, names);

        for (i = 0; rc == OCI_OK && i < names->n; i++) {
            item = names->names[i];
            len = strlen(item);

            memcpy(t->path + base, item, len + 1);
            t->len = base + len;

            if (item[len - 1] == '/') {
                item[len - 1] = '\0';
                rc = oci_tree_folder(t, dirfd(dir), item);
                item[len - 1] = '/';

            } else {
                rc = t->found(t, dirfd(dir), item);
            }
        }

        t->len = base;
        t->path[base] = '\0';

        first = 0;
        cut = (names->bound != NULL);

        if (cut) {
            (void) strcpy(after, names->names[names->n - 1]);
        }

    } while (rc == OCI_OK && cut);

    return rc;
}


/* the first items of a folder after one: "c", and "c/" for all below it */

static int
oci_tree_window(oci_tree_t *t, DIR *dir, const char *after, unsigned first,
    oci_names_t *names)
{
    char            item[OCI_TREE_PATH_MAX];
    size_t          len;
    struct dirent  *entry;

    rewinddir(dir);

    for ( ;; ) {

        errno = 0;
        entry = readdir(dir);

        if (entry == NULL) {

            if (errno) {
                return oci_fail("readdir()", t->path);
            }

            break;
        }

        len = oci_tree_component(dir, entry, t->path, t->len,
                                 t->namespaces);

        if (len == 0) {
            continue;
        }

        memcpy(item, entry->d_name, len + 1);

        if (item[0] != '@' && strcmp(item, after) > 0
            && oci_names_add(names, item) != OCI_OK)
        {
            return oci_fail("malloc()", t->path);
        }

        item[len++] = '/';
        item[len] = '\0';

        /* the one that is looked for may be below this, not behind it */

        if ((strcmp(item, after) > 0
             || (first && strncmp(item, after, len) == 0))
            && oci_names_add(names, item) != OCI_OK)
        {
            return oci_fail("malloc()", t->path);
        }
    }

    oci_names_sort(names);

    return OCI_OK;
}


static int
oci_tree_next(oci_tree_t *t, int dir, const char *component)
{
    if (!oci_tree_ours(dir, component)) {
        return OCI_OK;
    }

    memcpy(t->data, t->path, t->len + 1);

    return OCI_EXISTS;
}


/* w->path holds len bytes, the name of the folder and a slash, or nothing */

static int
oci_walk_folder(oci_walk_t *w, int parent, const char *name, size_t len,
    unsigned namespaces)
{
    int             rc;
    DIR            *dir;
    size_t          n;
    oci_repo_t      r;
    struct dirent  *entry;

    rc = oci_tree_open(parent, name, w->path, &dir);

    if (rc != OCI_OK) {
        return rc == OCI_NOT_FOUND ? OCI_OK : rc;
    }

    for ( ;; ) {

        w->path[len] = '\0';

        errno = 0;
        entry = readdir(dir);

        if (entry == NULL) {
            rc = errno ? oci_fail("readdir()", w->path) : OCI_OK;
            break;
        }

        n = oci_tree_component(dir, entry, w->path, len, namespaces);

        if (n == 0) {
            continue;
        }

        memcpy(w->path + len, entry->d_name, n + 1);

        if (entry->d_name[0] != '@'
            && oci_tree_ours(dirfd(dir), entry->d_name))
        {
            oci_list_repo(w->path, &r);

            rc = w->call(w->store, &r, w->data);
            if (rc != OCI_OK) {
                break;
            }
        }

        w->path[len + n] = '/';
        w->path[len + n + 1] = '\0';

        rc = oci_walk_folder(w, dirfd(dir), entry->d_name, len + n + 1, 0);
        if (rc != OCI_OK) {
            break;
        }
    }

    (void) closedir(dir);

    return rc;
}


/*
 * The length of an entry that is a folder and may be, after len bytes of
 * path, a repository or part of its name; else 0.
 */

static size_t
oci_tree_component(DIR *dir, const struct dirent *entry, const char *path,
    size_t len, unsigned namespaces)
{
    size_t       n;
    const char  *name;
    struct stat  st;

    name = entry->d_name;
    n = strlen(name);

    if (name[0] == '@') {

        if (!namespaces || len != 0
            || !oci_namespace_valid((u_char *) name + 1, n - 1))
        {
            return 0;
        }

    } else {

        if (path[0] == '@') {
            len -= (size_t) (strchr(path, '/') + 1 - path);
        }

        if (len + n > OCI_NAME_MAX || !oci_name_valid((u_char *) name, n)) {
            return 0;
        }
    }

    if (entry->d_type == DT_DIR) {
        return n;
    }

    if (entry->d_type == DT_UNKNOWN
        && fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0
        && S_ISDIR(st.st_mode))
    {
        return n;
    }

    return 0;
}


static int
oci_tree_ours(int dir, const char *component)
{
    size_t  i;

    for (i = 0; i < sizeof(oci_tree_ours_names) / sizeof(char *); i++) {
        if (oci_tree_has(dir, component, oci_tree_ours_names[i])) {
            return 1;
        }
    }

    return 0;
}
