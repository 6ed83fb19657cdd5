/* SPDX-License-Identifier: Apache-2.0 */
#include "auditor_rig.h"

#include <stdio.h>
#include <unistd.h>

#include "base/pool.h"
#include "crypto/digest.h"

char rig_directory[64];
char rig_path[96];
struct auditor_log *rig_log;
struct err rig_err;

void rig_path_remove(const char *suffix)
{
    char name[128];

    (void)snprintf(name, sizeof name, "%s%s", rig_path, suffix);
    (void)unlink(name);
}

int rig_start(void **state)
{
    (void)state;
    (void)snprintf(rig_directory, sizeof rig_directory, "/tmp/exeat-audit-XXXXXX");
    if (mkdtemp(rig_directory) == NULL || digest_setup(&rig_err) < 0)
        return -1;
    (void)snprintf(rig_path, sizeof rig_path, "%s/audit.log", rig_directory);
    rig_log = pool_block_new(sizeof *rig_log);
    return rig_log == NULL ? -1 : 0;
}

int rig_end(void **state)
{
    (void)state;
    pool_block_free(rig_log);
    rig_path_remove("");
    rig_path_remove(".open");
    rig_path_remove(".torn");
    rig_path_remove(".1");
    return rmdir(rig_directory);
}

struct auditor_log *rig_log_open(void)
{
    if (auditor_log_open(rig_log, rig_path, &rig_err) < 0) {
        print_error("%s\n", rig_err.text);
        fail();
    }
    return rig_log;
}

struct span rig_record_bytes(const char *what)
{
    static uint8_t memory[40960];
    struct record record = {.session = span_text("es_1"),
                            .tenant = span_text("default"),
                            .host = span_text("a.example"),
                            .port = 443,
                            .method = span_text("GET"),
                            .path = span_text(what),
                            .mono_ms = 100,
                            .verdict = RECORD_ALLOW};
    struct text out;

    text_init(&out, memory, sizeof memory);
    record_write(&record, &out);
    return text_span(&out);
}

void rig_end_one(struct auditor_log *log, unsigned worker, uint64_t handle, const char *what)
{
    CHECK_INT(auditor_log_end(log, worker, handle, rig_record_bytes(what), &rig_err), 0);
}

size_t rig_file_bytes(const char *name, char *bytes, size_t cap)
{
    FILE *file = fopen(name, "rb");
    size_t len;

    CHECK(file != NULL);
    len = fread(bytes, 1, cap, file);
    CHECK(len < cap);
    (void)fclose(file);
    return len;
}

/* How many lines follow each other in these bytes, or -1. */
int rig_lines_follow(struct span bytes, struct auditor_chain *chain)
{
    int count = 0;

    while (bytes.len > 0) {
        ssize_t len = span_find(bytes, '\n');

        if (len < 0 || auditor_chain_follow(chain, span_first(bytes, (size_t)len), &rig_err) < 0)
            return -1;
        bytes = span_from(bytes, (size_t)len + 1);
        count++;
    }
    return count;
}

char rig_memory[1 << 23];

int rig_file_lines(void)
{
    struct auditor_chain chain;

    auditor_chain_init(&chain);
    return rig_lines_follow(
        span_of(rig_memory, rig_file_bytes(rig_path, rig_memory, sizeof rig_memory)), &chain);
}

int rig_file_count(const char *what)
{
    struct span bytes =
        span_of(rig_memory, rig_file_bytes(rig_path, rig_memory, sizeof rig_memory));
    int count = 0;
    ssize_t at;

    while ((at = span_find_span(bytes, span_text(what))) >= 0) {
        bytes = span_from(bytes, (size_t)at + 1);
        count++;
    }
    return count;
}
