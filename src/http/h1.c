/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP/1.1 engine: a head, content, an end.
 *
 *     IDLE -> HEAD -> BODY -> ENDING -> IDLE         interim responses: HEAD -> HEAD
 *
 * At most one event waits to be fetched; while one does, no byte is taken. ENDING is the state in
 * which H1_END is due, so that the last content and the end need no second place.
 */
#include "http/h1.h"

#include "base/limits.h"
#include "http/h1_read.h"

enum h1_phase {
    PHASE_IDLE,   /* no message is asked for */
    PHASE_HEAD,   /* waiting for a head to be complete */
    PHASE_BODY,   /* reading content */
    PHASE_ENDING, /* all is read, H1_END is due */
    PHASE_FAILED,
};

void h1_init(struct h1 *h1, enum h1_role role)
{
    *h1 = (struct h1){.role = role, .phase = PHASE_IDLE};
}

void h1_begin(struct h1 *h1, struct arena *arena, struct span method)
{
    ENSURE(!h1_is_midway(h1) && h1->phase != PHASE_FAILED);
    *h1 = (struct h1){.role = h1->role, .phase = PHASE_HEAD, .arena = arena, .method = method};
}

static void event_put(struct h1 *h1, enum h1_event_type type, struct span data)
{
    h1->pending = (struct h1_event){.type = type, .data = data};
    h1->has_pending = 1;
}

/* A final head has been read: is there content to wait for? */
static void body_begin(struct h1 *h1, struct http_framing framing)
{
    bool has_content = framing.body != HTTP_BODY_NONE;

    if (h1->role == H1_RESPONSES && span_equal(h1->method, span_text("HEAD")))
        has_content = false; /* its length is that of the answer to GET */
    if (framing.body == HTTP_BODY_LENGTH && framing.length == 0)
        has_content = false;
    h1->phase = has_content ? PHASE_BODY : PHASE_ENDING;
    if (has_content)
        h1_body_init(&h1->body, &framing, h1->role == H1_REQUESTS ? ERR_SYNTAX : ERR_ORIGIN_SYNTAX);
    event_put(h1, H1_HEAD, span_of(NULL, 0));
}

static int request_parse(struct h1 *h1, struct span head, struct err *err)
{
    size_t scanned = head.len - 1; /* the end is known: it is not looked for again */

    if (h1_read_request(head, &scanned, h1->arena, &h1->request, err) < 0)
        return -1;
    body_begin(h1, h1->request.framing);
    return 0;
}

static int response_parse(struct h1 *h1, struct span head, struct err *err)
{
    size_t scanned = head.len - 1;

    if (h1_read_response(head, &scanned, h1->method, h1->arena, &h1->response, err) < 0)
        return -1;
    if (h1->response.status >= 200 || h1->response.status == 101) {
        body_begin(h1, h1->response.framing);
        return 0;
    }
    if (++h1->interims > LIMIT_INTERIM_COUNT)
        return err_set(err, ERR_ORIGIN_SYNTAX, "more than %d interim responses",
                       LIMIT_INTERIM_COUNT);
    h1->scanned = 0;
    event_put(h1, H1_INTERIM, span_of(NULL, 0));
    return 0;
}

static int head_feed(struct h1 *h1, struct span in, size_t *used, struct err *err)
{
    bool is_request = h1->role == H1_REQUESTS;
    ssize_t end =
        h1_read_end(in, &h1->scanned, is_request ? H1_READ_REQUEST : H1_READ_RESPONSE, err);
    struct span head;

    if (end <= 0)
        return (int)end;
    head = arena_copy(h1->arena, span_first(in, (size_t)end));
    if (head.len == 0)
        return err_set(err, ERR_MEMORY, "no memory for a head of %zd bytes", end);
    *used = (size_t)end;
    return is_request ? request_parse(h1, head, err) : response_parse(h1, head, err);
}

static int body_feed(struct h1 *h1, struct span in, size_t *used, struct err *err)
{
    struct span data;
    int result = h1_body_feed(&h1->body, in, used, &data, err);

    if (result < 0)
        return -1;
    if (result > 0)
        h1->phase = PHASE_ENDING;
    if (data.len > 0)
        event_put(h1, H1_DATA, data);
    return 0;
}

int h1_feed(struct h1 *h1, struct span in, size_t *used, struct err *err)
{
    int result = 0;

    *used = 0;
    if (h1->has_pending)
        return 0;
    switch ((enum h1_phase)h1->phase) {
    case PHASE_HEAD:
        result = head_feed(h1, in, used, err);
        break;
    case PHASE_BODY:
        result = body_feed(h1, in, used, err);
        break;
    case PHASE_FAILED:
        return err_set(err, h1->role == H1_REQUESTS ? ERR_SYNTAX : ERR_ORIGIN_SYNTAX,
                       "bytes after an error");
    case PHASE_IDLE:
    case PHASE_ENDING:
        break;
    }
    if (result < 0) {
        h1->phase = PHASE_FAILED;
        *used = 0;
    }
    return result;
}

int h1_next(struct h1 *h1, struct h1_event *event)
{
    if (h1->has_pending) {
        *event = h1->pending;
        h1->has_pending = 0;
        return 1;
    }
    if (h1->phase != PHASE_ENDING)
        return 0;
    *event = (struct h1_event){.type = H1_END};
    h1->phase = PHASE_IDLE;
    return 1;
}

int h1_eof(struct h1 *h1, struct err *err)
{
    enum err_code cut = h1->role == H1_REQUESTS ? ERR_SYNTAX : ERR_ORIGIN_CLOSED;

    if (h1->phase == PHASE_BODY && h1->body.kind == HTTP_BODY_UNTIL_CLOSE)
        h1->phase = PHASE_ENDING;
    if (h1->phase == PHASE_FAILED)
        return err_set(err, cut, "the connection ended after an error");
    if (!h1_is_midway(h1) || h1->phase == PHASE_ENDING)
        return 0;
    h1->has_pending = 0;
    err_set(err, cut, "the connection ended in %s",
            h1->phase == PHASE_HEAD ? "a head" : "the content");
    h1->phase = PHASE_FAILED;
    return -1;
}

bool h1_is_midway(const struct h1 *h1)
{
    if (h1->phase == PHASE_HEAD)
        return h1->scanned > 0 || h1->interims > 0;
    return h1->phase == PHASE_BODY || h1->phase == PHASE_ENDING;
}
