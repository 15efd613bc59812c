
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Manifest records: a header of OCI_RECORD_HEADER bytes of text (media type,
 * digest, size, padded with newlines), then the exact bytes that were
 * pushed.
 */


#ifndef _OCI_MANIFEST_STORE_H_INCLUDED_
#define _OCI_MANIFEST_STORE_H_INCLUDED_


#include "oci_store.h"
#include "oci_manifest.h"
#include "oci_lock.h"


#define OCI_RECORD_HEADER  512


/* of oci_manifest_put() */

#define OCI_MANIFEST_SPARSE  0x01   /* what it names need not be here */
#define OCI_MANIFEST_FILLED  0x02   /* an upstream's; implies the above */
#define OCI_MANIFEST_YIELD   0x04   /* with FILLED: a tag that was pushed
                                       stays as it is */


typedef struct {
    int            fd;                  /* -1: none; content starts at
                                           OCI_RECORD_HEADER */
    int64_t        size;                /* of the content */
    int64_t        mtime;
    oci_stamp_t    stamp;
    oci_digest_t   digest;
    size_t         media_type_len;
    char           media_type[OCI_MEDIA_TYPE_MAX + 1];
} oci_record_t;


/* parses a header; OCI_OK or OCI_INVALID */
int oci_record_parse(oci_record_t *rec, const u_char *header);

/* writes OCI_RECORD_HEADER bytes */
void oci_record_header(u_char *header, const oci_str_t *media_type,
    const oci_digest_t *d, int64_t size);

/*
 * Opens a manifest by digest, or by tag if d is NULL.  One open, one fstat,
 * one read of the header; the caller closes fd.  With nowait the read is
 * tried from the page cache alone and OCI_AGAIN returned where a disk would
 * be needed: fit for the event loop then.
 * OCI_OK, OCI_NOT_FOUND, OCI_AGAIN, OCI_INVALID (a damaged record: errno is
 * EBADMSG) or OCI_ERROR.
 */
int oci_manifest_open(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const oci_str_t *tag, unsigned nowait,
    oci_record_t *rec);

/*
 * The same, and its content too, into buf: one open, one fstat, one read,
 * one close.  OCI_AGAIN where it does not fit, is damaged, or (with nowait)
 * is not all in the page cache: oci_manifest_open() tells which.
 */
int oci_manifest_read(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const oci_str_t *tag, unsigned nowait, u_char *buf,
    size_t size, oci_record_t *rec);

/*
 * The stamp alone, by one stat; through a tag's link where d is NULL.
 * OCI_OK, OCI_NOT_FOUND or OCI_ERROR.
 */
int oci_manifest_stat(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const oci_str_t *tag, oci_stamp_t *stamp);

/*
 * Stores a parsed manifest of len bytes under digest d and points the tags
 * (ntags may be 0) at it.  Holds the repository's lock shared from checking
 * what it names until it is visible.  Unless sparse, every descriptor that
 * is not foreign must be in the repository; *missing is set to the first
 * that is not.  Names of _cached/ are linked into _blobs/, unless it is
 * filled: then they may go, and its tags are told from those that were
 * pushed.  Writes the referrer entry of a subject.  The same bytes again are
 * a success (and repair what a crash left out).  Everything is durable on
 * return.  Raises the generation before and after.
 * OCI_OK; OCI_AGAIN: the lock is held; OCI_UNKNOWN_BLOB; OCI_MISMATCH: the
 * same bytes stand there under another media type; OCI_ERROR.
 */
int oci_manifest_put(const oci_store_t *s, const oci_repo_t *r,
    const oci_manifest_t *m, const oci_digest_t *d, const u_char *data,
    size_t len, const oci_str_t *tags, size_t ntags, unsigned flags,
    oci_digest_t *missing);

/*
 * Deletes by digest: the record first, then, under the exclusive lock, the
 * tags that dangle and the referrer entry; touches what it named, so that
 * its grace starts now.  Durable on return.
 * OCI_OK, OCI_AGAIN, OCI_NOT_FOUND or OCI_ERROR.
 */
int oci_manifest_delete(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d);

/*
 * The same for one that is found garbage by the collector, which holds the
 * exclusive lock already.
 */
int oci_manifest_delete_locked(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d);

/*
 * The same without a look at the tags: the caller knows that none points
 * there, and a pass that removes many need not read all tags for each.
 */
int oci_manifest_delete_untagged(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d);

/*
 * Reads and parses a whole record, for the collector and for deletes; at
 * most max bytes.  *data is malloc's; free both on OCI_OK.
 * OCI_OK, OCI_NOT_FOUND, OCI_INVALID or OCI_ERROR.
 */
int oci_manifest_load(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, int64_t max, oci_manifest_t *m, u_char **data,
    oci_record_t *rec);


#endif /* _OCI_MANIFEST_STORE_H_INCLUDED_ */
