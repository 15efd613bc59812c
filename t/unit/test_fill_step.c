
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "fill_help.h"
#include "oci_blob.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>


typedef struct {
    oci_store_t   *s;
    oci_digest_t  *d;
} child_t;


static int turn_elsewhere(void *data);
static int finish_elsewhere(void *data);


static void
test_sizes(void **state)
{
    oci_store_t      s;
    oci_digest_t     d, empty;
    oci_fill_file_t  f;

    (void) state;

    help_store_open(&s, 0);
    fill_blob(&d, 8);

    assert_int_equal(oci_fill_open(&f, &s, &d, -1, FILL_CHUNK, 0), OCI_OK);
    assert_null(f.image);
    oci_fill_close(&f);

    fill_open(&f, &s, &d);
    oci_fill_close(&f);

    assert_int_equal(oci_fill_open(&f, &s, &d, -1, FILL_CHUNK, 0), OCI_OK);
    assert_non_null(f.image);
    assert_int_equal(f.map.size, FILL_SIZE);
    oci_fill_close(&f);

    assert_int_equal(oci_fill_open(&f, &s, &d, FILL_SIZE + 1, FILL_CHUNK, 0),
                     OCI_MISMATCH);
    assert_int_equal(f.map.size, FILL_SIZE);
    assert_int_equal(oci_fill_discard(&f), OCI_OK);
    oci_fill_close(&f);

    assert_int_equal(oci_fill_open(&f, &s, &d, INT64_MAX, FILL_CHUNK, 0),
                     OCI_INVALID);
    assert_false(fill_exists(&s, &d, NULL));

    /* nothing to fetch is verified at once */

    oci_digest_of(&empty, OCI_SHA256, (const u_char *) "", 0);
    assert_int_equal(oci_fill_open(&f, &s, &empty, 0, FILL_CHUNK, 0), OCI_OK);
    assert_int_equal(fill_verify(&f), OCI_OK);
    oci_fill_close(&f);

    help_store_close(&s);
}


static void
test_no_room(void **state)
{
    uint64_t           token;
    oci_store_t        s;
    oci_digest_t       d;
    oci_fill_file_t    f;
    oci_fill_writer_t  w;

    (void) state;

    help_store_open(&s, 0);
    fill_blob(&d, 9);

    assert_int_equal(oci_fill_open(&f, &s, &d, (int64_t) 1 << 50,
                                   OCI_CHUNK_MAX, 0),
                     OCI_RANGE);
    assert_false(fill_exists(&s, &d, NULL));

    assert_int_equal(oci_fill_open(&f, &s, &d, FILL_SIZE, FILL_CHUNK,
                                   (int64_t) 1 << 55),
                     OCI_RANGE);
    assert_false(fill_exists(&s, &d, NULL));

    /* none although there was some */

    fill_open(&f, &s, &d);
    assert_int_equal(oci_chunkmap_claim(&f.map, 1, 1, 100, 4, &token),
                     OCI_OK);
    assert_int_equal(oci_fill_writer_open(&w, &f, 1, token), OCI_OK);
    help_watch(s.root);
    help_fail("pwrite", "data", ENOSPC, 1);
    assert_int_equal(oci_fill_write(&w, &f, fill_content + FILL_CHUNK, 1),
                     OCI_RANGE);
    assert_int_equal(oci_chunkmap_filled(&f.map, 1, NULL), 0);
    help_calm();
    assert_int_equal(oci_fill_write(&w, &f, fill_content + FILL_CHUNK,
                                    FILL_CHUNK), OCI_OK);
    assert_int_equal(oci_fill_write(&w, &f, fill_content + FILL_CHUNK, 1),
                     OCI_RANGE);
    oci_fill_writer_close(&w);
    oci_fill_close(&f);

    help_store_close(&s);
}


/* one that was thought dead comes back: no published byte is touched */

static void
test_late_writer(void **state)
{
    char               path[OCI_PATH_MAX], away[OCI_PATH_MAX], *got;
    size_t             len;
    u_char             bad[FILL_CHUNK];
    uint64_t           late, token;
    oci_store_t        s;
    oci_digest_t       d;
    oci_fill_file_t    f, g;
    oci_fill_writer_t  w, x;

    (void) state;

    help_store_open(&s, 0);
    fill_blob(&d, 10);
    memset(bad, 'x', sizeof(bad));

    fill_open(&f, &s, &d);
    fill_open(&g, &s, &d);

    assert_int_equal(oci_chunkmap_claim(&f.map, 0, 10, 100, 4, &late),
                     OCI_OK);
    assert_int_equal(oci_fill_writer_open(&w, &f, 0, late), OCI_OK);
    assert_int_equal(oci_fill_write(&w, &f, fill_content, 1000), OCI_OK);

    assert_int_equal(oci_chunkmap_claim(&g.map, 0, 200, 100, 4, &token),
                     OCI_OK);
    assert_int_equal(oci_fill_writer_open(&x, &g, 0, token), OCI_OK);
    assert_int_equal(x.offset, 1000);
    assert_int_equal(oci_fill_write(&x, &g, fill_content + 1000, 1000), OCI_OK);

    assert_int_equal(oci_fill_write(&w, &f, bad, 1000), OCI_CONFLICT);
    assert_int_equal(oci_fill_write(&x, &g, fill_content + 2000,
                                    FILL_CHUNK - 2000),
                     OCI_OK);
    assert_int_equal(oci_fill_write(&w, &f, bad, 1000), OCI_CONFLICT);
    oci_chunkmap_release(&g.map, 0, token);
    oci_fill_writer_close(&x);
    oci_fill_writer_close(&w);

    oci_path_fill(path, &s, &d, "data");
    got = help_read(path, &len);
    assert_memory_equal(got, fill_content, FILL_CHUNK);
    free(got);

    /* it published between our claim and our first byte */

    assert_int_equal(oci_chunkmap_claim(&f.map, 1, 10, 100, 4, &late),
                     OCI_OK);
    assert_int_equal(oci_fill_writer_open(&x, &g, 1, late), OCI_OK);
    assert_int_equal(oci_fill_writer_open(&w, &f, 1, late), OCI_OK);
    assert_int_equal(oci_fill_write(&w, &f, fill_content + FILL_CHUNK, 1500),
                     OCI_OK);
    assert_int_equal(oci_fill_write(&x, &g, bad, 700), OCI_OK);
    assert_int_equal(oci_fill_write(&x, &g, fill_content + FILL_CHUNK + 700,
                                    900),
                     OCI_OK);
    assert_int_equal(oci_chunkmap_filled(&f.map, 1, NULL), 1600);
    assert_int_equal(oci_fill_write(&x, &g, fill_content + FILL_CHUNK + 1600,
                                    FILL_CHUNK - 1600), OCI_OK);
    oci_chunkmap_release(&f.map, 1, late);
    oci_fill_writer_close(&x);
    oci_fill_writer_close(&w);

    /* not into what somebody has removed */

    oci_path_fill(path, &s, &d, "lock");
    oci_path_fill(away, &s, &d, "away");
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(oci_fill_writer_open(&w, &f, 1, late), OCI_NOT_FOUND);
    assert_int_equal(w.lock, -1);
    assert_int_equal(rename(away, path), 0);

    fill_put_all(&f);
    assert_int_equal(fill_verify(&f), OCI_OK);

    /* nor after the end */

    assert_int_equal(oci_fill_discard(&g), OCI_OK);
    assert_int_equal(oci_fill_writer_open(&w, &f, 1, late), OCI_CONFLICT);

    oci_fill_close(&f);
    oci_fill_close(&g);
    help_store_close(&s);
}


static void
test_one_at_a_time(void **state)
{
    int                turn, again;
    child_t            c;
    uint64_t           token;
    oci_repo_t         r;
    oci_store_t        s;
    oci_digest_t       d, other;
    oci_fill_file_t    f;
    oci_fill_writer_t  w, x;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");
    fill_blob(&other, 12);
    fill_blob(&d, 11);
    c.s = &s;
    c.d = &d;

    /* who asks first, of what nobody has begun with */

    turn = oci_fill_turn(&s, &d);
    assert_true(turn >= 0);
    assert_int_equal(oci_fill_turn(&s, &d), OCI_AGAIN);
    assert_int_equal(help_fork(turn_elsewhere, &c), 1);

    again = oci_fill_turn(&s, &other);
    assert_true(again >= 0);
    close(again);

    close(turn);
    assert_int_equal(help_fork(turn_elsewhere, &c), 0);
    assert_int_equal(oci_fill_fresh(&s, &d), OCI_OK);

    /* who writes a chunk */

    fill_open(&f, &s, &d);
    assert_int_equal(oci_fill_fresh(&s, &d), OCI_EXISTS);
    assert_int_equal(oci_chunkmap_claim(&f.map, 0, 10, 100, 4, &token),
                     OCI_OK);
    assert_int_equal(oci_fill_writer_open(&w, &f, 0, token), OCI_OK);
    assert_int_equal(oci_fill_writer_open(&x, &f, 0, token), OCI_OK);
    {
        struct flock  fl;

        memset(&fl, 0, sizeof(fl));
        fl.l_type = F_WRLCK;
        fl.l_len = 1;
        assert_int_equal(fcntl(x.lock, F_OFD_SETLK, &fl), 0);
    }

    assert_int_equal(oci_fill_write(&w, &f, fill_content, 10), OCI_AGAIN);
    oci_fill_writer_close(&x);
    assert_int_equal(oci_fill_write(&w, &f, fill_content, 10), OCI_OK);
    oci_chunkmap_release(&f.map, 0, token);
    oci_fill_writer_close(&w);

    fill_put_all(&f);
    assert_int_equal(fill_verify(&f), OCI_OK);
    assert_int_equal(help_fork(finish_elsewhere, &c), 0);
    assert_int_equal(oci_fill_finish(&f, &r, 1), OCI_OK);
    assert_false(fill_exists(&s, &d, NULL));
    assert_int_equal(oci_fill_fresh(&s, &d), OCI_EXISTS);

    oci_fill_close(&f);
    help_store_close(&s);
}


static int
turn_elsewhere(void *data)
{
    child_t  *c = data;

    return (oci_fill_turn(c->s, c->d) >= 0) ? 0 : 1;
}


static int
finish_elsewhere(void *data)
{
    child_t          *c = data;
    oci_repo_t        r;
    oci_fill_file_t   f;

    r = help_repo("", "other");
    fill_open(&f, c->s, c->d);

    return (oci_fill_finish(&f, &r, 1) == OCI_OK) ? 0 : 1;
}


/* of a long one at first the beginning, where that takes nobody's room */

static void
test_rest_of_room(void **state)
{
    int64_t          reserve, size;
    unsigned         plenty;
    oci_store_t      s;
    oci_digest_t     d;
    struct stat      st;
    struct statvfs   fs;
    oci_fill_file_t  f;

    (void) state;

    help_store_open(&s, 0);
    fill_blob(&d, 18);

    size = 80 * 1024 * 1024 + 5;

    for (plenty = 0; plenty < 2; plenty++) {

        assert_int_equal(statvfs(s.root, &fs), 0);
        reserve = (int64_t) fs.f_bavail * (int64_t) fs.f_frsize
                  - (plenty ? 16 : 4) * size;

        if (reserve < 0) {
            help_store_close(&s);
            skip();
        }

        assert_int_equal(oci_fill_open(&f, &s, &d, size, OCI_CHUNK_MAX,
                                       reserve), OCI_OK);
        assert_int_equal(fstat(f.fd, &st), 0);
        assert_int_equal(st.st_size, size);
        assert_int_equal(f.rest, plenty ? 8 * 1024 * 1024 : 0);
        assert_int_equal(st.st_blocks * 512 < size, plenty);

        if (plenty) {
            assert_int_equal(oci_fill_reserve(&f), OCI_OK);
            assert_int_equal(fstat(f.fd, &st), 0);
            assert_int_equal(st.st_size, size);
            assert_true(st.st_blocks * 512 >= size);

            help_watch(s.root);
            help_fail("fallocate", "data", ENOSPC, 1);
            assert_int_equal(oci_fill_reserve(&f), OCI_RANGE);
            help_calm();
        }

        assert_int_equal(oci_fill_discard(&f), OCI_OK);
        oci_fill_close(&f);
    }

    help_store_close(&s);
}


/* files made while the size is asked for, and not when they are others */

static void
test_prepared(void **state)
{
    char             path[OCI_PATH_MAX];
    unsigned         other;
    oci_store_t      s;
    oci_digest_t     d;
    oci_repo_t       r;
    struct stat      have, want;
    oci_fill_file_t  f, g;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");

    for (other = 0; other < 2; other++) {
        fill_blob(&d, 13 + other);

        assert_int_equal(oci_fill_open(&f, &s, &d, -1, FILL_CHUNK, 0),
                         OCI_OK);
        oci_fill_prepare(&f);
        assert_true(fill_exists(&s, &d, "data"));
        assert_true(fill_exists(&s, &d, "map.tmp"));
        assert_false(fill_exists(&s, &d, "map"));

        (void) oci_path_fill(path, &s, &d, "data");
        assert_int_equal(fstat(f.data_ahead, &have), 0);

        if (other) {
            assert_int_equal(unlink(path), 0);
            close(open(path, O_WRONLY|O_CREAT|O_EXCL, 0600));
        }

        assert_int_equal(oci_fill_size(&f, FILL_SIZE, FILL_CHUNK, 0),
                         OCI_OK);
        assert_int_equal(f.data_ahead, -1);
        assert_int_equal(f.map_ahead, -1);
        assert_int_equal(stat(path, &want), 0);
        assert_true(other || have.st_ino == want.st_ino);
        assert_int_equal(fstat(f.fd, &have), 0);
        assert_int_equal(have.st_ino, want.st_ino);

        fill_put_all(&f);
        assert_int_equal(fill_verify(&f), OCI_OK);
        assert_int_equal(oci_fill_discard(&f), OCI_OK);
        oci_fill_close(&f);
    }

    /* nor when all of the folder is gone, or another's by now */

    for (other = 0; other < 2; other++) {
        fill_blob(&d, 15 + other);

        assert_int_equal(oci_fill_open(&f, &s, &d, -1, FILL_CHUNK, 0),
                         OCI_OK);
        oci_fill_prepare(&f);
        assert_int_equal(oci_fill_discard(&f), OCI_OK);
        assert_false(fill_exists(&s, &d, NULL));

        if (other) {
            assert_int_equal(oci_fill_open(&g, &s, &d, -1, FILL_CHUNK, 0),
                             OCI_OK);
            oci_fill_close(&g);
        }

        assert_int_equal(oci_fill_size(&f, FILL_SIZE, FILL_CHUNK, 0),
                         OCI_OK);
        assert_true(f.created);

        fill_put_all(&f);
        assert_int_equal(fill_verify(&f), OCI_OK);
        assert_int_equal(oci_fill_finish(&f, &r, 1), OCI_OK);
        oci_fill_close(&f);
    }

    /* and no file of one that has a map is touched */

    fill_blob(&d, 17);
    assert_int_equal(oci_fill_open(&f, &s, &d, -1, FILL_CHUNK, 0), OCI_OK);
    fill_open(&g, &s, &d);
    fill_put_all(&g);
    oci_fill_prepare(&f);
    assert_int_equal(f.data_ahead, -1);
    assert_int_equal(fill_verify(&g), OCI_OK);
    assert_int_equal(oci_fill_finish(&g, &r, 1), OCI_OK);
    oci_fill_close(&f);
    oci_fill_close(&g);

    (void) oci_path_blob(path, &s, &d);
    assert_int_equal(stat(path, &want), 0);
    assert_int_equal(want.st_size, FILL_SIZE);

    help_store_close(&s);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_rest_of_room),
        cmocka_unit_test(test_prepared),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_late_writer),
        cmocka_unit_test(test_one_at_a_time)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
