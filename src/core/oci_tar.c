
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A parser that is given pieces of an archive and says where it wants the
 * next one.  Nothing that an archive says decides how much memory is used:
 * counts, names and extended headers are bounded.
 */


#include "oci_tar.h"
#include "oci_tar_field.h"
#include "oci_reference.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>


#define OCI_TAR_READ          (16 * 1024)


typedef enum {
    OCI_TAR_HEADER = 0,
    OCI_TAR_EXTENDED,               /* the content of a pax or GNU header */
    OCI_TAR_SPARSE,                 /* a further block behind a header */
    OCI_TAR_DONE,
    OCI_TAR_FAILED
} oci_tar_state_t;


struct oci_tar_parser_s {
    oci_tar_state_t   state;
    int               rc;               /* of what failed */
    int64_t           position;
    int64_t           end;              /* of the contents so far */
    int64_t           skip;             /* contents behind sparse blocks */
    oci_tar_used_t   *used;
    oci_tar_used_t    own;

    u_char            block[OCI_TAR_BLOCK];
    size_t            have;             /* of what is read now */
    size_t            need;

    u_char           *extended;
    size_t            extended_size;
    u_char            type;             /* of the extended header */

    /* what extended headers say of the next member */

    u_char           *name;
    size_t            name_len;
    int64_t           size;
    unsigned          has_size:1;
    unsigned          has_name:1;
    unsigned          pax_name:1;
    unsigned          sparse:1;

    oci_tar_t         tar;
    size_t            files_size;
    size_t            names_size;
};


static int oci_tar_header(oci_tar_parser_t *p);
static int oci_tar_member(oci_tar_parser_t *p, u_char type, int64_t size);
static int oci_tar_extended(oci_tar_parser_t *p, u_char type, int64_t size);
static int oci_tar_extended_end(oci_tar_parser_t *p);
static int oci_tar_sparse_block(oci_tar_parser_t *p);
static int oci_tar_pax(oci_tar_parser_t *p);
static int oci_tar_pax_record(oci_tar_parser_t *p, const u_char *key,
    size_t key_len, const u_char *value, size_t len);
static int oci_tar_set_name(oci_tar_parser_t *p, const u_char *name,
    size_t len);
static size_t oci_tar_name(const oci_tar_parser_t *p, u_char *buf,
    const u_char **name);
static int oci_tar_add(oci_tar_parser_t *p, const u_char *name, size_t len,
    int64_t size);
static int oci_tar_grow(oci_tar_parser_t *p, size_t len);
static int oci_tar_skip(oci_tar_parser_t *p, int64_t size);


oci_tar_parser_t *
oci_tar_create(oci_tar_used_t *used)
{
    oci_tar_parser_t  *p;

    p = calloc(1, sizeof(oci_tar_parser_t));

    if (p != NULL) {
        p->need = OCI_TAR_BLOCK;
        p->used = used ? used : &p->own;
    }

    return p;
}


void
oci_tar_destroy(oci_tar_parser_t *p)
{
    oci_tar_free(&p->tar);
    free(p->extended);
    free(p->name);
    free(p);
}


void
oci_tar_free(oci_tar_t *tar)
{
    free(tar->files);
    free(tar->names);
    memset(tar, 0, sizeof(oci_tar_t));
}


int64_t
oci_tar_position(const oci_tar_parser_t *p)
{
    return p->position;
}


int
oci_tar_feed(oci_tar_parser_t *p, int64_t offset, const u_char *data,
    size_t len)
{
    int      rc;
    size_t   n;
    u_char  *to;

    for ( ;; ) {

        switch (p->state) {

        case OCI_TAR_DONE:
            return OCI_OK;

        case OCI_TAR_FAILED:
            return p->rc;

        default:
            break;
        }

        if (p->position < offset || p->position - offset >= (int64_t) len) {
            return OCI_AGAIN;
        }

        n = len - (size_t) (p->position - offset);

        if (n > p->need - p->have) {
            n = p->need - p->have;
        }

        to = (p->state == OCI_TAR_EXTENDED) ? p->extended : p->block;

        memcpy(to + p->have, data + (p->position - offset), n);

        p->have += n;
        p->position += (int64_t) n;

        if (p->have < p->need) {
            return OCI_AGAIN;
        }

        p->have = 0;

        switch (p->state) {

        case OCI_TAR_EXTENDED:
            rc = oci_tar_extended_end(p);
            break;

        case OCI_TAR_SPARSE:
            rc = oci_tar_sparse_block(p);
            break;

        default:
            rc = oci_tar_header(p);
            break;
        }

        if (rc != OCI_OK) {
            p->state = OCI_TAR_FAILED;
            p->rc = rc;
        }
    }
}


int
oci_tar_end(oci_tar_parser_t *p, int64_t size, oci_tar_t *tar)
{
    if (p->state == OCI_TAR_FAILED) {
        return p->rc;
    }

    /* the last member may lack its padding, never a byte of its content */

    if (p->end > size) {
        return OCI_INVALID;
    }

    if (p->state != OCI_TAR_DONE
        && (p->state != OCI_TAR_HEADER || p->have != 0
            || p->position < size || p->has_name || p->has_size))
    {
        return OCI_INVALID;
    }

    *tar = p->tar;
    memset(&p->tar, 0, sizeof(oci_tar_t));

    p->state = OCI_TAR_FAILED;
    p->rc = OCI_INVALID;

    return OCI_OK;
}


int
oci_tar_step(oci_tar_parser_t *p, int fd, int64_t size, unsigned max,
    oci_tar_t *tar)
{
    int      rc;
    u_char   buf[OCI_TAR_READ];
    int64_t  offset;
    size_t   len;
    ssize_t  n;

    while (max--) {

        offset = p->position;

        if (offset >= size) {
            return oci_tar_end(p, size, tar);
        }

        len = sizeof(buf);

        if (size - offset < (int64_t) len) {
            len = (size_t) (size - offset);
        }

        do {
            n = pread(fd, buf, len, offset);
        } while (n == -1 && errno == EINTR);

        if (n == -1) {
            return OCI_ERROR;
        }

        if (n == 0) {
            return OCI_INVALID;
        }

        rc = oci_tar_feed(p, offset, buf, (size_t) n);

        if (rc == OCI_OK) {
            return oci_tar_end(p, size, tar);
        }

        if (rc != OCI_AGAIN) {
            return rc;
        }
    }

    return OCI_AGAIN;
}


static int
oci_tar_header(oci_tar_parser_t *p)
{
    u_char   type;
    int64_t  size;

    static const u_char  zeroes[OCI_TAR_BLOCK];

    if (memcmp(p->block, zeroes, OCI_TAR_BLOCK) == 0) {

        /* what speaks of a member has to be followed by one */

        if (p->has_name || p->has_size) {
            return OCI_INVALID;
        }

        p->state = OCI_TAR_DONE;
        return OCI_OK;
    }

    if (!oci_tar_sum(p->block)
        || oci_tar_number(p->block + OCI_TAR_SIZE, OCI_TAR_SIZE_LEN, &size)
           != OCI_OK)
    {
        return OCI_INVALID;
    }

    if (++p->used->members > OCI_TAR_MEMBERS_MAX) {
        return OCI_RANGE;
    }

    type = p->block[OCI_TAR_TYPE];

    switch (type) {

    case 'x':
    case 'g':
    case 'L':
    case 'K':
        return oci_tar_extended(p, type, size);

    default:
        return oci_tar_member(p, type, p->has_size ? p->size : size);
    }
}


/* everything but the headers that only speak of the next one */

static int
oci_tar_member(oci_tar_parser_t *p, u_char type, int64_t size)
{
    int            rc;
    size_t         len;
    u_char         buf[OCI_TAR_PREFIX_LEN + 1 + OCI_TAR_NAME_LEN];
    const u_char  *name;

    rc = OCI_OK;

    len = oci_tar_name(p, buf, &name);

    switch (type) {

    case '1':
    case '2':
        p->tar.left_out++;

        /* fall through */

    case '3':
    case '4':
    case '5':
    case '6':

        /* have no content, whatever their size says */

        size = 0;
        break;

    case '\0':

        /* in the oldest form a folder is what ends with a slash */

        if (len && name[len - 1] == '/') {
            size = 0;
            break;
        }

        /* fall through */

    case '0':
    case '7':

        if (p->sparse) {
            p->tar.left_out++;

        } else {
            rc = oci_tar_add(p, name, len, size);
        }

        break;

    case 'S':
        p->tar.left_out++;

        if (p->block[OCI_TAR_SPARSE_MORE]) {
            p->state = OCI_TAR_SPARSE;
            p->skip = size;
            size = 0;
        }

        break;

    default:
        p->tar.left_out++;
        break;
    }

    free(p->name);

    p->name = NULL;
    p->name_len = 0;
    p->has_name = 0;
    p->pax_name = 0;
    p->has_size = 0;
    p->sparse = 0;

    return (rc == OCI_OK) ? oci_tar_skip(p, size) : rc;
}


static int
oci_tar_extended(oci_tar_parser_t *p, u_char type, int64_t size)
{
    u_char  *extended;

    if (size > OCI_TAR_EXTENDED_MAX) {
        return OCI_RANGE;
    }

    if (size == 0) {
        return OCI_OK;
    }

    if ((size_t) size > p->extended_size) {
        extended = realloc(p->extended, (size_t) size);

        if (extended == NULL) {
            return OCI_ERROR;
        }

        p->extended = extended;
        p->extended_size = (size_t) size;
    }

    p->type = type;
    p->state = OCI_TAR_EXTENDED;
    p->need = (size_t) size;

    return OCI_OK;
}


static int
oci_tar_extended_end(oci_tar_parser_t *p)
{
    int     rc;
    size_t  len;

    rc = OCI_OK;
    len = p->need;

    switch (p->type) {

    case 'x':
        rc = oci_tar_pax(p);
        break;

    case 'L':
        if (!p->pax_name) {
            rc = oci_tar_set_name(p, p->extended,
                                  oci_tar_text(p->extended, len));
        }

        break;

    default:

        /* the target of a link, or of all members: neither names a file */

        break;
    }

    p->state = OCI_TAR_HEADER;
    p->need = OCI_TAR_BLOCK;

    p->position += (int64_t) (-len & (OCI_TAR_BLOCK - 1));

    return rc;
}


static int
oci_tar_sparse_block(oci_tar_parser_t *p)
{
    if (p->block[OCI_TAR_SPARSE_NEXT]) {
        return (++p->used->members > OCI_TAR_MEMBERS_MAX) ? OCI_RANGE : OCI_OK;
    }

    p->state = OCI_TAR_HEADER;

    return oci_tar_skip(p, p->skip);
}


/* "<length of all of it> <key>=<value>\n", again and again */

static int
oci_tar_pax(oci_tar_parser_t *p)
{
    int            rc;
    size_t         n;
    int64_t        len;
    const u_char  *rec, *last, *key, *value;

    rec = p->extended;
    last = rec + p->need;

    while (rec < last) {

        /* some writers pad with zeroes */

        if (*rec == '\0') {
            break;
        }

        key = memchr(rec, ' ', (size_t) (last - rec));

        if (key == NULL
            || oci_tar_decimal(rec, (size_t) (key - rec), &len) != OCI_OK
            || len > last - rec
            || len < (key - rec) + (int64_t) sizeof(" =\n") - 1
            || rec[len - 1] != '\n')
        {
            return OCI_INVALID;
        }

        key++;
        n = (size_t) (rec + len - 1 - key);

        value = memchr(key, '=', n);

        if (value == NULL) {
            return OCI_INVALID;
        }

        rc = oci_tar_pax_record(p, key, (size_t) (value - key), value + 1,
                                n - (size_t) (value + 1 - key));
        if (rc != OCI_OK) {
            return rc;
        }

        rec += len;
    }

    return OCI_OK;
}


static int
oci_tar_pax_record(oci_tar_parser_t *p, const u_char *key, size_t key_len,
    const u_char *value, size_t len)
{
    oci_str_t  name;

    name.data = (u_char *) (uintptr_t) key;
    name.len = key_len;

    if (oci_str_eq(&name, "path")) {

        if (len == 0) {
            p->has_name = 0;
            p->pax_name = 0;
            return OCI_OK;
        }

        p->pax_name = 1;
        return oci_tar_set_name(p, value, len);
    }

    if (oci_str_eq(&name, "size")) {

        if (len == 0) {
            p->has_size = 0;
            return OCI_OK;
        }

        p->has_size = 1;
        return oci_tar_decimal(value, len, &p->size);
    }

    if (key_len > sizeof("GNU.sparse.") - 1
        && memcmp(key, "GNU.sparse.", sizeof("GNU.sparse.") - 1) == 0)
    {
        p->sparse = 1;
    }

    return OCI_OK;
}


static int
oci_tar_set_name(oci_tar_parser_t *p, const u_char *name, size_t len)
{
    u_char  *copy;

    copy = malloc(len ? len : 1);

    if (copy == NULL) {
        return OCI_ERROR;
    }

    memcpy(copy, name, len);
    free(p->name);

    p->name = copy;
    p->name_len = len;
    p->has_name = 1;

    return OCI_OK;
}


/* of the member whose header is in block; buf is for one in two parts */

static size_t
oci_tar_name(const oci_tar_parser_t *p, u_char *buf, const u_char **name)
{
    size_t  n, len;

    if (p->has_name) {
        *name = p->name;
        return p->name_len;
    }

    n = oci_tar_text(p->block + OCI_TAR_NAME, OCI_TAR_NAME_LEN);
    len = 0;

    /* GNU's own form ("ustar  ") has other things in place of the prefix */

    if (memcmp(p->block + OCI_TAR_MAGIC, "ustar", sizeof("ustar")) == 0) {
        len = oci_tar_text(p->block + OCI_TAR_PREFIX, OCI_TAR_PREFIX_LEN);
    }

    if (len) {
        memcpy(buf, p->block + OCI_TAR_PREFIX, len);
        buf[len++] = '/';
    }

    memcpy(buf + len, p->block + OCI_TAR_NAME, n);

    *name = buf;

    return len + n;
}


static int
oci_tar_add(oci_tar_parser_t *p, const u_char *name, size_t len,
    int64_t size)
{
    int              rc;
    oci_tar_file_t  *file;

    while (len > 2 && name[0] == '.' && name[1] == '/') {
        name += 2;
        len -= 2;
    }

    if (!oci_file_path_valid(name, len)) {
        p->tar.left_out++;
        return OCI_OK;
    }

    rc = oci_tar_grow(p, len);

    if (rc != OCI_OK) {
        return rc;
    }

    file = &p->tar.files[p->tar.count++];

    file->name = p->tar.names_len;
    file->name_len = len;
    file->offset = p->position;
    file->size = size;

    memcpy(p->tar.names + p->tar.names_len, name, len);
    p->tar.names_len += len;

    p->used->files++;
    p->used->names += len;

    return OCI_OK;
}


/* room for one more file with a name of that length */

static int
oci_tar_grow(oci_tar_parser_t *p, size_t len)
{
    void    *grown;
    size_t   size;

    if (p->used->files == OCI_TAR_FILES_MAX
        || len > OCI_TAR_NAMES_MAX - p->used->names)
    {
        return OCI_RANGE;
    }

    if (p->tar.count == p->files_size) {
        size = p->files_size ? p->files_size * 2 : 64;

        grown = realloc(p->tar.files, size * sizeof(oci_tar_file_t));

        if (grown == NULL) {
            return OCI_ERROR;
        }

        p->tar.files = grown;
        p->files_size = size;
    }

    if (len > p->names_size - p->tar.names_len) {
        size = p->names_size ? p->names_size * 2 : 4096;

        while (len > size - p->tar.names_len) {
            size *= 2;
        }

        grown = realloc(p->tar.names, size);

        if (grown == NULL) {
            return OCI_ERROR;
        }

        p->tar.names = grown;
        p->names_size = size;
    }

    return OCI_OK;
}


/* over a content and its padding to the next header */

static int
oci_tar_skip(oci_tar_parser_t *p, int64_t size)
{
    if (size > OCI_TAR_SIZE_MAX - p->position) {
        return OCI_INVALID;
    }

    p->position += size;
    p->end = p->position;

    p->position = (p->position + OCI_TAR_BLOCK - 1)
                  & ~(int64_t) (OCI_TAR_BLOCK - 1);

    return OCI_OK;
}
