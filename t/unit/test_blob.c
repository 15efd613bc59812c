
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "store_help.h"
#include "oci_blob.h"
#include "oci_generation.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>


#define TEXT   "the content of a layer"
#define TEXT2  "the content of another"


typedef struct {
    oci_store_t   *s;
    oci_repo_t    *r;
    oci_digest_t  *d;
} step_t;


static void make_digest(oci_digest_t *d, const char *text);
static void own_file(char *path, const oci_store_t *s, const char *text);
static int push(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const char *text);
static int has(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const char *text);
static void cache(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const char *text);
static void remove_name(void *data);
static void remove_folder(void *data);
static void push_elsewhere(void *data);
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
    make_digest(&d, TEXT);
    own_file(own, &s, TEXT);
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
    assert_true(has(&s, &r, &d, TEXT));

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
    make_digest(&d, TEXT);
    assert_int_equal(push(&s, &r, &d, TEXT), OCI_OK);

    oci_path_repo_blob(to, &s, &r, &d);
    oci_path_blob(blob, &s, &d);
    inode = help_inode(blob);

    /* what is there is linked, its own copy is not; the grace begins anew */

    help_make_old(blob, 1000000);
    assert_int_equal(push(&s, &other, &d, TEXT), OCI_OK);
    assert_int_equal(help_nlink(blob), 3);
    oci_path_repo_blob(to, &s, &other, &d);
    assert_int_equal(help_inode(to), inode);
    assert_in_range(help_age(blob), 0, 60);

    /* the same blob, the same repository: synced again all the same */

    help_make_old(blob, 1000000);
    help_watch(s.root);
    own_file(own, &s, TEXT);
    assert_int_equal(oci_blob_link(&s, &r, &d, own, strlen(TEXT)), OCI_OK);
    assert_int_equal(help_nlink(blob), 3);
    assert_in_range(help_age(blob), 0, 60);
    assert_true(help_find_event("fsync repositories/a/_blobs/sha256", 0)
                >= 0);
    (void) snprintf(text, sizeof(text), "fsync blobs/sha256/%.2s", d.hex);
    assert_true(help_find_event(text, 0) >= 0);

    /* a repository's link whose name in blobs/ has gone gives it back */

    assert_int_equal(unlink(blob), 0);
    assert_int_equal(oci_blob_link(&s, &r, &d, own, strlen(TEXT)), OCI_OK);
    assert_int_equal(help_inode(blob), inode);

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
    make_digest(&d, TEXT);

    help_watch(s.root);
    assert_int_equal(push(&s, &r, &d, TEXT), OCI_OK);

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
    make_digest(&d, TEXT);

    oci_path_blob(blob, &s, &d);
    help_write(blob, "cut", 3);
    assert_int_equal(push(&s, &r, &d, TEXT), OCI_MISMATCH);

    assert_int_equal(unlink(blob), 0);
    assert_int_equal(push(&s, &r, &d, TEXT), OCI_OK);

    oci_path_repo_blob(to, &s, &other, &d);
    *strrchr(to, '/') = '\0';
    assert_int_equal(oci_dir_make(&s, to), OCI_OK);
    oci_path_repo_blob(to, &s, &other, &d);
    help_write(to, "cut", 3);
    assert_int_equal(push(&s, &other, &d, TEXT), OCI_MISMATCH);

    /* failures of the system, and that they leave nothing that lies */

    make_digest(&d, TEXT2);
    own_file(own, &s, TEXT2);

    help_fail("link", "/_blobs/", ENOSPC, 1);
    assert_int_equal(oci_blob_link(&s, &r, &d, own, strlen(TEXT2)),
                     OCI_ERROR);
    assert_int_equal(errno, ENOSPC);
    assert_false(has(&s, &r, &d, TEXT2));

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
    assert_true(has(&s, &r, &d, TEXT2));

    help_store_close(&s);
}


/* what others do between two steps of a push */

static void
test_link_races(void **state)
{
    char          to[OCI_PATH_MAX], blob[OCI_PATH_MAX], dir[OCI_PATH_MAX];
    step_t        step;
    oci_repo_t    r, other, third;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a");
    other = help_repo("", "b");
    third = help_repo("", "c");
    make_digest(&d, TEXT);
    oci_path_blob(blob, &s, &d);

    /* the collector takes the unreferenced name just before it is linked */

    assert_int_equal(push(&s, &other, &d, TEXT), OCI_OK);
    oci_path_repo_blob(to, &s, &other, &d);
    assert_int_equal(unlink(to), 0);
    help_before("link", "repositories/a/", remove_name, blob);
    assert_int_equal(push(&s, &r, &d, TEXT), OCI_OK);
    assert_true(has(&s, &r, &d, TEXT));
    assert_int_equal(help_nlink(blob), 2);

    /* or just after: the link keeps the content, the name comes back */

    oci_path_repo_blob(to, &s, &r, &d);
    assert_int_equal(unlink(to), 0);
    oci_path_repo_blob(to, &s, &r, &d);
    help_before("link", blob, remove_name, blob);
    help_before("link", blob, remove_name, blob);
    assert_int_equal(push(&s, &r, &d, TEXT), OCI_OK);
    assert_true(has(&s, &r, &d, TEXT));
    assert_int_equal(help_inode(blob), help_inode(to));
    help_calm();

    /* the repository's old name goes while it is counted on */

    help_before("link", "repositories/a/", remove_name, blob);
    assert_int_equal(push(&s, &r, &d, TEXT), OCI_OK);
    help_before("link", "repositories/a/", remove_name, to);
    assert_int_equal(push(&s, &r, &d, TEXT), OCI_OK);
    assert_true(has(&s, &r, &d, TEXT));

    /* its empty folder is pruned */

    oci_path_repo_blob(dir, &s, &third, &d);
    *strrchr(dir, '/') = '\0';
    help_before("link", "repositories/c/", remove_folder, dir);
    assert_int_equal(push(&s, &third, &d, TEXT), OCI_OK);
    assert_true(has(&s, &third, &d, TEXT));

    /* someone else pushes the same at the same time */

    make_digest(&d, TEXT2);
    step.s = &s;
    step.r = &r;
    step.d = &d;
    help_before("link", "repositories/a/", push_elsewhere, &step);
    assert_int_equal(push(&s, &r, &d, TEXT2), OCI_OK);
    assert_true(has(&s, &r, &d, TEXT2));
    oci_path_blob(blob, &s, &d);
    oci_path_repo_blob(to, &s, &r, &d);
    assert_int_equal(help_inode(blob), help_inode(to));

    help_store_close(&s);
}


/* the counter is raised before a change shows and once more behind it */

static void
test_generation(void **state)
{
    step_t        step;
    uint64_t      before;
    oci_repo_t    r, other;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a");
    other = help_repo("", "b");
    make_digest(&d, TEXT);
    step.s = &s;
    step.r = &r;

    before = oci_generation_read(&s, &r);
    help_before("link", "repositories/a/", note_generation, &step);
    assert_int_equal(push(&s, &r, &d, TEXT), OCI_OK);
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
    make_digest(&d, TEXT);
    assert_int_equal(push(&s, &a, &d, TEXT), OCI_OK);
    oci_path_blob(blob, &s, &d);
    full = help_inode(blob);

    /* a push brings its own, which takes the place of the full one */

    help_fail("link", "repositories/b/", EMLINK, 1);
    assert_int_equal(push(&s, &b, &d, TEXT), OCI_OK);
    assert_true(has(&s, &b, &d, TEXT));
    oci_path_repo_blob(to, &s, &b, &d);
    assert_int_not_equal(help_inode(to), full);
    assert_int_equal(help_inode(blob), help_inode(to));
    assert_true(has(&s, &a, &d, TEXT));

    /* a mount takes the one in blobs/, if that is another */

    help_fail("link", "repositories/c/", EMLINK, 1);
    assert_int_equal(oci_blob_mount(&s, &a, &c, &d), OCI_OK);
    oci_path_repo_blob(to, &s, &c, &d);
    assert_int_equal(help_inode(to), help_inode(blob));

    /* or makes a copy: the first link of from, then the one of blobs/ */

    help_fail("link", "repositories/e/", EMLINK, 2);
    assert_int_equal(oci_blob_mount(&s, &c, &e, &d), OCI_OK);
    assert_true(has(&s, &e, &d, TEXT));
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
    assert_false(has(&s, &e, &d, TEXT));
    assert_int_equal(help_count(tmp), 0);

    help_store_close(&s);
}


static void
test_mount(void **state)
{
    char          to[OCI_PATH_MAX], blob[OCI_PATH_MAX], text[64];
    oci_repo_t    a, b, c;
    oci_file_t    f;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 1);
    a = help_repo("", "a");
    b = help_repo("", "b/c");
    c = help_repo("n", "a");
    make_digest(&d, TEXT);

    assert_int_equal(oci_blob_mount(&s, &a, &b, &d), OCI_NOT_FOUND);
    oci_path_repo(to, &s, &b);
    assert_false(help_exists(to));

    /* content that blobs/ has gives nobody a right to it */

    assert_int_equal(push(&s, &a, &d, TEXT), OCI_OK);
    assert_int_equal(oci_blob_mount(&s, &c, &b, &d), OCI_NOT_FOUND);

    oci_path_blob(blob, &s, &d);
    help_make_old(blob, 1000000);
    help_watch(s.root);
    assert_int_equal(oci_blob_mount(&s, &a, &b, &d), OCI_OK);
    assert_true(has(&s, &b, &d, TEXT));
    assert_int_equal(help_nlink(blob), 3);
    assert_in_range(help_age(blob), 0, 60);
    assert_true(help_find_event("fsync repositories/b/c/_blobs/sha256", 0)
                > help_find_event("mkdir repositories/b/c/_blobs/sha256",
                                  0));
    assert_true(help_find_event("fsync repositories/b", 0) >= 0);
    (void) snprintf(text, sizeof(text), "fsync blobs/sha256/%.2s", d.hex);
    assert_true(help_find_event(text, 0) >= 0);

    /* twice is fine; so is one whose name in blobs/ is missing */

    assert_int_equal(unlink(blob), 0);
    assert_int_equal(oci_blob_mount(&s, &a, &b, &d), OCI_OK);
    assert_int_equal(help_nlink(blob), 3);

    /* from a cached one: pushed from now on */

    make_digest(&d, TEXT2);
    cache(&s, &a, &d, TEXT2);
    assert_int_equal(oci_blob_mount(&s, &a, &b, &d), OCI_OK);
    assert_int_equal(oci_blob_stat(&s, &b, &d, &f), OCI_OK);
    assert_int_equal(f.cached, 0);
    assert_int_equal(oci_blob_stat(&s, &a, &d, &f), OCI_OK);
    assert_int_equal(f.cached, 1);
    oci_path_blob(blob, &s, &d);
    assert_int_equal(help_nlink(blob), 3);

    /* the source goes just before the link */

    oci_path_repo_cached(to, &s, &a, &d);
    help_before("link", "repositories/@n/a", remove_name, to);
    assert_int_equal(oci_blob_mount(&s, &a, &c, &d), OCI_NOT_FOUND);
    assert_false(has(&s, &c, &d, TEXT2));

    help_fail("fsync", "repositories/@n/a/_blobs/sha256", EIO, 1);
    assert_int_equal(oci_blob_mount(&s, &b, &c, &d), OCI_ERROR);
    assert_int_equal(errno, EIO);

    help_store_close(&s);
}


static void
test_mount_any(void **state)
{
    oci_repo_t    b, c, n;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 0);
    b = help_repo("", "b/c");
    c = help_repo("", "z");
    n = help_repo("n", "x");
    make_digest(&d, TEXT);

    assert_int_equal(oci_blob_mount_any(&s, &b, &d), OCI_NOT_FOUND);

    /* another namespace is another world, in both directions */

    assert_int_equal(push(&s, &n, &d, TEXT), OCI_OK);
    assert_int_equal(oci_blob_mount_any(&s, &b, &d), OCI_NOT_FOUND);
    assert_false(has(&s, &b, &d, TEXT));

    make_digest(&d, TEXT2);
    assert_int_equal(push(&s, &c, &d, TEXT2), OCI_OK);
    assert_int_equal(oci_blob_mount_any(&s, &b, &d), OCI_OK);
    assert_true(has(&s, &b, &d, TEXT2));
    n = help_repo("n", "y");
    assert_int_equal(oci_blob_mount_any(&s, &n, &d), OCI_NOT_FOUND);

    assert_false(has(&s, &n, &d, TEXT2));

    /* itself included */

    assert_int_equal(oci_blob_mount_any(&s, &b, &d), OCI_OK);

    help_store_close(&s);
}


static void
test_open(void **state)
{
    int           fd;
    char          path[OCI_PATH_MAX], buf[64];
    oci_file_t    f;
    oci_repo_t    r, other;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");
    other = help_repo("", "b");
    make_digest(&d, TEXT);

    assert_int_equal(oci_blob_open(&s, &r, &d, &f), OCI_NOT_FOUND);
    assert_int_equal(f.fd, -1);
    assert_int_equal(oci_blob_stat(&s, &r, &d, &f), OCI_NOT_FOUND);
    assert_int_equal(oci_blob_touch(&s, &r, &d), OCI_NOT_FOUND);

    assert_int_equal(push(&s, &r, &d, TEXT), OCI_OK);
    oci_path_repo_blob(path, &s, &r, &d);
    help_make_old(path, 5000);

    assert_int_equal(oci_blob_open(&s, &r, &d, &f), OCI_OK);
    fd = f.fd;
    assert_int_equal(read(fd, buf, sizeof(buf)), strlen(TEXT));
    assert_memory_equal(buf, TEXT, strlen(TEXT));
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close(fd);
    assert_int_equal(f.size, strlen(TEXT));
    assert_int_equal(f.inode, help_inode(path));
    assert_in_range(time(NULL) - f.mtime, 4990, 5100);
    assert_int_equal(f.cached, 0);

    assert_int_equal(oci_blob_stat(&s, &r, &d, &f), OCI_OK);
    assert_int_equal(f.fd, -1);
    assert_int_equal(f.size, strlen(TEXT));
    assert_int_equal(f.inode, help_inode(path));
    assert_in_range(time(NULL) - f.mtime, 4990, 5100);

    assert_int_equal(oci_blob_touch(&s, &r, &d), OCI_OK);
    assert_in_range(help_age(path), 0, 60);

    /* held by the store, not by this repository */

    assert_int_equal(oci_blob_open(&s, &other, &d, &f), OCI_NOT_FOUND);

    make_digest(&d, TEXT2);
    cache(&s, &r, &d, TEXT2);
    assert_int_equal(oci_blob_open(&s, &r, &d, &f), OCI_OK);
    assert_int_equal(f.cached, 1);
    assert_int_equal(f.size, strlen(TEXT2));
    close(f.fd);
    assert_int_equal(oci_blob_touch(&s, &r, &d), OCI_NOT_FOUND);

    help_store_close(&s);
}


static void
test_keep(void **state)
{
    char          path[OCI_PATH_MAX];
    oci_file_t    f;
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a");
    make_digest(&d, TEXT);

    assert_int_equal(oci_blob_keep(&s, &r, &d), OCI_NOT_FOUND);

    cache(&s, &r, &d, TEXT);
    help_watch(s.root);
    assert_int_equal(oci_blob_keep(&s, &r, &d), OCI_OK);
    assert_int_equal(oci_blob_stat(&s, &r, &d, &f), OCI_OK);
    assert_int_equal(f.cached, 0);
    assert_true(help_find_event("fsync repositories/a/_blobs/sha256", 0)
                >= 0);
    oci_path_repo_cached(path, &s, &r, &d);
    assert_true(help_exists(path));

    /* one that is kept already is only looked at */

    help_make_old(path, 5000);
    help_watch(s.root);
    assert_int_equal(oci_blob_keep(&s, &r, &d), OCI_OK);
    assert_int_equal(help_events(), 0);
    assert_true(help_age(path) > 4000);

    help_store_close(&s);
}


static void
test_delete(void **state)
{
    int           i, j;
    char          path[OCI_PATH_MAX], blob[OCI_PATH_MAX], text[64];
    step_t        step;
    oci_repo_t    a, b;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 1);
    a = help_repo("", "a");
    b = help_repo("", "b");
    make_digest(&d, TEXT);
    oci_path_blob(blob, &s, &d);

    assert_int_equal(oci_blob_delete(&s, &a, &d), OCI_NOT_FOUND);

    assert_int_equal(push(&s, &a, &d, TEXT), OCI_OK);
    assert_int_equal(push(&s, &b, &d, TEXT), OCI_OK);
    assert_int_equal(oci_blob_delete(&s, &a, &d), OCI_OK);
    assert_int_equal(oci_blob_delete(&s, &a, &d), OCI_NOT_FOUND);
    assert_true(has(&s, &b, &d, TEXT));
    assert_int_equal(help_nlink(blob), 2);

    /* the last one takes the content with it, synced before the answer */

    help_watch(s.root);
    assert_int_equal(oci_blob_delete(&s, &b, &d), OCI_OK);
    assert_false(help_exists(blob));
    oci_path_repo_blob(path, &s, &b, &d);
    (void) snprintf(text, sizeof(text), "fsync blobs/sha256/%.2s", d.hex);
    i = help_find_event("fsync repositories/b/_blobs/sha256", 0);
    j = help_find_event(text, 0);
    assert_true(i > 0 && j > i);

    /* pushed and cached alike */

    cache(&s, &a, &d, TEXT);
    assert_int_equal(push(&s, &a, &d, TEXT), OCI_OK);
    help_watch(s.root);
    assert_int_equal(oci_blob_delete(&s, &a, &d), OCI_OK);
    oci_path_repo_cached(path, &s, &a, &d);
    assert_false(help_exists(path));
    assert_false(help_exists(blob));
    assert_true(help_find_event("fsync repositories/a/_cached/sha256", 0)
                >= 0);

    /* someone links the content while its last name goes */

    assert_int_equal(push(&s, &a, &d, TEXT), OCI_OK);
    step.s = &s;
    step.r = &b;
    step.d = &d;
    help_before("unlink", blob, push_elsewhere, &step);
    assert_int_equal(oci_blob_delete(&s, &a, &d), OCI_OK);
    assert_true(has(&s, &b, &d, TEXT));
    assert_int_equal(push(&s, &b, &d, TEXT), OCI_OK);
    assert_int_equal(help_nlink(blob), 2);

    help_fail("unlink", "/_blobs/", EIO, 1);
    assert_int_equal(oci_blob_delete(&s, &b, &d), OCI_ERROR);
    assert_int_equal(errno, EIO);
    assert_true(has(&s, &b, &d, TEXT));

    help_fail("fsync", "/_blobs/sha256", EIO, 1);
    assert_int_equal(oci_blob_delete(&s, &b, &d), OCI_ERROR);
    assert_int_equal(errno, EIO);

    help_store_close(&s);
}


/* killed before each of its steps, and done again */

static void
test_killed(void **state)
{
    int           rc;
    char          blob[OCI_PATH_MAX], to[OCI_PATH_MAX];
    step_t        step;
    unsigned      n;
    oci_file_t    f;
    oci_repo_t    a, b;
    oci_store_t   s;
    oci_digest_t  d;

    (void) state;

    help_store_open(&s, 1);
    a = help_repo("", "a");
    b = help_repo("", "b");
    make_digest(&d, TEXT);
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
            assert_true(has(&s, &a, &d, TEXT));
        }

        oci_path_tmps(to, &s);
        help_dir_remove(to);
        assert_int_equal(mkdir(to, 0700), 0);

        assert_int_equal(push(&s, &a, &d, TEXT), OCI_OK);
        assert_true(has(&s, &a, &d, TEXT));
        assert_int_equal(help_nlink(blob), 2);

        assert_int_equal(oci_blob_delete(&s, &a, &d), OCI_OK);
        oci_path_repo(to, &s, &a);
        help_dir_remove(to);
    }

    assert_int_equal(push(&s, &a, &d, TEXT), OCI_OK);

    for (n = 1, rc = 99; rc == 99; n++) {
        help_kill_at(n);
        rc = help_fork(mount_killed, &step);
        help_calm();
        assert_true(rc == 99 || (rc == 0 && n > 6));

        assert_int_equal(oci_blob_mount(&s, &a, &b, &d), OCI_OK);
        assert_true(has(&s, &a, &d, TEXT));
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
            assert_true(has(&s, &a, &d, TEXT));
        }

        assert_int_equal(push(&s, &a, &d, TEXT), OCI_OK);
        assert_true(has(&s, &a, &d, TEXT));
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
make_digest(oci_digest_t *d, const char *text)
{
    oci_digest_of(d, OCI_SHA256, (const u_char *) text, strlen(text));
}


static void
own_file(char *path, const oci_store_t *s, const char *text)
{
    oci_path_tmp(path, s);
    help_write(path, text, strlen(text));
}


static int
push(const oci_store_t *s, const oci_repo_t *r, const oci_digest_t *d,
    const char *text)
{
    int   rc, err;
    char  path[OCI_PATH_MAX];

    own_file(path, s, text);

    rc = oci_blob_link(s, r, d, path, (int64_t) strlen(text));

    err = errno;
    (void) unlink(path);
    errno = err;

    return rc;
}


static int
has(const oci_store_t *s, const oci_repo_t *r, const oci_digest_t *d,
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


static void
cache(const oci_store_t *s, const oci_repo_t *r, const oci_digest_t *d,
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


static void
remove_name(void *data)
{
    (void) unlink(data);
}


static void
remove_folder(void *data)
{
    assert_int_equal(rmdir(data), 0);
}


static void
push_elsewhere(void *data)
{
    step_t  *step = data;

    const char  *text;
    oci_digest_t d;

    make_digest(&d, TEXT);
    text = oci_digest_equal(&d, step->d) ? TEXT : TEXT2;

    assert_int_equal(push(step->s, step->r, step->d, text), OCI_OK);
}


static void
note_generation(void *data)
{
    step_t  *step = data;

    noted = oci_generation_read(step->s, step->r);
}


static int
push_killed(void *data)
{
    step_t  *step = data;

    char  path[OCI_PATH_MAX];

    own_file(path, step->s, TEXT);

    return oci_blob_link(step->s, step->r, step->d, path, strlen(TEXT));
}


static int
mount_killed(void *data)
{
    step_t  *step = data;

    oci_repo_t  b;

    b = help_repo("", "b");

    return oci_blob_mount(step->s, step->r, &b, step->d);
}


static int
delete_killed(void *data)
{
    step_t  *step = data;

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
    make_digest(&d, TEXT);

    if (push(&s, &a, &d, TEXT) != OCI_OK
        || push(&s, &a, &d, TEXT) != OCI_OK
        || push(&s, &b, &d, TEXT) != OCI_OK
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
        cmocka_unit_test(test_mount),
        cmocka_unit_test(test_mount_any),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
