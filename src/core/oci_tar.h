
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What an uncompressed tar holds and where: ustar, pax and GNU's long names.
 * Only headers are read; contents are ranges of the archive.
 */


#ifndef _OCI_TAR_H_INCLUDED_
#define _OCI_TAR_H_INCLUDED_


#include "oci_core.h"


#define OCI_TAR_BLOCK      512

/*
 * Of all archives that are counted together: members of any type, files that
 * are kept, and the bytes of their names; and the bytes of one extended
 * header.
 */

#define OCI_TAR_MEMBERS_MAX   (256 * 1024)
#define OCI_TAR_FILES_MAX     (64 * 1024)
#define OCI_TAR_NAMES_MAX     (8 * 1024 * 1024)
#define OCI_TAR_EXTENDED_MAX  (64 * 1024)


typedef struct {
    size_t    name;                 /* where in the index' names */
    size_t    name_len;
    int64_t   offset;               /* of its first byte in the archive */
    int64_t   size;
} oci_tar_file_t;


/*
 * Regular files only, in the order of the archive; a leading "./" is left
 * out of their names, which pass oci_file_path_valid().
 */

typedef struct {
    oci_tar_file_t  *files;
    size_t           count;
    size_t           left_out;      /* files with hostile names, sparse ones,
                                       links */
    u_char          *names;
    size_t           names_len;
} oci_tar_t;


/* what archives have used of the limits so far; all zeros at first */

typedef struct {
    size_t           members;
    size_t           files;
    size_t           names;
} oci_tar_used_t;


typedef struct oci_tar_parser_s  oci_tar_parser_t;


/*
 * used is shared by all archives of a model and outlives the parser; NULL:
 * the limits are this one's alone.  NULL: no memory.
 */
oci_tar_parser_t *oci_tar_create(oci_tar_used_t *used);

void oci_tar_destroy(oci_tar_parser_t *p);

/* where the next byte that it needs is: contents can be left out */
int64_t oci_tar_position(const oci_tar_parser_t *p);

/*
 * Gives it len bytes of the archive from offset, which is not behind its
 * position; what is before the position is ignored.  OCI_AGAIN: more is
 * needed, from oci_tar_position(); OCI_OK: the end mark was read, the rest
 * is of no meaning; OCI_INVALID: no tar; OCI_RANGE: over a limit; OCI_ERROR:
 * no memory.  After anything but OCI_AGAIN no more is taken.
 */
int oci_tar_feed(oci_tar_parser_t *p, int64_t offset, const u_char *data,
    size_t len);

/*
 * The archive has size bytes and has been given: moves the index out of the
 * parser.  OCI_OK, also where an archive ends without an end mark behind a
 * whole member; OCI_INVALID: cut short, or a file is said to reach behind
 * the end.
 */
int oci_tar_end(oci_tar_parser_t *p, int64_t size, oci_tar_t *tar);

/*
 * The next step over a file of size bytes: at most max reads.  OCI_AGAIN:
 * there is more; OCI_OK: the index is complete; OCI_INVALID or OCI_RANGE as
 * above; OCI_ERROR: errno says why.
 */
int oci_tar_step(oci_tar_parser_t *p, int fd, int64_t size, unsigned max,
    oci_tar_t *tar);

/* frees what an index holds */
void oci_tar_free(oci_tar_t *tar);


#endif /* _OCI_TAR_H_INCLUDED_ */
