/* SPDX-License-Identifier: Apache-2.0 */
/* Strict decimal numbers. */
#include "base/num.h"

int num_read_u64(struct span text, uint64_t *value, struct err *err)
{
    uint64_t sum = 0;

    if (text.len == 0 || text.len > 18)
        return err_set(err, ERR_SYNTAX, "a number needs 1 to 18 digits, not %zu bytes", text.len);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return err_set(err, ERR_SYNTAX, "number: byte 0x%02x at %zu", text.ptr[i], i);
        sum = sum * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *value = sum;
    return 0;
}

int num_read_port(struct span text, uint16_t *port, struct err *err)
{
    uint64_t value;

    if (text.len > 5 || num_read_u64(text, &value, err) < 0)
        return err_set(err, ERR_TARGET, "port is not a number of 1 to 5 digits");
    if (text.ptr[0] == '0' || value > UINT16_MAX)
        return err_set(err, ERR_TARGET, "port is not in 1 to 65535 or starts with 0");
    *port = (uint16_t)value;
    return 0;
}
