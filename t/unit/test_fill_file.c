
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "fill_help.h"
#include "oci_blob.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>


#define OTHER  "66666666-7777-8888-9999-aaaaaaaaaaaa"
#define THIRD  "bbbbbbbb-cccc-dddd-eeee-ffffffffffff"


typedef struct {
    oci_store_t   *s;
    oci_digest_t  *d;
} child_t;


static int part_elsewhere(void *data);
static int claim_and_die(void *data);


static void
test_whole(void **state)
{
    char             path[OCI_PATH_MAX], cached[OCI_PATH_MAX], *got;
    size_t           len;
    oci_file_t       file;
    oci_repo_t       r;
    oci_store_t      s;
    oci_digest_t     d;
    oci_fill_file_t  f;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "library/a");
    fill_blob(&d, 1);

    fill_open(&f, &s, &d);
    assert_true(f.created);
    assert_int_equal(f.map.n, 11);
    assert_int_equal(fill_verify(&f), OCI_NOT_FOUND);

    /* out of order, the last one in two pieces */

    fill_put(&f, 3, FILL_CHUNK);
    fill_put(&f, 10, 50);
    fill_put(&f, 10, 27);
    fill_put(&f, 0, FILL_CHUNK);
    assert_int_equal(fill_verify(&f), OCI_NOT_FOUND);
    assert_int_equal(oci_chunkmap_hashed(&f.map), FILL_CHUNK);

    fill_put_all(&f);
    assert_int_equal(oci_chunkmap_total(&f.map), FILL_SIZE);
    assert_int_equal(oci_fill_verify(&f, fill_buf, sizeof(fill_buf),
                                     FILL_CHUNK),
                     OCI_AGAIN);
    assert_int_equal(fill_verify(&f), OCI_OK);
    assert_int_equal(oci_chunkmap_state(&f.map), OCI_CHUNKMAP_VERIFIED);
    assert_int_equal(fill_verify(&f), OCI_OK);

    help_watch(s.root);
    assert_int_equal(oci_fill_finish(&f, &r, 1), OCI_OK);

    /* its bytes last before it has a name */

    (void) snprintf(path, sizeof(path), "fsync fills/sha256/%s/data", d.hex);
    (void) snprintf(cached, sizeof(cached), "link fills/sha256/%s/data -> "
                    "repositories/library/a/_cached/sha256/%s", d.hex,
                    d.hex);
    assert_true(help_find_event(path, 0) >= 0);
    assert_true(help_find_event(cached, 0) > help_find_event(path, 0));
    help_watch_end();

    assert_false(fill_exists(&s, &d, NULL));

    assert_int_equal(oci_blob_open(&s, &r, &d, &file), OCI_OK);
    assert_int_equal(file.size, FILL_SIZE);
    assert_true(file.cached);
    close(file.fd);

    oci_path_repo_cached(cached, &s, &r, &d);
    got = help_read(cached, &len);
    assert_int_equal(len, FILL_SIZE);
    assert_memory_equal(got, fill_content, FILL_SIZE);
    free(got);
    assert_int_equal(help_mode(cached), 0444);
    assert_int_equal(help_nlink(cached), 2);

    oci_path_blob(path, &s, &d);
    assert_int_equal(help_inode(path), help_inode(cached));

    /* a reader goes on with what it has open */

    assert_int_equal(pread(f.fd, fill_buf, 100, 0), 100);
    assert_memory_equal(fill_buf, fill_content, 100);

    oci_fill_close(&f);
    help_store_close(&s);
}


static void
test_second_repository(void **state)
{
    oci_file_t       file;
    oci_repo_t       a, b, c;
    oci_store_t      s;
    oci_digest_t     d;
    oci_fill_file_t  f, g;

    (void) state;

    help_store_open(&s, 0);
    a = help_repo("", "a");
    b = help_repo("", "b");
    c = help_repo("n", "c");
    fill_blob(&d, 2);

    fill_open(&f, &s, &d);
    fill_open(&g, &s, &d);
    assert_false(g.created);

    fill_put_all(&f);
    assert_int_equal(fill_verify(&g), OCI_OK);
    assert_int_equal(fill_verify(&f), OCI_OK);

    assert_int_equal(oci_fill_finish(&f, &a, 0), OCI_OK);
    assert_true(fill_exists(&s, &d, "data"));
    assert_int_equal(oci_fill_finish(&f, &b, 1), OCI_OK);
    assert_false(fill_exists(&s, &d, NULL));

    /* another one has ended it: from what blobs/ has */

    assert_int_equal(oci_fill_finish(&g, &c, 1), OCI_OK);
    assert_int_equal(oci_blob_stat(&s, &a, &d, &file), OCI_OK);
    assert_int_equal(oci_blob_stat(&s, &b, &d, &file), OCI_OK);
    assert_int_equal(oci_blob_stat(&s, &c, &d, &file), OCI_OK);
    assert_int_equal(file.size, FILL_SIZE);

    oci_fill_close(&f);
    oci_fill_close(&g);
    help_store_close(&s);
}


static void
test_mismatch(void **state)
{
    u_char           was;
    oci_repo_t       r;
    oci_store_t      s;
    oci_digest_t     d, bad;
    oci_fill_file_t  f;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");
    fill_blob(&d, 3);

    fill_open(&f, &s, &d);
    was = fill_content[5000];
    fill_content[5000] ^= 1;
    fill_put_all(&f);
    oci_digest_of(&bad, OCI_SHA256, fill_content, FILL_SIZE);
    fill_content[5000] = was;

    assert_int_equal(fill_verify(&f), OCI_MISMATCH);
    assert_true(oci_digest_equal(&f.found, &bad));
    assert_int_equal(oci_chunkmap_state(&f.map), OCI_CHUNKMAP_FAILED);

    assert_int_equal(oci_fill_discard(&f), OCI_OK);
    assert_false(fill_exists(&s, &d, NULL));
    assert_int_equal(help_count(s.root), 7);
    oci_fill_close(&f);

    /* and again, from nothing */

    fill_open(&f, &s, &d);
    assert_true(f.created);
    assert_int_equal(oci_chunkmap_total(&f.map), 0);
    fill_put_all(&f);
    assert_int_equal(fill_verify(&f), OCI_OK);
    assert_int_equal(oci_fill_finish(&f, &r, 1), OCI_OK);
    oci_fill_close(&f);

    help_store_close(&s);
}


/* kill -9 leaves what was published, and no lock or claim for long */

static void
test_restart(void **state)
{
    child_t            c;
    int64_t            total;
    uint64_t           token;
    oci_store_t        s;
    oci_digest_t       d;
    oci_fill_file_t    f;
    oci_fill_writer_t  w;

    (void) state;

    help_store_open(&s, 0);
    fill_blob(&d, 4);

    c.s = &s;
    c.d = &d;
    assert_int_equal(help_fork(part_elsewhere, &c), 0);

    fill_open(&f, &s, &d);
    assert_false(f.created);
    total = oci_chunkmap_total(&f.map);
    assert_int_equal(total, 2 * FILL_CHUNK + 1000);
    assert_int_equal(oci_chunkmap_hashed(&f.map), 2 * FILL_CHUNK);
    oci_fill_close(&f);

    assert_int_equal(help_fork(claim_and_die, &c), -1);

    fill_open(&f, &s, &d);

    assert_int_equal(oci_chunkmap_claim(&f.map, 5, 1000, 100, 1, &token),
                     OCI_CONFLICT);
    assert_int_equal(oci_chunkmap_claim(&f.map, 5, 2000, 100, 1, &token),
                     OCI_OK);
    assert_int_equal(oci_fill_writer_open(&w, &f, 5, token), OCI_OK);
    assert_int_equal(w.offset, 100);
    assert_int_equal(oci_fill_write(&w, &f, fill_content + 5 * FILL_CHUNK + 100,
                                    FILL_CHUNK - 100),
                     OCI_OK);
    oci_chunkmap_release(&f.map, 5, token);
    oci_fill_writer_close(&w);

    fill_put_all(&f);
    assert_int_equal(fill_verify(&f), OCI_OK);

    oci_fill_close(&f);
    help_store_close(&s);
}


/* the machine went down: the CRCs tell what is still there */

static void
test_other_boot(void **state)
{
    int              fd;
    char             path[OCI_PATH_MAX], own[OCI_BOOT_ID_LEN + 1];
    uint64_t         token;
    oci_store_t      s;
    oci_digest_t     d;
    oci_fill_file_t  f;

    (void) state;

    help_store_open(&s, 0);
    fill_blob(&d, 5);
    strcpy(own, s.boot_id);

    strcpy(s.boot_id, OTHER);
    fill_open(&f, &s, &d);
    fill_put(&f, 0, FILL_CHUNK);
    fill_put(&f, 1, FILL_CHUNK);
    fill_put(&f, 2, FILL_CHUNK);
    fill_put(&f, 3, 900);
    fill_put(&f, 4, 900);
    assert_int_equal(oci_chunkmap_claim(&f.map, 8, 5, 1 << 30, 4, &token),
                     OCI_OK);
    assert_int_equal(fill_verify(&f), OCI_NOT_FOUND);
    assert_int_equal(oci_chunkmap_hashed(&f.map), 3 * FILL_CHUNK + 900);
    oci_fill_close(&f);

    /* bytes that never came to the disk */

    oci_path_fill(path, &s, &d, "data");
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "\0\0\0\0", 4, FILL_CHUNK + 9), 4);
    assert_int_equal(pwrite(fd, "\0\0\0\0", 4, 4 * FILL_CHUNK + 899), 4);
    close(fd);

    strcpy(s.boot_id, THIRD);
    fill_open(&f, &s, &d);
    assert_false(f.created);
    assert_int_equal(oci_chunkmap_filled(&f.map, 0, NULL), FILL_CHUNK);
    assert_int_equal(oci_chunkmap_filled(&f.map, 1, NULL), 0);
    assert_int_equal(oci_chunkmap_filled(&f.map, 2, NULL), FILL_CHUNK);
    assert_int_equal(oci_chunkmap_filled(&f.map, 3, NULL), 900);
    assert_int_equal(oci_chunkmap_filled(&f.map, 4, NULL), 0);
    assert_int_equal(oci_chunkmap_hashed(&f.map), 0);
    assert_int_equal(oci_chunkmap_claims(&f.map, 6), 0);

    fill_put_all(&f);
    assert_int_equal(fill_verify(&f), OCI_OK);
    oci_fill_close(&f);

    /* verified under a boot that ended: verified again */

    strcpy(s.boot_id, OTHER);
    fill_open(&f, &s, &d);
    assert_int_equal(oci_chunkmap_state(&f.map), OCI_CHUNKMAP_OPEN);
    assert_int_equal(oci_chunkmap_total(&f.map), FILL_SIZE);
    assert_int_equal(fill_verify(&f), OCI_OK);
    oci_fill_close(&f);

    /* a boot that has not ended is another machine's */

    strcpy(s.boot_id, own);
    fill_open(&f, &s, &d);
    oci_fill_close(&f);
    strcpy(s.boot_id, OTHER);
    assert_int_equal(oci_fill_open(&f, &s, &d, FILL_SIZE, FILL_CHUNK, 0),
                     OCI_CONFLICT);

    help_store_close(&s);
}


/* ended, but its files were not removed any more: content is not touched */

static void
test_half_ended(void **state)
{
    char             own[OCI_BOOT_ID_LEN + 1], path[OCI_PATH_MAX];
    ino_t            inode;
    oci_repo_t       r;
    oci_store_t      s;
    oci_digest_t     d;
    oci_fill_file_t  f;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");
    fill_blob(&d, 6);
    strcpy(own, s.boot_id);

    fill_open(&f, &s, &d);
    fill_put_all(&f);
    assert_int_equal(fill_verify(&f), OCI_OK);
    assert_int_equal(oci_fill_finish(&f, &r, 0), OCI_OK);
    oci_fill_close(&f);

    oci_path_fill(path, &s, &d, "data");
    inode = help_inode(path);
    assert_int_equal(help_nlink(path), 3);

    fill_open(&f, &s, &d);
    assert_int_equal(oci_chunkmap_state(&f.map), OCI_CHUNKMAP_VERIFIED);
    assert_int_equal(help_inode(path), inode);
    oci_fill_close(&f);

    strcpy(s.boot_id, OTHER);
    fill_open(&f, &s, &d);
    assert_true(f.created);
    assert_int_not_equal(help_inode(path), inode);
    oci_path_repo_cached(path, &s, &r, &d);
    assert_int_equal(help_inode(path), inode);
    oci_fill_close(&f);

    help_store_close(&s);
}


static void
test_damaged_map(void **state)
{
    int              fd;
    char             path[OCI_PATH_MAX];
    oci_store_t      s;
    oci_digest_t     d;
    oci_fill_file_t  f;

    (void) state;

    help_store_open(&s, 0);
    fill_blob(&d, 7);

    fill_open(&f, &s, &d);
    fill_put_all(&f);
    oci_fill_close(&f);

    oci_path_fill(path, &s, &d, "map");
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "x", 1, 20), 1);
    close(fd);

    fill_open(&f, &s, &d);
    assert_true(f.created);
    assert_int_equal(oci_chunkmap_total(&f.map), 0);
    fill_put_all(&f);
    oci_fill_close(&f);

    oci_path_fill(path, &s, &d, "data");
    assert_int_equal(truncate(path, FILL_SIZE - 1), 0);

    fill_open(&f, &s, &d);
    assert_true(f.created);
    oci_fill_close(&f);

    /* data that was lost */

    assert_int_equal(unlink(path), 0);
    fill_open(&f, &s, &d);
    assert_true(f.created);
    oci_fill_close(&f);

    help_store_close(&s);
}


static void
test_expire(void **state)
{
    char             path[OCI_PATH_MAX];
    oci_store_t      s;
    oci_digest_t     d, e;
    oci_fill_file_t  f, g;

    (void) state;

    help_store_open(&s, 0);
    fill_blob(&d, 12);

    fill_open(&f, &s, &d);
    fill_put(&f, 0, FILL_CHUNK);
    fill_blob(&e, 13);
    assert_int_equal(oci_fill_open(&g, &s, &e, -1, FILL_CHUNK, 0), OCI_OK);
    oci_fill_close(&g);

    assert_int_equal(oci_fill_expire(&s, 60, 10), 0);

    oci_path_fill(path, &s, &d, "data");
    help_make_old(path, 100);
    oci_path_fill(path, &s, &e, NULL);
    help_make_old(path, 100);

    /* not what somebody has open */

    assert_int_equal(oci_fill_expire(&s, 60, 10), 1);
    assert_false(fill_exists(&s, &e, NULL));
    assert_true(fill_exists(&s, &d, "data"));

    oci_fill_close(&f);
    assert_int_equal(oci_fill_expire(&s, 60, 10), 1);
    assert_false(fill_exists(&s, &d, NULL));

    help_store_close(&s);
}


static void
test_known(void **state)
{
    int64_t          size;
    oci_file_t       file;
    oci_repo_t       a, b;
    oci_store_t      s;
    oci_digest_t     d;
    oci_fill_file_t  f;

    (void) state;

    help_store_open(&s, 0);
    a = help_repo("", "a");
    b = help_repo("", "b");
    fill_blob(&d, 14);

    assert_int_equal(oci_blob_cache_known(&s, &b, &d, &size), OCI_NOT_FOUND);

    fill_open(&f, &s, &d);
    fill_put_all(&f);
    assert_int_equal(fill_verify(&f), OCI_OK);
    assert_int_equal(oci_fill_finish(&f, &a, 1), OCI_OK);
    oci_fill_close(&f);

    assert_int_equal(oci_blob_cache_known(&s, &b, &d, &size), OCI_OK);
    assert_int_equal(size, FILL_SIZE);
    assert_int_equal(oci_blob_stat(&s, &b, &d, &file), OCI_OK);
    assert_true(file.cached);

    /* what was pushed stays what it is */

    assert_int_equal(oci_blob_mount(&s, &b, &b, &d), OCI_OK);
    assert_int_equal(oci_blob_cache_known(&s, &b, &d, &size), OCI_OK);
    assert_int_equal(oci_blob_stat(&s, &b, &d, &file), OCI_OK);
    assert_false(file.cached);

    help_store_close(&s);
}


static int
part_elsewhere(void *data)
{
    child_t          *c = data;
    oci_fill_file_t   f;

    fill_open(&f, c->s, c->d);
    fill_put(&f, 0, FILL_CHUNK);
    fill_put(&f, 1, FILL_CHUNK);
    (void) fill_verify(&f);
    fill_put(&f, 7, 1000);

    return 0;
}


static int
claim_and_die(void *data)
{
    child_t           *c = data;
    uint64_t           token;
    oci_fill_file_t    f;
    oci_fill_writer_t  w;

    fill_open(&f, c->s, c->d);
    (void) oci_chunkmap_claim(&f.map, 5, 1000, 500, 4, &token);
    (void) oci_fill_writer_open(&w, &f, 5, token);
    (void) oci_fill_write(&w, &f, fill_content + 5 * FILL_CHUNK, 100);
    (void) oci_fill_turn(c->s, c->d);
    (void) raise(SIGKILL);

    return 0;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_second_repository),
        cmocka_unit_test(test_mismatch),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_other_boot),
        cmocka_unit_test(test_half_ended),
        cmocka_unit_test(test_damaged_map),
        cmocka_unit_test(test_expire),
        cmocka_unit_test(test_known)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
