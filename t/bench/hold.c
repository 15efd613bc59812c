
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Many connections that stay open and idle, after one answer on each.
 *
 * usage: hold PORT PATH COUNT
 *
 * Prints "ready" when all are there, and closes them at the end of its
 * input.
 */


#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>


int
main(int argc, char **argv)
{
    int            i, n, *fd;
    char           request[2048], line[64];
    size_t         len;
    wire_answer_t  a;
    struct rlimit  limit;

    if (argc != 4 || atoi(argv[3]) < 1) {
        fprintf(stderr, "usage: hold PORT PATH COUNT\n");
        return 2;
    }

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
    }

    n = atoi(argv[3]);
    fd = calloc((size_t) n, sizeof(int));

    if (fd == NULL) {
        wire_die("calloc()");
    }

    len = (size_t) snprintf(request, sizeof(request),
                            "GET %s HTTP/1.1\r\nHost: bench\r\n"
                            "Accept: */*\r\n\r\n", argv[2]);

    for (i = 0; i < n; i++) {
        fd[i] = wire_connect(atoi(argv[1]));

        wire_send(fd[i], request, len);
        wire_answer(fd[i], &a);

        if (a.status != 200) {
            fprintf(stderr, "hold: status %d\n", a.status);
            return 1;
        }
    }

    printf("ready\n");
    fflush(stdout);

    while (fgets(line, sizeof(line), stdin)) { /* void */ }

    printf("{\"count\": %d}\n", n);

    return 0;
}
