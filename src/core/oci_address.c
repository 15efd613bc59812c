
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_address.h"

#include <netinet/in.h>


typedef struct {
    uint32_t             net;
    unsigned             bits;
    oci_address_class_t  class;
} oci_address_net4_t;


typedef struct {
    u_char               net[16];
    unsigned             bits;
    oci_address_class_t  class;
} oci_address_net6_t;


static oci_address_class_t oci_address_class4(uint32_t addr);
static oci_address_class_t oci_address_class6(const u_char *addr);


/* the first that fits; single addresses are those of clouds' metadata */

static const oci_address_net4_t  oci_address_nets4[] = {
    { 0x00000000, 8, OCI_ADDRESS_FORBIDDEN },
    { 0x7f000000, 8, OCI_ADDRESS_LOOPBACK },
    { 0xa9fe0000, 16, OCI_ADDRESS_FORBIDDEN },
    { 0x646464c8, 32, OCI_ADDRESS_FORBIDDEN },      /* 100.100.100.200 */
    { 0xa83f8110, 32, OCI_ADDRESS_FORBIDDEN },      /* 168.63.129.16 */
    { 0xc00000c0, 32, OCI_ADDRESS_FORBIDDEN },      /* 192.0.0.192 */
    { 0x0a000000, 8, OCI_ADDRESS_PRIVATE },
    { 0xac100000, 12, OCI_ADDRESS_PRIVATE },
    { 0xc0a80000, 16, OCI_ADDRESS_PRIVATE },
    { 0x64400000, 10, OCI_ADDRESS_PRIVATE },
    { 0xc0000000, 24, OCI_ADDRESS_PRIVATE },
    { 0xc6120000, 15, OCI_ADDRESS_PRIVATE },
    { 0xe0000000, 3, OCI_ADDRESS_FORBIDDEN }
};


static const oci_address_net6_t  oci_address_nets6[] = {
    { { 0 }, 128, OCI_ADDRESS_FORBIDDEN },
    { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, 128,
      OCI_ADDRESS_LOOPBACK },
    { { 0xfe, 0x80 }, 10, OCI_ADDRESS_FORBIDDEN },
    { { 0xff }, 8, OCI_ADDRESS_FORBIDDEN },
    { { 0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54 },
      128, OCI_ADDRESS_FORBIDDEN },
    { { 0xfd, 0x20, 0, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54 },
      128, OCI_ADDRESS_FORBIDDEN },
    { { 0xfe, 0xc0 }, 10, OCI_ADDRESS_PRIVATE },
    { { 0xfc }, 7, OCI_ADDRESS_PRIVATE }
};


oci_address_class_t
oci_address_class(const struct sockaddr *sa)
{
    struct sockaddr_in   sin;
    struct sockaddr_in6  sin6;

    switch (sa->sa_family) {

    case AF_INET:
        memcpy(&sin, sa, sizeof(sin));
        return oci_address_class4(ntohl(sin.sin_addr.s_addr));

    case AF_INET6:
        memcpy(&sin6, sa, sizeof(sin6));
        return oci_address_class6(sin6.sin6_addr.s6_addr);

    case AF_UNIX:
        return OCI_ADDRESS_LOOPBACK;

    default:
        return OCI_ADDRESS_FORBIDDEN;
    }
}


static oci_address_class_t
oci_address_class4(uint32_t addr)
{
    size_t    i;
    uint32_t  mask;

    for (i = 0;
         i < sizeof(oci_address_nets4) / sizeof(oci_address_nets4[0]);
         i++)
    {
        mask = 0xffffffffu << (32 - oci_address_nets4[i].bits);

        if ((addr & mask) == oci_address_nets4[i].net) {
            return oci_address_nets4[i].class;
        }
    }

    return OCI_ADDRESS_PUBLIC;
}


static oci_address_class_t
oci_address_class6(const u_char *addr)
{
    size_t    i;
    u_char    mask;
    unsigned  bytes, bits, at;

    static const u_char  nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
    static const u_char  mapped[12] = {
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
    };
    static const u_char  zero[12];

    for (i = 0;
         i < sizeof(oci_address_nets6) / sizeof(oci_address_nets6[0]);
         i++)
    {
        bytes = oci_address_nets6[i].bits / 8;
        bits = oci_address_nets6[i].bits % 8;

        if (memcmp(addr, oci_address_nets6[i].net, bytes) != 0) {
            continue;
        }

        if (bits) {
            mask = (u_char) (0xff << (8 - bits));

            if ((addr[bytes] & mask) != oci_address_nets6[i].net[bytes]) {
                continue;
            }
        }

        return oci_address_nets6[i].class;
    }

    /* mapped, compatible, by a translator (NAT64), 6to4 */

    if (memcmp(addr, mapped, 12) == 0 || memcmp(addr, nat64, 12) == 0
        || memcmp(addr, zero, 12) == 0)
    {
        at = 12;

    } else if (addr[0] == 0x20 && addr[1] == 0x02) {
        at = 2;

    } else {
        return OCI_ADDRESS_PUBLIC;
    }

    return oci_address_class4((uint32_t) addr[at] << 24
                              | (uint32_t) addr[at + 1] << 16
                              | (uint32_t) addr[at + 2] << 8
                              | (uint32_t) addr[at + 3]);
}


int
oci_address_allowed(oci_address_class_t address,
    oci_address_class_t upstream)
{
    switch (address) {

    case OCI_ADDRESS_PUBLIC:
        return 1;

    case OCI_ADDRESS_PRIVATE:
        return upstream == OCI_ADDRESS_PRIVATE
               || upstream == OCI_ADDRESS_LOOPBACK;

    case OCI_ADDRESS_LOOPBACK:
        return upstream == OCI_ADDRESS_LOOPBACK;

    case OCI_ADDRESS_FORBIDDEN:
        break;
    }

    return 0;
}
