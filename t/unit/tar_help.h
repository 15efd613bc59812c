
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * An archive that a test writes member by member.
 */


#ifndef _TAR_HELP_H_INCLUDED_
#define _TAR_HELP_H_INCLUDED_


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oci_tar.h"


#define ROOM  (1024 * 1024)


/* as it grows: tar_used bytes of ROOM, the rest is zero */

extern u_char  *tar_archive;
extern size_t   tar_used;


int tar_setup(void **state);
int tar_teardown(void **state);

/* a header alone, which the test may change: then it needs another sum */
u_char *tar_header(char type, const char *name, uint64_t size);
void tar_sum(u_char *block);

/* with its padding */
void tar_content(const void *data, size_t len);

/* a header and a content */
void tar_member(char type, const char *name, const void *data, size_t len);
void tar_file(const char *name, const char *text);

/* the end mark */
void tar_end(void);


#endif /* _TAR_HELP_H_INCLUDED_ */
