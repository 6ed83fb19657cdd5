/* SPDX-License-Identifier: Apache-2.0 */
/* One GET over a link to the gateway: only used by the setup child, for the CA certificate. */
#include "relay/fetch.h"

#include "http/h1.h"
#include "relay/link.h"
#include "relay/roots.h"

struct fetch {
    struct loop loop;
    struct pool blocks;
    struct pool arena_blocks;
    struct arena scratch;
    struct arena arena; /* of the response */
    struct link_plan plan;
    struct link link;
    struct h1 h1;
    struct loop_deadline deadline;
    const struct settings *settings; /* borrowed */
    const char *path;                /* borrowed */
    struct text *body;               /* borrowed */
    int is_asked;
    int is_done;
    int result;
    struct err *err; /* borrowed */
};

static void fetch_end(struct fetch *fetch, int result)
{
    fetch->is_done = 1;
    fetch->result = result;
    loop_deadline_clear(&fetch->deadline);
    (void)link_close(&fetch->link, LINK_END_FIN, NULL);
    resolver_free(fetch->plan.resolver);
    fetch->plan.resolver = NULL;
}

static void on_expired(struct loop_deadline *deadline)
{
    struct fetch *fetch = deadline->owner;

    fetch_end(fetch, err_set(fetch->err, ERR_TIMEOUT, "gateway: no CA certificate in time"));
}

static int request_write(struct fetch *fetch)
{
    char memory[2048];
    struct text text;

    text_init(&text, memory, sizeof memory);
    text_add_str(&text, "GET ");
    text_add_str(&text, fetch->settings->gateway.path);
    text_add_str(&text, fetch->path);
    text_add_str(&text, " HTTP/1.1\r\nHost: ");
    endpoint_write_authority(&fetch->settings->gateway, &text);
    text_add_str(&text, "\r\nUser-Agent: exeat/" EXEAT_VERSION "\r\nAccept: */*\r\n"
                        "Connection: close\r\n\r\n");
    if (text_check(&text, "request for the CA", fetch->err) < 0)
        return -1;
    fetch->is_asked = 1;
    return buf_append(&fetch->link.out, text_span(&text), fetch->err);
}

/* 1 when the document is complete. */
static int event_take(struct fetch *fetch, const struct h1_event *event)
{
    switch (event->type) {
    case H1_HEAD:
        if (fetch->h1.response.status == 200)
            return 0;
        return err_set(fetch->err, ERR_GATEWAY, "gateway: %s answered %d, not 200", fetch->path,
                       fetch->h1.response.status);
    case H1_DATA:
        text_add(fetch->body, event->data);
        return text_check(fetch->body, "CA certificate", fetch->err);
    case H1_END:
        return 1;
    case H1_INTERIM:
        return 0;
    }
    return 0;
}

/* Everything that has come. 1 when the document is complete. */
static int response_take(struct fetch *fetch)
{
    struct h1_event event;
    size_t used;
    int result = 0;

    do {
        if (h1_feed(&fetch->h1, buf_span(&fetch->link.in), &used, fetch->err) < 0)
            return -1;
        while (result == 0 && h1_next(&fetch->h1, &event))
            result = event_take(fetch, &event);
        buf_consume(&fetch->link.in, used);
    } while (result == 0 && used > 0 && !buf_is_empty(&fetch->link.in));
    if (result != 0 || !link_has_ended(&fetch->link))
        return result;
    if (h1_eof(&fetch->h1, fetch->err) < 0)
        return -1;
    if (h1_next(&fetch->h1, &event) && event.type == H1_END)
        return 1;
    return err_set(fetch->err, ERR_GATEWAY, "gateway: closed without an answer");
}

static void on_link_ready(struct link *link)
{
    struct fetch *fetch = link->owner;
    int moved = 1;
    int result = 0;

    while (moved > 0 && result == 0) {
        moved = link_pump(link, fetch->err);
        if (moved >= 0 && link->state == LINK_OPEN && !fetch->is_asked)
            result = request_write(fetch);
        else if (moved >= 0 && fetch->is_asked)
            result = response_take(fetch);
    }
    if (moved < 0 || result < 0)
        fetch_end(fetch, -1);
    else if (result > 0)
        fetch_end(fetch, 0);
    else
        link_want(link);
}

static int fetch_run(struct fetch *fetch, int64_t limit_ms)
{
    fetch->plan = (struct link_plan){
        .loop = &fetch->loop,
        .blocks = &fetch->blocks,
        .scratch = &fetch->scratch,
        .gateway = &fetch->settings->gateway,
        .proxy = &fetch->settings->proxy,
    };
    if (roots_open_context(fetch->settings, &fetch->plan.tls, fetch->err) < 0)
        return -1;
    fetch->plan.resolver = resolver_new(&fetch->loop, NULL, limit_ms, fetch->err);
    if (fetch->plan.resolver == NULL)
        return -1;
    link_init(&fetch->link, &fetch->plan, on_link_ready, fetch);
    h1_init(&fetch->h1, H1_RESPONSES);
    h1_begin(&fetch->h1, &fetch->arena, span_text("GET"));
    loop_deadline_init(&fetch->deadline, &fetch->loop, on_expired, fetch);
    loop_deadline_set(&fetch->deadline, limit_ms);
    if (link_start(&fetch->link, fetch->err) < 0)
        fetch_end(fetch, -1);
    loop_run(&fetch->loop);
    if (!fetch->is_done)
        return err_set(fetch->err, ERR_INTERNAL, "fetch: the loop ended early");
    return fetch->result;
}

int fetch_get(const struct settings *settings, const char *path, int64_t limit_ms,
              struct text *body, struct err *err)
{
    struct fetch *fetch = pool_block_new(sizeof *fetch);
    int result;

    if (fetch == NULL)
        return err_set(err, ERR_MEMORY, "no memory");
    *fetch = (struct fetch){.settings = settings, .path = path, .body = body, .err = err};
    if (loop_init(&fetch->loop, err) < 0) {
        pool_block_free(fetch);
        return -1;
    }
    pool_init(&fetch->blocks, LIMIT_BLOCK, 8, 8);
    pool_init(&fetch->arena_blocks, LIMIT_ARENA_BLOCK, 64, 8);
    arena_init(&fetch->scratch, &fetch->arena_blocks, LIMIT_HEAD * 2);
    arena_init(&fetch->arena, &fetch->arena_blocks, LIMIT_HEAD * 2);
    result = fetch_run(fetch, limit_ms);
    arena_reset(&fetch->scratch);
    arena_reset(&fetch->arena);
    tls_context_free(fetch->plan.tls);
    loop_fini(&fetch->loop);
    pool_fini(&fetch->arena_blocks);
    pool_fini(&fetch->blocks);
    pool_block_free(fetch);
    return result;
}
