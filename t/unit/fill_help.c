
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "fill_help.h"


u_char  fill_content[FILL_SIZE];
u_char  fill_buf[3000];


void
fill_blob(oci_digest_t *d, unsigned seed)
{
    size_t  i;

    for (i = 0; i < FILL_SIZE; i++) {
        seed = seed * 1103515245 + 12345;
        fill_content[i] = (u_char) (seed >> 16);
    }

    oci_digest_of(d, OCI_SHA256, fill_content, FILL_SIZE);
}


void
fill_open(oci_fill_file_t *f, oci_store_t *s, oci_digest_t *d)
{
    assert_int_equal(oci_fill_open(f, s, d, FILL_SIZE, FILL_CHUNK, 0), OCI_OK);
    assert_non_null(f->image);
}


void
fill_put(oci_fill_file_t *f, uint32_t i, uint32_t bytes)
{
    uint64_t           token;
    oci_fill_writer_t  w;

    assert_int_equal(oci_chunkmap_claim(&f->map, i, 1, 1, 4, &token),
                     OCI_OK);
    assert_int_equal(oci_fill_writer_open(&w, f, i, token), OCI_OK);
    assert_int_equal(oci_fill_write(&w, f,
                                    fill_content + i * FILL_CHUNK + w.offset,
                                    bytes), OCI_OK);
    oci_chunkmap_release(&f->map, i, token);
    oci_fill_writer_close(&w);
}


void
fill_put_all(oci_fill_file_t *f)
{
    uint32_t  i, have;

    for (i = 0; i < f->map.n; i++) {
        have = oci_chunkmap_filled(&f->map, i, NULL);

        if (have < oci_chunkmap_chunk(&f->map, i)) {
            fill_put(f, i, oci_chunkmap_chunk(&f->map, i) - have);
        }
    }
}


int
fill_verify(oci_fill_file_t *f)
{
    int  rc;

    do {
        rc = oci_fill_verify(f, fill_buf, sizeof(fill_buf), 2 * FILL_CHUNK);
    } while (rc == OCI_AGAIN);

    return rc;
}


int
fill_exists(oci_store_t *s, oci_digest_t *d, const char *file)
{
    char  path[OCI_PATH_MAX];

    oci_path_fill(path, s, d, file);

    return help_exists(path);
}
