/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames: the first byte chooses role and limit. The input is read at once and byte by byte; what
 * was understood must be the same, and keep to the rules that readers rely on.
 */
#include "wire/ws_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct summary {
    uint64_t hash;
    size_t data;
    size_t ends;
    bool is_closed;
    uint16_t error;
};

static void summary_add(struct summary *summary, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < len; i++)
        summary->hash = (summary->hash ^ at[i]) * 0x100000001b3U;
}

static void summary_event(struct summary *summary, const struct ws_event *event)
{
    uint8_t type = (uint8_t)(event->type << 4 | event->opcode);

    ENSURE(!summary->is_closed);
    if (event->type == WS_EVENT_DATA || event->type == WS_EVENT_MESSAGE_END)
        ENSURE(event->opcode == WS_TEXT || event->opcode == WS_BINARY);
    else
        ENSURE(event->data.len <= 125);
    if (event->type == WS_EVENT_DATA)
        ENSURE(event->data.len > 0);
    else
        summary_add(summary, &type, 1);
    summary_add(summary, event->data.ptr, event->data.len);
    summary->data += event->data.len;
    summary->ends += event->type == WS_EVENT_MESSAGE_END;
    summary->is_closed = event->type == WS_EVENT_CLOSE;
}

static struct summary run(enum ws_role role, uint64_t limit, struct room in, size_t step)
{
    struct summary summary = {.hash = 0xcbf29ce484222325U};
    struct ws_frame ws;
    struct ws_event event;
    struct err err;
    size_t used;

    ws_frame_init(&ws, role, limit);
    while (in.len > 0) {
        struct room piece = {.ptr = in.ptr, .len = in.len < step ? in.len : step};

        if (ws_frame_feed(&ws, piece, &used, &err) < 0) {
            ENSURE(err.code == ERR_CHUNK && ws_frame_next(&ws, &event) == 0);
            summary.error = ws_frame_close_code(&ws);
            ENSURE(summary.error == 1002 || summary.error == 1007 || summary.error == 1009);
            break;
        }
        ENSURE(used > 0 && used <= piece.len);
        in = (struct room){.ptr = in.ptr + used, .len = in.len - used};
        while (ws_frame_next(&ws, &event))
            summary_event(&summary, &event);
    }
    return summary;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static uint8_t copy[3][65536];
    struct summary summary[3];

    if (len < 1 || len > sizeof copy[0])
        return 0;
    for (size_t i = 0; i < 3; i++) {
        enum ws_role role = (bytes[0] & 1) != 0 ? WS_CLIENT : WS_SERVER;
        struct room in = {.ptr = copy[i], .len = len - 1};

        memcpy(copy[i], bytes + 1, len - 1);
        summary[i] = run(role, (uint64_t)(bytes[0] >> 1) * 64, in, i == 0 ? len : i == 1 ? 1 : 7);
        ENSURE(summary[i].hash == summary[0].hash && summary[i].data == summary[0].data);
        ENSURE(summary[i].ends == summary[0].ends && summary[i].error == summary[0].error);
        ENSURE(summary[i].is_closed == summary[0].is_closed);
    }
    return 0;
}
