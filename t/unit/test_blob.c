
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "blob_help.h"
#include "oci_generation.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>


static void note_generation(void *data);
static int push_killed(void *data);
static int mount_killed(void *data);
static int delete_killed(void *data);
static int delete_as_user(void *data);


static uint64_t  noted;


static void
test_link(void **state)
{
    int           i;
    char          own[OCI_PATH_MAX], to[OCI_PATH_MAX], blob[OCI_PATH_MAX];
    char          text[3][2 * OCI_PATH_MAX];
    uint64_t      before;
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("n", "a/b");
    help_digest(&d, TEXT);
    help_own(own, &s, TEXT);
    help_make_old(own, 1000000);
    oci_path_repo_blob(to, &s, &r, &d);
    oci_path_blob(blob, &s, &d);

    before = oci_generation_read(&s, &r);
    help_watch(s.root);
    assert_int_equal(oci_blob_link(&s, &r, &d, own, strlen(TEXT)), OCI_OK);
    assert_true(oci_generation_read(&s, &r) >= before + 2);

    assert_int_equal(help_inode(to), help_inode(own));
    assert_int_equal(help_inode(blob), help_inode(own));
    assert_int_equal(help_nlink(own), 3);
    assert_int_equal(help_mode(own), 0444);
    assert_in_range(help_age(own), 0, 60);

    /* the repository first, then blobs/, then the folders of both */

    (void) snprintf(text[0], sizeof(text[0]), "link %s -> %s",
                    own + s.root_len + 1, to + s.root_len + 1);
    (void) snprintf(text[1], sizeof(text[1]), "link %s -> %s",
                    to + s.root_len + 1, blob + s.root_len + 1);

    i = help_find_event(text[0], 0);
    assert_true(i > 0);
    assert_in_range(help_find_event("fsync repositories/@n/a/b/_blobs", 0),
                    0, i);
    i = help_find_event(text[1], (unsigned) i);
    assert_true(i > 0);
    assert_true(help_find_event("fsync repositories/@n/a/b/_blobs/sha256",
                                (unsigned) i)
                > i);
    (void) snprintf(text[2], sizeof(text[2]), "fsync blobs/sha256/%.2s",
                    d.hex);
    assert_true(help_find_event(text[2], (unsigned) i) > i);

    /* the caller removes its own */

    assert_int_equal(unlink(own), 0);
    assert_true(help_has(&s, &r, &d, TEXT));

    help_store_close(&s);
}


static void
test_link_again(void **state)
{
    char          own[OCI_PATH_MAX], to[OCI_PATH_MAX], blob[OCI_PATH_MAX];
    char          text[64];
    ino_t         inode;
    oci_repo_t    r, other;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a");
    other = help_repo("", "b");
    help_digest(&d, TEXT);
    assert_int_equal(help_push(&s, &r, &d, TEXT), OCI_OK);

    oci_path_repo_blob(to, &s, &r, &d);
    oci_path_blob(blob, &s, &d);
    inode = help_inode(blob);

    /* what is there is linked, its own copy is not; the grace begins anew */

    help_make_old(blob, 1000000);
    assert_int_equal(help_push(&s, &other, &d, TEXT), OCI_OK);
    assert_int_equal(help_nlink(blob), 3);
    oci_path_repo_blob(to, &s, &other, &d);
    assert_int_equal(help_inode(to), inode);
    assert_in_range(help_age(blob), 0, 60);

    /* the same blob, the same repository: synced again all the same */

    oci_path_repo_blob(to, &s, &r, &d);
    help_make_old(blob, 1000000);
    help_watch(s.root);
    help_own(own, &s, TEXT);
    assert_int_equal(oci_blob_link(&s, &r, &d, own, strlen(TEXT)), OCI_OK);
    assert_int_equal(help_nlink(blob), 3);
    assert_in_range(help_age(blob), 0, 60);
    assert_true(help_find_event("fsync repositories/a/_blobs/sha256", 0)
                >= 0);
    (void) snprintf(text, sizeof(text), "fsync blobs/sha256/%.2s", d.hex);
    assert_true(help_find_event(text, 0) >= 0);

    /* a repository's link whose name in blobs/ has gone gives it back */

    assert_int_equal(unlink(blob), 0);
    help_make_old(to, 1000000);
    assert_int_equal(oci_blob_link(&s, &r, &d, own, strlen(TEXT)), OCI_OK);
    assert_int_equal(help_inode(blob), inode);
    assert_in_range(help_age(blob), 0, 60);

    /* and one that lives in blobs/ alone is taken from there */

    oci_path_repo_blob(to, &s, &r, &d);
    assert_int_equal(unlink(to), 0);
    oci_path_repo_blob(to, &s, &other, &d);
    assert_int_equal(unlink(to), 0);
    assert_int_equal(help_nlink(blob), 1);
    assert_int_equal(oci_blob_link(&s, &r, &d, own, strlen(TEXT)), OCI_OK);
    assert_int_equal(help_inode(blob), inode);
    assert_int_equal(help_nlink(blob), 2);

    help_store_close(&s);
}


static void
test_link_fast(void **state)
{
    unsigned      i;
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");
    help_digest(&d, TEXT);

    help_watch(s.root);
    assert_int_equal(help_push(&s, &r, &d, TEXT), OCI_OK);

    for (i = 0; i < help_events(); i++) {
        assert_int_not_equal(strncmp(help_event(i), "fsync", 5), 0);
    }

    help_store_close(&s);
}


static void
test_link_mismatch(void **state)
{
    char          own[OCI_PATH_MAX], blob[OCI_PATH_MAX], to[OCI_PATH_MAX];
    oci_repo_t    r, other;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a");
    other = help_repo("", "b");
    help_digest(&d, TEXT);

    oci_path_blob(blob, &s, &d);
    help_write(blob, "cut", 3);
    assert_int_equal(help_push(&s, &r, &d, TEXT), OCI_MISMATCH);

    assert_int_equal(unlink(blob), 0);
    assert_int_equal(help_push(&s, &r, &d, TEXT), OCI_OK);

    oci_path_repo_blob(to, &s, &other, &d);
    *strrchr(to, '/') = '\0';
    assert_int_equal(oci_dir_make(&s, to), OCI_OK);
    oci_path_repo_blob(to, &s, &other, &d);
    help_write(to, "cut", 3);
    assert_int_equal(help_push(&s, &other, &d, TEXT), OCI_MISMATCH);

    /* failures of the system, and that they leave nothing that lies */

    help_digest(&d, TEXT2);
    help_own(own, &s, TEXT2);

    help_fail("link", "/_blobs/", ENOSPC, 1);
    assert_int_equal(oci_blob_link(&s, &r, &d, own, strlen(TEXT2)),
                     OCI_ERROR);
    assert_int_equal(errno, ENOSPC);
    assert_false(help_has(&s, &r, &d, TEXT2));

    help_fail("fsync", "/_blobs/sha256", EIO, 1);
    assert_int_equal(oci_blob_link(&s, &r, &d, own, strlen(TEXT2)),
                     OCI_ERROR);
    assert_int_equal(errno, EIO);

    oci_path_blob(blob, &s, &d);
    *strrchr(blob, '/') = '\0';
    help_fail("fsync", blob, EIO, 1);
    assert_int_equal(oci_blob_link(&s, &r, &d, own, strlen(TEXT2)),
                     OCI_ERROR);
    assert_int_equal(errno, EIO);

    assert_int_equal(oci_blob_link(&s, &r, &d, own, strlen(TEXT2)), OCI_OK);

    assert_int_equal(unlink(own), 0);
    assert_int_equal(oci_blob_link(&s, &r, &d, own, strlen(TEXT2)),
                     OCI_ERROR);
    assert_int_equal(errno, ENOENT);
    assert_true(help_has(&s, &r, &d, TEXT2));

    help_store_close(&s);
}


/* what others do between two steps of a push */

static void
test_link_races(void **state)
{
    char          to[OCI_PATH_MAX], blob[OCI_PATH_MAX], dir[OCI_PATH_MAX];
    help_step_t        step;
    oci_repo_t    r, other, third;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a");
    other = help_repo("", "b");
    third = help_repo("", "c");
    help_digest(&d, TEXT);
    oci_path_blob(blob, &s, &d);

    /* the collector takes the unreferenced name just before it is linked */

    assert_int_equal(help_push(&s, &other, &d, TEXT), OCI_OK);
    oci_path_repo_blob(to, &s, &other, &d);
    assert_int_equal(unlink(to), 0);
    help_before("link", "repositories/a/", help_remove_name, blob);
    assert_int_equal(help_push(&s, &r, &d, TEXT), OCI_OK);
    assert_true(help_has(&s, &r, &d, TEXT));
    assert_int_equal(help_nlink(blob), 2);

    /* or just after: the link keeps the content, the name comes back */

    oci_path_repo_blob(to, &s, &r, &d);
    assert_int_equal(unlink(to), 0);
    oci_path_repo_blob(to, &s, &r, &d);
    help_before("link", blob, help_remove_name, blob);
    help_before("link", blob, help_remove_name, blob);
    assert_int_equal(help_push(&s, &r, &d, TEXT), OCI_OK);
    assert_true(help_has(&s, &r, &d, TEXT));
    assert_int_equal(help_inode(blob), help_inode(to));
    help_calm();

    /* the repository's old name goes while it is counted on */

    help_before("link", "repositories/a/", help_remove_name, blob);
    assert_int_equal(help_push(&s, &r, &d, TEXT), OCI_OK);
    help_before("link", "repositories/a/", help_remove_name, to);
    assert_int_equal(help_push(&s, &r, &d, TEXT), OCI_OK);
    assert_true(help_has(&s, &r, &d, TEXT));

    /* its empty folder is pruned */

    oci_path_repo_blob(dir, &s, &third, &d);
    *strrchr(dir, '/') = '\0';
    help_before("link", "repositories/c/", help_remove_folder, dir);
    assert_int_equal(help_push(&s, &third, &d, TEXT), OCI_OK);
    assert_true(help_has(&s, &third, &d, TEXT));

    /* someone else pushes the same at the same time */

    help_digest(&d, TEXT2);
    step.s = &s;
    step.r = &r;
    step.d = &d;
    help_before("link", "repositories/a/", help_push_elsewhere, &step);
    assert_int_equal(help_push(&s, &r, &d, TEXT2), OCI_OK);
    assert_true(help_has(&s, &r, &d, TEXT2));
    oci_path_blob(blob, &s, &d);
    oci_path_repo_blob(to, &s, &r, &d);
    assert_int_equal(help_inode(blob), help_inode(to));

    help_store_close(&s);
}


/* the counter is raised before a change shows and once more behind it */

static void
test_generation(void **state)
{
    help_step_t        step;
    uint64_t      before;
    oci_repo_t    r, other;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a");
    other = help_repo("", "b");
    help_digest(&d, TEXT);
    step.s = &s;
    step.r = &r;

    before = oci_generation_read(&s, &r);
    help_before("link", "repositories/a/", note_generation, &step);
    assert_int_equal(help_push(&s, &r, &d, TEXT), OCI_OK);
    assert_true(noted > before);
    assert_true(oci_generation_read(&s, &r) > noted);

    step.r = &other;
    before = oci_generation_read(&s, &other);
    help_before("link", "repositories/b/", note_generation, &step);
    assert_int_equal(oci_blob_mount(&s, &r, &other, &d), OCI_OK);
    assert_true(noted > before);
    assert_true(oci_generation_read(&s, &other) > noted);

    step.r = &r;
    before = oci_generation_read(&s, &r);
    help_before("unlink", "repositories/a/", note_generation, &step);
    assert_int_equal(oci_blob_delete(&s, &r, &d), OCI_OK);
    assert_true(noted > before);
    assert_true(oci_generation_read(&s, &r) > noted);

    help_store_close(&s);
}


/* an inode with as many links as the file system allows */

static void
test_too_many_links(void **state)
{
    char          to[OCI_PATH_MAX], blob[OCI_PATH_MAX], from[OCI_PATH_MAX];
    char          tmp[OCI_PATH_MAX];
    ino_t         full;
    oci_repo_t    a, b, c, e;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 1);
    a = help_repo("", "a");
    b = help_repo("", "b");
    c = help_repo("", "c");
    e = help_repo("", "e");
    help_digest(&d, TEXT);
    assert_int_equal(help_push(&s, &a, &d, TEXT), OCI_OK);
    oci_path_blob(blob, &s, &d);
    full = help_inode(blob);

    /* a push brings its own, which takes the place of the full one */

    help_fail("link", "repositories/b/", EMLINK, 1);
    assert_int_equal(help_push(&s, &b, &d, TEXT), OCI_OK);
    assert_true(help_has(&s, &b, &d, TEXT));
    oci_path_repo_blob(to, &s, &b, &d);
    assert_int_not_equal(help_inode(to), full);
    assert_int_equal(help_inode(blob), help_inode(to));
    assert_true(help_has(&s, &a, &d, TEXT));

    /* a mount takes the one in blobs/, if that is another */

    help_fail("link", "repositories/c/", EMLINK, 1);
    assert_int_equal(oci_blob_mount(&s, &a, &c, &d), OCI_OK);
    oci_path_repo_blob(to, &s, &c, &d);
    assert_int_equal(help_inode(to), help_inode(blob));

    /* or makes a copy: the first link of from, then the one of blobs/ */

    help_fail("link", "repositories/e/", EMLINK, 2);
    assert_int_equal(oci_blob_mount(&s, &c, &e, &d), OCI_OK);
    assert_true(help_has(&s, &e, &d, TEXT));
    oci_path_repo_blob(to, &s, &e, &d);
    oci_path_repo_blob(from, &s, &c, &d);
    assert_int_not_equal(help_inode(to), help_inode(from));
    assert_int_equal(help_inode(to), help_inode(blob));
    assert_int_equal(help_mode(to), 0444);

    oci_path_tmps(tmp, &s);
    assert_int_equal(help_count(tmp), 0);
    help_calm();

    /* blobs/ alone has no room: legal */

    assert_int_equal(unlink(blob), 0);
    help_fail("link", blob, EMLINK, 1);
    assert_int_equal(oci_blob_mount(&s, &a, &c, &d), OCI_OK);
    assert_false(help_exists(blob));

    /* a copy is verified, so damage does not spread */

    oci_path_repo_blob(to, &s, &e, &d);
    assert_int_equal(unlink(to), 0);
    oci_path_repo_blob(from, &s, &a, &d);
    assert_int_equal(chmod(from, 0600), 0);
    help_write(from, "the content of a Layer", strlen(TEXT));
    help_fail("link", "repositories/e/", EMLINK, 1);
    assert_int_equal(oci_blob_mount(&s, &a, &e, &d), OCI_ERROR);
    assert_int_equal(errno, EBADMSG);
    assert_false(help_has(&s, &e, &d, TEXT));
    assert_int_equal(help_count(tmp), 0);

    help_store_close(&s);
}


/* killed before each of its steps, and done again */

static void
test_killed(void **state)
{
    int           rc;
    char          blob[OCI_PATH_MAX], to[OCI_PATH_MAX];
    help_step_t        step;
    unsigned      n;
    oci_file_t    f;
    oci_repo_t    a, b;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 1);
    a = help_repo("", "a");
    b = help_repo("", "b");
    help_digest(&d, TEXT);
    oci_path_blob(blob, &s, &d);
    step.s = &s;
    step.r = &a;
    step.d = &d;

    for (n = 1, rc = 99; rc == 99; n++) {
        step.r = &a;
        help_kill_at(n);
        rc = help_fork(push_killed, &step);
        help_calm();
        assert_true(rc == 99 || (rc == 0 && n > 8));

        /* what shows is whole */

        if (oci_blob_stat(&s, &a, &d, &f) == OCI_OK) {
            assert_true(help_has(&s, &a, &d, TEXT));
        }

        oci_path_tmps(to, &s);
        help_dir_remove(to);
        assert_int_equal(mkdir(to, 0700), 0);

        assert_int_equal(help_push(&s, &a, &d, TEXT), OCI_OK);
        assert_true(help_has(&s, &a, &d, TEXT));
        assert_int_equal(help_nlink(blob), 2);

        assert_int_equal(oci_blob_delete(&s, &a, &d), OCI_OK);
        oci_path_repo(to, &s, &a);
        help_dir_remove(to);
    }

    assert_int_equal(help_push(&s, &a, &d, TEXT), OCI_OK);

    for (n = 1, rc = 99; rc == 99; n++) {
        help_kill_at(n);
        rc = help_fork(mount_killed, &step);
        help_calm();
        assert_true(rc == 99 || (rc == 0 && n > 6));

        assert_int_equal(oci_blob_mount(&s, &a, &b, &d), OCI_OK);
        assert_true(help_has(&s, &a, &d, TEXT));
        assert_int_equal(help_nlink(blob), 3);

        assert_int_equal(oci_blob_delete(&s, &b, &d), OCI_OK);
        oci_path_repo(to, &s, &b);
        help_dir_remove(to);
    }

    for (n = 1, rc = 99; rc == 99; n++) {
        help_kill_at(n);
        rc = help_fork(delete_killed, &step);
        help_calm();
        assert_true(rc == 99 || (rc == 0 && n > 4));

        if (oci_blob_stat(&s, &a, &d, &f) == OCI_OK) {
            assert_true(help_has(&s, &a, &d, TEXT));
        }

        assert_int_equal(help_push(&s, &a, &d, TEXT), OCI_OK);
        assert_true(help_has(&s, &a, &d, TEXT));
    }

    help_store_close(&s);
}


/* hard links of one's own files need no right beyond owning them */

static void
test_user(void **state)
{
    (void) state;

    assert_int_equal(help_fork(delete_as_user, NULL), 0);
}


static void
note_generation(void *data)
{
    help_step_t  *step = data;

    noted = oci_generation_read(step->s, step->r);
}


static int
push_killed(void *data)
{
    help_step_t  *step = data;

    char  path[OCI_PATH_MAX];

    help_own(path, step->s, TEXT);

    return oci_blob_link(step->s, step->r, step->d, path, strlen(TEXT));
}


static int
mount_killed(void *data)
{
    help_step_t  *step = data;

    oci_repo_t  b;

    b = help_repo("", "b");

    return oci_blob_mount(step->s, step->r, &b, step->d);
}


static int
delete_killed(void *data)
{
    help_step_t  *step = data;

    return oci_blob_delete(step->s, step->r, step->d);
}


static int
delete_as_user(void *data)
{
    oci_repo_t    a, b;
    oci_store_t   s;
    oci_digest_t  d;

    (void) data;

    help_drop_root();
    help_store_open(&s, 1);
    a = help_repo("", "a");
    b = help_repo("", "b");
    help_digest(&d, TEXT);

    if (help_push(&s, &a, &d, TEXT) != OCI_OK
        || help_push(&s, &a, &d, TEXT) != OCI_OK
        || help_push(&s, &b, &d, TEXT) != OCI_OK
        || oci_blob_touch(&s, &a, &d) != OCI_OK
        || oci_blob_mount(&s, &a, &b, &d) != OCI_OK
        || oci_blob_delete(&s, &a, &d) != OCI_OK
        || oci_blob_delete(&s, &b, &d) != OCI_OK)
    {
        return 1;
    }

    help_store_close(&s);

    return 0;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_link),
        cmocka_unit_test(test_link_again),
        cmocka_unit_test(test_link_fast),
        cmocka_unit_test(test_link_mismatch),
        cmocka_unit_test(test_link_races),
        cmocka_unit_test(test_generation),
        cmocka_unit_test(test_too_many_links),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
