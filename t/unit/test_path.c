
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "store_help.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>


#define HEX64  "e3b0c44298fc1c149afbf4c8996fb924" \
               "27ae41e4649b934ca495991b7852b855"


static void sub(char *path, const oci_store_t *s, const char *name);
static void remove_folder(void *data);
static unsigned count_events(const char *call);


static void
test_texts(void **state)
{
    char          buf[OCI_PATH_MAX], other[OCI_PATH_MAX];
    size_t        len;
    oci_str_t     tag, ns;
    oci_repo_t    r, in;
    oci_store_t   s;
    oci_digest_t  d, e;

    (void) state;

    memset(&s, 0, sizeof(oci_store_t));
    strcpy(s.root, "/r");
    s.root_len = 2;
    strcpy(s.boot_id, "boot");

    r = help_repo("", "a/b");
    in = help_repo("h.io:5000", "a/b");
    tag = help_str("v1");

    oci_digest_of(&d, OCI_SHA256, (u_char *) "", 0);
    oci_digest_of(&e, OCI_SHA512, (u_char *) "", 0);

    len = oci_path_blob(buf, &s, &d);
    assert_int_equal(len, strlen(buf));
    assert_string_equal(buf, "/r/blobs/sha256/e3/" HEX64);

    oci_path_blob(buf, &s, &e);
    assert_memory_equal(buf, "/r/blobs/sha512/cf/cf83", 23);
    assert_int_equal(strlen(buf), 19 + 128);

    oci_path_repo(buf, &s, &r);
    assert_string_equal(buf, "/r/repositories/a/b");
    oci_path_repo(buf, &s, &in);
    assert_string_equal(buf, "/r/repositories/@h.io:5000/a/b");
    oci_path_repo_lock(buf, &s, &r);
    assert_string_equal(buf, "/r/repositories/a/b/_lock");
    oci_path_repo_blob(buf, &s, &in, &d);
    assert_string_equal(buf, "/r/repositories/@h.io:5000/a/b/_blobs/sha256/"
                        HEX64);
    oci_path_repo_cached(buf, &s, &r, &d);
    assert_string_equal(buf, "/r/repositories/a/b/_cached/sha256/" HEX64);
    oci_path_manifest(buf, &s, &r, &d);
    assert_string_equal(buf, "/r/repositories/a/b/_manifests/sha256/" HEX64);
    oci_path_tag(buf, &s, &r, &tag);
    assert_string_equal(buf, "/r/repositories/a/b/_tags/v1");
    oci_path_tags(buf, &s, &r);
    assert_string_equal(buf, "/r/repositories/a/b/_tags");
    oci_path_tag_target(buf, &d);
    assert_string_equal(buf, "../_manifests/sha256/" HEX64);
    oci_path_referrers(buf, &s, &r, &d);
    assert_string_equal(buf, "/r/repositories/a/b/_referrers/sha256/" HEX64);
    oci_path_referrer(buf, &s, &r, &d, &d);
    assert_string_equal(buf, "/r/repositories/a/b/_referrers/sha256/" HEX64
                        "/sha256-" HEX64);

    ns = help_str("");
    oci_path_repositories(buf, &s, &ns);
    assert_string_equal(buf, "/r/repositories");
    oci_path_repositories(buf, &s, NULL);
    assert_string_equal(buf, "/r/repositories");
    oci_path_repositories(buf, &s, &in.ns);
    assert_string_equal(buf, "/r/repositories/@h.io:5000");

    oci_path_upload(buf, &s, "abc", "data");
    assert_string_equal(buf, "/r/uploads/abc/data");
    oci_path_upload(buf, &s, "abc", NULL);
    assert_string_equal(buf, "/r/uploads/abc");
    oci_path_uploads(buf, &s);
    assert_string_equal(buf, "/r/uploads");
    oci_path_tmps(buf, &s);
    assert_string_equal(buf, "/r/tmp");
    oci_path_run(buf, &s, NULL);
    assert_string_equal(buf, "/r/run/boot");
    oci_path_run(buf, &s, "turn");
    assert_string_equal(buf, "/r/run/turn");

    assert_int_equal(oci_path_tmp(buf, &s), 7 + 32);
    oci_path_tmp(other, &s);
    assert_memory_equal(buf, "/r/tmp/", 7);
    assert_string_not_equal(buf, other);
}


static void
test_longest(void **state)
{
    char          buf[OCI_PATH_MAX];
    size_t        i, len;
    u_char        ns[OCI_NAMESPACE_MAX], name[OCI_NAME_MAX];
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    memset(&s, 0, sizeof(oci_store_t));
    memset(s.root, 'r', OCI_STORE_ROOT_MAX - 1);
    s.root[0] = '/';
    s.root_len = OCI_STORE_ROOT_MAX - 1;

    memset(ns, 'n', sizeof(ns));
    memset(name, 'm', sizeof(name));
    r.ns.data = ns;
    r.ns.len = sizeof(ns);
    r.name.data = name;
    r.name.len = sizeof(name);

    oci_digest_of(&d, OCI_SHA512, (u_char *) "", 0);

    len = oci_path_referrer(buf, &s, &r, &d, &d);
    assert_int_equal(len, strlen(buf));
    assert_memory_equal(buf + len - 128, d.hex, 128);

    /* nothing is written beyond the end, whatever is asked for */

    r.name.len = 255;

    for (i = 0; i < 4; i++) {
        r.ns.len = sizeof(ns);
        len = oci_path_repo_lock(buf, &s, &r);
        assert_true(len < OCI_PATH_MAX);
    }
}


static void
test_dir_make(void **state)
{
    char         path[OCI_PATH_MAX];
    oci_store_t  s;

    (void) state;

    help_store_open(&s, 1);

    help_watch(s.root);
    sub(path, &s, "repositories/a/b/_blobs/sha256");
    assert_int_equal(oci_dir_make(&s, path), OCI_OK);
    assert_true(help_exists(path));
    assert_int_equal(help_mode(path), 0700);

    /* repositories itself is as young as the store */

    assert_int_equal(count_events("mkdir repositories/"), 4);
    assert_int_equal(count_events("fsync "), 5);
    assert_true(help_find_event("fsync .", 0) >= 0);
    assert_true(help_find_event("fsync repositories", 0)
                > help_find_event("mkdir repositories/a", 0));
    assert_true(help_find_event("fsync repositories/a", 0)
                > help_find_event("mkdir repositories/a/b", 0));
    assert_true(help_find_event("fsync repositories/a/b", 0)
                > help_find_event("mkdir repositories/a/b/_blobs", 0));
    assert_true(help_find_event("fsync repositories/a/b/_blobs", 0)
                > help_find_event("mkdir repositories/a/b/_blobs/sha256",
                                  0));

    /* someone else's young folders are synced again */

    help_watch(s.root);
    assert_int_equal(oci_dir_make(&s, path), OCI_OK);
    assert_int_equal(count_events("fsync "), 5);

    /* so are those whose birth is not told */

    help_watch(s.root);
    help_birth(-1);
    assert_int_equal(oci_dir_make(&s, path), OCI_OK);
    assert_int_equal(count_events("fsync "), 5);

    help_watch(s.root);
    help_birth(58);
    assert_int_equal(oci_dir_make(&s, path), OCI_OK);
    assert_int_equal(count_events("fsync "), 5);

    /* old ones are not touched at all */

    help_watch(s.root);
    help_birth(62);
    assert_int_equal(oci_dir_make(&s, path), OCI_OK);
    assert_int_equal(help_events(), 0);

    /* a new one below old ones: its parent alone */

    help_watch(s.root);
    sub(path, &s, "repositories/a/b/_tags");
    assert_int_equal(oci_dir_make(&s, path), OCI_OK);
    assert_int_equal(help_events(), 2);
    assert_string_equal(help_event(0), "mkdir repositories/a/b/_tags");
    assert_string_equal(help_event(1), "fsync repositories/a/b");

    /* a failure is a failure, also of the sync */

    help_fail("fsync", "/repositories/a/b", EIO, 1);
    sub(path, &s, "repositories/a/b/_referrers");
    assert_int_equal(oci_dir_make(&s, path), OCI_ERROR);
    assert_int_equal(oci_failure()->err, EIO);

    help_fail("mkdir", "/_cached", ENOSPC, 1);
    sub(path, &s, "repositories/a/b/_cached");
    assert_int_equal(oci_dir_make(&s, path), OCI_ERROR);
    assert_int_equal(oci_failure()->err, ENOSPC);

    help_store_close(&s);
}


static void
test_dir_make_fast(void **state)
{
    char         path[OCI_PATH_MAX];
    oci_store_t  s;

    (void) state;

    help_store_open(&s, 0);

    help_watch(s.root);
    sub(path, &s, "repositories/a/b");
    assert_int_equal(oci_dir_make(&s, path), OCI_OK);
    assert_int_equal(help_events(), 2);
    assert_int_equal(oci_dir_make(&s, path), OCI_OK);
    assert_int_equal(help_events(), 2);

    assert_int_equal(oci_dir_sync(&s, path), OCI_OK);
    assert_int_equal(oci_dir_sync_parent(&s, path), OCI_OK);
    assert_int_equal(help_events(), 2);

    help_store_close(&s);
}


static void
test_dir_make_races(void **state)
{
    char         path[OCI_PATH_MAX], parent[OCI_PATH_MAX];
    oci_store_t  s;

    (void) state;

    help_store_open(&s, 1);

    /* the folder above goes away between two steps */

    sub(parent, &s, "repositories/a");
    sub(path, &s, "repositories/a/b");
    help_before("mkdir", "/repositories/a/b", remove_folder, parent);
    assert_int_equal(oci_dir_make(&s, path), OCI_OK);
    assert_true(help_exists(path));

    /* never outside of the store, nor the root itself */

    assert_int_equal(oci_dir_make(&s, s.root), OCI_ERROR);
    assert_int_equal(oci_dir_make(&s, "/tmp"), OCI_ERROR);
    (void) snprintf(path, sizeof(path), "%s-else", s.root);
    assert_int_equal(oci_dir_make(&s, path), OCI_ERROR);
    assert_false(help_exists(path));

    /* a file is in the way */

    sub(path, &s, "repositories/file");
    help_write(path, "", 0);
    assert_int_equal(oci_dir_make(&s, path), OCI_ERROR);
    assert_int_equal(oci_failure()->err, ENOTDIR);
    strcat(path, "/below");
    assert_int_equal(oci_dir_make(&s, path), OCI_ERROR);
    assert_int_equal(oci_failure()->err, ENOTDIR);

    help_store_close(&s);
}


static void
test_dir_sync(void **state)
{
    char         path[OCI_PATH_MAX];
    oci_store_t  s;

    (void) state;

    help_store_open(&s, 1);

    help_watch(s.root);
    sub(path, &s, "repositories");
    assert_int_equal(oci_dir_sync(&s, path), OCI_OK);
    assert_string_equal(help_event(0), "fsync repositories");
    sub(path, &s, "tmp/x");
    assert_int_equal(oci_dir_sync_parent(&s, path), OCI_OK);
    assert_string_equal(help_event(1), "fsync tmp");

    sub(path, &s, "nothing");
    assert_int_equal(oci_dir_sync(&s, path), OCI_ERROR);
    assert_int_equal(errno, ENOENT);

    help_fail("fsync", "/tmp", EIO, 1);
    sub(path, &s, "tmp");
    assert_int_equal(oci_dir_sync(&s, path), OCI_ERROR);
    assert_int_equal(errno, EIO);

    help_store_close(&s);
}


static void
test_dir_prune(void **state)
{
    char         path[OCI_PATH_MAX], stop[OCI_PATH_MAX];
    oci_store_t  s;

    (void) state;

    help_store_open(&s, 0);

    sub(stop, &s, "repositories");
    sub(path, &s, "repositories/a/b/c");
    assert_int_equal(oci_dir_make(&s, path), OCI_OK);
    sub(path, &s, "repositories/a/x");
    assert_int_equal(oci_dir_make(&s, path), OCI_OK);

    sub(path, &s, "repositories/a/b/c");
    oci_dir_prune(path, stop);
    sub(path, &s, "repositories/a/b");
    assert_false(help_exists(path));
    sub(path, &s, "repositories/a/x");
    assert_true(help_exists(path));

    /* one that has gone already, then up to the stop, which stays */

    assert_int_equal(rmdir(path), 0);
    oci_dir_prune(path, stop);
    assert_int_equal(help_count(stop), 0);
    assert_true(help_exists(stop));

    oci_dir_prune(stop, stop);
    assert_true(help_exists(stop));

    /* beside it, or above it */

    sub(path, &s, "repositories-2");
    assert_int_equal(mkdir(path, 0700), 0);
    oci_dir_prune(path, stop);
    assert_true(help_exists(path));
    oci_dir_prune(s.root, stop);
    assert_true(help_exists(stop));

    help_store_close(&s);
}


static void
test_file_write(void **state)
{
    char         path[OCI_PATH_MAX];
    char        *text;
    size_t       len;
    oci_store_t  s;

    (void) state;

    help_store_open(&s, 1);

    sub(path, &s, "tmp/x");

    help_watch(s.root);
    assert_int_equal(oci_file_write(&s, path, 0444, "abc", 3), OCI_OK);
    assert_int_equal(help_mode(path) & 0777, 0444);
    assert_true(help_find_event("fsync tmp/x", 0)
                > help_find_event("write tmp/x", 0));

    /* what is there stays */

    assert_int_equal(oci_file_write(&s, path, 0444, "de", 2), OCI_ERROR);
    assert_int_equal(errno, EEXIST);
    text = help_read(path, &len);
    assert_string_equal(text, "abc");
    free(text);

    sub(path, &s, "tmp/y");
    help_fail("write", "/tmp/y", ENOSPC, 1);
    assert_int_equal(oci_file_write(&s, path, 0444, "abc", 3), OCI_ERROR);
    assert_int_equal(errno, ENOSPC);
    assert_false(help_exists(path));

    help_fail("fsync", "/tmp/y", EIO, 1);
    assert_int_equal(oci_file_write(&s, path, 0444, "abc", 3), OCI_ERROR);
    assert_int_equal(errno, EIO);
    assert_false(help_exists(path));

    s.durable = 0;
    help_watch(s.root);
    assert_int_equal(oci_file_write(&s, path, 0600, "", 0), OCI_OK);
    assert_int_equal(help_find_event("fsync tmp/y", 0), -1);

    help_store_close(&s);
}


static void
test_random(void **state)
{
    char      a[65], b[65];
    size_t    i;
    unsigned  seen;

    (void) state;

    memset(a, 'x', sizeof(a));
    assert_int_equal(oci_random_hex(a, 64), OCI_OK);
    assert_int_equal(oci_random_hex(b, 64), OCI_OK);
    assert_int_equal(strlen(a), 64);
    assert_string_not_equal(a, b);
    assert_memory_not_equal(a, a + 32, 32);

    seen = 0;

    for (i = 0; i < 64; i++) {
        assert_non_null(strchr("0123456789abcdef", a[i]));
        seen |= 1u << (strchr("0123456789abcdef", a[i])
                       - "0123456789abcdef");
    }

    assert_true(__builtin_popcount(seen) > 8);

    assert_int_equal(oci_random_hex(a, 5), OCI_OK);
    assert_int_equal(strlen(a), 5);
}


static void
sub(char *path, const oci_store_t *s, const char *name)
{
    (void) snprintf(path, OCI_PATH_MAX, "%s/%s", s->root, name);
}


static void
remove_folder(void *data)
{
    assert_int_equal(rmdir(data), 0);
}


static unsigned
count_events(const char *call)
{
    unsigned  i, n;

    n = 0;

    for (i = 0; i < help_events(); i++) {
        n += (strncmp(help_event(i), call, strlen(call)) == 0);
    }

    return n;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_dir_make),
        cmocka_unit_test(test_dir_make_fast),
        cmocka_unit_test(test_dir_make_races),
        cmocka_unit_test(test_dir_sync),
        cmocka_unit_test(test_dir_prune),
        cmocka_unit_test(test_file_write),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
