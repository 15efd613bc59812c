
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * An archive as it is, and one whose headers have got their sums: else
 * hardly any input would come past the first.  However it is given, in one
 * piece, in small ones or as a file, the parser says the same of it.
 */


#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "oci_tar.h"
#include "oci_reference.h"


#define check(expr)                                                           \
    if (!(expr)) {                                                            \
        abort();                                                              \
    }


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_sums(u_char *data, size_t size);
static void fuzz_archive(const u_char *data, size_t size);
static int fuzz_pieces(const u_char *data, size_t size, size_t piece,
    oci_tar_t *tar);
static int fuzz_file(const u_char *data, size_t size, oci_tar_t *tar);
static void fuzz_index(const oci_tar_t *tar, size_t size);
static void fuzz_same(const oci_tar_t *a, const oci_tar_t *b);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char  *copy;

    copy = malloc(size ? size : 1);
    check(copy != NULL);

    if (size) {
        memcpy(copy, data, size);
    }

    fuzz_archive(copy, size);

    fuzz_sums(copy, size);
    fuzz_archive(copy, size);

    free(copy);

    return 0;
}


/* wherever the parser begins to read a block, it finds the sum of that */

static void
fuzz_sums(u_char *data, size_t size)
{
    int                rc;
    size_t             i, sum;
    u_char            *block;
    int64_t            at;
    oci_tar_parser_t  *p;

    p = oci_tar_create(NULL);
    check(p != NULL);

    do {
        at = oci_tar_position(p);

        if (at > (int64_t) size
            || size - (size_t) at < OCI_TAR_BLOCK)
        {
            break;
        }

        block = data + at;

        memset(block + 148, ' ', 8);

        for (i = 0, sum = 0; i < OCI_TAR_BLOCK; i++) {
            sum += block[i];
        }

        for (i = 153; i >= 148; i--, sum /= 8) {
            block[i] = (u_char) ('0' + sum % 8);
        }

        rc = oci_tar_feed(p, at, block, OCI_TAR_BLOCK);

    } while (rc == OCI_AGAIN);

    oci_tar_destroy(p);
}


static void
fuzz_archive(const u_char *data, size_t size)
{
    int        rc;
    size_t     piece;
    oci_tar_t  tar, other;

    rc = fuzz_pieces(data, size, size ? size : 1, &tar);

    check(rc == OCI_OK || rc == OCI_INVALID || rc == OCI_RANGE);

    if (rc == OCI_OK) {
        fuzz_index(&tar, size);
    }

    /* byte by byte takes long */

    piece = (size <= 4 * OCI_TAR_BLOCK) ? 1 : 13;

    for ( /* void */ ; piece < 2000; piece = piece * 9 + 4) {

        check(fuzz_pieces(data, size, piece, &other) == rc);

        if (rc == OCI_OK) {
            fuzz_same(&tar, &other);
            oci_tar_free(&other);
        }
    }

    check(fuzz_file(data, size, &other) == rc);

    if (rc == OCI_OK) {
        fuzz_same(&tar, &other);
        oci_tar_free(&other);
        oci_tar_free(&tar);
    }
}


static int
fuzz_pieces(const u_char *data, size_t size, size_t piece, oci_tar_t *tar)
{
    int                rc;
    size_t             at, n;
    oci_tar_parser_t  *p;

    p = oci_tar_create(NULL);
    check(p != NULL);

    rc = OCI_AGAIN;

    for (at = 0; at < size && rc == OCI_AGAIN; at += n) {
        n = (size - at < piece) ? size - at : piece;
        rc = oci_tar_feed(p, (int64_t) at, data + at, n);

        check(rc != OCI_AGAIN
              || oci_tar_position(p) >= (int64_t) (at + n));
    }

    if (rc == OCI_AGAIN || rc == OCI_OK) {
        rc = oci_tar_end(p, (int64_t) size, tar);
    }

    oci_tar_destroy(p);

    return rc;
}


static int
fuzz_file(const u_char *data, size_t size, oci_tar_t *tar)
{
    int                rc;
    static int         fd = -1;
    oci_tar_parser_t  *p;

    if (fd == -1) {
        fd = memfd_create("tar", 0);
        check(fd != -1);
    }

    check(ftruncate(fd, 0) == 0);
    check(pwrite(fd, data, size, 0) == (ssize_t) size);

    p = oci_tar_create(NULL);
    check(p != NULL);

    do {
        rc = oci_tar_step(p, fd, (int64_t) size, 1, tar);
    } while (rc == OCI_AGAIN);

    oci_tar_destroy(p);

    return rc;
}


static void
fuzz_index(const oci_tar_t *tar, size_t size)
{
    size_t                 i;
    const oci_tar_file_t  *file;

    check(tar->count <= OCI_TAR_FILES_MAX);
    check(tar->names_len <= OCI_TAR_NAMES_MAX);

    for (i = 0; i < tar->count; i++) {
        file = &tar->files[i];

        check(file->name <= tar->names_len);
        check(file->name_len <= tar->names_len - file->name);
        check(oci_file_path_valid(tar->names + file->name, file->name_len));
        check(file->offset >= OCI_TAR_BLOCK);
        check(file->offset % OCI_TAR_BLOCK == 0);
        check(file->size >= 0);
        check(file->offset <= (int64_t) size);
        check(file->size <= (int64_t) size - file->offset);
    }
}


static void
fuzz_same(const oci_tar_t *a, const oci_tar_t *b)
{
    check(a->count == b->count);
    check(a->left_out == b->left_out);
    check(a->names_len == b->names_len);

    if (a->count) {
        check(memcmp(a->names, b->names, a->names_len) == 0);
        check(memcmp(a->files, b->files, a->count * sizeof(oci_tar_file_t))
              == 0);
    }
}
