/* SPDX-License-Identifier: Apache-2.0 */
/* The table of static names: two maps, of the configuration and of the hosts file. */
#include "net/resolve_names.h"

#include <errno.h>
#include <sys/random.h>

#include "os/file.h"

#define HOSTS_FILE_MAX 1048576

int resolve_names_init(struct resolve_names *names, struct err *err)
{
    uint8_t seed[16];

    *names = (struct resolve_names){0};
    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return err_set_sys(err, ERR_SYSTEM, errno, "getrandom");
    if (map_init(&names->added, RESOLVE_NAME_LIMIT, seed, err) < 0)
        return -1;
    if (map_init(&names->hosts, RESOLVE_NAME_LIMIT, seed, err) < 0) {
        map_fini(&names->added);
        return -1;
    }
    pool_init(&names->added_pool, sizeof(struct resolve_name), RESOLVE_NAME_LIMIT, 0);
    pool_init(&names->hosts_pool, sizeof(struct resolve_name), RESOLVE_NAME_LIMIT, 0);
    return 0;
}

static void map_empty(struct map *map, struct pool *pool)
{
    for (size_t i = 0; i < map->place_count; i++) {
        struct map_node *node = map->places[i];

        while (node != NULL) {
            struct resolve_name *name = node->item;

            node = node->next;
            while (name != NULL) {
                struct resolve_name *next = name->next;

                pool_give(pool, name);
                name = next;
            }
        }
    }
    map_fini(map);
    pool_fini(pool);
}

void resolve_names_fini(struct resolve_names *names)
{
    map_empty(&names->added, &names->added_pool);
    map_empty(&names->hosts, &names->hosts_pool);
}

static int name_add(struct map *map, struct pool *pool, struct span name,
                    const struct address *address, struct err *err)
{
    struct resolve_name *entry, *first;
    struct text text;

    if (name.len > 0 && name.ptr[name.len - 1] == '.')
        name.len--;
    if (name.len == 0 || name.len > LIMIT_HOST)
        return err_set(err, ERR_CONFIG, "a static name of %zu bytes", name.len);
    entry = pool_take(pool);
    if (entry == NULL)
        return err_set(err, ERR_LIMIT, "more than %d static names", RESOLVE_NAME_LIMIT);
    *entry = (struct resolve_name){.address = *address, .len = name.len};
    text_init(&text, entry->name, sizeof entry->name);
    text_add_lower(&text, name);
    socket_set_port(&entry->address, 0);
    first = map_find(map, span_of(entry->name, entry->len));
    if (first == NULL) {
        /* There are no more names than entries, and entries were counted. */
        ENSURE(map_add(map, &entry->node, span_of(entry->name, entry->len), entry, err) == 0);
        return 0;
    }
    while (first->next != NULL)
        first = first->next;
    first->next = entry;
    return 0;
}

int resolve_names_add(struct resolve_names *names, struct span name, const struct address *address,
                      struct err *err)
{
    return name_add(&names->added, &names->added_pool, name, address, err);
}

const struct resolve_name *resolve_names_find(const struct resolve_names *names, struct span name)
{
    const struct resolve_name *found = map_find(&names->added, name);

    return found != NULL ? found : map_find(&names->hosts, name);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line, empty at its end; `line` becomes the rest. */
static struct span word_next(struct span *line)
{
    size_t from = 0;
    size_t to;
    struct span word;

    while (from < line->len && is_blank(line->ptr[from]))
        from++;
    to = from;
    while (to < line->len && !is_blank(line->ptr[to]))
        to++;
    word = span_from(span_first(*line, to), from);
    *line = span_from(*line, to);
    return word;
}

static void hosts_line(struct resolve_names *names, struct span line)
{
    ssize_t comment = span_find(line, '#');
    struct address address;
    struct err err;

    if (comment >= 0)
        line = span_first(line, (size_t)comment);
    if (socket_read_ip(word_next(&line), 0, &address, &err) < 0)
        return;
    for (struct span name = word_next(&line); name.len > 0; name = word_next(&line))
        (void)name_add(&names->hosts, &names->hosts_pool, name, &address, &err);
}

int resolve_names_read_hosts(struct resolve_names *names, const char *path, struct err *err)
{
    struct room content;
    struct span rest;

    if (file_read(path, HOSTS_FILE_MAX, &content, err) < 0)
        return err->sys == ENOENT ? 0 : -1;
    rest = span_of_room(content);
    while (rest.len > 0) {
        ssize_t end = span_find(rest, '\n');
        size_t len = end < 0 ? rest.len : (size_t)end;

        hosts_line(names, span_first(rest, len));
        rest = span_from(rest, end < 0 ? len : len + 1);
    }
    file_free(&content);
    return 0;
}
