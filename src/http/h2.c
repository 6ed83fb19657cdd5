/* SPDX-License-Identifier: Apache-2.0 */
/* The connection: its settings, what goes in and out, and how it ends. */
#include "http/h2.h"

#include "base/num.h"
#include "http/h2_session.h"

/* nghttp2's own limits. Ours are reached first; these hold should ours be wrong. */
#define BACKUP_RESETS   10000
#define BACKUP_RESETS_S 1000
#define BACKUP_ACKS     1000
#define SETTINGS_MAX    32 /* entries in one frame */

#define TICK_MS       1000
#define TICKS_AT_MOST 16 /* give back more than there is to give */

enum err_code h2_syntax(const struct h2 *h2)
{
    return h2->options.role == H2_SERVER ? ERR_SYNTAX : ERR_ORIGIN_SYNTAX;
}

int h2_fail(struct h2 *h2, uint32_t code, const struct err *err)
{
    if (h2->is_over)
        return -1;
    h2->is_over = 1;
    h2->failure_code = code;
    h2->failure = *err;
    if (h2->options.role == H2_CLIENT)
        h2->failure.code = ERR_ORIGIN_SYNTAX;
    return -1;
}

int h2_spend(struct h2 *h2, enum h2_budget_kind kind)
{
    struct err err;

    if (h2_budget_spend(&h2->budget, kind, &err) == 0)
        return 0;
    return h2_fail(h2, NGHTTP2_ENHANCE_YOUR_CALM, &err);
}

static void options_set(nghttp2_option *option, const struct h2_options *options)
{
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_reserved_remote_streams(option, 0);
    nghttp2_option_set_max_send_header_block_length(option, 4UL * LIMIT_HEAD);
    nghttp2_option_set_max_outbound_ack(option, BACKUP_ACKS);
    nghttp2_option_set_max_settings(option, SETTINGS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(option, BACKUP_RESETS, BACKUP_RESETS_S);
    nghttp2_option_set_max_continuations(option, LIMIT_H2_CONTINUATIONS);
    /* Requests carry credentials: nothing of them may be compared with what comes later. */
    if (options->role == H2_CLIENT)
        nghttp2_option_set_max_deflate_dynamic_table_size(option, 0);
}

static int session_new(struct h2 *h2, const nghttp2_session_callbacks *callbacks)
{
    nghttp2_mem mem = h2_memory_of(&h2->memory);
    nghttp2_option *option;
    int result;

    if (nghttp2_option_new(&option) != 0)
        return -1;
    options_set(option, &h2->options);
    if (h2->options.role == H2_SERVER)
        result = nghttp2_session_server_new3(&h2->session, callbacks, h2, option, &mem);
    else
        result = nghttp2_session_client_new3(&h2->session, callbacks, h2, option, &mem);
    nghttp2_option_del(option);
    return result == 0 ? 0 : -1;
}

static int session_init(struct h2 *h2)
{
    nghttp2_session_callbacks *callbacks;
    int result;

    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return -1;
    h2_read_callbacks(callbacks);
    h2_write_callbacks(callbacks);
    result = session_new(h2, callbacks);
    nghttp2_session_callbacks_del(callbacks);
    return result;
}

static int settings_send(struct h2 *h2)
{
    const struct h2_options *options = &h2->options;
    nghttp2_settings_entry entries[5];
    size_t count = 0;

#define SETTING(id, number)                                                                        \
    entries[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_##id, (uint32_t)(number)}
    SETTING(INITIAL_WINDOW_SIZE, num_min(options->pools.recv->item_size, NGHTTP2_MAX_WINDOW_SIZE));
    SETTING(MAX_HEADER_LIST_SIZE, LIMIT_HEAD);
    if (options->role == H2_CLIENT) {
        SETTING(ENABLE_PUSH, 0);
    } else {
        SETTING(MAX_CONCURRENT_STREAMS, options->streams);
        SETTING(NO_RFC7540_PRIORITIES, 1);
        if (options->extended_connect)
            SETTING(ENABLE_CONNECT_PROTOCOL, 1);
    }
#undef SETTING
    if (nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, entries, count) != 0)
        return -1;
    return nghttp2_session_set_local_window_size(
        h2->session, NGHTTP2_FLAG_NONE, 0,
        (int32_t)num_min(options->window, NGHTTP2_MAX_WINDOW_SIZE));
}

static void block_free(struct h2 *h2)
{
    quota_give(&h2->memory.quota, sizeof *h2);
    quota_fini(&h2->memory.quota);
    explicit_bzero(h2, sizeof *h2);
    pool_block_free(h2);
}

struct h2 *h2_new(const struct h2_options *options, struct err *err)
{
    struct h2 *h2;

    if (options->memory != NULL && quota_left(options->memory) < H2_MEMORY_LEAST) {
        (void)err_set(err, ERR_LIMIT, "no memory left for one more HTTP/2 connection");
        return NULL;
    }
    h2 = pool_block_new(sizeof *h2);
    if (h2 == NULL)
        goto fail;
    h2->options = *options;
    h2->memory.can_refuse = 1;
    quota_init(&h2->memory.quota, options->memory,
               LIMIT_H2_MEMORY + options->streams * (size_t)LIMIT_H2_STREAM_MEMORY);
    quota_add(&h2->memory.quota, sizeof *h2);
    h2_frame_init(h2);
    h2_budget_init(&h2->budget);
    if (session_init(h2) < 0)
        goto fail_block;
    if (settings_send(h2) != 0)
        goto fail_session;
    h2->memory.can_refuse = 0;
    return h2;

fail_session:
    nghttp2_session_del(h2->session);
fail_block:
    block_free(h2);
fail:
    (void)err_set(err, ERR_MEMORY, "no memory for an HTTP/2 connection");
    return NULL;
}

void h2_free(struct h2 *h2)
{
    struct h2_stream *stream;

    if (h2 == NULL)
        return;
    while ((stream = list_first(&h2->streams)) != NULL)
        h2_stream_detach(stream);
    nghttp2_session_del(h2->session);
    block_free(h2);
}

/* Streams learn that the connection is over; the peer, why. */
static void failure_tell(struct h2 *h2)
{
    if (!h2->is_over || h2->is_told)
        return;
    h2->is_told = 1;
    h2->is_goaway = 1;
    for (struct list_node *node = h2->streams.first; node != NULL; node = node->next) {
        struct h2_stream *stream = node->item;

        if (stream->is_reset || stream->is_closed)
            continue;
        stream->is_reset = 1;
        stream->reset_code = h2->failure_code;
        h2_stream_tell(stream, H2_NEWS_RESET);
    }
    ENSURE(nghttp2_session_terminate_session(h2->session, h2->failure_code) == 0);
}

int h2_check(struct h2 *h2, ssize_t result)
{
    uint32_t code = NGHTTP2_ENHANCE_YOUR_CALM;
    struct err err;

    if (h2->is_over || (result >= 0 && !h2_memory_is_over(&h2->memory)))
        return h2->is_over ? -1 : 0;
    if (result == NGHTTP2_ERR_BAD_CLIENT_MAGIC) {
        (void)err_set(&err, h2_syntax(h2), "no HTTP/2 connection preface");
        code = NGHTTP2_PROTOCOL_ERROR;
    } else if (result < 0) { /* a limit of nghttp2 itself, such as BACKUP_ACKS */
        (void)err_set(&err, ERR_LIMIT, "HTTP/2: %s", nghttp2_strerror((int)result));
    } else {
        (void)err_set(&err, ERR_LIMIT, "HTTP/2 takes %zu bytes for a connection",
                      h2->memory.quota.used);
    }
    return h2_fail(h2, code, &err);
}

int h2_feed(struct h2 *h2, struct span in, struct err *err)
{
    if (!h2->is_over && h2_frame_feed(h2, in) == 0)
        return 0;
    failure_tell(h2);
    *err = h2->failure;
    return h2->failure.code == ERR_OK ? 0 : -1;
}

int h2_drain(struct h2 *h2, struct buf *out, struct err *err)
{
    size_t before = buf_len(out);
    ssize_t len = 1;

    ENSURE(out->pool->item_size >= H2_DRAIN_ROOM);
    failure_tell(h2);
    h2->out = out;
    while (len > 0 && buf_free_len(out) >= H2_FRAME_ROOM) {
        const uint8_t *bytes;

        if (buf_reserve(out, H2_FRAME_ROOM).len < H2_FRAME_ROOM) {
            buf_commit(out, 0);
            return err_set(err, ERR_MEMORY, "no buffer for HTTP/2 frames");
        }
        buf_commit(out, 0);
        len = nghttp2_session_mem_send(h2->session, &bytes);
        if (len > 0)
            ENSURE(buf_append(out, span_of(bytes, (size_t)len), err) == 0);
    }
    h2->out = NULL;
    ENSURE(len >= 0); /* it has memory, and our callbacks do not fail */
    (void)h2_check(h2, len);
    failure_tell(h2);
    return buf_len(out) > before;
}

bool h2_wants_drain(const struct h2 *h2)
{
    return nghttp2_session_want_write(h2->session) != 0;
}

void h2_shutdown(struct h2 *h2)
{
    if (h2->is_over || h2->is_shut)
        return;
    h2->is_shut = 1;
    h2->is_goaway = 1;
    (void)nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(h2->session), H2_NO_ERROR,
                                NULL, 0);
}

void h2_terminate(struct h2 *h2, enum h2_code code)
{
    if (h2->is_over)
        return;
    h2->is_over = 1;
    h2->failure_code = code;
    failure_tell(h2);
}

void h2_ping(struct h2 *h2)
{
    if (h2->is_over || h2->is_pinging)
        return;
    if (nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, NULL) == 0)
        h2->is_pinging = 1;
}

void h2_tick(struct h2 *h2)
{
    h2_budget_tick(&h2->budget);
}

void h2_tick_until(struct h2 *h2, int64_t now_ms)
{
    if (h2->ticked_ms == 0 || now_ms - h2->ticked_ms > TICKS_AT_MOST * TICK_MS)
        h2->ticked_ms = now_ms - (h2->ticked_ms == 0 ? 0 : TICKS_AT_MOST * TICK_MS);
    while (now_ms - h2->ticked_ms >= TICK_MS) {
        h2->ticked_ms += TICK_MS;
        h2_tick(h2);
    }
}

size_t h2_stream_count(const struct h2 *h2)
{
    return h2->held;
}

bool h2_is_closing(const struct h2 *h2)
{
    return h2->is_goaway != 0;
}

bool h2_is_done(const struct h2 *h2)
{
    if (h2_wants_drain(h2))
        return false;
    return h2->is_over || (h2->is_goaway && h2->streams.count == 0);
}

bool h2_has_extended_connect(const struct h2 *h2)
{
    return h2->has_settings && nghttp2_session_get_remote_settings(
                                   h2->session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}
