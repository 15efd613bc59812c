
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The fields of a tar's header, for its parser alone.
 */


#ifndef _OCI_TAR_FIELD_H_INCLUDED_
#define _OCI_TAR_FIELD_H_INCLUDED_


#include "oci_tar.h"


/* far from where sums of positions could overflow */

#define OCI_TAR_SIZE_MAX      ((int64_t) 1 << 60)


/* where the fields of a header are */

#define OCI_TAR_NAME          0
#define OCI_TAR_NAME_LEN      100
#define OCI_TAR_SIZE          124
#define OCI_TAR_SIZE_LEN      12
#define OCI_TAR_SUM           148
#define OCI_TAR_SUM_LEN       8
#define OCI_TAR_TYPE          156
#define OCI_TAR_MAGIC         257
#define OCI_TAR_PREFIX        345
#define OCI_TAR_PREFIX_LEN    155
#define OCI_TAR_SPARSE_MORE   482       /* of GNU's sparse files */
#define OCI_TAR_SPARSE_NEXT   504       /* of a further block of theirs */


/* 1 if the sum of a header holds, else 0 */
int oci_tar_sum(const u_char *block);

/*
 * Octal digits between blanks and NULs, or GNU's binary form.  OCI_OK or
 * OCI_INVALID, also where it is negative or far too large.
 */
int oci_tar_number(const u_char *p, size_t len, int64_t *number);

/* decimal digits and nothing else, at most OCI_TAR_SIZE_MAX; the same */
int oci_tar_decimal(const u_char *p, size_t len, int64_t *number);

/* the length of a text that a NUL ends, or the end of its field */
size_t oci_tar_text(const u_char *p, size_t max);


#endif /* _OCI_TAR_FIELD_H_INCLUDED_ */
