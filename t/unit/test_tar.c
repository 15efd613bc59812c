
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "tar_help.h"
#include "oci_reference.h"


static oci_tar_t  tar;


static int
teardown(void **state)
{
    oci_tar_free(&tar);

    return tar_teardown(state);
}


/* the index of what was written, given in pieces of so many bytes */

static int
read_pieces(size_t piece)
{
    int                rc;
    size_t             n, at;
    u_char            *copy;
    oci_tar_parser_t  *p;

    oci_tar_free(&tar);

    p = oci_tar_create(NULL);
    assert_non_null(p);

    rc = OCI_AGAIN;

    for (at = 0; at < tar_used && rc == OCI_AGAIN; at += n) {
        n = (tar_used - at < piece) ? tar_used - at : piece;

        /* memory of that size alone, so that a step too far is seen */

        copy = malloc(n);
        assert_non_null(copy);
        memcpy(copy, tar_archive + at, n);

        rc = oci_tar_feed(p, (int64_t) at, copy, n);

        free(copy);
    }

    if (rc == OCI_AGAIN || rc == OCI_OK) {
        rc = oci_tar_end(p, (int64_t) tar_used, &tar);
    }

    oci_tar_destroy(p);

    return rc;
}


/* all ways of reading say the same */

static int
read_all(void)
{
    int  rc;

    rc = read_pieces(1);
    assert_int_equal(read_pieces(100), rc);
    assert_int_equal(read_pieces(512), rc);
    assert_int_equal(read_pieces(10000), rc);
    assert_int_equal(read_pieces(ROOM), rc);

    return rc;
}


static void
expect(size_t i, const char *name, const char *text)
{
    const oci_tar_file_t  *f;

    assert_true(i < tar.count);

    f = &tar.files[i];

    assert_int_equal(f->name_len, strlen(name));
    assert_memory_equal(tar.names + f->name, name, f->name_len);
    assert_int_equal(f->size, strlen(text));
    assert_true(f->offset + f->size <= (int64_t) tar_used);
    assert_memory_equal(tar_archive + f->offset, text, strlen(text));
}


static void
test_files(void **state)
{
    char  large[5000];

    (void) state;

    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';

    tar_member('5', "dir/", "", 0);
    tar_file("dir/one", "first");
    tar_file("./dir/two", large);
    tar_file("././none", "");
    tar_member('\0', "old", "old form", 8);
    tar_member('\0', "old-dir/", "", 0);
    tar_member('7', "near", "contiguous", 10);
    tar_end();

    assert_int_equal(read_all(), OCI_OK);
    assert_int_equal(tar.count, 5);
    assert_int_equal(tar.left_out, 0);
    expect(0, "dir/one", "first");
    expect(1, "dir/two", large);
    expect(2, "none", "");
    expect(3, "old", "old form");
    expect(4, "near", "contiguous");
}


/* an end mark may be missing, also the padding of the last content */

static void
test_end(void **state)
{
    size_t  whole;

    (void) state;

    assert_int_equal(read_all(), OCI_OK);
    assert_int_equal(tar.count, 0);

    tar_file("one", "first");
    whole = tar_used;

    assert_int_equal(read_all(), OCI_OK);
    expect(0, "one", "first");

    tar_used = OCI_TAR_BLOCK + 5;
    assert_int_equal(read_all(), OCI_OK);
    assert_int_equal(tar.count, 1);

    /* one byte of it is missing, or a part of a header is there */

    tar_used = OCI_TAR_BLOCK + 4;
    assert_int_equal(read_all(), OCI_INVALID);

    tar_used = whole + 100;
    assert_int_equal(read_all(), OCI_INVALID);

    /* what is behind the mark is of no meaning */

    tar_used = whole;
    tar_end();
    memset(tar_archive + tar_used, 'z', 3 * OCI_TAR_BLOCK);
    tar_used += 3 * OCI_TAR_BLOCK;
    assert_int_equal(read_all(), OCI_OK);
    assert_int_equal(tar.count, 1);
}


/* a content that is said to go on behind the end of the blob */

static void
test_beyond(void **state)
{
    (void) state;

    (void) tar_header('0', "large", 077777777777);
    assert_int_equal(read_all(), OCI_INVALID);

    /* the same behind an end mark, which is inside the content */

    tar_used = 0;
    (void) tar_header('0', "large", 5000);
    tar_end();
    assert_int_equal(read_all(), OCI_INVALID);
}


static void
test_prefix(void **state)
{
    u_char  *block;

    (void) state;

    block = tar_header('0', "name", 0);
    memcpy(block + 345, "some/folder", 11);
    tar_sum(block);

    /* GNU's own form keeps times there */

    block = tar_header('0', "other", 0);
    memcpy(block + 257, "ustar  ", 8);
    memcpy(block + 345, "some/folder", 11);
    tar_sum(block);

    tar_end();

    assert_int_equal(read_all(), OCI_OK);
    assert_int_equal(tar.count, 2);
    expect(0, "some/folder/name", "");
    expect(1, "other", "");
}


static void
test_long_names(void **state)
{
    char  name[701], pax[800];

    (void) state;

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    name[350] = '/';

    tar_member('L', "././@LongLink", name, sizeof(name));
    tar_file("cut", "gnu");

    (void) snprintf(pax, sizeof(pax), "710 path=%s\n", name);
    tar_member('x', "PaxHeaders/x", pax, 710);
    tar_file("cut", "pax");

    /* they speak of one member alone */

    tar_file("plain", "plain");

    /* the target of a link, and what is said of all, name nothing */

    tar_member('K', "././@LongLink", name, sizeof(name));
    tar_file("still", "still");
    tar_member('g', "global", "13 path=evil\n", 13);
    tar_file("yet", "yet");

    tar_end();

    assert_int_equal(read_all(), OCI_OK);
    assert_int_equal(tar.count, 5);
    expect(0, name, "gnu");
    expect(1, name, "pax");
    expect(2, "plain", "plain");
    expect(3, "still", "still");
    expect(4, "yet", "yet");
}


static void
test_pax(void **state)
{
    (void) state;

    /* the size of the header is not the one that counts */

    tar_member('x', "x", "9 size=5\n", 9);
    (void) tar_header('0', "sized", 0);
    tar_content("12345", 5);

    tar_member('x', "x", "22 comment=a=b path=c\n11 path=new\n", 33);
    tar_file("old", "1");

    /* the last of two counts; an empty one takes back */

    tar_member('x', "x", "9 path=a\n9 path=b\n", 18);
    tar_file("old", "2");
    tar_member('x', "x", "9 path=a\n8 path=\n8 size=\n", 25);
    tar_file("back", "3");

    /* a name of a pax header is before one of GNU's */

    tar_member('x', "x", "11 path=pax\n", 12);
    tar_member('L', "L", "gnu", 4);
    tar_file("old", "4");

    tar_end();

    assert_int_equal(read_all(), OCI_INVALID);      /* "11" is 12 long */

    tar_used = 0;
    memset(tar_archive, 0, ROOM);

    tar_member('x', "x", "9 size=5\n", 9);
    (void) tar_header('0', "sized", 0);
    tar_content("12345", 5);
    tar_member('x', "x", "22 comment=a=b path=c\n12 path=new\n", 34);
    tar_file("old", "1");
    tar_member('x', "x", "9 path=a\n9 path=b\n", 18);
    tar_file("old", "2");
    tar_member('x', "x", "9 path=a\n8 path=\n8 size=\n", 25);
    tar_file("back", "3");
    tar_member('x', "x", "12 path=pax\n", 12);
    tar_member('L', "L", "gnu", 4);
    tar_file("old", "4");
    tar_end();

    assert_int_equal(read_all(), OCI_OK);
    assert_int_equal(tar.count, 5);
    expect(0, "sized", "12345");
    expect(1, "new", "1");
    expect(2, "b", "2");
    expect(3, "back", "3");
    expect(4, "pax", "4");
}


static void
test_pax_bad(void **state)
{
    size_t  i;

    static const char *const  bad[] = {
        "path=a\n", "9path=ab\n", "0 path=a\n", "1 path=a\n", "9 path=a",
        "99 path=a\n", "8 path=a\n", "11 path=a\n", "-9 path=a\n",
        "9 path a\n", "9 size=x\n", "11 size=-1\n", "9 size=5\n1",
        "29 size=99999999999999999999\n", "28 size=9223372036854775807\n",
        "99999999999999999999 path=a\n"
    };

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(char *); i++) {
        tar_used = 0;
        memset(tar_archive, 0, ROOM);

        tar_member('x', "x", bad[i], strlen(bad[i]));
        tar_file("file", "file");
        tar_end();

        if (read_all() != OCI_INVALID) {
            fail_msg("taken: %s", bad[i]);
        }
    }

    /* nothing comes behind it, or not even all of it */

    tar_used = 0;
    memset(tar_archive, 0, ROOM);
    tar_member('x', "x", "9 path=a\n", 9);
    assert_int_equal(read_all(), OCI_INVALID);
    tar_end();
    assert_int_equal(read_all(), OCI_INVALID);

    tar_used = OCI_TAR_BLOCK + 5;
    assert_int_equal(read_all(), OCI_INVALID);

    /* more than any header needs */

    tar_used = 0;
    (void) tar_header('x', "x", OCI_TAR_EXTENDED_MAX + 1);
    assert_int_equal(read_all(), OCI_RANGE);
}


/* neither do they end in a path, nor does what follows get lost */

static void
test_hostile(void **state)
{
    size_t  i, n;
    char    huge[OCI_FILE_PATH_MAX + 2];

    static const char *const  names[] = {
        "/etc/passwd", "../up", "a/../../up", "a//b", "a/./b", "..", ".",
        "./", "./.", "a\\b", "..\\up", "a\nb", "a\x7f", "\xff", "\xc0\xaf",
        "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82", ""
    };

    (void) state;

    n = sizeof(names) / sizeof(char *);

    for (i = 0; i < n; i++) {
        tar_file(names[i], "evil");
    }

    memset(huge, 'h', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';

    tar_member('L', "L", huge, sizeof(huge));
    tar_file("huge", "evil");

    tar_member('x', "x", "12 path=a\0b\n", 12);
    tar_file("nul", "evil");

    tar_file("\xe2\x82\xac/\xf0\x9f\x8f\x94", "kept");
    tar_end();

    assert_int_equal(read_all(), OCI_OK);
    assert_int_equal(tar.count, 1);
    assert_int_equal(tar.left_out, n + 2);
    expect(0, "\xe2\x82\xac/\xf0\x9f\x8f\x94", "kept");
}


/* what is no plain file; a link's size is not one of a content */

static void
test_others(void **state)
{
    u_char  *block;

    (void) state;

    (void) tar_header('1', "hard", 700);
    (void) tar_header('2', "soft", 700);
    (void) tar_header('3', "char", 700);
    (void) tar_header('4', "block", 700);
    (void) tar_header('5', "dir", 700);
    (void) tar_header('6', "fifo", 700);
    tar_member('D', "dump", "of names", 8);
    tar_member('V', "volume", "", 0);
    tar_member('Z', "unknown", "content", 7);

    /* sparse: in GNU's old form, with two further blocks, and by pax */

    block = tar_header('S', "sparse", 600);
    memcpy(block + 257, "ustar  ", 8);
    block[482] = 1;
    tar_sum(block);
    tar_archive[tar_used + 504] = 1;
    tar_used += 2 * OCI_TAR_BLOCK;
    tar_content(tar_archive, 600);

    tar_member('S', "small", "some", 4);
    tar_member('x', "x", "22 GNU.sparse.major=1\n", 22);
    tar_file("holes", "content");

    tar_file("last", "kept");
    tar_end();

    assert_int_equal(read_all(), OCI_OK);
    assert_int_equal(tar.count, 1);
    expect(0, "last", "kept");
    assert_int_equal(tar.left_out, 2 + 3 + 2 + 1);
}


static void
test_numbers(void **state)
{
    u_char  *block;

    (void) state;

    /* GNU's binary form, and blanks around octal digits */

    block = tar_header('0', "binary", 0);
    memset(block + 124, 0, 12);
    block[124] = 0x80;
    block[135] = 5;
    tar_sum(block);
    tar_content("12345", 5);

    block = tar_header('0', "blanks", 0);
    memcpy(block + 124, "      5     ", 12);
    tar_sum(block);
    tar_content("12345", 5);
    tar_end();

    assert_int_equal(read_all(), OCI_OK);
    assert_int_equal(tar.count, 2);
    expect(0, "binary", "12345");
    expect(1, "blanks", "12345");

    /* too large for any position, negative, no number, not its sum */

    memset(tar_archive + 125, 0xff, 11);
    tar_sum(tar_archive);
    assert_int_equal(read_all(), OCI_INVALID);

    memset(tar_archive + 124, 0, 12);
    tar_archive[124] = 0x80;
    tar_archive[128] = 0x10;
    tar_sum(tar_archive);
    assert_int_equal(read_all(), OCI_INVALID);

    memset(tar_archive + 124, 0xff, 12);
    tar_sum(tar_archive);
    assert_int_equal(read_all(), OCI_INVALID);

    memcpy(tar_archive + 124, "0000000000x\0", 12);
    tar_sum(tar_archive);
    assert_int_equal(read_all(), OCI_INVALID);

    memcpy(tar_archive + 124, "00000000005\0", 12);
    tar_sum(tar_archive);
    assert_int_equal(read_all(), OCI_OK);

    tar_archive[0] = 'B';
    assert_int_equal(read_all(), OCI_INVALID);
}


/* of bytes with a sign, as some old writers add them up */

static void
test_signed_sum(void **state)
{
    size_t   i;
    int      n;
    u_char  *block;

    (void) state;

    block = tar_header('0', "\xc3\xa4", 0);

    memset(block + 148, ' ', 8);

    for (i = 0, n = 0; i < OCI_TAR_BLOCK; i++) {
        n += (signed char) block[i];
    }

    (void) snprintf((char *) block + 148, 8, "%06o",
                    (unsigned) n & 0777777);
    tar_end();

    assert_int_equal(read_all(), OCI_OK);
    expect(0, "\xc3\xa4", "");
}


static void
test_no_tar(void **state)
{
    (void) state;

    memcpy(tar_archive, "\x1f\x8b\x08", 3);
    tar_used = 4096;
    assert_int_equal(read_all(), OCI_INVALID);

    memset(tar_archive, 'x', 4096);
    assert_int_equal(read_all(), OCI_INVALID);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_files, tar_setup, teardown),
        cmocka_unit_test_setup_teardown(test_end, tar_setup, teardown),
        cmocka_unit_test_setup_teardown(test_beyond, tar_setup, teardown),
        cmocka_unit_test_setup_teardown(test_prefix, tar_setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_names, tar_setup, teardown),
        cmocka_unit_test_setup_teardown(test_pax, tar_setup, teardown),
        cmocka_unit_test_setup_teardown(test_pax_bad, tar_setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile, tar_setup, teardown),
        cmocka_unit_test_setup_teardown(test_others, tar_setup, teardown),
        cmocka_unit_test_setup_teardown(test_numbers, tar_setup, teardown),
        cmocka_unit_test_setup_teardown(test_signed_sum, tar_setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_tar, tar_setup, teardown),
    };

    return cmocka_run_group_tests_name("tar", tests, NULL, NULL);
}
