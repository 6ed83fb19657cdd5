/* SPDX-License-Identifier: Apache-2.0 */
/* Records behind each other. Both ends are on one machine: numbers are in its byte order. */
#include "gateway/record_batch.h"

struct item_head {
    uint32_t type;
    uint32_t len;
    uint64_t handle;
};

_Static_assert(sizeof(struct item_head) == RECORD_BATCH_HEAD, "no holes");

void record_batch_add(struct text *out, const struct record_item *item)
{
    const struct item_head head = {
        .type = (uint32_t)item->type,
        .len = (uint32_t)item->record.len,
        .handle = item->handle,
    };

    if (out->cap - out->len < sizeof head + item->record.len) {
        out->overflow = true;
        return;
    }
    text_add(out, span_of(&head, sizeof head));
    text_add(out, item->record);
}

int record_batch_next(struct span *rest, struct record_item *item, struct err *err)
{
    struct item_head head;

    if (rest->len == 0)
        return 0;
    if (rest->len < sizeof head)
        return err_set(err, ERR_INTERNAL, "%zu bytes behind a batch of records", rest->len);
    memcpy(&head, rest->ptr, sizeof head);
    if (head.type != MESSAGE_BEGIN && head.type != MESSAGE_END)
        return err_set(err, ERR_INTERNAL, "type %u in a batch of records", head.type);
    if (head.len > rest->len - sizeof head)
        return err_set(err, ERR_INTERNAL, "a record of %u bytes in %zu", head.len, rest->len);
    *item = (struct record_item){
        .type = (enum message_type)head.type,
        .handle = head.handle,
        .record = span_first(span_from(*rest, sizeof head), head.len),
    };
    *rest = span_from(*rest, sizeof head + head.len);
    return 1;
}
