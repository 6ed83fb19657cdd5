/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The WebSocket handshake, both sides. No extension and no subprotocol is offered or granted
 * (threat I8): permessage-deflate would make frame limits meaningless.
 */
#include "wire/ws_shake.h"

#include "base/limits.h"
#include "crypto/digest.h"

static const char media_type[] = "application/proto";
static const char bearer[] = "Bearer ";

static bool is_visible(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= 0x20 || text.ptr[i] >= 0x7f)
            return false;
    }
    return text.len > 0;
}

void ws_shake_key(struct ws_shake *shake, const uint8_t nonce[16])
{
    struct text text;

    text_init(&text, shake->key, sizeof shake->key);
    text_add_base64(&text, span_of(nonce, 16));
    ENSURE(text.len == WS_SHAKE_KEY);
    (void)text_str(&text);
}

/* RFC 6455 section 4.2.2: base64 of SHA-1 of the key and a constant. */
void ws_shake_accept(struct span key, char accept[WS_SHAKE_ACCEPT + 1])
{
    static const char suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t digest[DIGEST_SHA1];
    char memory[WS_SHAKE_KEY + sizeof suffix];
    struct text text;

    text_init(&text, memory, sizeof memory);
    text_add(&text, key);
    text_add_str(&text, suffix);
    ENSURE(!text.overflow);
    digest_sha1(text_span(&text), digest);
    text_init(&text, accept, WS_SHAKE_ACCEPT + 1);
    text_add_base64(&text, span_of(digest, sizeof digest));
    ENSURE(text.len == WS_SHAKE_ACCEPT);
    (void)text_str(&text);
}

void ws_shake_write(const struct ws_shake *shake, struct text *out)
{
    ENSURE(is_visible(shake->host) && is_visible(shake->path));
    ENSURE(shake->token.len == 0 || is_visible(shake->token));
    text_add_str(out, "GET ");
    text_add(out, shake->path);
    text_add_str(out, " HTTP/1.1\r\nHost: ");
    text_add(out, shake->host);
    text_add_str(out, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ");
    text_add(out, span_of(shake->key, WS_SHAKE_KEY));
    text_add_str(out, "\r\nSec-WebSocket-Version: 13\r\n");
    if (shake->token.len > 0) {
        text_add_str(out, "Content-Type: ");
        text_add_str(out, media_type);
        text_add_str(out, "\r\nAuthorization: ");
        text_add_str(out, bearer);
        text_add(out, shake->token);
        text_add_str(out, "\r\n");
    }
    text_add_str(out, "\r\n");
}

/* The value of the only field called `name`; len 0 if there is none, or more than one. */
static struct span only_value(const struct http_fields *fields, const char *name)
{
    const struct http_field *field = http_fields_find(fields, span_text(name), NULL);

    if (field == NULL || http_fields_find(fields, span_text(name), field) != NULL)
        return span_of(NULL, 0);
    return field->value;
}

/* Whether some field called `name` lists `token`. */
static bool has_option(const struct http_fields *fields, const char *name, const char *token)
{
    const struct http_field *field = NULL;

    while ((field = http_fields_find(fields, span_text(name), field)) != NULL) {
        if (http_list_has(field->value, span_text(token)))
            return true;
    }
    return false;
}

static int status_fail(const struct http_response *response, struct err *err)
{
    struct span reason = only_value(&response->fields, "Exeat-Reason");
    enum err_code code = response->status == 401   ? ERR_TOKEN_INVALID
                         : response->status == 429 ? ERR_SESSION_LIMIT
                         : response->status == 503 ? ERR_DRAINING
                                                   : ERR_GATEWAY;

    if (reason.len == 0)
        return err_set(err, code, "the gateway answered %d", response->status);
    return err_set(err, code, "the gateway answered %d, reason %.*s", response->status,
                   reason.len > 40 ? 40 : (int)reason.len, (const char *)reason.ptr);
}

int ws_shake_check(const struct ws_shake *shake, const struct http_response *response,
                   struct err *err)
{
    const struct http_fields *fields = &response->fields;
    char accept[WS_SHAKE_ACCEPT + 1];

    if (response->status != 101)
        return status_fail(response, err);
    if (response->version != HTTP_1_1)
        return err_set(err, ERR_GATEWAY, "upgrade: answer is not HTTP/1.1");
    if (!span_equal_nocase(only_value(fields, "Upgrade"), span_text("websocket")))
        return err_set(err, ERR_GATEWAY, "upgrade: not to websocket");
    if (!has_option(fields, "Connection", "upgrade"))
        return err_set(err, ERR_GATEWAY, "upgrade: Connection without upgrade");
    ws_shake_accept(span_of(shake->key, WS_SHAKE_KEY), accept);
    if (!span_equal(only_value(fields, "Sec-WebSocket-Accept"), span_text(accept)))
        return err_set(err, ERR_GATEWAY, "upgrade: wrong Sec-WebSocket-Accept");
    if (http_fields_count(fields, span_text("Sec-WebSocket-Extensions")) > 0)
        return err_set(err, ERR_GATEWAY, "upgrade: extension that was not offered");
    if (http_fields_count(fields, span_text("Sec-WebSocket-Protocol")) > 0)
        return err_set(err, ERR_GATEWAY, "upgrade: subprotocol that was not offered");
    return 0;
}

/* Base64 of 16 bytes, once. */
static int key_read(const struct http_fields *fields, struct span *key, struct err *err)
{
    uint8_t nonce[WS_SHAKE_KEY];
    struct err ignored;

    *key = only_value(fields, "Sec-WebSocket-Key");
    if (key->len != WS_SHAKE_KEY ||
        text_read_base64(*key, (struct room){.ptr = nonce, .len = sizeof nonce}, &ignored) != 16)
        return err_set(err, ERR_SYNTAX, "upgrade: Sec-WebSocket-Key is not base64 of 16 bytes");
    return 0;
}

/* A token too long to be one of ours is answered like any other that is not. Threat G5. */
static int token_read(const struct http_fields *fields, struct span *token, struct err *err)
{
    struct span value = only_value(fields, "Authorization");
    size_t scheme_len = sizeof bearer - 1;

    if (value.len <= scheme_len ||
        !span_equal_nocase(span_first(value, scheme_len), span_text(bearer)))
        return err_set(err, ERR_TOKEN_MISSING, "upgrade: not one Authorization: Bearer");
    value = span_from(value, scheme_len);
    if (!is_visible(value))
        return err_set(err, ERR_TOKEN_MISSING, "upgrade: token with a byte that is not visible");
    if (value.len > LIMIT_TOKEN)
        return err_set(err, ERR_TOKEN_INVALID, "upgrade: token over %d bytes", LIMIT_TOKEN);
    *token = value;
    return 0;
}

static bool has_content(const struct http_framing *framing)
{
    if (framing->body == HTTP_BODY_LENGTH)
        return framing->length > 0;
    return framing->body != HTTP_BODY_NONE;
}

int ws_shake_read_upgrade(const struct http_request *request, char accept[WS_SHAKE_ACCEPT + 1],
                          struct err *err)
{
    const struct http_fields *fields = &request->fields;
    struct span key;

    if (!span_equal(request->method, span_text("GET")))
        return err_set(err, ERR_METHOD, "upgrade: method is not GET");
    if (request->version != HTTP_1_1)
        return err_set(err, ERR_UPGRADE, "upgrade: version is not HTTP/1.1");
    if (!span_equal_nocase(only_value(fields, "Upgrade"), span_text("websocket")))
        return err_set(err, ERR_UPGRADE, "upgrade: not one Upgrade: websocket");
    if (!has_option(fields, "Connection", "upgrade"))
        return err_set(err, ERR_UPGRADE, "upgrade: Connection without upgrade");
    if (!span_equal(only_value(fields, "Sec-WebSocket-Version"), span_text("13")))
        return err_set(err, ERR_UPGRADE, "upgrade: not one Sec-WebSocket-Version: 13");
    if (key_read(fields, &key, err) < 0)
        return -1;
    if (has_content(&request->framing))
        return err_set(err, ERR_SYNTAX, "upgrade: request with content");
    ws_shake_accept(key, accept);
    return 0;
}

int ws_shake_read(const struct http_request *request, struct span *token,
                  char accept[WS_SHAKE_ACCEPT + 1], struct err *err)
{
    if (ws_shake_read_upgrade(request, accept, err) < 0)
        return -1;
    if (!span_equal_nocase(only_value(&request->fields, "Content-Type"), span_text(media_type)))
        return err_set(err, ERR_MEDIA_TYPE, "upgrade: Content-Type is not %s", media_type);
    return token_read(&request->fields, token, err);
}

int ws_shake_answer(const char accept[WS_SHAKE_ACCEPT + 1], struct buf *out, struct err *err)
{
    char memory[192];
    struct text text;

    text_init(&text, memory, sizeof memory);
    text_add_str(&text, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: ");
    text_add(&text, span_of(accept, WS_SHAKE_ACCEPT));
    text_add_str(&text, "\r\n\r\n");
    ENSURE(!text.overflow);
    return buf_append(out, text_span(&text), err);
}
