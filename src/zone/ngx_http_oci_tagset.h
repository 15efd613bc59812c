
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The sorted tags of a repository in pages of the zone: an entry of kind
 * NGX_HTTP_OCI_ZONE_TAGS whose meta leads to them.
 */


#ifndef _NGX_HTTP_OCI_TAGSET_H_INCLUDED_
#define _NGX_HTTP_OCI_TAGSET_H_INCLUDED_


#include "ngx_http_oci_zone.h"


/* under the lock: frees the pages of an entry that goes */
void ngx_http_oci_tagset_drop(ngx_http_oci_zone_t *z,
    ngx_http_oci_zone_entry_t *e);


#endif /* _NGX_HTTP_OCI_TAGSET_H_INCLUDED_ */
