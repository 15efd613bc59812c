
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * weights BYTES: what a model's weights look like, to standard output:
 * numbers of a normal distribution as bfloat16.
 */


#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define NUMBERS  (512 * 1024)
#define SIGMA    0.02


static uint64_t  seed = 0x9e3779b97f4a7c15ULL;


static double
uniform(void)
{
    /* never 0 */

    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;

    return (double) ((seed >> 11) + 1) / 9007199254740993.0;
}


static uint16_t
bfloat16(double x)
{
    float     f;
    uint32_t  bits;

    f = (float) x;
    memcpy(&bits, &f, sizeof(bits));

    return (uint16_t) (bits >> 16);
}


int
main(int argc, char **argv)
{
    size_t     i, n;
    double     r, angle;
    long long  left;

    static uint16_t  numbers[NUMBERS];

    if (argc != 2 || (left = atoll(argv[1])) <= 0) {
        fprintf(stderr, "usage: weights BYTES\n");
        return 2;
    }

    while (left) {

        for (i = 0; i < NUMBERS; i += 2) {
            r = SIGMA * sqrt(-2 * log(uniform()));
            angle = 2 * M_PI * uniform();

            numbers[i] = bfloat16(r * cos(angle));
            numbers[i + 1] = bfloat16(r * sin(angle));
        }

        n = sizeof(numbers);

        if (left < (long long) n) {
            n = (size_t) left;
        }

        if (fwrite(numbers, 1, n, stdout) != n) {
            perror("weights");
            return 1;
        }

        left -= (long long) n;
    }

    return 0;
}
