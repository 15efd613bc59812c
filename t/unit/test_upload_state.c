
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The slots of an upload's state: a save that breaks off anywhere leaves the
 * state of before, and the synced one outlives the loss of all that came
 * after it.
 */


#include "upload_help.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>


#define SLOT  4096


typedef struct {
    char     *data;
    size_t    len;
} image_t;


static int64_t blocks(const char *path);
static void image(image_t *m, const char *path);
static size_t difference(const image_t *a, const image_t *b, size_t *to);


/* a save that is killed between any two bytes of it */

static void
test_killed_save(void **state)
{
    char          path[OCI_PATH_MAX];
    size_t        from, to, n;
    image_t       before, after, torn;
    unsigned      i, used;
    oci_repo_t    r;
    oci_store_t   s;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");
    help_begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    help_file(path, &u, "state");

    used = 0;

    for (i = 0; i < 7; i++) {
        image(&before, path);
        assert_int_equal(help_put(&u, "text", 0), OCI_OK);
        assert_int_equal(oci_upload_save(&u), OCI_OK);
        image(&after, path);

        from = difference(&before, &after, &to);
        assert_int_equal(from / SLOT, (to - 1) / SLOT);
        used |= 1u << (from / SLOT);

        torn.len = after.len;
        torn.data = calloc(1, torn.len);
        assert_non_null(torn.data);
        memcpy(torn.data, before.data, before.len);

        for (n = from; n < to; n++) {
            help_write(path, torn.data, torn.len);
            assert_int_equal(help_offset(&s, &r, u.id), 4 * i);
            torn.data[n] = after.data[n];
        }

        help_write(path, torn.data, torn.len);
        assert_int_equal(help_offset(&s, &r, u.id), 4 * (i + 1));

        free(torn.data);
        free(before.data);
        free(after.data);
    }

    /* the third one is for a synced state */

    assert_int_equal(used, 3);

    oci_upload_close(&u);

    /* a torn one is written over by the next save */

    image(&before, path);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    image(&after, path);
    from = difference(&before, &after, &to);
    after.data[from] ^= 1;
    help_write(path, after.data, after.len);
    oci_upload_close(&u);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(u.offset, 28);
    assert_int_equal(help_put(&u, "more", 0), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    assert_int_equal(help_offset(&s, &r, u.id), 32);
    oci_upload_close(&u);

    free(before.data);
    free(after.data);

    help_store_close(&s);
}


/* whatever was written since the sync is lost, be it half there */

static void
test_power_loss(void **state)
{
    char          path[OCI_PATH_MAX], own[OCI_BOOT_ID_LEN + 1];
    u_char       *data;
    size_t        i;
    image_t       synced, now;
    unsigned      n;
    oci_repo_t    r;
    oci_store_t   s;
    oci_upload_t  u;

    (void) state;

    data = calloc(1, OCI_UPLOAD_SYNC_SIZE);
    assert_non_null(data);

    help_store_open(&s, 1);
    r = help_repo("", "a");
    strcpy(own, s.boot_id);
    strcpy(s.boot_id, BOOT);
    help_begin(&u, &s, &r, OCI_SHA256);
    help_file(path, &u, "state");
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(help_bytes(&u, data, OCI_UPLOAD_SYNC_SIZE, 1), OCI_OK);
    image(&synced, path);

    for (n = 0; n < 5; n++) {
        assert_int_equal(help_put(&u, "more", 0), OCI_OK);
        assert_int_equal(oci_upload_save(&u), OCI_OK);
        oci_upload_close(&u);
        assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
        image(&now, path);

        for (i = 0; i < now.len; i++) {
            if (i >= synced.len || now.data[i] != synced.data[i]) {
                now.data[i] = 'x';
            }
        }

        strcpy(s.boot_id, own);
        help_write(path, now.data, now.len);
        assert_int_equal(help_offset(&s, &r, u.id), OCI_UPLOAD_SYNC_SIZE);
        strcpy(s.boot_id, BOOT);

        help_write(path, synced.data, synced.len);
        oci_upload_close(&u);
        assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
        free(now.data);
    }

    oci_upload_close(&u);
    free(synced.data);
    free(data);

    help_store_close(&s);
}


/* what the caller was told has failed does not count afterwards */

static void
test_failed_save(void **state)
{
    u_char       *data;
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  u;

    (void) state;

    data = calloc(1, OCI_UPLOAD_SYNC_SIZE);
    assert_non_null(data);

    help_store_open(&s, 1);
    r = help_repo("", "a");
    help_begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(help_put(&u, "text", 0), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);

    help_fail("fdatasync", "/state", EIO, 1);
    assert_int_equal(help_bytes(&u, data, OCI_UPLOAD_SYNC_SIZE, 1),
                     OCI_ERROR);
    assert_int_equal(errno, EIO);
    assert_string_equal(oci_failure()->op, "fdatasync()");
    assert_int_equal(help_offset(&s, &r, u.id), 4);
    oci_upload_close(&u);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(u.offset, 4);

    help_fail("pwrite", "/state", EDQUOT, 1);
    assert_int_equal(help_put(&u, "ual", 0), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_ERROR);
    assert_int_equal(errno, EDQUOT);
    assert_int_equal(help_offset(&s, &r, u.id), 4);

    assert_int_equal(oci_upload_save(&u), OCI_OK);
    assert_int_equal(help_offset(&s, &r, u.id), 7);
    help_digest_of(&d, OCI_SHA256, "textual");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(help_stored(&s, &r, &d, "textual"));

    free(data);

    help_store_close(&s);
}


/* blocks that were found ahead: none stay that nothing was written to */

static void
test_ahead(void **state)
{
    char          path[OCI_PATH_MAX], id[OCI_UPLOAD_ID_LEN + 1];
    u_char       *data;
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  u;

    (void) state;

    data = calloc(1, MIB);
    assert_non_null(data);

    help_store_open(&s, 0);
    r = help_repo("", "a");
    help_begin(&u, &s, &r, OCI_SHA256);
    strcpy(id, u.id);
    help_file(path, &u, "data");
    assert_int_equal(help_take(&u, &s, &r, id), OCI_OK);

    /* as much as is to come, but no more than 16 MiB; not for a few bytes */

    u.more = 4 * MIB;
    assert_int_equal(help_bytes(&u, data, MIB, 0), OCI_OK);
    assert_int_equal(u.reserved, 4 * MIB);
    assert_in_range(blocks(path), 4 * MIB, 5 * MIB);
    assert_int_equal(help_bytes(&u, data, MIB, 0), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    assert_in_range(blocks(path), 2 * MIB, 3 * MIB);

    u.more = INT64_MAX;
    assert_int_equal(help_put(&u, "a few", 0), OCI_OK);
    assert_in_range(blocks(path), 2 * MIB, 3 * MIB);
    assert_int_equal(help_bytes(&u, data, MIB, 0), OCI_OK);
    assert_in_range(blocks(path), 18 * MIB, 19 * MIB);

    /* of one that was killed, of a disk that is full, of a commit */

    oci_upload_close(&u);
    assert_int_equal(help_take(&u, &s, &r, id), OCI_OK);
    assert_in_range(blocks(path), 2 * MIB, 3 * MIB);

    u.more = 9 * MIB;
    assert_int_equal(help_bytes(&u, data, MIB, 0), OCI_OK);
    assert_in_range(blocks(path), 11 * MIB, 12 * MIB);
    help_fail("pwrite", "/data", EDQUOT, 1);
    assert_int_equal(help_bytes(&u, data, MIB, 0), OCI_ERROR);
    assert_in_range(blocks(path), 3 * MIB, 4 * MIB);

    u.more = 9 * MIB;
    assert_int_equal(help_bytes(&u, data, MIB, 0), OCI_OK);
    assert_in_range(blocks(path), 12 * MIB, 13 * MIB);
    oci_hash_digest(&u.hash, &d);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    oci_path_blob(path, &s, &d);
    assert_in_range(blocks(path), 4 * MIB, 5 * MIB);

    free(data);

    help_store_close(&s);
}


static int64_t
blocks(const char *path)
{
    struct stat  st;

    assert_int_equal(stat(path, &st), 0);

    return (int64_t) st.st_blocks * 512;
}


static void
image(image_t *m, const char *path)
{
    m->data = help_read(path, &m->len);
}


/* the first byte that differs, and the end of what does; a may be shorter */

static size_t
difference(const image_t *a, const image_t *b, size_t *to)
{
    size_t    i, from;
    unsigned  differs;

    from = b->len;
    *to = 0;

    for (i = 0; i < b->len; i++) {
        differs = (i < a->len) ? a->data[i] != b->data[i] : b->data[i] != 0;

        if (differs) {
            from = (i < from) ? i : from;
            *to = i + 1;
        }
    }

    assert_true(*to > from);

    return from;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_killed_save),
        cmocka_unit_test(test_power_loss),
        cmocka_unit_test(test_failed_save),
        cmocka_unit_test(test_ahead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
