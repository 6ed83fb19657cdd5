/* SPDX-License-Identifier: Apache-2.0 */
/* The story that ws_frame tells, see ws_story.h. */
#include "ws_story.h"

#include "test.h"

struct ws_engine {
    struct ws_frame ws;
    enum ws_role role;
    uint64_t limit;
    enum ws_event_type last;
};

static void story_event(struct ws_engine *engine, const struct ws_event *event, struct text *story)
{
    static const char *const words[] = {
        [WS_EVENT_DATA] = "",     [WS_EVENT_MESSAGE_END] = "end", [WS_EVENT_PING] = "ping",
        [WS_EVENT_PONG] = "pong", [WS_EVENT_CLOSE] = "close",
    };
    bool is_merged = event->type == WS_EVENT_DATA && engine->last == WS_EVENT_DATA;
    const char *word = words[event->type];

    if (event->type == WS_EVENT_DATA || event->type == WS_EVENT_MESSAGE_END)
        CHECK(event->opcode == WS_TEXT || event->opcode == WS_BINARY);
    if (event->type == WS_EVENT_DATA)
        word = event->opcode == WS_TEXT ? "text" : "binary";
    if (!is_merged) {
        text_add_str(story, story->len > 0 ? " " : "");
        text_add_str(story, word);
    }
    if (event->type == WS_EVENT_CLOSE)
        text_addf(story, " %u", event->close_code);
    if (event->data.len > 0 && !is_merged)
        text_add_char(story, ' ');
    text_add_hex(story, event->data);
    engine->last = event->type;
}

static void engine_start(void *opaque)
{
    struct ws_engine *engine = opaque;

    ws_frame_init(&engine->ws, engine->role, engine->limit);
    engine->last = WS_EVENT_MESSAGE_END;
}

static ssize_t engine_feed(void *opaque, struct room piece, struct text *story)
{
    struct ws_engine *engine = opaque;
    struct ws_event event;
    struct err err;
    size_t used;

    if (ws_frame_feed(&engine->ws, piece, &used, &err) < 0) {
        CHECK_INT(err.code, ERR_CHUNK);
        CHECK_INT(ws_frame_next(&engine->ws, &event), 0);
        text_addf(story, story->len > 0 ? " error %u" : "error %u",
                  ws_frame_close_code(&engine->ws));
        return -1;
    }
    while (ws_frame_next(&engine->ws, &event))
        story_event(engine, &event, story);
    return (ssize_t)used;
}

const char *ws_story(enum ws_role role, uint64_t limit, struct span input)
{
    static char memory[65536];
    static struct ws_engine engine;
    struct split_engine split = {engine_start, engine_feed, NULL, &engine};
    struct text story;

    engine.role = role;
    engine.limit = limit;
    text_init(&story, memory, sizeof memory);
    split_check(&split, input, &story);
    return text_str(&story);
}
