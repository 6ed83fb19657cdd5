/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_HTTP_TOKEN_H
#define EXEAT_HTTP_TOKEN_H

#include "base/span.h"

/* Character classes of RFC 9110 section 5.6, by table. */
bool token_is_tchar(uint8_t byte);

/* At least one tchar and nothing else. */
bool token_is_token(struct span text);

/* Field content: HTAB, SP, VCHAR, obs-text. */
bool token_is_value_byte(uint8_t byte);
bool token_is_value(struct span text);

/* How many bytes from the start are tchars, or are field content. */
size_t token_count_tchars(struct span text);
size_t token_count_value_bytes(struct span text);

#endif
