/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_BASE_QUOTA_H
#define EXEAT_BASE_QUOTA_H

#include <stdbool.h>
#include <stddef.h>

/*
 * How many bytes may be in use, for memory that does not come from a pool. A quota may be part of
 * another one: what is taken counts for both.
 */
struct quota {
    size_t used;
    size_t limit;
    struct quota *parent; /* borrowed: outlives it; NULL: it is part of none */
};

void quota_init(struct quota *quota, struct quota *parent, size_t limit);

/* All of it must be back. */
void quota_fini(struct quota *quota);

/* Taken, whether there was room or not. */
void quota_add(struct quota *quota, size_t count);

/* Whether more is in use than may be, of it or of one that it is part of. */
bool quota_is_over(const struct quota *quota);

/* 0, or -1 if it or one that it is part of has not as many left: then nothing is taken. */
int quota_take(struct quota *quota, size_t count);
void quota_give(struct quota *quota, size_t count);

/* How many could be taken now. */
size_t quota_left(const struct quota *quota);

#endif
