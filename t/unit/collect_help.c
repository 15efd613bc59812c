
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "collect_help.h"

#include "oci_list.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>


oci_store_t           store;
oci_collect_policy_t  policy;
oci_collect_t        *collector;

static int            folders_age;


static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void) st;
    (void) type;
    (void) ftw;

    return remove(path);
}


int
store_setup(void **state)
{
    char  root[] = "/tmp/oci-collect-XXXXXX";

    (void) state;

    policy.grace = DAY;
    policy.untagged = -1;
    policy.keep_tags = 0;
    policy.max_size = 4 * 1024 * 1024;

    if (mkdtemp(root) == NULL || oci_store_open(&store, root, 0) != OCI_OK) {
        return -1;
    }

    collector = oci_collect_create(&store, policy_of, &policy);

    return collector == NULL ? -1 : 0;
}


int
store_teardown(void **state)
{
    char  root[OCI_STORE_ROOT_MAX];

    (void) state;

    oci_collect_destroy(collector);

    memcpy(root, store.root, sizeof(root));
    oci_store_close(&store);

    return nftw(root, remove_one, 16, FTW_DEPTH|FTW_PHYS);
}


const oci_collect_policy_t *
policy_of(void *data, const oci_str_t *ns)
{
    return oci_str_eq(ns, "none") ? NULL : data;
}


oci_str_t
str(const char *text)
{
    oci_str_t  s;

    s.len = strlen(text);
    s.data = (u_char *) text;

    return s;
}


oci_repo_t
repo(const char *path)
{
    oci_repo_t  r;

    oci_list_repo(path, &r);

    return r;
}


int
blob_try(const char *path, const char *text, oci_digest_t *d)
{
    int         rc;
    char        tmp[OCI_PATH_MAX];
    size_t      len;
    oci_repo_t  r;

    r = repo(path);
    len = strlen(text);

    oci_digest_of(d, OCI_SHA256, (const u_char *) text, len);
    (void) oci_path_tmp(tmp, &store);

    rc = oci_file_write(&store, tmp, 0600, text, len);

    if (rc == OCI_OK) {
        rc = oci_blob_link(&store, &r, d, tmp, (int64_t) len);
        (void) unlink(tmp);
    }

    return rc;
}


oci_digest_t
blob(const char *path, const char *text)
{
    oci_digest_t  d;

    assert_int_equal(blob_try(path, text, &d), OCI_OK);

    return d;
}


static size_t
descriptor(char *p, size_t size, const char *type, const oci_digest_t *d)
{
    u_char  text[OCI_DIGEST_MAX];
    size_t  len;

    len = oci_digest_text(d, text);

    return (size_t) snprintf(p, size,
                             "{\"mediaType\":\"application/vnd.oci.%s+json\","
                             "\"size\":1,\"digest\":\"%.*s\"}",
                             type, (int) len, text);
}


int
image_try(const char *path, const char *tag, const oci_digest_t *subject,
    unsigned n, unsigned index, const oci_digest_t *const *list,
    size_t count, oci_digest_t *d)
{
    int              rc;
    char             text[65536];
    char            *p, *last;
    size_t           i;
    oci_str_t        type, t;
    oci_repo_t       r;
    const char      *reason;
    oci_digest_t     missing;
    oci_manifest_t   m;

    p = text;
    last = text + sizeof(text);

    type = str(index ? "application/vnd.oci.image.index.v1+json"
                     : "application/vnd.oci.image.manifest.v1+json");

    p += snprintf(p, (size_t) (last - p),
                  "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"annotations\":"
                  "{\"n\":\"%u\"},", (char *) type.data, n);

    if (!index) {
        p += snprintf(p, (size_t) (last - p), "\"config\":");
        p += descriptor(p, (size_t) (last - p), "image.config.v1", list[0]);
        p += snprintf(p, (size_t) (last - p), ",");
    }

    if (subject != NULL) {
        p += snprintf(p, (size_t) (last - p), "\"subject\":");
        p += descriptor(p, (size_t) (last - p), "image.manifest.v1", subject);
        p += snprintf(p, (size_t) (last - p), ",");
    }

    p += snprintf(p, (size_t) (last - p), index ? "\"manifests\":["
                                                : "\"layers\":[");

    for (i = index ? 0 : 1; i < count; i++) {
        p += descriptor(p, (size_t) (last - p),
                        index ? "image.manifest.v1" : "image.layer.v1",
                        list[i]);
        p += snprintf(p, (size_t) (last - p), i + 1 < count ? "," : "");
    }

    p += snprintf(p, (size_t) (last - p), "]}");

    oci_digest_of(d, OCI_SHA256, (u_char *) text, (size_t) (p - text));

    rc = oci_manifest_parse(&m, (u_char *) text, (size_t) (p - text), &type,
                            &reason);
    if (rc != OCI_OK) {
        fail_msg("%s: %s", reason, text);
    }

    r = repo(path);

    if (tag != NULL) {
        t = str(tag);
    }

    do {
        rc = oci_manifest_put(&store, &r, &m, d, (u_char *) text,
                              (size_t) (p - text), &t, tag != NULL, 0,
                              &missing);
    } while (rc == OCI_AGAIN);

    oci_manifest_free(&m);

    return rc;
}


static oci_digest_t
image_list(const char *path, const char *tag, const oci_digest_t *subject,
    unsigned n, unsigned index, va_list args)
{
    size_t               count;
    oci_digest_t         d;
    const oci_digest_t  *list[64];

    for (count = 0; count < 64; count++) {
        list[count] = va_arg(args, const oci_digest_t *);

        if (list[count] == NULL) {
            break;
        }
    }

    assert_int_equal(image_try(path, tag, subject, n, index, list, count, &d),
                     OCI_OK);

    return d;
}


oci_digest_t
image(const char *path, const char *tag, const oci_digest_t *subject,
    unsigned n, ...)
{
    va_list       args;
    oci_digest_t  d;

    va_start(args, n);
    d = image_list(path, tag, subject, n, 0, args);
    va_end(args);

    return d;
}


oci_digest_t
image_index(const char *path, const char *tag, unsigned n, ...)
{
    va_list       args;
    oci_digest_t  d;

    va_start(args, n);
    d = image_list(path, tag, NULL, n, 1, args);
    va_end(args);

    return d;
}


static int
age(const char *path, int seconds)
{
    struct timespec  ts[2];

    (void) clock_gettime(CLOCK_REALTIME, &ts[0]);
    ts[0].tv_sec -= seconds;
    ts[1] = ts[0];

    return utimensat(AT_FDCWD, path, ts, AT_SYMLINK_NOFOLLOW);
}


void
age_blob(const char *path, const oci_digest_t *d, int seconds)
{
    char        p[OCI_PATH_MAX];
    oci_repo_t  r;

    r = repo(path);
    (void) oci_path_repo_blob(p, &store, &r, d);
    assert_int_equal(age(p, seconds), 0);
}


void
age_manifest(const char *path, const oci_digest_t *d, int seconds)
{
    char        p[OCI_PATH_MAX];
    oci_repo_t  r;

    r = repo(path);
    (void) oci_path_manifest(p, &store, &r, d);
    assert_int_equal(age(p, seconds), 0);
}


void
age_tag(const char *path, const char *tag, int seconds)
{
    char        p[OCI_PATH_MAX];
    oci_str_t   t;
    oci_repo_t  r;

    r = repo(path);
    t = str(tag);
    (void) oci_path_tag(p, &store, &r, &t);
    assert_int_equal(age(p, seconds), 0);
}


static int
age_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void) st;
    (void) ftw;

    return type == FTW_DP ? age(path, folders_age) : 0;
}


void
age_folders(int seconds)
{
    char       p[OCI_PATH_MAX];
    oci_str_t  none;

    none = str("");
    folders_age = seconds;

    (void) oci_path_repositories(p, &store, &none);
    assert_int_equal(nftw(p, age_one, 16, FTW_DEPTH|FTW_PHYS), 0);
}


void
remove_repo(const char *path)
{
    char        p[OCI_PATH_MAX];
    oci_repo_t  r;

    r = repo(path);
    (void) oci_path_repo(p, &store, &r);
    assert_int_equal(nftw(p, remove_one, 16, FTW_DEPTH|FTW_PHYS), 0);
}


int
has_blob(const char *path, const oci_digest_t *d)
{
    int         rc;
    oci_file_t  f;
    oci_repo_t  r;

    r = repo(path);
    rc = oci_blob_open(&store, &r, d, &f);

    if (rc == OCI_OK) {
        close(f.fd);
    }

    return rc == OCI_OK;
}


int
has_manifest(const char *path, const oci_digest_t *d)
{
    int           rc;
    oci_repo_t    r;
    oci_record_t  rec;

    r = repo(path);
    rc = oci_manifest_open(&store, &r, d, NULL, 0, &rec);

    if (rc == OCI_OK) {
        close(rec.fd);
    }

    return rc == OCI_OK;
}


int
has_tag(const char *path, const char *tag)
{
    char         p[OCI_PATH_MAX];
    oci_str_t    t;
    oci_repo_t   r;
    struct stat  st;

    r = repo(path);
    t = str(tag);
    (void) oci_path_tag(p, &store, &r, &t);

    return lstat(p, &st) == 0;
}


int
has_content(const oci_digest_t *d)
{
    char         p[OCI_PATH_MAX];
    struct stat  st;

    (void) oci_path_blob(p, &store, d);

    return lstat(p, &st) == 0;
}


int
has_folder(const char *name)
{
    char         p[OCI_PATH_MAX + 512];
    size_t       n;
    oci_str_t    none;
    struct stat  st;

    none = str("");
    n = oci_path_repositories(p, &store, &none);
    (void) snprintf(p + n, sizeof(p) - n, "/%s", name);

    return lstat(p, &st) == 0;
}


unsigned
pass(unsigned budget)
{
    int       rc;
    unsigned  failed;

    failed = 0;

    for ( ;; ) {
        rc = oci_collect_step(collector, budget);

        switch (rc) {

        case OCI_OK:
            break;

        case OCI_NOT_FOUND:
            return failed;

        case OCI_ERROR:
            failed++;
            break;

        default:
            fail_msg("step: %d", rc);
        }
    }
}


unsigned
passes(void)
{
    unsigned             n;
    oci_collect_stats_t  a, b;

    for (n = 1; /* void */ ; n++) {
        a = *oci_collect_stats(collector);

        assert_int_equal(pass(50), 0);

        b = *oci_collect_stats(collector);

        if (a.links == b.links && a.blobs == b.blobs && a.tags == b.tags
            && a.manifests == b.manifests)
        {
            return n;
        }
    }
}
