
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Fills that nobody works on any more, after a restart, a death or a reload,
 * are gone on with by themselves.
 */


#ifndef _NGX_HTTP_OCI_RESUME_H_INCLUDED_
#define _NGX_HTTP_OCI_RESUME_H_INCLUDED_


#include "ngx_http_oci_module.h"


/* in each worker; one of them does it */
ngx_int_t ngx_http_oci_resume_init_process(ngx_cycle_t *cycle);


#endif /* _NGX_HTTP_OCI_RESUME_H_INCLUDED_ */
