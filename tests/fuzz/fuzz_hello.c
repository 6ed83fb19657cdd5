/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first chunk: what was read can be written and read again, and what was refused leaves no
 * credentials behind.
 */
#include "base/limits.h"
#include "wire/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_again(const struct hello *first)
{
    static uint8_t memory[2 * LIMIT_CONNECT_HEAD];
    struct span session = hello_session(first);
    struct span token = hello_token(first);
    struct hello second;
    struct text text;
    struct err err;

    ENSURE(session.len > 0 && session.len <= LIMIT_SESSION_ID);
    ENSURE(token.len > 0 && token.len <= LIMIT_TOKEN);
    text_init(&text, memory, sizeof memory);
    hello_write(&text, first->connect_line, session, token);
    ENSURE(!text.overflow);
    if (text.len > LIMIT_CONNECT_HEAD)
        return;
    ENSURE(hello_read(text_span(&text), &second, &err) == 0);
    ENSURE(span_equal(hello_session(&second), session));
    ENSURE(span_equal(hello_token(&second), token));
    ENSURE(target_is_same_host(&first->host, &second.host) && first->port == second.port);
    hello_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct hello hello;
    struct err err;

    if (hello_read(span_of(bytes, len), &hello, &err) == 0) {
        ENSURE(hello.port > 0 && hello.host.len > 0);
        check_again(&hello);
        hello_fini(&hello);
    } else {
        ENSURE(err.code == ERR_HELLO || err.code == ERR_TARGET);
    }
    for (size_t i = 0; i < sizeof hello.basic; i++)
        ENSURE(hello.basic[i] == 0);
    return 0;
}
