/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket frames (RFC 6455 section 5).
 *
 *                    ┌── data ──▶ DATA ── payload complete ──┐
 *     HEAD ── head ──┤                                       ├──▶ HEAD      close frame ──▶ CLOSED
 *                    └── control ▶ CONTROL ─ 125 bytes held ─┘              any error  ──▶ FAILED
 *
 * A head is checked as soon as the byte that is wrong has arrived, so that a refusal never waits
 * for bytes which the peer may not send: first byte, second byte, length, mask. A data payload is
 * unmasked where it lies and borrowed by the event. A control frame may lie between the frames of
 * a message, so that it has fields of its own: `message` and the mask of DATA are not touched.
 */
#include "wire/ws_frame.h"

#include "base/num.h"
#include "wire/ws_utf8.h"

enum ws_phase { WS_HEAD, WS_DATA, WS_CONTROL, WS_CLOSED, WS_FAILED };

#define WS_CONTROL_MAX 125
#define WS_FIN         0x80U
#define WS_RSV         0x70U
#define WS_MASKED      0x80U
#define WS_LEN_16      126
#define WS_LEN_64      127

#define WS_CODE_PROTOCOL 1002
#define WS_CODE_NONE     1005
#define WS_CODE_TEXT     1007
#define WS_CODE_TOO_BIG  1009

void ws_frame_init(struct ws_frame *ws, enum ws_role role, uint64_t limit)
{
    *ws = (struct ws_frame){.role = role, .limit = limit, .phase = WS_HEAD};
}

static int ws_fail(struct ws_frame *ws, uint16_t code)
{
    ws->phase = WS_FAILED;
    ws->close_code = code;
    return -1;
}

static void event_push(struct ws_frame *ws, enum ws_event_type type, struct span data)
{
    ENSURE(ws->pending_count < 2);
    ws->pending[ws->pending_count++] = (struct ws_event){
        .type = type,
        .opcode = type == WS_EVENT_DATA || type == WS_EVENT_MESSAGE_END ? ws->message : ws->opcode,
        .data = data,
        .close_code = ws->close_code,
    };
}

static bool is_control(enum ws_opcode opcode)
{
    return (opcode & 8U) != 0;
}

static bool is_utf8(struct span s)
{
    struct ws_utf8 utf8 = {0};

    return ws_utf8_feed(&utf8, s) && ws_utf8_is_whole(&utf8);
}

/* RFC 6455 section 7.4 and the IANA registry: what may stand in a close frame. */
static bool is_close_code(unsigned code)
{
    if (code >= 3000)
        return code <= 4999;
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

static int first_check(struct ws_frame *ws, struct err *err)
{
    unsigned byte = ws->head[0];

    if ((byte & WS_RSV) != 0)
        return err_set(err, ERR_CHUNK, "websocket: reserved bits in 0x%02x", byte);
    ws->opcode = (enum ws_opcode)(byte & 0x0fU);
    ws->is_final = (byte & WS_FIN) != 0;
    switch (byte & 0x0fU) {
    case WS_CONTINUATION:
        if (ws->message == WS_CONTINUATION)
            return err_set(err, ERR_CHUNK, "websocket: continuation of no message");
        return 0;
    case WS_TEXT:
    case WS_BINARY:
        if (ws->message != WS_CONTINUATION)
            return err_set(err, ERR_CHUNK, "websocket: new message within a fragmented one");
        return 0;
    case WS_CLOSE:
    case WS_PING:
    case WS_PONG:
        if (!ws->is_final)
            return err_set(err, ERR_CHUNK, "websocket: fragmented control frame");
        return 0;
    default:
        return err_set(err, ERR_CHUNK, "websocket: reserved opcode %u", byte & 0x0fU);
    }
}

static int second_check(const struct ws_frame *ws, struct err *err)
{
    bool is_masked = (ws->head[1] & WS_MASKED) != 0;
    unsigned len = ws->head[1] & 0x7fU;

    if (is_masked != (ws->role == WS_SERVER))
        return err_set(err, ERR_CHUNK, "websocket: %s",
                       is_masked ? "masked frame from a server" : "unmasked frame from a client");
    if (is_control(ws->opcode) && len > WS_CONTROL_MAX)
        return err_set(err, ERR_CHUNK, "websocket: control frame over %d bytes", WS_CONTROL_MAX);
    if (ws->opcode == WS_CLOSE && len == 1)
        return err_set(err, ERR_CHUNK, "websocket: close frame of one byte");
    return 0;
}

static size_t length_end(const struct ws_frame *ws)
{
    unsigned len = ws->head[1] & 0x7fU;

    return len == WS_LEN_64 ? 10 : len == WS_LEN_16 ? 4 : 2;
}

/* Fails with the code in ws->close_code: the only step that has two of them. */
static int length_read(struct ws_frame *ws, struct err *err)
{
    size_t end = length_end(ws);
    uint64_t len = end == 2 ? ws->head[1] & 0x7fU : 0;

    ws->close_code = WS_CODE_PROTOCOL;
    for (size_t i = 2; i < end; i++)
        len = len << 8 | ws->head[i];
    if (len >> 63 != 0)
        return err_set(err, ERR_CHUNK, "websocket: length with the high bit set");
    if ((end == 4 && len < WS_LEN_16) || (end == 10 && len <= UINT16_MAX))
        return err_set(err, ERR_CHUNK, "websocket: length %u in %zu bytes", (unsigned)len, end - 2);
    if (!is_control(ws->opcode) && len > ws->limit) {
        ws->close_code = WS_CODE_TOO_BIG;
        return err_set(err, ERR_CHUNK, "websocket: frame of %llu bytes, limit %llu",
                       (unsigned long long)len, (unsigned long long)ws->limit);
    }
    ws->left = len;
    return 0;
}

/* The payload of a data frame is complete. */
static void data_end(struct ws_frame *ws)
{
    ws->phase = WS_HEAD;
    if (!ws->is_final)
        return;
    event_push(ws, WS_EVENT_MESSAGE_END, span_of(NULL, 0));
    ws->message = WS_CONTINUATION;
}

static int close_read(struct ws_frame *ws, struct err *err)
{
    struct span data = span_of(ws->control, ws->control_len);
    unsigned code;

    if (data.len == 0) {
        ws->close_code = WS_CODE_NONE;
        event_push(ws, WS_EVENT_CLOSE, data);
        return 0;
    }
    ENSURE(data.len >= 2);
    code = (unsigned)(data.ptr[0] << 8 | data.ptr[1]);
    if (!is_close_code(code)) {
        (void)err_set(err, ERR_CHUNK, "websocket: close code %u", code);
        return ws_fail(ws, WS_CODE_PROTOCOL);
    }
    data = span_from(data, 2);
    if (!is_utf8(data)) {
        (void)err_set(err, ERR_CHUNK, "websocket: close reason is not UTF-8");
        return ws_fail(ws, WS_CODE_TEXT);
    }
    ws->close_code = (uint16_t)code;
    event_push(ws, WS_EVENT_CLOSE, data);
    return 0;
}

/* The payload of a control frame is complete and unmasked. */
static int control_end(struct ws_frame *ws, struct err *err)
{
    ws->phase = WS_HEAD;
    if (ws->opcode == WS_CLOSE) {
        ws->phase = WS_CLOSED;
        return close_read(ws, err);
    }
    event_push(ws, ws->opcode == WS_PING ? WS_EVENT_PING : WS_EVENT_PONG,
               span_of(ws->control, ws->control_len));
    return 0;
}

/* The head is complete: on to the payload, or past it if there is none. */
static int payload_begin(struct ws_frame *ws, struct err *err)
{
    if (ws->role == WS_SERVER)
        memcpy(ws->mask, ws->head + ws->head_len - sizeof ws->mask, sizeof ws->mask);
    ws->head_len = 0;
    ws->offset = 0;
    ws->close_code = 0;
    if (is_control(ws->opcode)) {
        ws->phase = WS_CONTROL;
        ws->control_len = 0;
        return ws->left == 0 ? control_end(ws, err) : 0;
    }
    ws->phase = WS_DATA;
    if (ws->opcode != WS_CONTINUATION)
        ws->message = ws->opcode;
    if (ws->left == 0)
        data_end(ws);
    return 0;
}

/* How long the head is once the part that is being read is complete. */
static size_t head_part_end(const struct ws_frame *ws)
{
    if (ws->head_len < 2)
        return ws->head_len + 1;
    if (ws->head_len < length_end(ws))
        return length_end(ws);
    return length_end(ws) + sizeof ws->mask;
}

static int head_feed(struct ws_frame *ws, struct room in, size_t *used, struct err *err)
{
    size_t end = head_part_end(ws);

    *used = num_min(end - ws->head_len, in.len);
    ENSURE(end <= sizeof ws->head);
    memcpy(ws->head + ws->head_len, in.ptr, *used);
    ws->head_len += *used;
    if (ws->head_len < end)
        return 0;
    if (end == 1)
        return first_check(ws, err) < 0 ? ws_fail(ws, WS_CODE_PROTOCOL) : 0;
    if (end == 2 && second_check(ws, err) < 0)
        return ws_fail(ws, WS_CODE_PROTOCOL);
    if (end == length_end(ws) && length_read(ws, err) < 0)
        return ws_fail(ws, ws->close_code);
    if (end == length_end(ws) + (ws->role == WS_SERVER ? sizeof ws->mask : 0))
        return payload_begin(ws, err);
    return 0;
}

static void data_feed(struct ws_frame *ws, struct room in, size_t *used)
{
    size_t len = ws->left < in.len ? (size_t)ws->left : in.len;

    in.len = len;
    if (ws->role == WS_SERVER)
        ws_frame_mask(in, ws->mask, ws->offset);
    ws->offset += len;
    ws->left -= len;
    *used = len;
    event_push(ws, WS_EVENT_DATA, span_of_room(in));
    if (ws->left == 0)
        data_end(ws);
}

static int control_feed(struct ws_frame *ws, struct room in, size_t *used, struct err *err)
{
    size_t len = ws->left < in.len ? (size_t)ws->left : in.len;

    ENSURE(len <= sizeof ws->control - ws->control_len);
    memcpy(ws->control + ws->control_len, in.ptr, len);
    ws->control_len += len;
    ws->left -= len;
    *used = len;
    if (ws->left > 0)
        return 0;
    if (ws->role == WS_SERVER)
        ws_frame_mask((struct room){.ptr = ws->control, .len = ws->control_len}, ws->mask, 0);
    return control_end(ws, err);
}

int ws_frame_feed(struct ws_frame *ws, struct room in, size_t *used, struct err *err)
{
    *used = 0;
    if (ws->phase == WS_FAILED)
        return err_set(err, ERR_CHUNK, "websocket: failed before");
    while (ws->pending_count == 0 && *used < in.len) {
        struct room rest = {.ptr = in.ptr + *used, .len = in.len - *used};
        size_t taken = rest.len; /* a closed engine takes and forgets everything */
        int result = 0;

        switch ((enum ws_phase)ws->phase) {
        case WS_HEAD:
            result = head_feed(ws, rest, &taken, err);
            break;
        case WS_DATA:
            data_feed(ws, rest, &taken);
            break;
        case WS_CONTROL:
            result = control_feed(ws, rest, &taken, err);
            break;
        case WS_CLOSED:
        case WS_FAILED:
            break;
        }
        *used += taken;
        if (result < 0)
            return -1;
    }
    return 0;
}

int ws_frame_next(struct ws_frame *ws, struct ws_event *event)
{
    if (ws->pending_count == 0)
        return 0;
    *event = ws->pending[0];
    ws->pending[0] = ws->pending[1];
    ws->pending_count--;
    return 1;
}

uint16_t ws_frame_close_code(const struct ws_frame *ws)
{
    return ws->phase == WS_FAILED ? ws->close_code : WS_CODE_PROTOCOL;
}

size_t ws_frame_write_head(uint8_t head[WS_FRAME_HEAD], enum ws_opcode opcode, uint64_t len,
                           const uint8_t mask[4])
{
    size_t len_size = len > UINT16_MAX ? 8 : len >= WS_LEN_16 ? 2 : 0;
    uint8_t len_byte = len_size == 8 ? WS_LEN_64 : len_size == 2 ? WS_LEN_16 : (uint8_t)len;
    size_t at = 2;

    ENSURE(len >> 63 == 0);
    ENSURE(!is_control(opcode) || len <= WS_CONTROL_MAX);
    head[0] = (uint8_t)(WS_FIN | opcode);
    head[1] = (uint8_t)(len_byte | (mask != NULL ? WS_MASKED : 0));
    while (len_size > 0)
        head[at++] = (uint8_t)(len >> (8 * --len_size));
    if (mask != NULL) {
        memcpy(head + at, mask, 4);
        at += 4;
    }
    return at;
}

size_t ws_frame_write_part_head(uint8_t head[WS_FRAME_HEAD], enum ws_opcode opcode, uint64_t len,
                                const uint8_t mask[4])
{
    size_t head_len = ws_frame_write_head(head, opcode, len, mask);

    ENSURE(!is_control(opcode));
    head[0] = (uint8_t)opcode;
    return head_len;
}

void ws_frame_mask(struct room bytes, const uint8_t mask[4], uint64_t offset)
{
    uint8_t pattern[8];
    uint64_t wide;
    size_t at = 0;

    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = mask[(offset + i) & 3];
    memcpy(&wide, pattern, sizeof wide);
    for (; bytes.len - at >= sizeof wide; at += sizeof wide) {
        uint64_t word;

        memcpy(&word, bytes.ptr + at, sizeof word);
        word ^= wide;
        memcpy(bytes.ptr + at, &word, sizeof word);
    }
    for (; at < bytes.len; at++)
        bytes.ptr[at] ^= pattern[at & 7];
}

int ws_frame_send_control(struct buf *out, enum ws_opcode opcode, struct span data,
                          const uint8_t mask[4], struct err *err)
{
    uint8_t frame[WS_FRAME_HEAD + WS_CONTROL_MAX];
    size_t len;

    ENSURE(is_control(opcode) && data.len <= WS_CONTROL_MAX);
    len = ws_frame_write_head(frame, opcode, data.len, mask);
    if (data.len > 0)
        memcpy(frame + len, data.ptr, data.len);
    if (mask != NULL)
        ws_frame_mask((struct room){.ptr = frame + len, .len = data.len}, mask, 0);
    return buf_append(out, span_of(frame, len + data.len), err);
}

int ws_frame_send_close(struct buf *out, uint16_t code, struct span reason, const uint8_t mask[4],
                        struct err *err)
{
    uint8_t data[WS_CONTROL_MAX] = {(uint8_t)(code >> 8), (uint8_t)(code & 0xff)};

    if (code == WS_CODE_NONE)
        return ws_frame_send_control(out, WS_CLOSE, span_of(NULL, 0), mask, err);
    ENSURE(is_close_code(code) && reason.len <= sizeof data - 2);
    if (reason.len > 0)
        memcpy(data + 2, reason.ptr, reason.len);
    return ws_frame_send_control(out, WS_CLOSE, span_of(data, 2 + reason.len), mask, err);
}
