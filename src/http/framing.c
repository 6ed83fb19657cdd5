/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where content ends. Everything by which two readers could disagree is refused (threats A1-A3 and
 * A11): both Content-Length and Transfer-Encoding, either of them twice, a length that is not one
 * run of digits, a coding that is not exactly "chunked".
 */
#include "http/framing.h"

#include "base/num.h"

/* What the fields say about framing, gathered in one pass. */
struct claims {
    size_t length_count;
    size_t coding_count;
    size_t host_count;
    size_t lookalike_count; /* Content_Length and Transfer_Encoding */
    struct span length;
    struct span coding;
    int says_close;
    int says_keep_alive;
};

static bool is_called(struct span name, const char *lower_case)
{
    return span_equal_nocase(name, span_text(lower_case));
}

/* The length of the name is enough to pass over nearly every field. */
static void claims_read_field(struct claims *claims, const struct http_field *field)
{
    struct span name = field->name;

    if (name.len == 4 && is_called(name, "host")) {
        claims->host_count++;
    } else if (name.len == 10 && is_called(name, "connection")) {
        claims->says_close |= http_list_has(field->value, span_text("close"));
        claims->says_keep_alive |= http_list_has(field->value, span_text("keep-alive"));
    } else if (name.len == 14 && is_called(name, "content-length")) {
        claims->length_count++;
        claims->length = field->value;
    } else if (name.len == 17 && is_called(name, "transfer-encoding")) {
        claims->coding_count++;
        claims->coding = field->value;
    } else if (name.len == 14 || name.len == 17) {
        claims->lookalike_count += http_name_is_like(name, span_text("content-length")) ||
                                   http_name_is_like(name, span_text("transfer-encoding"));
    }
}

static struct claims claims_read(const struct http_fields *fields)
{
    struct claims claims = {0};

    for (size_t i = 0; i < fields->count; i++)
        claims_read_field(&claims, &fields->items[i]);
    return claims;
}

/* The content as claimed: NONE without a claim. Errors in terms of a request. */
static int claims_body(const struct claims *claims, enum http_version version,
                       struct http_framing *framing, struct err *err)
{
    if (claims->length_count + claims->coding_count == 0)
        return 0;
    if (claims->length_count > 0 && claims->coding_count > 0)
        return err_set(err, ERR_SYNTAX, "Content-Length and Transfer-Encoding together");
    if (claims->length_count > 1)
        return err_set(err, ERR_SYNTAX, "%zu Content-Length fields", claims->length_count);
    if (claims->length_count == 1) {
        if (num_read_u64(claims->length, &framing->length, err) < 0)
            return err_set(err, ERR_SYNTAX, "Content-Length is not 1 to 18 digits");
        framing->body = HTTP_BODY_LENGTH;
        return 0;
    }
    if (claims->coding_count > 1)
        return err_set(err, ERR_SYNTAX, "%zu Transfer-Encoding fields", claims->coding_count);
    if (version == HTTP_1_0)
        return err_set(err, ERR_SYNTAX, "Transfer-Encoding in HTTP/1.0");
    if (!span_equal_nocase(claims->coding, span_text("chunked")))
        return err_set(err, ERR_UNSUPPORTED, "Transfer-Encoding is not just 'chunked'");
    framing->body = HTTP_BODY_CHUNKED;
    return 0;
}

static enum http_persistence claims_persistence(const struct claims *claims,
                                                enum http_version version)
{
    if (claims->says_close)
        return HTTP_CLOSE;
    return version != HTTP_1_0 || claims->says_keep_alive ? HTTP_KEEP : HTTP_CLOSE;
}

int framing_of_request(struct http_request *request, struct err *err)
{
    struct claims claims = claims_read(&request->fields);
    struct http_framing framing = {.body = HTTP_BODY_NONE};

    if (claims.host_count > 1)
        return err_set(err, ERR_SYNTAX, "%zu Host fields", claims.host_count);
    if (claims.host_count == 0 && request->version == HTTP_1_1)
        return err_set(err, ERR_SYNTAX, "no Host field");
    if (claims.lookalike_count > 0)
        return err_set(err, ERR_SYNTAX, "a field that looks like Content-Length but is not");
    if (claims_body(&claims, request->version, &framing, err) < 0)
        return -1;
    if (span_equal(request->method, span_text("CONNECT"))) {
        /* What follows is the tunnel, so a length can only mislead (RFC 9110 section 9.3.6). */
        if (framing.body == HTTP_BODY_CHUNKED || framing.length > 0)
            return err_set(err, ERR_SYNTAX, "CONNECT with content");
        framing.body = HTTP_BODY_NONE;
    }
    framing.persistence = claims_persistence(&claims, request->version);
    request->framing = framing;
    return 0;
}

/* Statuses after which no content comes, whatever the fields say (RFC 9112 section 6.3). */
static bool is_bare(int status, struct span method)
{
    if (status < 200 || status == 204 || status == 304)
        return true;
    return status < 300 && span_equal(method, span_text("CONNECT"));
}

int framing_of_response(struct http_response *response, struct span method, struct err *err)
{
    struct claims claims = claims_read(&response->fields);
    struct http_framing framing = {.body = HTTP_BODY_NONE};
    bool is_head = span_equal(method, span_text("HEAD"));

    if (claims_body(&claims, response->version, &framing, err) < 0) {
        err->code = ERR_ORIGIN_SYNTAX;
        return -1;
    }
    framing.persistence = claims_persistence(&claims, response->version);
    if (is_bare(response->status, method)) {
        /* Content after all would be taken for the next response (threat A11, A12). */
        if (response->status != 304 && (framing.body == HTTP_BODY_CHUNKED || framing.length > 0))
            framing.persistence = HTTP_CLOSE;
        framing.body = HTTP_BODY_NONE;
        framing.length = 0;
    } else if (is_head) {
        if (framing.body == HTTP_BODY_CHUNKED)
            framing.body = HTTP_BODY_NONE;
    } else if (framing.body == HTTP_BODY_NONE) {
        framing.body = HTTP_BODY_UNTIL_CLOSE;
        framing.persistence = HTTP_CLOSE;
    }
    response->framing = framing;
    return 0;
}
