
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "blob_help.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>


void
help_digest(oci_digest_t *d, const char *text)
{
    oci_digest_of(d, OCI_SHA256, (const u_char *) text, strlen(text));
}


void
help_own(char *path, const oci_store_t *s, const char *text)
{
    oci_path_tmp(path, s);
    help_write(path, text, strlen(text));
}


int
help_push(const oci_store_t *s, const oci_repo_t *r, const oci_digest_t *d,
    const char *text)
{
    int   rc, err;
    char  path[OCI_PATH_MAX];

    help_own(path, s, text);

    rc = oci_blob_link(s, r, d, path, (int64_t) strlen(text));

    err = errno;
    (void) unlink(path);
    errno = err;

    return rc;
}


int
help_has(const oci_store_t *s, const oci_repo_t *r, const oci_digest_t *d,
    const char *text)
{
    char        path[OCI_PATH_MAX], *have;
    size_t      len;
    unsigned    equal;
    oci_file_t  f;

    if (oci_blob_stat(s, r, d, &f) != OCI_OK) {
        return 0;
    }

    if (f.cached) {
        oci_path_repo_cached(path, s, r, d);

    } else {
        oci_path_repo_blob(path, s, r, d);
    }

    have = help_read(path, &len);
    equal = (len == strlen(text) && memcmp(have, text, len) == 0);
    free(have);

    return equal && f.size == (int64_t) strlen(text);
}


void
help_cache(const oci_store_t *s, const oci_repo_t *r, const oci_digest_t *d,
    const char *text)
{
    char  path[OCI_PATH_MAX], blob[OCI_PATH_MAX];

    oci_path_repo_cached(path, s, r, d);
    *strrchr(path, '/') = '\0';
    assert_int_equal(oci_dir_make(s, path), OCI_OK);

    oci_path_repo_cached(path, s, r, d);
    help_write(path, text, strlen(text));
    assert_int_equal(chmod(path, 0444), 0);

    oci_path_blob(blob, s, d);
    assert_int_equal(link(path, blob), 0);
}


void
help_remove_name(void *data)
{
    (void) unlink(data);
}


void
help_remove_folder(void *data)
{
    assert_int_equal(rmdir(data), 0);
}


void
help_push_elsewhere(void *data)
{
    help_step_t  *step = data;

    const char  *text;
    oci_digest_t d;

    help_digest(&d, TEXT);
    text = oci_digest_equal(&d, step->d) ? TEXT : TEXT2;

    assert_int_equal(help_push(step->s, step->r, step->d, text), OCI_OK);
}
