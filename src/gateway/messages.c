/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets between the gateway's processes: a fixed head, then up to three byte strings. Every
 * length is checked against the table of its type, every type against the role that sent it.
 */
#include "gateway/messages.h"

#include "base/limits.h"
#include "os/ipc.h"

struct packet_head {
    uint32_t type;
    uint32_t code;
    uint32_t index;
    uint32_t a_len;
    uint32_t b_len;
    uint32_t c_len;
    uint64_t handle;
    uint64_t number;
};

static const struct {
    const char *name;
    enum message_sender sender;
    uint32_t a_max;
    uint32_t b_max;
    uint32_t c_max;
} message_table[MESSAGE_COUNT] = {[MESSAGE_NONE] = {"NONE", SENDER_MAIN, 0, 0, 0},
#define MESSAGE_ROW(name, sender, a, b, c) [MESSAGE_##name] = {#name, SENDER_##sender, a, b, c},
                                  MESSAGE_TABLE(MESSAGE_ROW)
#undef MESSAGE_ROW
};

static bool lengths_fit(const struct packet_head *head)
{
    return head->a_len <= message_table[head->type].a_max &&
           head->b_len <= message_table[head->type].b_max &&
           head->c_len <= message_table[head->type].c_max;
}

static uint8_t *part_add(uint8_t *at, struct span part)
{
    if (part.len > 0)
        memcpy(at, part.ptr, part.len);
    return at + part.len;
}

int message_send(int fd, const struct message *message, int pass_fd, struct err *err)
{
    uint8_t packet[MESSAGE_MAX];
    struct packet_head head = {
        .type = (uint32_t)message->type,
        .code = (uint32_t)message->code,
        .index = message->index,
        .a_len = (uint32_t)message->a.len,
        .b_len = (uint32_t)message->b.len,
        .c_len = (uint32_t)message->c.len,
        .handle = message->handle,
        .number = message->number,
    };
    uint8_t *at = packet + sizeof head;
    int result;

    ENSURE(message->type > MESSAGE_NONE && message->type < MESSAGE_COUNT);
    ENSURE(message->a.len <= MESSAGE_MAX && message->b.len <= MESSAGE_MAX);
    ENSURE(message->c.len <= MESSAGE_MAX && lengths_fit(&head));
    ENSURE(sizeof head + message->a.len + message->b.len + message->c.len <= sizeof packet);
    memcpy(packet, &head, sizeof head);
    at = part_add(at, message->a);
    at = part_add(at, message->b);
    at = part_add(at, message->c);
    result = ipc_send(fd, span_of(packet, (size_t)(at - packet)), pass_fd, err);
    explicit_bzero(packet, (size_t)(at - packet));
    return result;
}

static int packet_check(const struct packet_head *head, size_t len, enum message_sender sender,
                        struct err *err)
{
    if (head->type <= MESSAGE_NONE || head->type >= MESSAGE_COUNT)
        return err_set(err, ERR_INTERNAL, "message of unknown type %u", head->type);
    if (message_table[head->type].sender != sender)
        return err_set(err, ERR_INTERNAL, "message %s from role %d", message_table[head->type].name,
                       (int)sender);
    if (!lengths_fit(head))
        return err_set(err, ERR_INTERNAL, "message %s with an oversized part",
                       message_table[head->type].name);
    if (len != sizeof *head + head->a_len + head->b_len + head->c_len)
        return err_set(err, ERR_INTERNAL, "message %s of %zu bytes does not add up",
                       message_table[head->type].name, len);
    return 0;
}

int message_recv(int fd, enum message_sender sender, struct room room, struct message *message,
                 int *passed_fd, struct err *err)
{
    struct packet_head head;
    ssize_t len;

    ENSURE(room.len >= MESSAGE_MAX);
    len = ipc_recv(fd, room, passed_fd, err);
    if (len <= 0)
        return (int)len;
    if ((size_t)len < sizeof head)
        return err_set(err, ERR_INTERNAL, "message of %zd bytes", len);
    memcpy(&head, room.ptr, sizeof head);
    if (packet_check(&head, (size_t)len, sender, err) < 0)
        return -1;
    *message = (struct message){
        .type = (enum message_type)head.type,
        .code = err_from_number(head.code),
        .index = head.index,
        .handle = head.handle,
        .number = head.number,
        .a = span_of(room.ptr + sizeof head, head.a_len),
        .b = span_of(room.ptr + sizeof head + head.a_len, head.b_len),
        .c = span_of(room.ptr + sizeof head + head.a_len + head.b_len, head.c_len),
    };
    return 1;
}

void message_wipe(struct room room, const struct message *message)
{
    size_t len = sizeof(struct packet_head) + message->a.len + message->b.len + message->c.len;

    ENSURE(len <= room.len);
    explicit_bzero(room.ptr, len);
}
