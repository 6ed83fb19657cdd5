/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_ENDS_H
#define EXEAT_TESTS_ENDS_H

/* Two TLS engines and the wires between them, which deliver in pieces of any size. */
#include "base/buf.h"
#include "crypto/tls.h"

struct end {
    struct tls tls;
    struct pool plain_pool;
    struct pool wire_pool;
    struct buf plain;
    struct buf sealed;
    struct buf inbox; /* arrived, not yet taken */
    struct err err;
    int failed;
};

/* Queues of these sizes; the TLS engine is initialised by the test. */
void end_init(struct end *end, size_t plain_size, size_t wire_size);
void end_fini(struct end *end);

/* Let the engine take what has arrived. Returns how much moved. */
size_t end_step(struct end *end);

/* At most `cut` sealed bytes from one to the other. */
size_t ends_carry(struct end *from, struct end *to, size_t cut);

/* Carry and step both until nothing moves. */
void ends_run(struct end *a, struct end *b, size_t cut);

/* A host as a test writes it: a name, unless `kind` says otherwise. */
struct host ends_host(const char *name, enum host_kind kind);

#endif
