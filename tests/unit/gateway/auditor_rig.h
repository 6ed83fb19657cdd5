/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_AUDITOR_RIG_H
#define EXEAT_TESTS_AUDITOR_RIG_H

/* An audit log in a directory of its own for each test. */
#include "gateway/auditor_log.h"
#include "test.h"

extern char rig_directory[64];
extern char rig_path[96];
extern char rig_memory[1 << 23];
extern struct auditor_log *rig_log;
extern struct err rig_err;

/* For cmocka_unit_test_setup_teardown(). */
int rig_start(void **state);
int rig_end(void **state);

/* Fails the test if it cannot be opened. */
struct auditor_log *rig_log_open(void);

/* A record for the path `what`, as a worker sends it; static memory. */
struct span rig_record_bytes(const char *what);
void rig_end_one(struct auditor_log *log, unsigned worker, uint64_t handle, const char *what);

/* The log, or the file `rig_path` + suffix. */
void rig_path_remove(const char *suffix);
size_t rig_file_bytes(const char *name, char *bytes, size_t cap);
int rig_file_count(const char *what);

/* How many lines follow each other, or -1. */
int rig_lines_follow(struct span bytes, struct auditor_chain *chain);
int rig_file_lines(void);

#endif
