
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "tar_help.h"


u_char  *tar_archive;
size_t   tar_used;


int
tar_setup(void **state)
{
    (void) state;

    tar_archive = calloc(1, ROOM);
    tar_used = 0;

    return tar_archive == NULL;
}


int
tar_teardown(void **state)
{
    (void) state;

    free(tar_archive);

    return 0;
}


void
tar_sum(u_char *block)
{
    size_t    i;
    unsigned  n;

    memset(block + 148, ' ', 8);

    for (i = 0, n = 0; i < OCI_TAR_BLOCK; i++) {
        n += block[i];
    }

    (void) snprintf((char *) block + 148, 8, "%06o", n & 0777777);
}


u_char *
tar_header(char type, const char *name, uint64_t size)
{
    char     octal[32];
    u_char  *block;

    assert_true(tar_used + OCI_TAR_BLOCK <= ROOM);

    block = tar_archive + tar_used;
    tar_used += OCI_TAR_BLOCK;

    memcpy(block, name, strnlen(name, 100));
    (void) snprintf(octal, sizeof(octal), "%011llo",
                    (unsigned long long) size);
    memcpy(block + 124, octal, 12);
    block[156] = (u_char) type;
    memcpy(block + 257, "ustar\00000", 8);
    tar_sum(block);

    return block;
}


void
tar_content(const void *data, size_t len)
{
    assert_true(tar_used + len + OCI_TAR_BLOCK <= ROOM);

    memcpy(tar_archive + tar_used, data, len);
    tar_used += (len + OCI_TAR_BLOCK - 1) / OCI_TAR_BLOCK * OCI_TAR_BLOCK;
}


void
tar_member(char type, const char *name, const void *data, size_t len)
{
    (void) tar_header(type, name, len);
    tar_content(data, len);
}


void
tar_file(const char *name, const char *text)
{
    tar_member('0', name, text, strlen(text));
}


void
tar_end(void)
{
    tar_used += 2 * OCI_TAR_BLOCK;
}
