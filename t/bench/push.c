
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * One push.
 *
 * usage: push PORT NAME TOTAL RATE CHUNK keep|drop|DIGEST [tls]
 *
 * TOTAL bytes into the repository NAME, at RATE bytes a second (0: as fast
 * as they go), in PATCHes of CHUNK bytes (0: all in the closing PUT).
 * drop: the session is cancelled at its end, or its PUT refused for a digest
 * that is wrong.  DIGEST (64 hex digits): keep, and it need not be computed.
 * Prints "go" when the first byte leaves, then one line of JSON.
 */


#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


/* one step of the schedule: little beside any buffer on the way */

#define PUSH_STEP  (128 * 1024)


static int             push_fd;
static unsigned char  *push_data;
static double          push_rate;
static double          push_start;
static double          push_last;           /* when the last byte had left */
static int64_t         push_sent;
static char            push_location[1024];


static void
push_expect(wire_answer_t *a, int status)
{
    wire_answer(push_fd, a);

    if (a->status != status) {
        fprintf(stderr, "push: status %d, not %d\n", a->status, status);
        exit(1);
    }

    if (a->location[0]) {
        memcpy(push_location, a->location, sizeof(push_location));
    }
}


static void
push_head(const char *method, const char *more, int64_t length)
{
    int   n;
    char  head[2048];

    n = snprintf(head, sizeof(head),
                 "%s %s%s HTTP/1.1\r\nHost: bench\r\nContent-Length: %lld\r\n"
                 "Content-Type: application/octet-stream\r\n\r\n",
                 method, push_location, more, (long long) length);

    wire_send(push_fd, head, (size_t) n);
}


static void
push_body(int64_t length)
{
    size_t  n, at;

    for ( /* void */ ; length; length -= (int64_t) n) {

        if (push_rate > 0) {
            wire_sleep_until(push_start + (double) push_sent / push_rate);
        }

        at = (size_t) (push_sent % WIRE_PATTERN);
        n = WIRE_PATTERN - at;
        n = (n < PUSH_STEP) ? n : PUSH_STEP;
        n = (length < (int64_t) n) ? (size_t) length : n;

        wire_send(push_fd, push_data + at, n);
        push_sent += (int64_t) n;
    }

    push_last = wire_now();
}


static void
push_close(int64_t length, const char *hex, int drop)
{
    char           more[128];
    wire_answer_t  a;

    if (drop && length == 0) {
        push_head("DELETE", "", 0);
        push_expect(&a, 204);
        return;
    }

    (void) snprintf(more, sizeof(more), "%cdigest=sha256:%s",
                    strchr(push_location, '?') ? '&' : '?', hex);

    push_head("PUT", more, length);
    push_body(length);
    push_expect(&a, drop ? 400 : 201);
}


int
main(int argc, char **argv)
{
    int            drop;
    char           hex[65];
    double         done;
    int64_t        total, chunk, n;
    wire_answer_t  a;

    if (argc != 7 && argc != 8) {
        fprintf(stderr, "usage: push PORT NAME TOTAL RATE CHUNK"
                        " keep|drop|DIGEST [tls]\n");
        return 2;
    }

    total = atoll(argv[3]);
    push_rate = atof(argv[4]);
    chunk = atoll(argv[5]);
    drop = (strcmp(argv[6], "drop") == 0);

    memset(hex, '0', 64);
    hex[64] = '\0';

    if (strlen(argv[6]) == 64) {
        memcpy(hex, argv[6], 64);

    } else if (!drop) {
        wire_digest(hex, total);
    }

    push_data = wire_pattern();
    push_fd = (argc == 8) ? wire_connect_tls(atoi(argv[1]))
                          : wire_connect(atoi(argv[1]));

    (void) snprintf(push_location, sizeof(push_location),
                    "/v2/%s/blobs/uploads/", argv[2]);

    push_head("POST", "", 0);
    push_expect(&a, 202);

    printf("go\n");
    fflush(stdout);

    push_start = wire_now();

    while (chunk && push_sent < total) {
        n = (total - push_sent < chunk) ? total - push_sent : chunk;

        push_head("PATCH", "", n);
        push_body(n);
        push_expect(&a, 202);
    }

    push_close(chunk ? 0 : total, hex, drop);

    done = wire_now();

    printf("{\"bytes\": %lld, \"seconds\": %.6f, \"sent\": %.6f, "
           "\"start\": %.6f, \"digest\": \"sha256:%s\"}\n",
           (long long) push_sent, done - push_start, push_last - push_start,
           push_start, hex);

    return 0;
}
