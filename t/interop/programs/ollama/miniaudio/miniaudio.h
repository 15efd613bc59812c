/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Stands in for a header that Ollama's Go module lacks, since a module holds
 * no folder named vendor: as much of its names as is used.  No sound can be
 * decoded with it, which nothing that pulls and pushes asks for.
 */

#ifndef _MINIAUDIO_H_INCLUDED_
#define _MINIAUDIO_H_INCLUDED_

/* its user counts on these being included here */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef unsigned long long  ma_uint64;

typedef struct {
    int  none;
} ma_decoder_config;

typedef struct {
    int  none;
} ma_decoder;

enum ma_format { ma_format_f32 };
enum ma_result { MA_SUCCESS, MA_NOT_IMPLEMENTED = -29 };


static inline ma_decoder_config
ma_decoder_config_init(ma_format format, unsigned channels, unsigned rate)
{
    return ma_decoder_config();
}


static inline ma_result
ma_decoder_init_memory(const void *buf, size_t len,
    const ma_decoder_config *config, ma_decoder *decoder)
{
    return MA_NOT_IMPLEMENTED;
}


static inline ma_result
ma_decoder_get_length_in_pcm_frames(ma_decoder *decoder, ma_uint64 *n)
{
    return MA_NOT_IMPLEMENTED;
}


static inline ma_result
ma_decoder_read_pcm_frames(ma_decoder *decoder, void *buf, ma_uint64 n,
    ma_uint64 *got)
{
    return MA_NOT_IMPLEMENTED;
}


static inline void
ma_decoder_uninit(ma_decoder *decoder)
{
}

#endif
