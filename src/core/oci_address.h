
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What an address is, for requests that go where a stranger said.
 */


#ifndef _OCI_ADDRESS_H_INCLUDED_
#define _OCI_ADDRESS_H_INCLUDED_


#include "oci_core.h"

#include <sys/socket.h>


typedef enum {
    OCI_ADDRESS_PUBLIC = 0,
    OCI_ADDRESS_PRIVATE,
    OCI_ADDRESS_LOOPBACK,
    OCI_ADDRESS_FORBIDDEN       /* link-local, metadata, multicast, none */
} oci_address_class_t;


/* IPv4 inside of IPv6 counts as IPv4; a socket of the file system: loopback */
oci_address_class_t oci_address_class(const struct sockaddr *sa);

/*
 * 1 if a request may go to address although only a redirect or a realm names
 * it: public ones always, forbidden ones never, others if the upstream
 * itself is as near.
 */
int oci_address_allowed(oci_address_class_t address,
    oci_address_class_t upstream);


#endif /* _OCI_ADDRESS_H_INCLUDED_ */
