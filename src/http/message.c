/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a message: kept in the order of the wire, found by name. */
#include "http/message.h"

#include "base/limits.h"
#include "http/token.h"

int http_fields_init(struct http_fields *fields, struct arena *arena, size_t cap, struct err *err)
{
    *fields = (struct http_fields){.cap = cap};
    fields->items = arena_take(arena, cap * sizeof(struct http_field));
    if (fields->items == NULL)
        return err_set(err, ERR_MEMORY, "no memory for %zu fields", cap);
    return 0;
}

int http_fields_add(struct http_fields *fields, struct span name, struct span value,
                    struct err *err)
{
    if (fields->count >= fields->cap)
        return err_set(err, ERR_TOO_LARGE, "more than %zu fields", fields->cap);
    fields->items[fields->count++] = (struct http_field){.name = name, .value = value};
    return 0;
}

const struct http_field *http_fields_find(const struct http_fields *fields, struct span name,
                                          const struct http_field *after)
{
    size_t at = 0;

    if (after != NULL) {
        ENSURE(after >= fields->items && after < fields->items + fields->count);
        at = (size_t)(after - fields->items) + 1;
    }
    for (; at < fields->count; at++) {
        if (span_equal_nocase(fields->items[at].name, name))
            return &fields->items[at];
    }
    return NULL;
}

size_t http_fields_count(const struct http_fields *fields, struct span name)
{
    size_t count = 0;

    for (size_t i = 0; i < fields->count; i++)
        count += span_equal_nocase(fields->items[i].name, name);
    return count;
}

/* CGI and its heirs fold both into one variable name. */
static uint8_t name_fold(uint8_t byte)
{
    if (byte == '_')
        return '-';
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

bool http_name_is_like(struct span a, struct span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (name_fold(a.ptr[i]) != name_fold(b.ptr[i]))
            return false;
    }
    return true;
}

size_t http_fields_remove(struct http_fields *fields, struct span name)
{
    size_t kept = 0;
    size_t removed;

    for (size_t i = 0; i < fields->count; i++) {
        if (!http_name_is_like(fields->items[i].name, name))
            fields->items[kept++] = fields->items[i];
    }
    removed = fields->count - kept;
    fields->count = kept;
    return removed;
}

/*
 * The next element of a comma-separated list, without blanks; *at is where to go on. False at the
 * end. Empty elements are skipped (RFC 9110 section 5.6.1.2).
 */
static bool list_next(struct span value, size_t *at, struct span *element)
{
    while (*at < value.len) {
        struct span rest = span_from(value, *at);
        ssize_t comma = span_find(rest, ',');

        *element = span_trim(comma < 0 ? rest : span_first(rest, (size_t)comma));
        *at += comma < 0 ? rest.len : (size_t)comma + 1;
        if (element->len > 0)
            return true;
    }
    return false;
}

bool http_list_has(struct span value, struct span token)
{
    struct span element;
    size_t at = 0;

    while (list_next(value, &at, &element)) {
        if (span_equal_nocase(element, token))
            return true;
    }
    return false;
}

/*
 * What a Connection option may not name: fields meant for the origin, so that a client cannot have
 * us drop what the origin or the policy relies on ("hop-by-hop header abuse").
 */
static const char *const end_to_end[] = {
    "host",          "content-length", "content-type", "content-encoding", "content-range",
    "authorization", "cookie",         "set-cookie",   "cache-control",    "date",
    "expect",        "range",          "origin",       "referer",          "via",
    "forwarded",     "location",       "digest",       "signature",        "www-authenticate",
};

/* RFC 9110 section 7.6.1, and what old proxies and clients send besides. */
static const char *const hop_by_hop[] = {
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
};

static bool is_among(struct span name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (http_name_is_like(name, span_text(names[i])))
            return true;
    }
    return false;
}

static bool is_end_to_end(struct span name)
{
    return is_among(name, end_to_end, sizeof end_to_end / sizeof end_to_end[0]);
}

bool http_name_can_trail(struct span name)
{
    return !is_end_to_end(name) &&
           !is_among(name, hop_by_hop, sizeof hop_by_hop / sizeof hop_by_hop[0]);
}

/* The options of all Connection fields into `options`, checked. Returns how many, or -1. */
static ssize_t options_read(const struct http_fields *fields,
                            struct span options[LIMIT_FIELD_COUNT], struct err *err)
{
    const struct http_field *field = NULL;
    size_t count = 0;

    while ((field = http_fields_find(fields, span_text("connection"), field)) != NULL) {
        struct span option;
        size_t at = 0;

        while (list_next(field->value, &at, &option)) {
            if (!token_is_token(option))
                return err_set(err, ERR_SYNTAX, "a Connection option is no token");
            if (is_end_to_end(option))
                return err_set(err, ERR_SYNTAX, "Connection names '%.*s'", (int)option.len,
                               (const char *)option.ptr);
            if (count == LIMIT_FIELD_COUNT)
                return err_set(err, ERR_SYNTAX, "more than %d Connection options",
                               LIMIT_FIELD_COUNT);
            options[count++] = option;
        }
    }
    return (ssize_t)count;
}

int http_fields_remove_hop(struct http_fields *fields, struct err *err)
{
    struct span options[LIMIT_FIELD_COUNT];
    ssize_t count = options_read(fields, options, err);

    if (count < 0)
        return -1;
    for (ssize_t i = 0; i < count; i++)
        (void)http_fields_remove(fields, options[i]);
    for (size_t i = 0; i < sizeof hop_by_hop / sizeof hop_by_hop[0]; i++)
        (void)http_fields_remove(fields, span_text(hop_by_hop[i]));
    return 0;
}
