
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_tagset.h"


void
ngx_http_oci_tagset_drop(ngx_http_oci_zone_t *z, ngx_http_oci_zone_entry_t *e)
{
}
