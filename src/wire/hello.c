/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first chunk of a tunnel: the client's CONNECT line and the credentials of the session, in
 * the form of an HTTP/1 head, and nothing behind it. The credentials are decoded into the struct
 * and wiped on every way out that is not success; no error text quotes a field value.
 */
#include "wire/hello.h"

#include "base/limits.h"
#include "http/token.h"

static const char authorization_name[] = "Proxy-Authorization";
static const char scheme[] = "Basic ";

static bool is_one_line(struct span text)
{
    return span_find(text, '\r') < 0 && span_find(text, '\n') < 0;
}

void hello_write(struct text *out, struct span connect_line, struct span session_id,
                 struct span token)
{
    uint8_t basic[LIMIT_SESSION_ID + 1 + LIMIT_TOKEN];
    struct text text;

    ENSURE(is_one_line(connect_line));
    ENSURE(span_find(session_id, ':') < 0);
    text_init(&text, basic, sizeof basic);
    text_add(&text, session_id);
    text_add_char(&text, ':');
    text_add(&text, token);
    if (text.overflow)
        out->overflow = true;

    text_add(out, connect_line);
    text_add_str(out, "\r\n");
    text_add_str(out, authorization_name);
    text_add_str(out, ": ");
    text_add_str(out, scheme);
    text_add_base64(out, text_span(&text));
    text_add_str(out, "\r\n\r\n");
    explicit_bzero(basic, sizeof basic);
}

/* Cut the first line off *rest. */
static int line_read(struct span *rest, struct span *line, struct err *err)
{
    ssize_t end = span_find(*rest, '\n');

    if (end < 1 || rest->ptr[end - 1] != '\r')
        return err_set(err, ERR_HELLO, "hello: line without CRLF");
    *line = span_first(*rest, (size_t)end - 1);
    *rest = span_from(*rest, (size_t)end + 1);
    if (span_find(*line, '\r') >= 0)
        return err_set(err, ERR_HELLO, "hello: CR within a line");
    return 0;
}

/* "CONNECT" SP host ":" port SP "HTTP/1." ("0" / "1") */
static int connect_read(struct span line, struct hello *hello, struct err *err)
{
    struct span method = span_text("CONNECT ");
    struct span target;
    struct span version;
    ssize_t end;

    if (!span_starts(line, method))
        return err_set(err, ERR_HELLO, "hello: request line is no CONNECT");
    target = span_from(line, method.len);
    end = span_find(target, ' ');
    if (end < 0)
        return err_set(err, ERR_HELLO, "hello: CONNECT line without a version");
    version = span_from(target, (size_t)end + 1);
    if (!span_equal(version, span_text("HTTP/1.1")) && !span_equal(version, span_text("HTTP/1.0")))
        return err_set(err, ERR_HELLO, "hello: version is not HTTP/1.0 or HTTP/1.1");
    hello->connect_line = line;
    return target_read_connect(span_first(target, (size_t)end), &hello->host, &hello->port, err);
}

/* RFC 7617 section 2: no control characters; neither part may be empty here. */
static int basic_check(const struct hello *hello, struct err *err)
{
    struct span basic = span_of(hello->basic, hello->basic_len);
    ssize_t colon = span_find(basic, ':');

    if (colon < 0)
        return err_set(err, ERR_HELLO, "hello: credentials without a colon");
    if (colon == 0 || colon > LIMIT_SESSION_ID)
        return err_set(err, ERR_HELLO, "hello: session id of %zd bytes", colon);
    if (basic.len - (size_t)colon - 1 == 0 || basic.len - (size_t)colon - 1 > LIMIT_TOKEN)
        return err_set(err, ERR_HELLO, "hello: token is empty or over %d bytes", LIMIT_TOKEN);
    for (size_t i = 0; i < basic.len; i++) {
        if (basic.ptr[i] < 0x20 || basic.ptr[i] == 0x7f)
            return err_set(err, ERR_HELLO, "hello: control byte in the credentials");
    }
    return 0;
}

static int basic_read(struct span value, struct hello *hello, struct err *err)
{
    struct room room = {.ptr = hello->basic, .len = sizeof hello->basic};
    size_t scheme_len = sizeof scheme - 1;
    ssize_t len;

    if (value.len < scheme_len ||
        !span_equal_nocase(span_first(value, scheme_len), span_text(scheme)))
        return err_set(err, ERR_HELLO, "hello: Proxy-Authorization is not Basic");
    if (hello->basic_len > 0)
        return err_set(err, ERR_HELLO, "hello: two Proxy-Authorization fields");
    len = text_read_base64(span_from(value, scheme_len), room, err);
    if (len < 0)
        return err_set(err, ERR_HELLO, "hello: credentials are not base64 of at most %zu bytes",
                       room.len);
    hello->basic_len = (size_t)len;
    return basic_check(hello, err);
}

/* Fields other than Proxy-Authorization must be well-formed, and mean nothing. */
static int field_read(struct span line, struct hello *hello, struct err *err)
{
    ssize_t colon = span_find(line, ':');
    struct span value;

    if (colon < 0 || !token_is_token(span_first(line, (size_t)colon)))
        return err_set(err, ERR_HELLO, "hello: malformed field name");
    value = span_trim(span_from(line, (size_t)colon + 1));
    if (value.len > 0 && !token_is_value(value))
        return err_set(err, ERR_HELLO, "hello: malformed field value");
    if (!span_equal_nocase(span_first(line, (size_t)colon), span_text(authorization_name)))
        return 0;
    return basic_read(value, hello, err);
}

static int head_read(struct span rest, struct hello *hello, struct err *err)
{
    struct span line;

    if (rest.len > LIMIT_CONNECT_HEAD)
        return err_set(err, ERR_HELLO, "hello: %zu bytes, limit %d", rest.len, LIMIT_CONNECT_HEAD);
    if (line_read(&rest, &line, err) < 0 || connect_read(line, hello, err) < 0)
        return -1;
    for (;;) {
        if (line_read(&rest, &line, err) < 0)
            return -1;
        if (line.len == 0)
            break;
        if (field_read(line, hello, err) < 0)
            return -1;
    }
    if (rest.len > 0)
        return err_set(err, ERR_HELLO, "hello: %zu bytes behind the empty line", rest.len);
    if (hello->basic_len == 0)
        return err_set(err, ERR_HELLO, "hello: no Proxy-Authorization");
    return 0;
}

int hello_read(struct span payload, struct hello *hello, struct err *err)
{
    *hello = (struct hello){.port = 0};
    if (head_read(payload, hello, err) < 0) {
        hello_fini(hello);
        return -1;
    }
    return 0;
}

struct span hello_session(const struct hello *hello)
{
    struct span basic = span_of(hello->basic, hello->basic_len);
    ssize_t colon = span_find(basic, ':');

    ENSURE(colon > 0);
    return span_first(basic, (size_t)colon);
}

struct span hello_token(const struct hello *hello)
{
    struct span session = hello_session(hello);

    return span_from(span_of(hello->basic, hello->basic_len), session.len + 1);
}

void hello_fini(struct hello *hello)
{
    explicit_bzero(hello->basic, sizeof hello->basic);
    hello->basic_len = 0;
}
