
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "store_help.h"
#include "tar_help.h"

#include <fcntl.h>
#include <unistd.h>


static oci_tar_t  tar;


static int
teardown(void **state)
{
    oci_tar_free(&tar);

    return tar_teardown(state);
}


/* members without an end: the parser stops, in bounded memory */

static void
test_limits(void **state)
{
    int                rc;
    char               name[32];
    size_t             i;
    int64_t            at;
    oci_tar_parser_t  *p;

    (void) state;

    p = oci_tar_create(NULL);
    assert_non_null(p);

    rc = OCI_AGAIN;
    at = 0;

    for (i = 0; rc == OCI_AGAIN; i++) {
        assert_true(i <= OCI_TAR_FILES_MAX);

        tar_used = 0;
        memset(tar_archive, 0, OCI_TAR_BLOCK);
        (void) snprintf(name, sizeof(name), "file-%zu", i);
        tar_file(name, "");

        rc = oci_tar_feed(p, at, tar_archive, tar_used);
        at += OCI_TAR_BLOCK;
    }

    assert_int_equal(rc, OCI_RANGE);
    assert_int_equal(i, OCI_TAR_FILES_MAX + 1);
    assert_int_equal(oci_tar_feed(p, at, tar_archive, tar_used), OCI_RANGE);
    assert_int_equal(oci_tar_end(p, at, &tar), OCI_RANGE);

    oci_tar_destroy(p);

    /* names that are long instead of many */

    p = oci_tar_create(NULL);
    assert_non_null(p);

    rc = OCI_AGAIN;
    at = 0;

    for (i = 0; rc == OCI_AGAIN; i++) {
        assert_true(i <= OCI_TAR_NAMES_MAX / 1000);

        tar_used = 0;
        memset(tar_archive, 0, 16 * OCI_TAR_BLOCK);
        memset(tar_archive + 8192, 'n', 1000);
        tar_member('L', "L", tar_archive + 8192, 1000);
        tar_file("x", "");

        rc = oci_tar_feed(p, at, tar_archive, tar_used);
        at += (int64_t) tar_used;
    }

    assert_int_equal(rc, OCI_RANGE);
    assert_int_equal(i, OCI_TAR_NAMES_MAX / 1000 + 1);

    oci_tar_destroy(p);

    /* folders, which are not kept at all */

    p = oci_tar_create(NULL);
    assert_non_null(p);

    tar_used = 0;
    memset(tar_archive, 0, OCI_TAR_BLOCK);
    tar_member('5', "dir", "", 0);

    rc = OCI_AGAIN;
    at = 0;

    for (i = 0; rc == OCI_AGAIN; i++) {
        assert_true(i <= OCI_TAR_MEMBERS_MAX);
        rc = oci_tar_feed(p, at, tar_archive, tar_used);
        at += OCI_TAR_BLOCK;
    }

    assert_int_equal(rc, OCI_RANGE);
    assert_int_equal(i, OCI_TAR_MEMBERS_MAX + 1);

    oci_tar_destroy(p);
}


/* many archives of one model have no more room than one */

static void
test_shared_limits(void **state)
{
    int                rc;
    size_t             i;
    oci_tar_used_t     shared;
    oci_tar_parser_t  *p;

    (void) state;

    memset(&shared, 0, sizeof(oci_tar_used_t));
    shared.files = OCI_TAR_FILES_MAX - 6;
    shared.names = OCI_TAR_NAMES_MAX - 30;
    shared.members = OCI_TAR_MEMBERS_MAX - 9;

    tar_member('5', "dir", "", 0);
    tar_file("one", "1");
    tar_file("two", "2");
    tar_end();

    rc = OCI_OK;

    for (i = 0; rc == OCI_OK; i++) {
        assert_true(i < 10);

        p = oci_tar_create(&shared);
        assert_non_null(p);

        rc = oci_tar_feed(p, 0, tar_archive, tar_used);

        if (rc == OCI_OK) {
            assert_int_equal(oci_tar_end(p, (int64_t) tar_used, &tar), OCI_OK);
            assert_int_equal(tar.count, 2);
            oci_tar_free(&tar);
        }

        oci_tar_destroy(p);
    }

    assert_int_equal(rc, OCI_RANGE);
    assert_int_equal(i, 4);
    assert_int_equal(shared.files, OCI_TAR_FILES_MAX);
    assert_int_equal(shared.names, OCI_TAR_NAMES_MAX - 12);
    assert_int_equal(shared.members, OCI_TAR_MEMBERS_MAX + 1);
}


static void
shell(const char *form, const char *dir)
{
    char  command[1024];

    assert_true(snprintf(command, sizeof(command), form, dir)
                < (int) sizeof(command));
    assert_int_equal(system(command), 0);
}


/* what the real program writes, by pread(), contents left out */

static void
read_real(const char *dir, const char *format, size_t files)
{
    int                fd, rc;
    char               path[512], text[512], name[512];
    off_t              size;
    size_t             i;
    unsigned           steps;
    oci_tar_parser_t  *p;

    (void) snprintf(path, sizeof(path),
                    "cd %%s && tar --format=%s -cf x.tar tree", format);
    shell(path, dir);

    (void) snprintf(path, sizeof(path), "%s/x.tar", dir);

    fd = open(path, O_RDONLY|O_CLOEXEC);
    assert_true(fd != -1);
    size = lseek(fd, 0, SEEK_END);

    p = oci_tar_create(NULL);
    assert_non_null(p);

    steps = 0;

    do {
        rc = oci_tar_step(p, fd, size, 1, &tar);
        steps++;
    } while (rc == OCI_AGAIN);

    oci_tar_destroy(p);

    assert_int_equal(rc, OCI_OK);
    assert_true(steps > 1 && steps < 40);
    assert_int_equal(tar.left_out, 0);
    assert_int_equal(tar.count, files);

    for (i = 0; i < tar.count; i++) {
        memset(text, 0, sizeof(text));
        memset(name, 0, sizeof(name));
        memcpy(name, tar.names + tar.files[i].name, tar.files[i].name_len);

        if (strcmp(name, "tree/large") == 0) {
            assert_int_equal(tar.files[i].size, 4 * 1024 * 1024);
            continue;
        }

        assert_int_equal(pread(fd, text, (size_t) tar.files[i].size,
                               tar.files[i].offset),
                         tar.files[i].size);
        assert_string_equal(text, name);
    }

    oci_tar_free(&tar);
    close(fd);
}


/* each file but one holds its own name */

static void
test_real(void **state)
{
    char  dir[256];

    (void) state;

    help_dir(dir);

    shell("cd %s && mkdir -p tree/sub && for f in tree/one tree/sub/two;"
          " do printf %%s $f > $f; done && truncate -s 4M tree/large", dir);

    read_real(dir, "v7", 3);

    /* a name in two fields, then one that fits into none */

    shell("cd %s && n=$(printf %%060d 2) && d=tree/$n/$n && mkdir -p $d"
          " && printf %%s $d/file > $d/file", dir);

    read_real(dir, "ustar", 4);

    shell("cd %s && f=tree/$(printf %%0140d 3) && printf %%s $f > $f", dir);

    read_real(dir, "gnu", 5);
    read_real(dir, "pax", 5);

    help_dir_remove(dir);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_limits, tar_setup, teardown),
        cmocka_unit_test_setup_teardown(test_shared_limits, tar_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_real, tar_setup, teardown),
    };

    return cmocka_run_group_tests_name("tar_limits", tests, NULL, NULL);
}
