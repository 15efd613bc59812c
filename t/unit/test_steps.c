
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Single steps that show in no result: what was synced, in which order, how
 * often a counter was raised, and what was looked at once more.
 */


#include "blob_help.h"
#include "collect_help.h"
#include "manifest_fixture.h"
#include "upload_help.h"
#include "oci_generation.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>


/* content that is pushed to the repository b just before its name goes */

static const char  *pushed;


/* takes the place of the C library's own */

int
unlinkat(int dir, const char *name, int flags)
{
    const char    *text;
    oci_digest_t   d;

    if (pushed != NULL) {
        oci_digest_of(&d, OCI_SHA256, (const u_char *) pushed,
                      strlen(pushed));

        if (strcmp(name, d.hex) == 0) {
            text = pushed;
            pushed = NULL;
            (void) blob("b", text);
        }
    }

    return (int) syscall(SYS_unlinkat, dir, name, flags);
}


static void
touch(void *data)
{
    assert_int_equal(utimensat(AT_FDCWD, data, NULL, 0), 0);
}


/* the first event that begins so, or -1 */

static int
first_event(const char *begin)
{
    unsigned  i;

    for (i = 0; i < help_events(); i++) {
        if (strncmp(help_event(i), begin, strlen(begin)) == 0) {
            return (int) i;
        }
    }

    return -1;
}


static unsigned
count_events(const char *begin)
{
    unsigned  i, n;

    n = 0;

    for (i = 0; i < help_events(); i++) {
        n += (strncmp(help_event(i), begin, strlen(begin)) == 0);
    }

    return n;
}


/* no name in blobs/ before the repository has one */

static void
test_links_in_order(void **state)
{
    char          own[OCI_PATH_MAX], blob[OCI_PATH_MAX];
    char          text[2 * OCI_PATH_MAX];
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a");
    help_digest(&d, TEXT);
    help_own(own, &s, TEXT);
    oci_path_blob(blob, &s, &d);

    help_watch(s.root);
    assert_int_equal(oci_blob_link(&s, &r, &d, own, strlen(TEXT)), OCI_OK);
    assert_int_equal(count_events("link "), 2);

    (void) snprintf(text, sizeof(text), "link %s -> %s",
                    own + s.root_len + 1, blob + s.root_len + 1);
    assert_int_equal(help_find_event(text, 0), -1);

    help_store_close(&s);
}


/* the mode of content is as durable as its bytes */

static void
test_mode_is_synced(void **state)
{
    int           i;
    char          text[OCI_PATH_MAX];
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a");
    help_begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(help_put(&u, "x", 0), OCI_OK);
    help_digest_of(&d, OCI_SHA256, "x");

    help_watch(s.root);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);

    (void) snprintf(text, sizeof(text), "fchmod uploads/%s/data", u.id);
    i = help_find_event(text, 0);
    assert_true(i >= 0);
    (void) snprintf(text, sizeof(text), "fsync uploads/%s/data", u.id);
    assert_true(help_find_event(text, 0) > i);

    help_store_close(&s);
}


/* the state that calls bytes synced, and one that can't be written */

static void
test_state_on_the_way(void **state)
{
    char          path[OCI_PATH_MAX], text[OCI_PATH_MAX];
    u_char       *data;
    oci_repo_t    r;
    struct stat   st;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  u;

    (void) state;

    data = calloc(1, OCI_UPLOAD_SYNC_SIZE);
    assert_non_null(data);
    oci_digest_of(&d, OCI_SHA256, data, OCI_UPLOAD_SYNC_SIZE);

    help_store_open(&s, 1);
    r = help_repo("", "a");
    help_begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    help_file(path, &u, "data");

    help_fail("pwrite", "/state", EDQUOT, 1);
    assert_int_equal(help_bytes(&u, data, OCI_UPLOAD_SYNC_SIZE, 1),
                     OCI_ERROR);
    assert_int_equal(errno, EDQUOT);
    assert_int_equal(help_offset(&s, &r, u.id), 0);
    assert_int_equal(oci_upload_rollback(&u), OCI_OK);
    assert_int_equal(u.offset, 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 0);

    help_watch(s.root);
    assert_int_equal(help_bytes(&u, data, OCI_UPLOAD_SYNC_SIZE, 1), OCI_OK);
    assert_int_equal(help_offset(&s, &r, u.id), OCI_UPLOAD_SYNC_SIZE);

    (void) snprintf(text, sizeof(text), "fdatasync uploads/%s/state", u.id);
    assert_true(help_find_event(text, 0) >= 0);

    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);

    help_store_close(&s);
    free(data);
}


/* a copy for want of links is content like any other */

static void
test_copy_is_synced(void **state)
{
    oci_repo_t    a, b;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 1);
    a = help_repo("", "a");
    b = help_repo("", "b");
    help_digest(&d, TEXT);
    assert_int_equal(help_push(&s, &a, &d, TEXT), OCI_OK);

    help_fail("link", "repositories/b/", EMLINK, 2);
    help_watch(s.root);
    assert_int_equal(oci_blob_mount(&s, &a, &b, &d), OCI_OK);
    assert_true(help_has(&s, &b, &d, TEXT));
    assert_int_equal(count_events("fsync tmp/"), 1);

    help_store_close(&s);
}


/* what a manifest leans on is made as durable as it is, its record too */

static void
test_manifest_syncs(void **state)
{
    int            i;
    char           json[512], text[OCI_PATH_MAX];
    const char    *image;
    oci_digest_t   d;

    (void) state;

    fx_r = fx_repo("", "a");
    fx_blob(&fx_r, "config");
    fx_blob(&fx_r, "layer");
    image = fx_image("config", "layer", "");

    help_watch(fx_store.root);
    d = fx_put(&fx_r, FX_MANIFEST, image, "");
    i = help_find_event("fsync repositories/a/_blobs/sha256", 0);
    assert_true(i >= 0);
    assert_true(first_event("link tmp/") > i);

    /* the same again: another push may not have come to its fsync */

    help_watch(fx_store.root);
    fx_put(&fx_r, FX_MANIFEST, image, "");
    (void) snprintf(text, sizeof(text),
                    "fsync repositories/a/_manifests/sha256/%s", d.hex);
    assert_true(help_find_event(text, 0) >= 0);

    /* an index over it: the folder of its child before its own record */

    (void) snprintf(json, sizeof(json),
                    "{\"manifests\":[{\"digest\":\"%s\",\"size\":1}]}",
                    fx_text(&d));

    help_watch(fx_store.root);
    fx_put(&fx_r, FX_INDEX, json, "");
    i = help_find_event("fsync repositories/a/_manifests/sha256", 0);
    assert_true(i >= 0);
    assert_true(first_event("link tmp/") > i);
    help_watch_end();
}


/* a child that says that it is a manifest is none by being a blob */

static void
test_child_of_a_known_type(void **state)
{
    char           json[512];
    oci_digest_t   child, missing;

    (void) state;

    child = fx_blob(&fx_r, fx_empty(1));

    (void) snprintf(json, sizeof(json),
                    "{\"manifests\":[{\"digest\":\"%s\",\"size\":1,"
                    "\"mediaType\":\"" FX_MANIFEST "\"}]}", fx_text(&child));

    assert_int_equal(fx_try(&fx_r, FX_INDEX, json, "", 0, &missing),
                     OCI_UNKNOWN_BLOB);
    fx_put(&fx_r, FX_MANIFEST, fx_empty(1), "");
    fx_put(&fx_r, FX_INDEX, json, "");
}


/* no tag among its names: the counter is its own */

static void
test_delete_counts(void **state)
{
    uint64_t      before;
    oci_digest_t  d;

    (void) state;

    d = fx_put(&fx_r, FX_MANIFEST, fx_empty(1), "");
    before = oci_generation_read(&fx_store, &fx_r);
    assert_int_equal(oci_manifest_delete(&fx_store, &fx_r, &d), OCI_OK);
    assert_int_equal(oci_generation_read(&fx_store, &fx_r), before + 2);
}


/* a tag that moves is there at every moment */

static void
test_tag_moves(void **state)
{
    oci_digest_t  d;

    (void) state;

    fx_put(&fx_r, FX_MANIFEST, fx_empty(1), "t");

    help_watch(fx_store.root);
    d = fx_put(&fx_r, FX_MANIFEST, fx_empty(2), "t");
    assert_int_equal(count_events("unlink repositories/"), 0);
    assert_int_equal(count_events("rename tmp/"), 1);
    fx_expect(&d, "t", FX_MANIFEST, fx_empty(2));
    help_watch_end();
}


/* a shared lock: another push holds it too, nothing may go */

static void
test_tag_delete_waits(void **state)
{
    oci_str_t     t;
    oci_lock_t    lock;

    (void) state;

    fx_put(&fx_r, FX_MANIFEST, fx_empty(1), "t");
    t = fx_str("t");

    assert_int_equal(oci_lock_repo(&lock, &fx_store, &fx_r, 0, 0), OCI_OK);
    assert_int_equal(oci_tag_delete(&fx_store, &fx_r, &t), OCI_AGAIN);
    oci_lock_release(&lock);
    assert_int_equal(oci_tag_delete(&fx_store, &fx_r, &t), OCI_OK);
}


static void
test_collector_counts(void **state)
{
    uint64_t      before;
    oci_repo_t    r;
    oci_digest_t  d;

    (void) state;

    d = blob("a", "old");
    r = repo("a");
    age_blob("a", &d, 2 * DAY);

    before = oci_generation_read(&store, &r);
    assert_int_equal(pass(50), 0);
    assert_false(has_blob("a", &d));
    assert_int_equal(oci_generation_read(&store, &r), before + 2);
}


/* a pusher counts on a link just when the collector comes for it */

static void
test_collector_looks_again(void **state)
{
    char          path[OCI_PATH_MAX];
    oci_repo_t    r;
    oci_digest_t  d;

    (void) state;

    d = blob("a", "old");
    r = repo("a");
    (void) oci_path_repo_blob(path, &store, &r, &d);

    /* before the lock is taken: nobody even sees it vanish */

    age_blob("a", &d, 2 * DAY);
    help_before("fcntl", "/a/_lock", touch, path);
    help_watch(store.root);
    assert_int_equal(pass(50), 0);
    assert_true(has_blob("a", &d));
    assert_int_equal(count_events("rename repositories/a/"), 0);

    /* under the lock, which a mount does not take: it comes back */

    age_blob("a", &d, 2 * DAY);
    help_before("rename", "/a/_blobs/", touch, path);
    help_watch(store.root);
    assert_int_equal(pass(50), 0);
    assert_int_equal(count_events("rename repositories/a/"), 1);
    assert_true(has_blob("a", &d));

    help_calm();
    age_blob("a", &d, 2 * DAY);
    assert_int_equal(pass(50), 0);
    assert_false(has_blob("a", &d));
}


/* a push between the collector's look at a name in blobs/ and its end */

static void
test_collector_gives_back(void **state)
{
    char          path[OCI_PATH_MAX];
    oci_repo_t    r;
    oci_digest_t  d;

    (void) state;

    d = blob("a", "pushed");
    r = repo("a");
    (void) oci_path_repo_blob(path, &store, &r, &d);
    assert_int_equal(unlink(path), 0);

    pushed = "pushed";
    assert_int_equal(pass(50), 0);
    assert_null(pushed);
    assert_true(has_blob("b", &d));
    assert_true(has_content(&d));
    assert_int_equal(oci_collect_stats(collector)->restored, 1);
}


int
main(void)
{
#define on_disk(name)                                                         \
    cmocka_unit_test_setup_teardown(name, fx_setup_r_durable, fx_teardown)
#define collects(name)                                                        \
    cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)

    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_links_in_order),
        cmocka_unit_test(test_mode_is_synced),
        cmocka_unit_test(test_state_on_the_way),
        cmocka_unit_test(test_copy_is_synced),
        on_disk(test_manifest_syncs),
        on_disk(test_child_of_a_known_type),
        on_disk(test_delete_counts),
        on_disk(test_tag_moves),
        on_disk(test_tag_delete_waits),
        collects(test_collector_counts),
        collects(test_collector_looks_again),
        collects(test_collector_gives_back)
    };

    return cmocka_run_group_tests(tests, fx_begin, fx_end);
}
