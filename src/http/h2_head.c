/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block of fields becomes a message. nghttp2 has its own checks of RFC 9113 section 8; these come
 * in addition and are those of our HTTP/1 reader, so that what leaves here can be written in either
 * version and means one thing (threats B8, B9).
 *
 * Sizes are counted while the block is decoded: a few bytes of HPACK can stand for very many
 * (threat B4). Over the limit nothing more is kept, over twice the limit the connection ends.
 */
#include "base/num.h"
#include "base/text.h"
#include "http/h1_read.h"
#include "http/h2_session.h"
#include "http/token.h"

static const char *const pseudo_names[H2_PSEUDO_COUNT] = {
    [H2_METHOD] = ":method", [H2_SCHEME] = ":scheme",     [H2_AUTHORITY] = ":authority",
    [H2_PATH] = ":path",     [H2_PROTOCOL] = ":protocol", [H2_STATUS] = ":status",
};

/* RFC 9113 section 8.2.2, and names that a lenient reader takes for framing. */
static const char *const forbidden_names[] = {
    "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade",
};

void h2_block_begin(struct h2_block *block, struct h2_stream *stream)
{
    block->stream = stream;
    block->is_trailers = stream != NULL && stream->has_head;
    block->bytes = 0;
    err_clear(&block->err);
    block->seen = 0;
    memset(block->pseudo, 0, sizeof block->pseudo);
    block->count = 0;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

static bool is_visible(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= 0x20 || text.ptr[i] >= 0x7f)
            return false;
    }
    return text.len > 0;
}

static bool is_lower_token(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] >= 'A' && name.ptr[i] <= 'Z')
            return false;
    }
    return token_is_token(name);
}

static int value_check(struct span value, struct err *err)
{
    size_t good = token_count_value_bytes(value);

    if (good < value.len)
        return err_set(err, ERR_SYNTAX, "field value: byte 0x%02x at %zu", value.ptr[good], good);
    if (value.len > 0 && (is_blank(value.ptr[0]) || is_blank(value.ptr[value.len - 1])))
        return err_set(err, ERR_SYNTAX, "a blank at an end of a field value");
    return 0;
}

static int field_check(struct span name, struct span value, struct err *err)
{
    if (!is_lower_token(name))
        return err_set(err, ERR_SYNTAX, "a field name is no token in lower case");
    for (size_t i = 0; i < sizeof forbidden_names / sizeof forbidden_names[0]; i++) {
        if (http_name_is_like(name, span_text(forbidden_names[i])))
            return err_set(err, ERR_SYNTAX, "field '%s' in HTTP/2", forbidden_names[i]);
    }
    if (http_name_is_like(name, span_text("content-length")) &&
        !span_equal(name, span_text("content-length")))
        return err_set(err, ERR_SYNTAX, "a field that looks like content-length but is not");
    if (span_equal(name, span_text("te")) && !span_equal_nocase(value, span_text("trailers")))
        return err_set(err, ERR_SYNTAX, "field 'te' is not just 'trailers'");
    return value_check(value, err);
}

/* Fields of the block cannot be kept: what is told when it is complete. */
static int sizes_check(const struct h2_block *block, struct span name, struct span value,
                       struct err *err)
{
    size_t most = block->is_trailers ? LIMIT_TRAILER : LIMIT_HEAD;

    if (block->bytes > most)
        return err_set(err, ERR_TOO_LARGE, "fields of more than %zu bytes", most);
    if (name.len + value.len + 2 > LIMIT_FIELD) /* for `:path` this is LIMIT_TARGET too */
        return err_set(err, ERR_TOO_LARGE, "a field of %zu bytes", name.len + value.len);
    if (block->count == LIMIT_FIELD_COUNT)
        return err_set(err, ERR_TOO_LARGE, "more than %d fields", LIMIT_FIELD_COUNT);
    return 0;
}

static int bytes_keep(struct h2_block *block, struct span bytes, struct span *kept)
{
    *kept = arena_copy(&block->stream->arena, bytes);
    if (bytes.len > 0 && kept->ptr == NULL)
        return err_set(&block->err, ERR_MEMORY, "no memory for a field");
    return 0;
}

static int pseudo_add(struct h2_block *block, struct span name, struct span value)
{
    size_t i = 0;

    while (i < H2_PSEUDO_COUNT && !span_equal(name, span_text(pseudo_names[i])))
        i++;
    if (i == H2_PSEUDO_COUNT)
        return err_set(&block->err, ERR_SYNTAX, "an unknown pseudo-field");
    if (block->is_trailers)
        return err_set(&block->err, ERR_SYNTAX, "'%s' in trailers", pseudo_names[i]);
    if (block->count > 0)
        return err_set(&block->err, ERR_SYNTAX, "'%s' after a field", pseudo_names[i]);
    if ((block->seen & 1U << i) != 0)
        return err_set(&block->err, ERR_SYNTAX, "'%s' twice", pseudo_names[i]);
    if (value_check(value, &block->err) < 0)
        return -1;
    block->seen |= 1U << i;
    return bytes_keep(block, value, &block->pseudo[i]);
}

static void field_add(struct h2_block *block, struct span name, struct span value)
{
    struct http_field field;

    if (sizes_check(block, name, value, &block->err) < 0)
        return;
    if (name.len > 0 && name.ptr[0] == ':') {
        (void)pseudo_add(block, name, value);
        return;
    }
    if (field_check(name, value, &block->err) < 0)
        return;
    if (block->is_trailers && !http_name_can_trail(name))
        return;
    if (bytes_keep(block, name, &field.name) == 0 && bytes_keep(block, value, &field.value) == 0)
        block->items[block->count++] = field;
}

int h2_block_add(struct h2 *h2, struct span name, struct span value)
{
    struct h2_block *block = &h2->block;
    struct err err;

    block->bytes += name.len + value.len + 32; /* RFC 9113 section 6.5.2 */
    if (block->bytes > 2UL * LIMIT_HEAD) {
        (void)err_set(&err, ERR_LIMIT, "a field block of more than %d bytes", 2 * LIMIT_HEAD);
        return h2_fail(h2, NGHTTP2_ENHANCE_YOUR_CALM, &err);
    }
    if (block->stream != NULL && block->err.code == ERR_OK)
        field_add(block, name, value);
    return 0;
}

/* Adds a cookie to those before it; an empty one would leave a blank at the end. */
static void cookie_add(struct text *text, struct span cookie)
{
    if (text->len > 0 && cookie.len > 0)
        text_add_str(text, "; ");
    text_add(text, cookie);
}

/* All cookies as one field where the first was (RFC 9113 section 8.2.3). */
static int cookies_join(struct h2_block *block, struct err *err)
{
    struct span name = span_text("cookie");
    struct http_field *first = NULL;
    struct text joined;
    size_t kept = 0;
    size_t len = 0;
    void *memory;

    for (size_t i = 0; i < block->count; i++)
        len += span_equal(block->items[i].name, name) ? block->items[i].value.len + 2 : 0;
    if (len == 0)
        return 0;
    if (len > LIMIT_FIELD)
        return err_set(err, ERR_TOO_LARGE, "cookies of %zu bytes", len);
    memory = arena_take(&block->stream->arena, len);
    if (memory == NULL)
        return err_set(err, ERR_MEMORY, "no memory for cookies");
    text_init(&joined, memory, len);
    for (size_t i = 0; i < block->count; i++) {
        bool is_cookie = span_equal(block->items[i].name, name);

        if (is_cookie)
            cookie_add(&joined, block->items[i].value);
        if (is_cookie && first != NULL)
            continue;
        if (is_cookie)
            first = &block->items[kept];
        block->items[kept++] = block->items[i];
    }
    ENSURE(first != NULL && !joined.overflow);
    first->value = text_span(&joined);
    block->count = kept;
    return 0;
}

/* The fields into the arena, with `host` in front of them unless it is empty. */
static int fields_move(struct h2_block *block, struct span host, struct http_fields *fields,
                       struct err *err)
{
    if (http_fields_init(fields, &block->stream->arena, block->count + 1 + H1_FIELDS_SPARE, err) <
        0)
        return -1;
    if (host.len > 0)
        fields->items[fields->count++] = (struct http_field){span_text("host"), host};
    memcpy(fields->items + fields->count, block->items, block->count * sizeof block->items[0]);
    fields->count += block->count;
    return 0;
}

/* HTTP_BODY_LENGTH by content-length, which stays among the fields. */
static int framing_read(const struct h2_block *block, struct http_framing *framing, struct err *err)
{
    framing->persistence = HTTP_KEEP;
    for (size_t i = 0; i < block->count; i++) {
        if (!span_equal(block->items[i].name, span_text("content-length")))
            continue;
        if (framing->body == HTTP_BODY_LENGTH)
            return err_set(err, ERR_SYNTAX, "two content-length fields");
        if (num_read_u64(block->items[i].value, &framing->length, err) < 0)
            return err_set(err, ERR_SYNTAX, "content-length is not 1 to 18 digits");
        framing->body = HTTP_BODY_LENGTH;
    }
    return 0;
}

/* What `:authority` and Host say together, with Host out of the fields. */
static int authority_read(struct h2_block *block, struct span *authority, struct err *err)
{
    struct http_fields fields = {.items = block->items, .count = block->count};
    const struct http_field *host = http_fields_find(&fields, span_text("host"), NULL);

    *authority = block->pseudo[H2_AUTHORITY];
    if (host != NULL) {
        if (http_fields_count(&fields, span_text("host")) > 1)
            return err_set(err, ERR_SYNTAX, "two Host fields");
        if ((block->seen & 1U << H2_AUTHORITY) != 0 && !span_equal_nocase(*authority, host->value))
            return err_set(err, ERR_SYNTAX, "':authority' and Host differ");
        if ((block->seen & 1U << H2_AUTHORITY) == 0)
            *authority = host->value;
        block->count -= http_fields_remove(&fields, span_text("host"));
    }
    if (!is_visible(*authority))
        return err_set(err, ERR_SYNTAX, "no ':authority', or it is not visible ASCII");
    return 0;
}

static bool is_path(struct span path, struct span method)
{
    if (!is_visible(path))
        return false;
    return path.ptr[0] == '/' ||
           (span_equal(path, span_text("*")) && span_equal(method, span_text("OPTIONS")));
}

/* RFC 9113 sections 8.3.1 and 8.5, RFC 8441 section 4. */
static int target_read_pseudo(const struct h2_block *block, struct span authority,
                              struct span *target, struct err *err)
{
    struct span method = block->pseudo[H2_METHOD];
    struct span scheme = block->pseudo[H2_SCHEME];
    bool is_connect = span_equal(method, span_text("CONNECT"));
    bool has_protocol = (block->seen & 1U << H2_PROTOCOL) != 0;

    if (!token_is_token(method))
        return err_set(err, ERR_SYNTAX, "':method' is no token");
    if (has_protocol && (!is_connect || !token_is_token(block->pseudo[H2_PROTOCOL])))
        return err_set(err, ERR_SYNTAX, "':protocol' is no token or not of CONNECT");
    if (is_connect && !has_protocol) {
        if ((block->seen & (1U << H2_SCHEME | 1U << H2_PATH)) != 0)
            return err_set(err, ERR_SYNTAX, "CONNECT with ':scheme' or ':path'");
        *target = authority;
        return 0;
    }
    if (!span_equal(scheme, span_text("https")) && !span_equal(scheme, span_text("http")))
        return err_set(err, ERR_SYNTAX, "':scheme' is not 'https' or 'http'");
    if (!is_path(block->pseudo[H2_PATH], method))
        return err_set(err, ERR_SYNTAX, "':path' is not visible ASCII that starts with '/'");
    *target = block->pseudo[H2_PATH];
    return 0;
}

static int request_read(struct h2_block *block, enum h2_end end, struct err *err)
{
    struct h2_stream *stream = block->stream;
    struct http_framing framing = {.body = end == H2_ENDS ? HTTP_BODY_NONE : HTTP_BODY_CHUNKED};
    struct http_request request = {.version = HTTP_2, .method = block->pseudo[H2_METHOD]};
    struct span authority;

    if (authority_read(block, &authority, err) < 0 ||
        target_read_pseudo(block, authority, &request.target, err) < 0)
        return -1;
    if (block->count == LIMIT_FIELD_COUNT) /* Host is one of them */
        return err_set(err, ERR_TOO_LARGE, "more than %d fields", LIMIT_FIELD_COUNT);
    if (framing_read(block, &framing, err) < 0 || cookies_join(block, err) < 0 ||
        fields_move(block, authority, &request.fields, err) < 0)
        return -1;
    if (end == H2_ENDS)
        framing.body = HTTP_BODY_NONE;
    request.framing = framing;
    stream->request = request;
    stream->scheme = block->pseudo[H2_SCHEME];
    stream->protocol = block->pseudo[H2_PROTOCOL];
    return 0;
}

static int status_read(struct span text, int *status, struct err *err)
{
    uint64_t value;

    if (text.len != 3 || num_read_u64(text, &value, err) < 0 || value < 100 || value > 599)
        return err_set(err, ERR_SYNTAX, "':status' is not 100 to 599");
    if (value == 101) /* RFC 9113 section 8.6 */
        return err_set(err, ERR_SYNTAX, "':status' 101");
    *status = (int)value;
    return 0;
}

static int response_read(struct h2_block *block, enum h2_end end, unsigned *news, struct err *err)
{
    struct h2_stream *stream = block->stream;
    struct http_framing framing = {.body = end == H2_ENDS ? HTTP_BODY_NONE : HTTP_BODY_CHUNKED};
    struct http_response response = {.version = HTTP_2};

    if (status_read(block->pseudo[H2_STATUS], &response.status, err) < 0 ||
        framing_read(block, &framing, err) < 0 ||
        fields_move(block, span_of(NULL, 0), &response.fields, err) < 0)
        return -1;
    /* To HEAD it is the length that GET would have got; else what ends here has no content. */
    if (end == H2_ENDS && !stream->is_bare)
        framing.body = HTTP_BODY_NONE;
    if (response.status < 200) {
        if (end == H2_ENDS || ++stream->interim_count > LIMIT_INTERIM_COUNT)
            return err_set(err, ERR_SYNTAX, "too many interim responses, or one is the last");
        framing.body = HTTP_BODY_NONE;
        response.framing = framing;
        stream->interim = response;
        *news = H2_NEWS_INTERIM;
        return 0;
    }
    response.framing = framing;
    stream->response = response;
    stream->has_head = 1;
    *news = H2_NEWS_HEAD;
    return 0;
}

/* A server can still answer a request that is too large; everything else ends the stream. */
static int request_end(struct h2_block *block, enum h2_end end, unsigned *news, struct err *err)
{
    struct h2_stream *stream = block->stream;

    if (block->err.code != ERR_OK)
        *err = block->err;
    else if (request_read(block, end, err) == 0)
        err_clear(err);
    if (err->code != ERR_OK && err->code != ERR_TOO_LARGE && err->code != ERR_MEMORY)
        return -1;
    if (err->code != ERR_OK)
        stream->request =
            (struct http_request){.version = HTTP_2, .method = block->pseudo[H2_METHOD]};
    stream->head_err = *err;
    stream->has_head = 1;
    *news = H2_NEWS_HEAD;
    return 0;
}

int h2_block_end(struct h2 *h2, enum h2_end end, unsigned *news, struct err *err)
{
    struct h2_block *block = &h2->block;
    int result = 0;

    *news = 0;
    if (!block->is_trailers && h2->options.role == H2_SERVER)
        return request_end(block, end, news, err);
    if (block->err.code != ERR_OK) {
        *err = block->err;
        result = -1;
    } else if (!block->is_trailers) {
        result = response_read(block, end, news, err);
    } else if (block->count > 0) {
        result = fields_move(block, span_of(NULL, 0), &block->stream->trailers, err);
    }
    if (result < 0 && err->code != ERR_MEMORY)
        err->code = h2_syntax(h2);
    return result;
}
