
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A blob of random bytes and a fill of it.
 */


#ifndef _FILL_HELP_H_INCLUDED_
#define _FILL_HELP_H_INCLUDED_


#include "store_help.h"
#include "oci_fill_file.h"


#define FILL_CHUNK  4096
#define FILL_SIZE   (10 * FILL_CHUNK + 77)


extern u_char  fill_content[FILL_SIZE];
extern u_char  fill_buf[3000];


/* new content, and its digest */
void fill_blob(oci_digest_t *d, unsigned seed);

void fill_open(oci_fill_file_t *f, oci_store_t *s, oci_digest_t *d);

/* the next bytes of a chunk; what is missing of all */
void fill_put(oci_fill_file_t *f, uint32_t i, uint32_t bytes);
void fill_put_all(oci_fill_file_t *f);

/* to the end, or up to what is missing */
int fill_verify(oci_fill_file_t *f);

int fill_exists(oci_store_t *s, oci_digest_t *d, const char *file);


#endif /* _FILL_HELP_H_INCLUDED_ */
