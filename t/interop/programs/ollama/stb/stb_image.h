/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Stands in for a header that Ollama's Go module lacks, since a module holds
 * no folder named vendor: the two names that are used.  No picture can be
 * decoded with it, which nothing that pulls and pushes asks for.
 */

#ifndef _STB_IMAGE_H_INCLUDED_
#define _STB_IMAGE_H_INCLUDED_

static inline unsigned char *
stbi_load_from_memory(const unsigned char *buf, int len, int *x, int *y,
    int *channels, int wanted)
{
    return nullptr;
}


static inline void
stbi_image_free(void *data)
{
}

#endif
