
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cmocka.h>

#include "oci_address.h"


static int
class(const char *text)
{
    struct sockaddr_in   sin;
    struct sockaddr_in6  sin6;

    memset(&sin, 0, sizeof(sin));
    memset(&sin6, 0, sizeof(sin6));

    if (inet_pton(AF_INET, text, &sin.sin_addr) == 1) {
        sin.sin_family = AF_INET;
        return (int) oci_address_class((struct sockaddr *) &sin);
    }

    assert_int_equal(inet_pton(AF_INET6, text, &sin6.sin6_addr), 1);
    sin6.sin6_family = AF_INET6;

    return (int) oci_address_class((struct sockaddr *) &sin6);
}


static void
test_public(void **state)
{
    size_t  i;

    static const char  *const  texts[] = {
        "1.1.1.1", "9.255.255.255", "11.0.0.0", "172.15.255.255",
        "172.32.0.0", "192.167.255.255", "192.169.0.0", "169.253.255.255",
        "169.255.0.0", "100.63.255.255", "100.128.0.0", "128.0.0.1",
        "223.255.255.255", "2606:4700::1", "::ffff:8.8.8.8",
        "64:ff9b::808:808", "2002:808:808::1"
    };

    (void) state;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (class(texts[i]) != OCI_ADDRESS_PUBLIC) {
            fail_msg("%s is not public", texts[i]);
        }
    }
}


static void
test_private(void **state)
{
    size_t  i;

    static const char  *const  texts[] = {
        "10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255",
        "192.168.0.1", "192.168.255.255", "100.64.0.1", "100.127.255.255",
        "198.18.0.1", "fc00::1", "fdff::1", "fec0::1", "::ffff:10.0.0.1",
        "64:ff9b::a00:1", "2002:a00:1::1", "::10.0.0.1"
    };

    (void) state;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (class(texts[i]) != OCI_ADDRESS_PRIVATE) {
            fail_msg("%s is not private", texts[i]);
        }
    }
}


static void
test_others(void **state)
{
    struct sockaddr_un  sun;

    (void) state;

    assert_int_equal(class("127.0.0.1"), OCI_ADDRESS_LOOPBACK);
    assert_int_equal(class("127.255.255.255"), OCI_ADDRESS_LOOPBACK);
    assert_int_equal(class("::1"), OCI_ADDRESS_LOOPBACK);
    assert_int_equal(class("::ffff:127.0.0.1"), OCI_ADDRESS_LOOPBACK);

    assert_int_equal(class("0.0.0.0"), OCI_ADDRESS_FORBIDDEN);
    assert_int_equal(class("0.1.2.3"), OCI_ADDRESS_FORBIDDEN);
    assert_int_equal(class("169.254.169.254"), OCI_ADDRESS_FORBIDDEN);
    assert_int_equal(class("100.100.100.200"), OCI_ADDRESS_FORBIDDEN);
    assert_int_equal(class("168.63.129.16"), OCI_ADDRESS_FORBIDDEN);
    assert_int_equal(class("192.0.0.192"), OCI_ADDRESS_FORBIDDEN);
    assert_int_equal(class("224.0.0.1"), OCI_ADDRESS_FORBIDDEN);
    assert_int_equal(class("255.255.255.255"), OCI_ADDRESS_FORBIDDEN);
    assert_int_equal(class("::"), OCI_ADDRESS_FORBIDDEN);
    assert_int_equal(class("fe80::1"), OCI_ADDRESS_FORBIDDEN);
    assert_int_equal(class("febf::1"), OCI_ADDRESS_FORBIDDEN);
    assert_int_equal(class("ff02::1"), OCI_ADDRESS_FORBIDDEN);
    assert_int_equal(class("fd00:ec2::254"), OCI_ADDRESS_FORBIDDEN);
    assert_int_equal(class("::ffff:169.254.169.254"), OCI_ADDRESS_FORBIDDEN);
    assert_int_equal(class("64:ff9b::a9fe:a9fe"), OCI_ADDRESS_FORBIDDEN);

    memset(&sun, 0, sizeof(sun));
    sun.sun_family = AF_UNIX;
    assert_int_equal(oci_address_class((struct sockaddr *) &sun),
                     OCI_ADDRESS_LOOPBACK);

    sun.sun_family = AF_UNSPEC;
    assert_int_equal(oci_address_class((struct sockaddr *) &sun),
                     OCI_ADDRESS_FORBIDDEN);
}


static void
test_allowed(void **state)
{
    int  near;

    (void) state;

    for (near = OCI_ADDRESS_PUBLIC; near <= OCI_ADDRESS_FORBIDDEN; near++) {
        assert_true(oci_address_allowed(OCI_ADDRESS_PUBLIC, near));
        assert_false(oci_address_allowed(OCI_ADDRESS_FORBIDDEN, near));
        assert_int_equal(oci_address_allowed(OCI_ADDRESS_LOOPBACK, near),
                         near == OCI_ADDRESS_LOOPBACK);
        assert_int_equal(oci_address_allowed(OCI_ADDRESS_PRIVATE, near),
                         near == OCI_ADDRESS_LOOPBACK
                         || near == OCI_ADDRESS_PRIVATE);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_public),
        cmocka_unit_test(test_private),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_allowed)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
