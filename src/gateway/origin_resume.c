/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded table of TLS sessions by who, where and what. Every way out of it wipes. */
#include "gateway/origin_resume.h"

#include "base/limits.h"
#include "base/text.h"
#include "crypto/digest.h"

struct resume_entry {
    struct map_node map_node;
    struct list_node kept_node;
    char name[LIMIT_SESSION_ID + LIMIT_HOST + 32]; /* the key in words */
    size_t name_len;
    size_t session_len; /* the first part of it */
    struct tls_session tls;
};

int origin_resume_init(struct origin_resume *resume, struct err *err)
{
    uint8_t seed[16];

    *resume = (struct origin_resume){.kept = {.first = NULL}};
    pool_init(&resume->entries, sizeof(struct resume_entry), ORIGIN_RESUME_MAX, 16);
    if (digest_random((struct room){.ptr = seed, .len = sizeof seed}, err) < 0)
        return -1;
    return map_init(&resume->map, ORIGIN_RESUME_MAX, seed, err);
}

static void entry_free(struct origin_resume *resume, struct resume_entry *entry)
{
    map_remove(&resume->map, &entry->map_node);
    list_remove(&resume->kept, &entry->kept_node);
    tls_session_wipe(&entry->tls);
    pool_give(&resume->entries, entry);
}

void origin_resume_fini(struct origin_resume *resume)
{
    while (resume->kept.count > 0)
        entry_free(resume, list_first(&resume->kept));
    pool_fini(&resume->entries);
    map_fini(&resume->map);
}

static struct span entry_session(const struct resume_entry *entry)
{
    return span_of(entry->name, entry->session_len);
}

/* The parts of a key with what cannot be in one of them between. */
static struct span key_write(const struct origin_resume_key *key, char *memory, size_t size)
{
    struct text text;

    text_init(&text, memory, size);
    text_add(&text, key->session);
    text_add_char(&text, '\n');
    text_add(&text, target_host_span(key->host));
    text_add_char(&text, '\n');
    text_add_u64(&text, key->port);
    text_add_char(&text, '\n');
    text_add_u64(&text, key->alpn);
    return text.overflow ? span_of(NULL, 0) : text_span(&text);
}

int origin_resume_give(struct origin_resume *resume, const struct origin_resume_key *key,
                       struct tls *tls, int64_t now_s)
{
    char memory[sizeof((struct resume_entry *)0)->name];
    struct resume_entry *entry = map_find(&resume->map, key_write(key, memory, sizeof memory));
    int given;

    if (entry == NULL)
        return 0;
    given = tls_session_give(tls, &entry->tls, now_s);
    entry_free(resume, entry);
    return given;
}

/* Room for one more of this session: its own oldest at its share, else the oldest of all. */
static void room_make(struct origin_resume *resume, struct span session)
{
    struct resume_entry *oldest = NULL;
    size_t count = 0;

    for (struct list_node *node = resume->kept.first; node != NULL; node = node->next) {
        struct resume_entry *entry = node->item;

        if (!span_equal(entry_session(entry), session))
            continue;
        oldest = entry;
        count++;
    }
    if (count >= ORIGIN_RESUME_SHARE)
        entry_free(resume, oldest);
    else if (resume->kept.count >= ORIGIN_RESUME_MAX)
        entry_free(resume, list_last(&resume->kept));
}

void origin_resume_keep(struct origin_resume *resume, const struct origin_resume_key *key,
                        struct tls *tls)
{
    char memory[sizeof((struct resume_entry *)0)->name];
    struct span name = key_write(key, memory, sizeof memory);
    struct tls_session session;
    struct resume_entry *entry;
    struct err ignored;

    if (name.len == 0 || !tls_session_take(tls, &session))
        return;
    entry = map_find(&resume->map, name);
    if (entry != NULL)
        entry_free(resume, entry);
    room_make(resume, key->session);
    entry = pool_take(&resume->entries);
    if (entry != NULL) {
        memcpy(entry->name, name.ptr, name.len);
        entry->name_len = name.len;
        entry->session_len = key->session.len;
        entry->tls = session;
        if (map_add(&resume->map, &entry->map_node, span_of(entry->name, name.len), entry,
                    &ignored) == 0) {
            list_add_first(&resume->kept, &entry->kept_node, entry);
        } else {
            tls_session_wipe(&entry->tls);
            pool_give(&resume->entries, entry);
        }
    }
    tls_session_wipe(&session);
}

void origin_resume_forget(struct origin_resume *resume, struct span session)
{
    struct list_node *next;

    for (struct list_node *node = resume->kept.first; node != NULL; node = next) {
        next = node->next;
        if (span_equal(entry_session(node->item), session))
            entry_free(resume, node->item);
    }
}
