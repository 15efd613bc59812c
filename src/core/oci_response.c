
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_response.h"

#include <stdlib.h>
#include <time.h>


#define OCI_BODY_LINE_MAX     1024
#define OCI_BODY_TRAILER_MAX  8192


typedef enum {
    OCI_CHUNK_SIZE = 0,         /* its first digit */
    OCI_CHUNK_SIZE_MORE,
    OCI_CHUNK_EXTENSION,
    OCI_CHUNK_SIZE_LF,
    OCI_CHUNK_DATA,
    OCI_CHUNK_DATA_CR,
    OCI_CHUNK_DATA_LF,
    OCI_CHUNK_TRAILER,          /* the first byte of a line */
    OCI_CHUNK_TRAILER_MORE,
    OCI_CHUNK_TRAILER_LF,
    OCI_CHUNK_LAST_LF
} oci_chunk_state_t;


static int oci_response_status(oci_response_t *r, const u_char *p,
    size_t len);
static int oci_response_line(oci_response_t *r, u_char *p, u_char *last);
static int oci_response_known(oci_response_t *r);
static int oci_response_lengths(oci_response_t *r);
static void oci_response_range(oci_response_t *r, const oci_str_t *v);
static int64_t oci_response_retry(const oci_response_t *r,
    const oci_str_t *v);
static int64_t oci_response_date(const oci_str_t *v);
static int oci_response_number(const u_char *p, size_t len, int64_t *n);
static int oci_response_listed(const oci_str_t *v, const char *word);
static int oci_body_chunk(oci_body_t *b, u_char ch);
static int oci_body_chunk_size(oci_body_t *b, u_char ch);


/* what a header name consists of, RFC 9110's tchar */

static int
oci_response_tchar(u_char ch)
{
    if ((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z')
        || (ch >= 'A' && ch <= 'Z'))
    {
        return 1;
    }

    return ch != '\0' && strchr("!#$%&'*+-.^_`|~", ch) != NULL;
}


int
oci_response_end(const u_char *p, size_t len, size_t *seen, size_t *size)
{
    size_t         i;
    const u_char  *lf;

    i = *seen;

    for ( /* void */ ; i < len; i = (size_t) (lf - p) + 1) {

        lf = memchr(p + i, '\n', len - i);

        if (lf == NULL) {
            break;
        }

        if (lf - p >= 3 && lf[-1] == '\r' && lf[-2] == '\n'
            && lf[-3] == '\r')
        {
            *size = (size_t) (lf - p) + 1;
            *seen = *size;
            return *size > OCI_RESPONSE_HEAD_MAX ? OCI_INVALID : OCI_OK;
        }
    }

    *seen = len;

    return len >= OCI_RESPONSE_HEAD_MAX ? OCI_INVALID : OCI_AGAIN;
}


int
oci_response_parse(oci_response_t *r, u_char *p, size_t len)
{
    u_char  *last, *lf;

    memset(r, 0, offsetof(oci_response_t, headers));

    r->content_length = -1;
    r->range_start = -1;
    r->range_end = -1;
    r->range_total = -1;
    r->retry_after = -1;

    memset(&r->content_type, 0,
           sizeof(oci_response_t) - offsetof(oci_response_t, content_type));

    last = p + len;

    lf = memchr(p, '\n', len);

    if (lf == NULL || lf == p || lf[-1] != '\r'
        || oci_response_status(r, p, (size_t) (lf - 1 - p)) != OCI_OK)
    {
        return OCI_INVALID;
    }

    for (p = lf + 1; p < last; p = lf + 1) {

        lf = memchr(p, '\n', (size_t) (last - p));

        if (lf == NULL || lf == p || lf[-1] != '\r') {
            return OCI_INVALID;
        }

        if (lf - 1 == p) {
            return lf + 1 == last ? oci_response_known(r) : OCI_INVALID;
        }

        if (oci_response_line(r, p, lf - 1) != OCI_OK) {
            return OCI_INVALID;
        }
    }

    return OCI_INVALID;
}


/* HTTP/1.1 200 OK */

static int
oci_response_status(oci_response_t *r, const u_char *p, size_t len)
{
    size_t  i;

    if (len < sizeof("HTTP/1.1 200") - 1
        || memcmp(p, "HTTP/1.", 7) != 0
        || (p[7] != '0' && p[7] != '1')
        || p[8] != ' '
        || (len > 12 && p[12] != ' '))
    {
        return OCI_INVALID;
    }

    for (i = 9; i < 12; i++) {

        if (p[i] < '0' || p[i] > '9') {
            return OCI_INVALID;
        }

        r->status = r->status * 10 + (unsigned) (p[i] - '0');
    }

    for ( /* void */ ; i < len; i++) {
        if ((p[i] < ' ' && p[i] != '\t') || p[i] == 0x7f) {
            return OCI_INVALID;
        }
    }

    r->keepalive = (p[7] == '1');

    return (r->status < 100 || r->status > 599) ? OCI_INVALID : OCI_OK;
}


static int
oci_response_line(oci_response_t *r, u_char *p, u_char *last)
{
    u_char        *colon;
    oci_header_t  *h;

    if (r->nheaders == OCI_RESPONSE_HEADERS_MAX) {
        return OCI_INVALID;
    }

    h = &r->headers[r->nheaders];

    for (colon = p; colon < last && *colon != ':'; colon++) {

        if (!oci_response_tchar(*colon)) {
            return OCI_INVALID;
        }

        if (*colon >= 'A' && *colon <= 'Z') {
            *colon |= 0x20;
        }
    }

    if (colon == p || colon == last) {
        return OCI_INVALID;
    }

    h->name.data = p;
    h->name.len = (size_t) (colon - p);

    for (p = colon + 1; p < last; p++) {
        if ((*p < ' ' && *p != '\t') || *p == 0x7f) {
            return OCI_INVALID;
        }
    }

    for (p = colon + 1; p < last && (*p == ' ' || *p == '\t'); p++) {
        /* void */
    }

    while (last > p && (last[-1] == ' ' || last[-1] == '\t')) {
        last--;
    }

    h->value.data = p;
    h->value.len = (size_t) (last - p);

    r->nheaders++;

    return OCI_OK;
}


const oci_str_t *
oci_response_header(const oci_response_t *r, const char *name, unsigned index)
{
    size_t    len;
    unsigned  i;

    len = strlen(name);

    for (i = 0; i < r->nheaders; i++) {

        if (r->headers[i].name.len != len
            || memcmp(r->headers[i].name.data, name, len) != 0)
        {
            continue;
        }

        if (index-- == 0) {
            return &r->headers[i].value;
        }
    }

    return NULL;
}


static int
oci_response_known(oci_response_t *r)
{
    size_t            i;
    unsigned          n;
    const oci_str_t  *v;

    const struct {
        const char  *name;
        oci_str_t   *value;
    } known[] = {
        { "content-type", &r->content_type },
        { "content-encoding", &r->content_encoding },
        { "etag", &r->etag },
        { "docker-content-digest", &r->digest },
        { "location", &r->location },
        { "link", &r->link },
        { "www-authenticate", &r->www_authenticate }
    };

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {

        v = oci_response_header(r, known[i].name, 0);

        if (v != NULL) {
            *known[i].value = *v;
        }
    }

    for (n = 0; (v = oci_response_header(r, "connection", n)); n++) {

        if (oci_response_listed(v, "close")) {
            r->keepalive = 0;
            break;
        }

        /* of HTTP/1.0 none is kept: what its keep-alive means is not sure */
    }

    v = oci_response_header(r, "accept-ranges", 0);
    r->accept_ranges = v && oci_response_listed(v, "bytes");

    v = oci_response_header(r, "content-range", 0);

    if (v != NULL) {

        if (oci_response_header(r, "content-range", 1) != NULL) {
            return OCI_INVALID;
        }

        oci_response_range(r, v);
    }

    v = oci_response_header(r, "retry-after", 0);

    if (v != NULL) {
        r->retry_after = oci_response_retry(r, v);
    }

    return oci_response_lengths(r);
}


static int
oci_response_lengths(oci_response_t *r)
{
    int64_t           n;
    unsigned          i;
    const oci_str_t  *v;

    for (i = 0; (v = oci_response_header(r, "content-length", i)); i++) {

        if (oci_response_number(v->data, v->len, &n) != OCI_OK
            || (i > 0 && n != r->content_length))
        {
            return OCI_INVALID;
        }

        r->content_length = n;
    }

    v = oci_response_header(r, "transfer-encoding", 0);

    if (v == NULL) {
        return OCI_OK;
    }

    if (v->len != 7 || !oci_response_listed(v, "chunked")
        || oci_response_header(r, "transfer-encoding", 1) != NULL
        || r->content_length != -1)
    {
        return OCI_INVALID;
    }

    r->chunked = 1;

    return OCI_OK;
}


/* bytes 0-9/100, a star for what is not known; anything else is no range */

static void
oci_response_range(oci_response_t *r, const oci_str_t *v)
{
    int64_t        start, end, total;
    const u_char  *p, *last, *dash, *slash;

    p = v->data;
    last = p + v->len;

    if (v->len < 6 || strncasecmp((const char *) p, "bytes ", 6) != 0) {
        return;
    }

    p += 6;

    slash = memchr(p, '/', (size_t) (last - p));

    if (slash == NULL) {
        return;
    }

    total = -1;

    if ((last - slash != 2 || slash[1] != '*')
        && oci_response_number(slash + 1, (size_t) (last - slash - 1), &total)
           != OCI_OK)
    {
        return;
    }

    if (slash - p == 1 && *p == '*') {
        r->range_total = total;
        return;
    }

    dash = memchr(p, '-', (size_t) (slash - p));

    if (dash == NULL
        || oci_response_number(p, (size_t) (dash - p), &start) != OCI_OK
        || oci_response_number(dash + 1, (size_t) (slash - dash - 1), &end)
           != OCI_OK
        || end < start || (total != -1 && end >= total))
    {
        return;
    }

    r->range_start = start;
    r->range_end = end;
    r->range_total = total;
}


static int64_t
oci_response_retry(const oci_response_t *r, const oci_str_t *v)
{
    int64_t           n, now;
    const oci_str_t  *date;

    if (oci_response_number(v->data, v->len, &n) == OCI_OK) {
        return n;
    }

    n = oci_response_date(v);
    date = oci_response_header(r, "date", 0);

    if (n == -1 || date == NULL) {
        return -1;
    }

    now = oci_response_date(date);

    if (now == -1) {
        return -1;
    }

    return n > now ? n - now : 0;
}


/* Sun, 06 Nov 1994 08:49:37 GMT */

static int64_t
oci_response_date(const oci_str_t *v)
{
    char        text[32];
    const char *end;
    struct tm   tm;

    if (v->len >= sizeof(text)) {
        return -1;
    }

    memcpy(text, v->data, v->len);
    text[v->len] = '\0';

    memset(&tm, 0, sizeof(tm));

    end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);

    if (end == NULL || *end != '\0') {
        return -1;
    }

    return (int64_t) timegm(&tm);
}


static int
oci_response_number(const u_char *p, size_t len, int64_t *n)
{
    size_t   i;
    int64_t  value;

    if (len == 0) {
        return OCI_INVALID;
    }

    value = 0;

    for (i = 0; i < len; i++) {

        if (p[i] < '0' || p[i] > '9'
            || value > (INT64_MAX - (p[i] - '0')) / 10)
        {
            return OCI_INVALID;
        }

        value = value * 10 + (p[i] - '0');
    }

    *n = value;

    return OCI_OK;
}


/* 1 if word is one of the elements of a comma-separated list */

static int
oci_response_listed(const oci_str_t *v, const char *word)
{
    size_t         len;
    const u_char  *p, *last, *end;

    len = strlen(word);
    p = v->data;
    last = p + v->len;

    while (p < last) {

        while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
            p++;
        }

        for (end = p; end < last && *end != ','; end++) {
            /* void */
        }

        if ((size_t) (end - p) >= len
            && strncasecmp((const char *) p, word, len) == 0)
        {
            for (p += len; p < end && (*p == ' ' || *p == '\t'); p++) {
                /* void */
            }

            if (p == end) {
                return 1;
            }
        }

        p = end;
    }

    return 0;
}


void
oci_body_init(oci_body_t *b, const oci_response_t *r, int head)
{
    memset(b, 0, sizeof(oci_body_t));

    if (head || r->status < 200 || r->status == 204 || r->status == 304) {
        b->mode = OCI_BODY_NONE;
        b->done = 1;

    } else if (r->chunked) {
        b->mode = OCI_BODY_CHUNKED;

    } else if (r->content_length >= 0) {
        b->mode = OCI_BODY_LENGTH;
        b->left = r->content_length;
        b->done = (b->left == 0);

    } else {
        b->mode = OCI_BODY_EOF;
    }
}


int
oci_body_next(oci_body_t *b, const u_char **p, const u_char *last,
    const u_char **data, size_t *size)
{
    size_t  n;

    *size = 0;
    *data = *p;

    if (b->done) {
        return OCI_OK;
    }

    while (*p < last) {

        if (b->mode != OCI_BODY_CHUNKED || b->state == OCI_CHUNK_DATA) {

            n = (size_t) (last - *p);

            if (b->mode != OCI_BODY_EOF) {

                if ((uint64_t) n > (uint64_t) b->left) {
                    n = (size_t) b->left;
                }

                b->left -= (int64_t) n;
            }

            *data = *p;
            *size = n;
            *p += n;

            b->received += (int64_t) n;

            if (b->mode == OCI_BODY_LENGTH) {
                b->done = (b->left == 0);

            } else if (b->mode == OCI_BODY_CHUNKED && b->left == 0) {
                b->state = OCI_CHUNK_DATA_CR;
            }

            return OCI_OK;
        }

        if (oci_body_chunk(b, *(*p)++) != OCI_OK) {
            return OCI_INVALID;
        }

        if (b->done) {
            return OCI_OK;
        }
    }

    return OCI_AGAIN;
}


/* one byte of what stands around the content of chunks */

static int
oci_body_chunk(oci_body_t *b, u_char ch)
{
    switch ((oci_chunk_state_t) b->state) {

    case OCI_CHUNK_SIZE:
    case OCI_CHUNK_SIZE_MORE:
        return oci_body_chunk_size(b, ch);

    case OCI_CHUNK_EXTENSION:

        if (ch == '\r') {
            b->state = OCI_CHUNK_SIZE_LF;
            return OCI_OK;
        }

        if (ch == '\n' || ++b->line > OCI_BODY_LINE_MAX) {
            return OCI_INVALID;
        }

        return OCI_OK;

    case OCI_CHUNK_SIZE_LF:
        b->line = 0;
        b->state = b->left ? OCI_CHUNK_DATA : OCI_CHUNK_TRAILER;
        return ch == '\n' ? OCI_OK : OCI_INVALID;

    case OCI_CHUNK_DATA_CR:
        b->state = OCI_CHUNK_DATA_LF;
        return ch == '\r' ? OCI_OK : OCI_INVALID;

    case OCI_CHUNK_DATA_LF:
        b->state = OCI_CHUNK_SIZE;
        return ch == '\n' ? OCI_OK : OCI_INVALID;

    case OCI_CHUNK_TRAILER:

        if (ch == '\r') {
            b->state = OCI_CHUNK_LAST_LF;
            return OCI_OK;
        }

        b->state = OCI_CHUNK_TRAILER_MORE;

        /* fall through */

    case OCI_CHUNK_TRAILER_MORE:

        if (ch == '\r') {
            b->state = OCI_CHUNK_TRAILER_LF;
            return OCI_OK;
        }

        if (ch == '\n' || ++b->line > OCI_BODY_TRAILER_MAX) {
            return OCI_INVALID;
        }

        return OCI_OK;

    case OCI_CHUNK_TRAILER_LF:
        b->state = OCI_CHUNK_TRAILER;
        return ch == '\n' ? OCI_OK : OCI_INVALID;

    case OCI_CHUNK_LAST_LF:
        b->done = (ch == '\n');
        return ch == '\n' ? OCI_OK : OCI_INVALID;

    case OCI_CHUNK_DATA:
        break;
    }

    return OCI_INVALID;
}


static int
oci_body_chunk_size(oci_body_t *b, u_char ch)
{
    int  digit;

    if (ch >= '0' && ch <= '9') {
        digit = ch - '0';

    } else if ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'f') {
        digit = (ch | 0x20) - 'a' + 10;

    } else if (b->state == OCI_CHUNK_SIZE) {
        return OCI_INVALID;

    } else if (ch == '\r') {
        b->state = OCI_CHUNK_SIZE_LF;
        return OCI_OK;

    } else if (ch == ';' || ch == ' ' || ch == '\t') {
        b->state = OCI_CHUNK_EXTENSION;
        return OCI_OK;

    } else {
        return OCI_INVALID;
    }

    if (b->state == OCI_CHUNK_SIZE) {
        b->state = OCI_CHUNK_SIZE_MORE;
        b->left = 0;
        b->line = 0;
    }

    /* leading zeros could go on for ever */

    if (b->left > (INT64_MAX - digit) / 16 || ++b->line > 32) {
        return OCI_INVALID;
    }

    b->left = b->left * 16 + digit;

    return OCI_OK;
}


int
oci_body_eof(oci_body_t *b)
{
    if (b->mode == OCI_BODY_EOF) {
        b->done = 1;
    }

    return b->done ? OCI_OK : OCI_RANGE;
}
