
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "upload_help.h"
#include "oci_blob.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>


static const oci_str_t  alice = oci_string("alice");


static void
test_life(void **state)
{
    char          path[OCI_PATH_MAX], id[OCI_UPLOAD_ID_LEN + 1];
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("n", "a/b");

    help_begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(u.fd, -1);
    assert_int_equal(u.owned, 0);
    assert_int_equal(u.offset, 0);
    assert_int_equal(u.alg, OCI_SHA256);
    assert_in_range(time(NULL) - u.created, 0, 60);
    assert_true(oci_upload_id_valid((u_char *) u.id, strlen(u.id)));
    strcpy(id, u.id);

    help_file(path, &u, NULL);
    assert_int_equal(help_count(path), 2);
    assert_int_equal(help_mode(path), 0700);

    oci_path_repo(path, &s, &r);
    assert_false(help_exists(path));

    assert_int_equal(help_take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(u.owned, 1);
    assert_int_equal(fcntl(u.fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(help_put(&u, "one ", 0), OCI_OK);
    assert_int_equal(u.offset, 4);
    assert_int_equal(help_offset(&s, &r, id), 0);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    assert_int_equal(help_offset(&s, &r, id), 4);
    oci_upload_close(&u);
    assert_int_equal(u.fd, -1);

    /* another process goes on, without reading back */

    assert_int_equal(help_take(&u, &s, &r, id), OCI_OK);
    assert_int_equal(u.offset, 4);
    assert_int_equal(u.start, 4);
    assert_int_equal(help_put(&u, "two ", 0), OCI_OK);
    assert_int_equal(help_put(&u, "", 0), OCI_OK);
    assert_int_equal(help_put(&u, "three", 0), OCI_OK);

    help_digest_of(&d, OCI_SHA256, "one two three");
    help_watch(s.root);
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_int_equal(u.fd, -1);
    assert_true(help_stored(&s, &r, &d, "one two three"));

    /* synced before it gets its first name */

    (void) snprintf(path, sizeof(path), "fsync uploads/%s/data", id);
    assert_true(help_find_event(path, 0) >= 0);
    (void) snprintf(path, sizeof(path), "mkdir repositories/@n");
    assert_true(help_find_event(path, 0)
                > help_find_event("fsync uploads", 0));
    assert_int_equal(strncmp(help_event((unsigned)
                             help_find_event(path, 0)), "mkdir", 5), 0);

    oci_path_uploads(path, &s);
    assert_int_equal(help_count(path), 0);
    oci_path_blob(path, &s, &d);
    assert_int_equal(help_nlink(path), 2);
    assert_int_equal(help_mode(path), 0444);

    assert_int_equal(help_take(&u, &s, &r, id), OCI_NOT_FOUND);

    help_store_close(&s);
}


static void
test_order(void **state)
{
    int           data, first, i;
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

    (void) snprintf(text, sizeof(text), "fsync uploads/%s/data", u.id);
    data = help_find_event(text, 0);
    assert_true(data >= 0);

    first = -1;

    for (i = 0; i < (int) help_events(); i++) {
        if (strncmp(help_event((unsigned) i), "link ", 5) == 0) {
            first = i;
            break;
        }
    }

    assert_true(first > data);

    /* the session goes when all names stand, its state before its data */

    (void) snprintf(text, sizeof(text), "unlink uploads/%s/state", u.id);
    i = help_find_event(text, 0);
    assert_true(i > help_find_event("fsync repositories/a/_blobs/sha256",
                                    0));
    (void) snprintf(text, sizeof(text), "unlink uploads/%s/data", u.id);
    assert_true(help_find_event(text, 0) > i);

    /* none of it where the store is not durable */

    s.durable = 0;
    help_begin(&u, &s, &r, OCI_SHA256);
    help_watch(s.root);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(help_put(&u, "y", 1), OCI_OK);
    help_digest_of(&d, OCI_SHA256, "y");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(help_stored(&s, &r, &d, "y"));

    for (i = 0; i < (int) help_events(); i++) {
        assert_null(strstr(help_event((unsigned) i), "sync"));
    }

    help_store_close(&s);
}


static void
test_digests(void **state)
{
    char          path[OCI_PATH_MAX];
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("", "a");

    /* an algorithm that nobody hinted at, and one that was */

    help_begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(help_put(&u, "text", 0), OCI_OK);
    help_digest_of(&d, OCI_SHA512, "text");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(help_stored(&s, &r, &d, "text"));

    help_begin(&u, &s, &r, OCI_SHA512);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(u.alg, OCI_SHA512);
    assert_int_equal(help_put(&u, "text2", 0), OCI_OK);
    help_digest_of(&d, OCI_SHA512, "text2");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(help_stored(&s, &r, &d, "text2"));

    /* nothing at all */

    help_begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    help_digest_of(&d, OCI_SHA256, "");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(help_stored(&s, &r, &d, ""));

    /* a wrong one ends the session and leaves nothing */

    help_begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(help_put(&u, "bad", 0), OCI_OK);
    help_digest_of(&d, OCI_SHA256, "good");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_MISMATCH);
    assert_int_equal(u.fd, -1);
    oci_path_blob(path, &s, &d);
    assert_false(help_exists(path));
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_NOT_FOUND);

    help_begin(&u, &s, &r, OCI_SHA256);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(help_put(&u, "bad", 0), OCI_OK);
    help_digest_of(&d, OCI_SHA512, "good");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_MISMATCH);

    oci_path_uploads(path, &s);
    assert_int_equal(help_count(path), 0);

    help_store_close(&s);
}


static void
test_whose(void **state)
{
    char          name[400], bad[OCI_UPLOAD_ID_LEN + 1];
    u_char        zero[3] = { 'a', 0, 'b' };
    oci_str_t     id, user, other;
    oci_repo_t    r, x;
    oci_store_t   s;
    oci_upload_t  u, v;

    (void) state;

    help_store_open(&s, 0);
    r = help_repo("n", "a/b");

    assert_int_equal(oci_upload_create(&u, &s, &r, &alice, OCI_SHA256),
                     OCI_OK);
    id = help_str(u.id);

    assert_int_equal(oci_upload_status(&v, &s, &r, &alice, &id), OCI_OK);
    assert_int_equal(v.fd, -1);

    /* neither through another repository nor by another user */

    x = help_repo("n", "a/c");
    assert_int_equal(oci_upload_status(&v, &s, &x, &alice, &id),
                     OCI_NOT_FOUND);
    assert_int_equal(oci_upload_acquire(&v, &s, &x, &alice, &id),
                     OCI_NOT_FOUND);
    x = help_repo("", "a/b");
    assert_int_equal(oci_upload_status(&v, &s, &x, &alice, &id),
                     OCI_NOT_FOUND);
    x = help_repo("m", "a/b");
    assert_int_equal(oci_upload_status(&v, &s, &x, &alice, &id),
                     OCI_NOT_FOUND);
    x = help_repo("na", "/b");
    assert_int_equal(oci_upload_status(&v, &s, &x, &alice, &id),
                     OCI_NOT_FOUND);
    x = help_repo("n", "a/ba");
    other = help_str("lice");
    assert_int_equal(oci_upload_status(&v, &s, &x, &other, &id),
                     OCI_NOT_FOUND);
    other = help_str("bob");
    assert_int_equal(oci_upload_status(&v, &s, &r, &other, &id),
                     OCI_NOT_FOUND);
    assert_int_equal(oci_upload_acquire(&v, &s, &r, &other, &id),
                     OCI_NOT_FOUND);
    assert_int_equal(v.fd, -1);
    other = help_str("alic");
    assert_int_equal(oci_upload_status(&v, &s, &r, &other, &id),
                     OCI_NOT_FOUND);
    assert_int_equal(oci_upload_status(&v, &s, &r, &help_nobody, &id),
                     OCI_NOT_FOUND);
    assert_int_equal(oci_upload_status(&v, &s, &r, NULL, &id),
                     OCI_NOT_FOUND);

    /* ids outside of the grammar lead nowhere */

    strcpy(bad, u.id);
    bad[0] = (bad[0] == '0') ? '1' : '0';
    id = help_str(bad);
    assert_int_equal(oci_upload_status(&v, &s, &r, &alice, &id),
                     OCI_NOT_FOUND);
    id = help_str("../uploads");
    assert_int_equal(oci_upload_status(&v, &s, &r, &alice, &id),
                     OCI_NOT_FOUND);
    id = help_str("");
    assert_int_equal(oci_upload_acquire(&v, &s, &r, &alice, &id),
                     OCI_NOT_FOUND);

    /* long names, and names that hold anything */

    memset(name, 'x', sizeof(name));
    user.data = (u_char *) name;
    user.len = 400;
    assert_int_equal(oci_upload_create(&u, &s, &r, &user, OCI_SHA256),
                     OCI_OK);
    id = help_str(u.id);
    assert_int_equal(oci_upload_status(&v, &s, &r, &user, &id), OCI_OK);
    user.len = 399;
    assert_int_equal(oci_upload_status(&v, &s, &r, &user, &id),
                     OCI_NOT_FOUND);
    user.len = 255;
    assert_int_equal(oci_upload_create(&u, &s, &r, &user, OCI_SHA256),
                     OCI_OK);
    id = help_str(u.id);
    assert_int_equal(oci_upload_status(&v, &s, &r, &user, &id), OCI_OK);

    user.data = zero;
    user.len = 3;
    assert_int_equal(oci_upload_create(&u, &s, &r, &user, OCI_SHA256),
                     OCI_OK);
    id = help_str(u.id);
    assert_int_equal(oci_upload_status(&v, &s, &r, &user, &id), OCI_OK);
    zero[2] = 'c';
    assert_int_equal(oci_upload_status(&v, &s, &r, &user, &id),
                     OCI_NOT_FOUND);

    help_store_close(&s);
}


static void
test_rollback(void **state)
{
    char          path[OCI_PATH_MAX];
    struct stat   st;
    oci_repo_t    r;
    oci_store_t   s;
    oci_digest_t  d;
    oci_upload_t  u;

    (void) state;

    help_store_open(&s, 1);
    r = help_repo("", "a");
    help_begin(&u, &s, &r, OCI_SHA256);
    help_file(path, &u, "data");
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(help_put(&u, "kept ", 0), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    oci_upload_close(&u);

    /* a broken chunk leaves the session as it was: rolled back, */

    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(help_put(&u, "broken", 0), OCI_OK);
    assert_int_equal(oci_upload_rollback(&u), OCI_OK);
    assert_int_equal(u.offset, 5);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 5);
    oci_upload_close(&u);
    assert_int_equal(help_offset(&s, &r, u.id), 5);

    /* or just dropped, */

    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(help_put(&u, "dropped", 0), OCI_OK);
    oci_upload_close(&u);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 12);
    assert_int_equal(help_take(&u, &s, &r, u.id), OCI_OK);
    assert_int_equal(u.offset, 5);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 5);

    /* or saved on the way */

    assert_int_equal(help_put(&u, "broken again", 1), OCI_OK);
    assert_int_equal(oci_upload_save(&u), OCI_OK);
    assert_int_equal(oci_upload_rollback(&u), OCI_OK);
    assert_int_equal(help_offset(&s, &r, u.id), 5);

    assert_int_equal(help_put(&u, "end", 0), OCI_OK);
    help_digest_of(&d, OCI_SHA256, "kept end");
    assert_int_equal(oci_upload_commit(&u, &r, &d), OCI_OK);
    assert_true(help_stored(&s, &r, &d, "kept end"));

    help_store_close(&s);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_digests),
        cmocka_unit_test(test_whose),
        cmocka_unit_test(test_rollback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
