/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake behind the head parser; the first byte chooses the side. */
#include "base/limits.h"
#include "crypto/digest.h"
#include "http/h1_read.h"
#include "wire/ws_shake.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void fuzz_request(struct span in, struct arena *arena)
{
    char accept[WS_SHAKE_ACCEPT + 1];
    struct http_request request;
    struct span token;
    struct err err;
    size_t scanned = 0;

    if (h1_read_request(in, &scanned, arena, &request, &err) <= 0)
        return;
    if (ws_shake_read(&request, &token, accept, &err) < 0) {
        ENSURE(err.code != ERR_OK && err_status(err.code) >= 400);
        return;
    }
    ENSURE(token.len > 0 && token.len <= LIMIT_TOKEN);
    ENSURE(token.ptr >= in.ptr && token.ptr + token.len <= in.ptr + in.len);
    ENSURE(strlen(accept) == WS_SHAKE_ACCEPT);
}

static void fuzz_response(struct span in, struct arena *arena)
{
    static const struct ws_shake shake = {.key = "dGhlIHNhbXBsZSBub25jZQ=="};
    struct http_response response;
    struct err err;
    size_t scanned = 0;

    if (h1_read_response(in, &scanned, span_text("GET"), arena, &response, &err) <= 0)
        return;
    if (ws_shake_check(&shake, &response, &err) < 0) {
        ENSURE(err.code == ERR_TOKEN_INVALID || err.code == ERR_DRAINING ||
               err.code == ERR_GATEWAY);
        return;
    }
    ENSURE(response.status == 101);
    ENSURE(span_find_span(in, span_text("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static bool is_ready;
    struct pool blocks;
    struct arena arena;
    struct err err;

    if (!is_ready)
        ENSURE(digest_setup(&err) == 0);
    is_ready = true;
    if (len < 1)
        return 0;
    pool_init(&blocks, LIMIT_ARENA_BLOCK, 64, 0);
    arena_init(&arena, &blocks, LIMIT_HEAD);
    if ((bytes[0] & 1) != 0)
        fuzz_request(span_of(bytes + 1, len - 1), &arena);
    else
        fuzz_response(span_of(bytes + 1, len - 1), &arena);
    arena_reset(&arena);
    pool_fini(&blocks);
    return 0;
}
