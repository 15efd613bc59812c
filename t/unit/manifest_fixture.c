
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "manifest_fixture.h"
#include "oci_blob.h"

#include <sys/stat.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>


#define TAGS_MAX  16


oci_store_t  fx_store;

oci_repo_t   fx_r;

static char  root[256], fx_path[OCI_PATH_MAX];


static int remove_one(const char *path, const struct stat *st, int flag,
    struct FTW *ftw);


int
fx_begin(void **state)
{
    const char  *tmp;

    (void) state;

    tmp = getenv("TMPDIR");

    (void) snprintf(root, sizeof(root), "%s/oci-unit-XXXXXX",
                    tmp ? tmp : "/tmp");

    if (mkdtemp(root) == NULL) {
        return -1;
    }

    return oci_store_open(&fx_store, root, 0);
}


int
fx_end(void **state)
{
    (void) state;

    oci_store_close(&fx_store);

    return nftw(root, remove_one, 32, FTW_DEPTH|FTW_PHYS);
}


int
fx_setup(void **state)
{
    (void) state;

    fx_store.durable = 0;

    return 0;
}


int
fx_setup_durable(void **state)
{
    (void) state;

    fx_store.durable = 1;

    return 0;
}


int
fx_teardown(void **state)
{
    char  path[OCI_PATH_MAX];

    (void) state;

    (void) snprintf(path, sizeof(path), "%s/repositories", root);

    if (nftw(path, remove_one, 32, FTW_DEPTH|FTW_PHYS) != 0) {
        return -1;
    }

    return mkdir(path, 0755);
}


oci_str_t
fx_str(const char *text)
{
    oci_str_t  s;

    s.data = (u_char *) (uintptr_t) text;
    s.len = text ? strlen(text) : 0;

    return s;
}


oci_repo_t
fx_repo(const char *ns, const char *name)
{
    oci_repo_t  r;

    r.ns = fx_str(ns);
    r.name = fx_str(name);

    return r;
}


oci_digest_t
fx_digest(oci_alg_t alg, const char *text)
{
    oci_digest_t  d;

    oci_digest_of(&d, alg, (const u_char *) text, strlen(text));

    return d;
}


const char *
fx_text(const oci_digest_t *d)
{
    char             *p;
    static char       buf[8][OCI_DIGEST_MAX + 1];
    static unsigned   next;

    p = buf[next++ % 8];
    p[oci_digest_text(d, (u_char *) p)] = '\0';

    return p;
}


oci_digest_t
fx_blob(const oci_repo_t *r, const char *text)
{
    char          tmp[OCI_PATH_MAX];
    oci_digest_t  d;

    d = fx_digest(OCI_SHA256, text);

    oci_path_tmp(tmp, &fx_store);

    assert_int_equal(oci_file_write(&fx_store, tmp, 0444, text, strlen(text)),
                     OCI_OK);
    assert_int_equal(oci_blob_link(&fx_store, r, &d, tmp,
                                   (int64_t) strlen(text)),
                     OCI_OK);
    assert_int_equal(unlink(tmp), 0);

    return d;
}


oci_digest_t
fx_put(const oci_repo_t *r, const char *type, const char *json,
    const char *tags)
{
    oci_digest_t  missing;

    assert_int_equal(fx_try(r, type, json, tags, 0, &missing), OCI_OK);

    return fx_digest(OCI_SHA256, json);
}


int
fx_try(const oci_repo_t *r, const char *type, const char *json,
    const char *tags, unsigned sparse, oci_digest_t *missing)
{
    int              rc;
    char            *copy, *p, *save;
    size_t           n;
    oci_str_t        list[TAGS_MAX], content_type;
    const char      *reason;
    oci_digest_t     d;
    oci_manifest_t   m;

    n = 0;
    save = NULL;
    copy = strdup(tags ? tags : "");
    assert_non_null(copy);

    for (p = strtok_r(copy, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
        assert_true(n < TAGS_MAX);
        list[n++] = fx_str(p);
    }

    content_type = fx_str(type);

    rc = oci_manifest_parse(&m, (const u_char *) json, strlen(json),
                            &content_type, &reason);

    if (rc != OCI_OK) {
        fail_msg("%s: %s", reason, json);
    }

    d = fx_digest(OCI_SHA256, json);

    rc = oci_manifest_put(&fx_store, r, &m, &d, (const u_char *) json,
                          strlen(json), list, n, sparse, missing);

    oci_manifest_free(&m);
    free(copy);

    return rc;
}


int
fx_exists(const char *path)
{
    struct stat  st;

    return lstat(path, &st) == 0;
}


void
fx_age(const char *path)
{
    struct timespec  ts[2];

    ts[0].tv_sec = time(NULL) - 3600;
    ts[0].tv_nsec = 0;
    ts[1] = ts[0];

    assert_int_equal(utimensat(AT_FDCWD, path, ts, AT_SYMLINK_NOFOLLOW), 0);
}


int
fx_fresh(const char *path)
{
    struct stat  st;

    assert_int_equal(lstat(path, &st), 0);

    return st.st_mtime > time(NULL) - 1800;
}


unsigned
fx_tmp_count(void)
{
    DIR            *dir;
    char            path[OCI_PATH_MAX];
    unsigned        n;
    struct dirent  *entry;

    (void) snprintf(path, sizeof(path), "%s/tmp", fx_store.root);

    dir = opendir(path);
    assert_non_null(dir);

    n = 0;

    while ((entry = readdir(dir)) != NULL) {
        n += (entry->d_name[0] != '.');
    }

    (void) closedir(dir);

    return n;
}


const char *
fx_empty(unsigned n)
{
    char             *p;
    static char       buf[4][64];
    static unsigned   next;

    p = buf[next++ % 4];
    (void) snprintf(p, sizeof(buf[0]), "{\"layers\":[],\"n\":%u}", n);

    return p;
}


const char *
fx_record(const oci_digest_t *d)
{
    oci_path_manifest(fx_path, &fx_store, &fx_r, d);

    return fx_path;
}


const char *
fx_blob_path(const oci_digest_t *d)
{
    oci_path_repo_blob(fx_path, &fx_store, &fx_r, d);

    return fx_path;
}


const char *
fx_tag(const char *name)
{
    oci_str_t  s;

    s = fx_str(name);
    oci_path_tag(fx_path, &fx_store, &fx_r, &s);

    return fx_path;
}


int
fx_setup_r(void **state)
{
    fx_r = fx_repo("", "some/repo");

    return fx_setup(state);
}


int
fx_setup_r_durable(void **state)
{
    fx_r = fx_repo("docker.io", "some/repo");

    return fx_setup_durable(state);
}


/* an image of one config and one layer, both named by their texts */

const char *
fx_image(const char *config, const char *layer, const char *more)
{
    char             *p;
    oci_digest_t      c, l;
    static char       buf[4][2048];
    static unsigned   next;

    p = buf[next++ % 4];
    c = fx_digest(OCI_SHA256, config);
    l = fx_digest(OCI_SHA256, layer);

    (void) snprintf(p, sizeof(buf[0]),
                    "{\"schemaVersion\":2,\"config\":{\"mediaType\":\""
                    FX_CONFIG "\",\"digest\":\"%s\",\"size\":%zu},"
                    "\"layers\":[{\"mediaType\":\"" FX_LAYER "\","
                    "\"digest\":\"%s\",\"size\":%zu}]%s}",
                    fx_text(&c), strlen(config), fx_text(&l), strlen(layer),
                    more);

    return p;
}


const char *
fx_referring(const oci_digest_t *subject, const char *layer)
{
    char  more[256];

    (void) snprintf(more, sizeof(more),
                    ",\"subject\":{\"digest\":\"%s\",\"size\":1}",
                    fx_text(subject));

    return fx_image("config", layer, more);
}


void
fx_expect(const oci_digest_t *d, const char *name, const char *type,
    const char *text)
{
    char          *buf;
    size_t         len;
    oci_str_t      s;
    oci_record_t   rec;

    s = fx_str(name);

    assert_int_equal(oci_manifest_open(&fx_store, &fx_r, name ? NULL : d, &s,
                                       0, &rec),
                     OCI_OK);

    len = strlen(text);

    assert_true(oci_digest_equal(&rec.digest, d));
    assert_string_equal(rec.media_type, type);
    assert_int_equal(rec.media_type_len, strlen(type));
    assert_int_equal(rec.size, len);

    buf = malloc(len + 1);
    assert_non_null(buf);
    assert_int_equal(pread(rec.fd, buf, len + 1, OCI_RECORD_HEADER), len);
    assert_memory_equal(buf, text, len);

    free(buf);
    assert_int_equal(close(rec.fd), 0);
}


void
fx_gone(const oci_digest_t *d, const char *name)
{
    oci_str_t     s;
    oci_record_t  rec;

    s = fx_str(name);

    assert_int_equal(oci_manifest_open(&fx_store, &fx_r, d, &s, 0, &rec),
                     OCI_NOT_FOUND);
    assert_int_equal(rec.fd, -1);
}


static int
remove_one(const char *path, const struct stat *st, int flag,
    struct FTW *ftw)
{
    (void) st;
    (void) flag;
    (void) ftw;

    return remove(path);
}
