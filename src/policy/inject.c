/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials into header fields, and out of memory again. */
#include "policy/inject.h"

static bool is_visible(uint8_t byte)
{
    return byte > 0x20 && byte < 0x7f;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

int inject_check_value(struct span value, struct err *err)
{
    if (value.len == 0 || value.len > LIMIT_SECRET)
        return err_set(err, ERR_CONFIG, "a value of %zu bytes, expected 1 to %d", value.len,
                       LIMIT_SECRET);
    if (is_blank(value.ptr[0]) || is_blank(value.ptr[value.len - 1]))
        return err_set(err, ERR_CONFIG, "a blank at an end of the value");
    /* Never the byte itself: it is part of a secret. */
    for (size_t i = 0; i < value.len; i++) {
        if (!is_visible(value.ptr[i]) && !is_blank(value.ptr[i]))
            return err_set(err, ERR_CONFIG, "a byte at %zu that is not visible ASCII", i);
    }
    return 0;
}

static int inject_field(const struct injection *injection, struct span value, struct arena *arena,
                        struct http_fields *fields, struct err *err)
{
    size_t len;
    uint8_t *memory;
    struct err why;

    if (inject_check_value(value, &why) < 0)
        return err_set(err, ERR_CREDENTIAL, "credential for '%.*s': %s", (int)injection->header.len,
                       (const char *)injection->header.ptr, why.text);
    len = injection->before.len + value.len + injection->after.len;
    memory = arena_take(arena, len);
    if (memory == NULL)
        return err_set(err, ERR_MEMORY, "no memory for an injected field");
    if (injection->before.len > 0)
        memcpy(memory, injection->before.ptr, injection->before.len);
    memcpy(memory + injection->before.len, value.ptr, value.len);
    if (injection->after.len > 0)
        memcpy(memory + injection->before.len + value.len, injection->after.ptr,
               injection->after.len);
    if (http_fields_add(fields, injection->header, span_of(memory, len), err) < 0) {
        explicit_bzero(memory, len);
        return -1;
    }
    return 0;
}

int inject_fields(const struct rule *rule, const struct span *values, struct arena *arena,
                  struct http_fields *fields, struct err *err)
{
    /* All before the first is added, so that no look-alike of one takes another along. */
    for (size_t i = 0; i < rule->injection_count; i++)
        (void)http_fields_remove(fields, rule->injections[i].header);
    for (size_t i = 0; i < rule->injection_count; i++) {
        if (values[i].ptr == NULL)
            continue;
        if (inject_field(&rule->injections[i], values[i], arena, fields, err) < 0) {
            inject_wipe(rule, fields);
            return -1;
        }
    }
    return 0;
}

void inject_wipe(const struct rule *rule, struct http_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        struct span value = fields->items[i].value;

        for (size_t j = 0; j < rule->injection_count; j++) {
            if (value.len > 0 && span_equal(fields->items[i].name, rule->injections[j].header))
                explicit_bzero((uint8_t *)(uintptr_t)value.ptr, value.len);
        }
    }
}
