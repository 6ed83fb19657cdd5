/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_ANSWER_H
#define EXEAT_RELAY_ANSWER_H

#include "base/text.h"

/*
 * An answer on the relay's own account (docs/protocol.md section 5): the words of `why` are the
 * reason phrase, for that is all that many clients show, and again the problem+json body.
 */
void answer_write(int status, const struct err *why, struct text *out);

/* The status for `why` before the first payload byte: 400, 405, 408, 431, 501, 503, 504, else 502.
 */
int answer_status(const struct err *why);

#define ANSWER_MAX 2048

#endif
