/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_WIRE_ENVELOPE_MARK_H
#define EXEAT_WIRE_ENVELOPE_MARK_H

#include "base/buf.h"
#include "base/err.h"

/*
 * An envelope around whatever somebody else appends to the queue: begin, let a TLS engine write its
 * records, finish. For a server's envelopes (no mask).
 */
struct envelope_mark {
    struct buf *out; /* borrowed until finished; only appended to in between */
    size_t start;    /* private: bytes queued before */
};

/* ERR_LIMIT, ERR_MEMORY. */
int envelope_begin(struct envelope_mark *mark, struct buf *out, struct err *err);

/* Nothing appended: as if nothing had been begun. At most LIMIT_CHUNK bytes may have been. */
void envelope_finish(struct envelope_mark *mark);

#endif
