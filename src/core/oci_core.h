
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What every room of the lower floor shares: the string view, the return
 * codes and the small helpers.  Nothing here or below knows nginx.
 */


#ifndef _OCI_CORE_H_INCLUDED_
#define _OCI_CORE_H_INCLUDED_


#include <sys/types.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>


/*
 * Return codes.  A function says in its comment which of them it returns.
 */

#define OCI_OK            0
#define OCI_ERROR        -1     /* a system call failed, errno says why */
#define OCI_AGAIN        -2     /* a lock is held elsewhere: try again soon */
#define OCI_INVALID      -3     /* outside the grammar or the format */
#define OCI_UNSUPPORTED  -4     /* well-formed, but an algorithm unknown here */
#define OCI_NOT_FOUND    -5
#define OCI_EXISTS       -6
#define OCI_CONFLICT     -7     /* in use by another request */
#define OCI_RANGE        -8     /* an offset or range that does not fit */
#define OCI_MISMATCH     -9     /* digest, size or media type differ */
#define OCI_UNKNOWN_BLOB -10    /* a manifest names content that is not here */


/* same layout as nginx's ngx_str_t; not terminated by NUL */

typedef struct {
    size_t    len;
    u_char   *data;
} oci_str_t;


#define oci_string(s)     { sizeof(s) - 1, (u_char *) s }
#define oci_str_eq(s, lit)                                                    \
    ((s)->len == sizeof(lit) - 1                                              \
     && memcmp((s)->data, lit, sizeof(lit) - 1) == 0)


#endif /* _OCI_CORE_H_INCLUDED_ */
