/* SPDX-License-Identifier: Apache-2.0 */
/* One "name value" per line; nothing secret in it. */
#include "relay/state.h"

#include <errno.h>
#include <unistd.h>

#include "base/num.h"
#include "os/file.h"

#define STATE_MAX 8192

static int path_write(const char *state_dir, char path[SETTINGS_PATH], struct err *err)
{
    struct text text;

    text_init(&text, path, SETTINGS_PATH - 1);
    text_add_str(&text, state_dir);
    text_add_str(&text, "/relay.state");
    if (text_check(&text, "path of the state file", err) < 0)
        return -1;
    (void)text_str(&text);
    return 0;
}

/* Field 22 of /proc/PID/stat; the second is a name in parentheses that may hold anything. */
static int started_read(uint64_t pid, uint64_t *started, struct err *err)
{
    char path[64];
    struct room content;
    struct span rest;
    int result = -1;

    (void)snprintf(path, sizeof path, "/proc/%llu/stat", (unsigned long long)pid);
    if (file_read(path, STATE_MAX, &content, err) < 0)
        return -1;
    rest = span_of_room(content);
    for (size_t i = rest.len; i > 0; i--) {
        if (rest.ptr[i - 1] == ')') {
            rest = span_from(rest, i);
            break;
        }
    }
    for (int field = 2; rest.len > 0; field++) {
        ssize_t blank;

        rest = span_from(rest, 1);
        blank = span_find(rest, ' ');
        if (blank < 0)
            break;
        if (field + 1 == 22) {
            result = num_read_u64(span_first(rest, (size_t)blank), started, err);
            break;
        }
        rest = span_from(rest, (size_t)blank);
    }
    file_free(&content);
    return result;
}

int state_write(const struct settings *settings, uint16_t port, struct err *err)
{
    char path[SETTINGS_PATH];
    char memory[STATE_MAX];
    struct text text;
    uint64_t started;

    if (path_write(settings->state_dir, path, err) < 0 ||
        started_read((uint64_t)getpid(), &started, err) < 0)
        return -1;
    text_init(&text, memory, sizeof memory);
    text_addf(&text, "pid %d\nstarted %llu\nport %u\nprofile %s\nbundle %s\nno_proxy %s\n",
              (int)getpid(), (unsigned long long)started, port, profile_at(settings->profile)->name,
              settings->bundle, settings->no_proxy);
    if (text_check(&text, "state", err) < 0)
        return -1;
    return file_write_atomic(path, text_span(&text), 0600, err);
}

static int line_take(struct state *state, struct span name, struct span value, struct err *err)
{
    char *to = span_equal(name, span_text("bundle"))     ? state->bundle
               : span_equal(name, span_text("no_proxy")) ? state->no_proxy
                                                         : NULL;
    size_t cap = to == state->bundle ? sizeof state->bundle : sizeof state->no_proxy;

    if (to != NULL) {
        if (value.len >= cap)
            return err_set(err, ERR_SYNTAX, "state file: value of %zu bytes", value.len);
        if (value.len > 0)
            memcpy(to, value.ptr, value.len);
        to[value.len] = '\0';
        return 0;
    }
    if (span_equal(name, span_text("pid")))
        return num_read_u64(value, &state->pid, err);
    if (span_equal(name, span_text("started")))
        return num_read_u64(value, &state->started, err);
    if (span_equal(name, span_text("port")))
        return num_read_port(value, &state->port, err);
    if (span_equal(name, span_text("profile")))
        state->profile = span_equal(value, span_text("ccr")) ? PROFILE_CCR : PROFILE_EXEAT;
    return 0;
}

static int lines_read(struct span text, struct state *state, struct err *err)
{
    while (text.len > 0) {
        ssize_t end = span_find(text, '\n');
        struct span line = end < 0 ? text : span_first(text, (size_t)end);
        ssize_t blank = span_find(line, ' ');

        if (blank < 1)
            return err_set(err, ERR_SYNTAX, "state file: a line without a value");
        if (line_take(state, span_first(line, (size_t)blank), span_from(line, (size_t)blank + 1),
                      err) < 0)
            return -1;
        text = span_from(text, end < 0 ? text.len : (size_t)end + 1);
    }
    if (state->pid == 0 || state->port == 0)
        return err_set(err, ERR_SYNTAX, "state file: pid or port is missing");
    return 0;
}

int state_read(const char *state_dir, struct state *state, struct err *err)
{
    char path[SETTINGS_PATH];
    struct room content;
    uint64_t started = 0;
    struct err ignored;
    int result;

    *state = (struct state){0};
    if (path_write(state_dir, path, err) < 0)
        return -1;
    if (file_read(path, STATE_MAX, &content, err) < 0) {
        if (err->sys == ENOENT)
            return err_set(err, ERR_NOT_FOUND, "no relay has been started in %s", state_dir);
        return -1;
    }
    result = lines_read(span_of_room(content), state, err);
    file_free(&content);
    if (result < 0)
        return -1;
    if (started_read(state->pid, &started, &ignored) < 0 || started != state->started)
        return err_set(err, ERR_NOT_FOUND, "the relay of %s has ended", state_dir);
    return 0;
}

void state_remove(const struct settings *settings)
{
    char path[SETTINGS_PATH];
    struct state state;
    struct err err;

    if (state_read(settings->state_dir, &state, &err) == 0 && state.pid == (uint64_t)getpid() &&
        path_write(settings->state_dir, path, &err) == 0)
        (void)unlink(path);
}
