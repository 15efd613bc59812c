
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * All tags of a repository as a run of names (a byte of length, the name,
 * and so on, in byte order), and pages of the answer that are made of runs.
 */


#ifndef _OCI_TAGLIST_H_INCLUDED_
#define _OCI_TAGLIST_H_INCLUDED_


#include "oci_list.h"
#include "oci_names.h"


/* the answer of oci_list_tags() as it grows */

typedef struct {
    oci_text_t    text;
    int64_t       n;            /* OCI_LIST_ALL: all */
    int64_t       count;
    char          last[OCI_TAG_MAX + 1];    /* of the page so far */
    unsigned      more:1;
} oci_tagpage_t;


/*
 * The stamp of the folder of tags: it changes with each tag that comes or
 * goes.  One stat.  OCI_OK, OCI_NOT_FOUND or OCI_ERROR.
 */
int oci_taglist_stat(const oci_store_t *s, const oci_repo_t *r,
    oci_stamp_t *stamp);

/*
 * The run of all tags that do not dangle, *count of them; its data is
 * malloc's.  OCI_OK; OCI_RANGE: there are more than max; OCI_NOT_FOUND: no
 * folder of tags; OCI_ERROR.
 */
int oci_taglist_read(const oci_store_t *s, const oci_repo_t *r, size_t max,
    oci_text_t *run, size_t *count);


/*
 * The same of all tags that were pushed here.  OCI_OK, OCI_NOT_FOUND or
 * OCI_ERROR.
 */
int oci_taglist_pushed(const oci_store_t *s, const oci_repo_t *r,
    oci_text_t *run);

/*
 * The page that an upstream has sent, with those tags of a run that belong
 * on it, each once, at most n.  more: the upstream has another page.
 * OCI_OK; OCI_INVALID: body is no list of tags; OCI_ERROR.
 */
int oci_taglist_merge(const oci_repo_t *r, const u_char *body, size_t len,
    unsigned more, const oci_text_t *run, const oci_str_t *last, int64_t n,
    oci_list_t *list);


void oci_tagpage_begin(oci_tagpage_t *page, const oci_repo_t *r, int64_t n);

/* 1 if the page was full before this name */
int oci_tagpage_name(oci_tagpage_t *page, const void *name, size_t len);

/* the names of a run that come after last; 1 as above */
int oci_tagpage_run(oci_tagpage_t *page, const oci_str_t *last,
    const u_char *run, size_t len);

/* with rc OCI_OK: fills in list; else frees all.  OCI_OK, OCI_ERROR or rc */
int oci_tagpage_end(oci_tagpage_t *page, oci_list_t *list, int rc);


#endif /* _OCI_TAGLIST_H_INCLUDED_ */
