/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 as a client of good faith needs it. */
#include <ctype.h>

#include "load.h"

void load_h1_ask(struct load_connection *connection)
{
    char text[2048];
    char host[300];
    char length[64] = "";

    load_host(connection, true, host, sizeof host);
    if (load_options.upload > 0)
        (void)snprintf(length, sizeof length, "Content-Length: %llu\r\n",
                       (unsigned long long)load_options.upload);
    (void)snprintf(text, sizeof text,
                   "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\nAccept: */*\r\n"
                   "Authorization: Bearer placeholder\r\n%s%s\r\n",
                   load_options.upload > 0 ? "POST" : "GET", load_options.path, host, length,
                   load_options.closes ? "Connection: close\r\n" : "");
    queue_add(&connection->out, text, strlen(text));
    connection->upload_left = load_options.upload;
    connection->begun_us[0] = load_now_us();
    connection->under_way = 1;
    connection->h1.head_len = 0;
    connection->h1.is_in_body = false;
}

/* The head is complete. 1: there is no content. */
static int head_take(struct load_connection *connection)
{
    struct load_h1 *h1 = &connection->h1;
    const char *field;

    h1->head[h1->head_len] = '\0';
    h1->head_len = 0;
    if (strncmp(h1->head, "HTTP/1.", 7) != 0)
        return -1;
    if (h1->head[9] == '1')
        return 0; /* interim */
    if (strncmp(h1->head + 9, "200", 3) != 0)
        load_stats.not_200++;
    if (strcasestr(h1->head, "\r\nconnection: close") != NULL)
        connection->must_close = true;
    h1->is_in_body = true;
    h1->is_chunked = strcasestr(h1->head, "\r\ntransfer-encoding: chunked") != NULL;
    h1->chunk = CHUNK_SIZE;
    h1->left = 0;
    field = strcasestr(h1->head, "\r\ncontent-length:");
    if (!h1->is_chunked && field != NULL)
        h1->left = strtoull(field + strlen("\r\ncontent-length:"), NULL, 10);
    return !h1->is_chunked && h1->left == 0;
}

static int chunk_byte(struct load_h1 *h1, uint8_t byte)
{
    switch (h1->chunk) {
    case CHUNK_SIZE:
        if (byte == '\n')
            h1->chunk = h1->left > 0 ? CHUNK_DATA : CHUNK_LAST;
        else if (isxdigit(byte))
            h1->left =
                h1->left * 16 + (uint64_t)(byte <= '9' ? byte - '0' : (byte | 32) - 'a' + 10);
        return 0;
    case CHUNK_TAIL:
        if (byte == '\n')
            h1->chunk = CHUNK_SIZE;
        return 0;
    case CHUNK_LAST:
        return byte == '\n';
    case CHUNK_DATA:
        break;
    }
    return -1;
}

int load_h1_feed(struct load_connection *connection, const uint8_t *bytes, size_t len)
{
    struct load_h1 *h1 = &connection->h1;
    size_t at = 0;
    int result = 0;

    while (at < len && result == 0) {
        if (!h1->is_in_body) {
            if (h1->head_len + 1 >= sizeof h1->head)
                return -1;
            h1->head[h1->head_len++] = (char)bytes[at++];
            if (h1->head_len >= 4 && memcmp(h1->head + h1->head_len - 4, "\r\n\r\n", 4) == 0)
                result = head_take(connection);
        } else if (!h1->is_chunked || h1->chunk == CHUNK_DATA) {
            size_t some = len - at < h1->left ? len - at : (size_t)h1->left;

            h1->left -= some;
            at += some;
            if (h1->left == 0 && h1->is_chunked)
                h1->chunk = CHUNK_TAIL;
            result = h1->left == 0 && !h1->is_chunked;
        } else {
            result = chunk_byte(h1, bytes[at++]);
        }
    }
    return result;
}
