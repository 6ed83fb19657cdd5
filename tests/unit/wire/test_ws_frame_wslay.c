/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ws_frame against libwslay on random frames, good and bad. Both write down the messages they
 * understood and how it ended; wslay holds whole messages, so that only complete ones are compared.
 * Three things are left out: messages over the limit made of frames within it (our limit is one of
 * frames), text that a flipped bit made something else than ASCII (wslay looks into it, we ignore
 * it), and a close frame of one byte (RFC 6455 section 5.5.1: a body starts with two; we refuse it,
 * wslay does not).
 */
#include <wslay/wslay.h>

#include "wire/ws_frame.h"
#include "wire_test.h"

#define LIMIT_MESSAGE 2000
#define TAIL          (LIMIT_MESSAGE + 64)

struct source {
    struct span rest;
    struct text *story;
};

static void story_message(struct text *story, unsigned opcode, struct span data)
{
    text_addf(story, "%u:", opcode);
    text_add_hex(story, data);
    text_add_char(story, ' ');
}

static ssize_t wslay_recv(wslay_event_context_ptr ctx, uint8_t *to, size_t len, int flags,
                          void *opaque)
{
    struct source *source = opaque;

    (void)flags;
    if (source->rest.len == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (len > source->rest.len)
        len = source->rest.len;
    memcpy(to, source->rest.ptr, len);
    source->rest = span_from(source->rest, len);
    return (ssize_t)len;
}

static void wslay_message(wslay_event_context_ptr ctx,
                          const struct wslay_event_on_msg_recv_arg *arg, void *opaque)
{
    struct source *source = opaque;

    (void)ctx;
    if (arg->opcode == WSLAY_CONNECTION_CLOSE)
        text_addf(source->story, "close %u ", arg->status_code == 0 ? 1005 : arg->status_code);
    else
        story_message(source->story, arg->opcode, span_of(arg->msg, arg->msg_length));
}

static int wslay_mask(wslay_event_context_ptr ctx, uint8_t *to, size_t len, void *opaque)
{
    (void)ctx;
    (void)opaque;
    memset(to, 0, len);
    return 0;
}

static void story_wslay(enum ws_role role, struct span input, struct text *story)
{
    struct wslay_event_callbacks callbacks = {
        .recv_callback = wslay_recv,
        .genmask_callback = wslay_mask,
        .on_msg_recv_callback = wslay_message,
    };
    struct source source = {.rest = input, .story = story};
    wslay_event_context_ptr ctx;

    if (role == WS_SERVER)
        CHECK_INT(wslay_event_context_server_init(&ctx, &callbacks, &source), 0);
    else
        CHECK_INT(wslay_event_context_client_init(&ctx, &callbacks, &source), 0);
    wslay_event_config_set_max_recv_msg_length(ctx, LIMIT_MESSAGE);
    /* An error in a frame head is WSLAY_ERR_CALLBACK_FAILURE; others only stop the reading. */
    if (wslay_event_recv(ctx) < 0 ||
        (wslay_event_get_close_received(ctx) == 0 && wslay_event_get_read_enabled(ctx) == 0))
        text_add_str(story, "error");
    wslay_event_context_free(ctx);
}

struct reader {
    struct text *story;
    uint8_t message[8192];
    size_t len;
    bool is_error;
    bool is_skipped;
};

static void reader_event(struct reader *reader, const struct ws_event *event)
{
    switch (event->type) {
    case WS_EVENT_DATA:
        CHECK(event->data.len <= sizeof reader->message - reader->len);
        memcpy(reader->message + reader->len, event->data.ptr, event->data.len);
        reader->len += event->data.len;
        reader->is_skipped |= reader->len > LIMIT_MESSAGE;
        for (size_t i = 0; i < event->data.len && event->opcode == WS_TEXT; i++)
            reader->is_skipped |= event->data.ptr[i] >= 0x80;
        break;
    case WS_EVENT_MESSAGE_END:
        story_message(reader->story, event->opcode, span_of(reader->message, reader->len));
        reader->len = 0;
        break;
    case WS_EVENT_PING:
    case WS_EVENT_PONG:
        story_message(reader->story, event->type == WS_EVENT_PING ? WS_PING : WS_PONG, event->data);
        break;
    case WS_EVENT_CLOSE:
        text_addf(reader->story, "close %u ", event->close_code);
        break;
    }
}

static void story_ours(enum ws_role role, struct room input, struct reader *reader)
{
    struct ws_frame ws;
    struct ws_event event;
    struct err err;
    size_t used;

    ws_frame_init(&ws, role, LIMIT_MESSAGE);
    while (input.len > 0) {
        if (ws_frame_feed(&ws, input, &used, &err) < 0) {
            reader->is_error = true;
            reader->is_skipped |= strcmp(err.text, "websocket: close frame of one byte") == 0;
            text_add_str(reader->story, "error");
            return;
        }
        input = (struct room){.ptr = input.ptr + used, .len = input.len - used};
        while (ws_frame_next(&ws, &event))
            reader_event(reader, &event);
    }
}

static uint64_t seed = 3;

static uint32_t pick(uint32_t count)
{
    return next_random(&seed) % count;
}

/*
 * One frame, seldom a bad one. Codes over 1011 are left out: wslay is older than their
 * registration.
 */
static size_t frame_write(uint8_t *to, enum ws_role role, bool *is_open)
{
    static const uint16_t codes[] = {1000, 1001, 1011, 3000, 4999, 1004, 1005, 1006, 999, 5000};
    bool is_control = pick(4) == 0;
    uint8_t mask[4] = {(uint8_t)pick(256), (uint8_t)pick(256), 3, 4};
    uint32_t len = pick(5) == 0 ? pick(is_control ? 126 : 150) : pick(8);
    bool is_final = is_control || pick(2) == 0;
    unsigned opcode = is_control ? 8 + (pick(8) == 0 ? 0 : 1 + pick(2))
                      : *is_open ? 0
                                 : 1 + pick(2);
    size_t at;

    if (!is_control)
        *is_open = !is_final;
    at = ws_frame_write_head(to, (enum ws_opcode)opcode, len, role == WS_SERVER ? mask : NULL);
    for (uint32_t i = 0; i < len; i++)
        to[at + i] = (uint8_t)('a' + pick(26));
    if (opcode == WS_CLOSE && len >= 2) {
        uint16_t code = codes[pick(10)];

        to[at] = (uint8_t)(code >> 8);
        to[at + 1] = (uint8_t)code;
        if (len > 2 && pick(2) == 0)
            to[at + 2 + pick(len - 2)] = (uint8_t)pick(256);
    }
    if (role == WS_SERVER)
        ws_frame_mask((struct room){.ptr = to + at, .len = len}, mask, 0);
    if (!is_final)
        to[0] &= 0x7f;
    if (pick(40) == 0)
        to[0] ^= (uint8_t)(1U << pick(8));
    if (pick(40) == 0)
        to[1] ^= (uint8_t)(1U << pick(8));
    return at + len;
}

/* Some frames, and an end that completes what is cut off and is an error itself. */
static size_t frames_write(uint8_t *to, enum ws_role role)
{
    bool is_open = false;
    size_t len = 0;

    for (uint32_t count = 1 + pick(12); count > 0; count--)
        len += frame_write(to + len, role, &is_open);
    memset(to + len, 0, TAIL - 20);
    memset(to + len + TAIL - 20, 0xff, 20);
    return len + TAIL;
}

TEST(ws_frame_agrees_with_wslay)
{
    static uint8_t input[8192 + TAIL];
    static char memory[2][32768];
    static struct reader reader;
    size_t errors = 0;
    size_t closes = 0;
    size_t skipped = 0;

    for (int round = 0; round < 40000; round++) {
        enum ws_role role = round % 2 == 0 ? WS_SERVER : WS_CLIENT;
        size_t len = frames_write(input, role);
        struct text ours;
        struct text theirs;

        text_init(&ours, memory[0], sizeof memory[0]);
        text_init(&theirs, memory[1], sizeof memory[1]);
        story_wslay(role, span_of(input, len), &theirs);
        reader = (struct reader){.story = &ours};
        story_ours(role, (struct room){.ptr = input, .len = len}, &reader);
        errors += reader.is_error;
        closes += span_find_span(text_span(&ours), span_text("close")) >= 0;
        skipped += reader.is_skipped;
        if (!reader.is_skipped)
            CHECK_STR(text_str(&ours), text_str(&theirs));
    }
    CHECK(errors > 10000 && closes > 1000 && skipped < 2000); /* neither all good nor all bad */
}

TEST_MAIN(TEST_OF(ws_frame_agrees_with_wslay))
