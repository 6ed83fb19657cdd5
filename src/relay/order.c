/* SPDX-License-Identifier: Apache-2.0 */
/* Keeper and children: ready up, order down, report up. Length and type are checked. */
#include "relay/order.h"

#include "base/num.h"
#include "os/ipc.h"

enum order_kind { ORDER_READY = 0x45580001, ORDER_ORDER, ORDER_REPORT };

struct ready_message {
    uint32_t kind;
};

struct order_message {
    uint32_t kind;
    uint32_t token_len;
    struct settings settings;
    uint8_t token[LIMIT_TOKEN];
};

struct report_message {
    uint32_t kind;
    int32_t result;
    uint32_t code;
    char text[112];
};

static int message_send(int fd, struct span message, struct err *err)
{
    int sent = ipc_send(fd, message, -1, err);

    if (sent == 0)
        return err_set(err, ERR_SYSTEM, "the queue to another process is full");
    return sent < 0 ? -1 : 0;
}

int order_send_ready(int fd, struct err *err)
{
    struct ready_message message = {.kind = ORDER_READY};

    return message_send(fd, span_of(&message, sizeof message), err);
}

int order_recv_ready(int fd, struct err *err)
{
    struct ready_message message = {0};
    ssize_t len =
        ipc_recv(fd, (struct room){.ptr = (uint8_t *)&message, .len = sizeof message}, NULL, err);

    if (len <= 0)
        return (int)len;
    if (len != (ssize_t)sizeof message || message.kind != ORDER_READY)
        return err_set(err, ERR_INTERNAL, "unexpected message of %zd bytes from a child", len);
    return 1;
}

int order_send(int fd, const struct settings *settings, const struct secret *token, struct err *err)
{
    struct order_message message;
    int result;

    _Static_assert(sizeof message <= IPC_MESSAGE_MAX, "an order fits into one message");
    memset(&message, 0, sizeof message);
    message.kind = ORDER_ORDER;
    message.settings = *settings;
    if (token != NULL) {
        struct span bytes = secret_span(token);

        ENSURE(bytes.len <= sizeof message.token);
        memcpy(message.token, bytes.ptr, bytes.len);
        message.token_len = (uint32_t)bytes.len;
    }
    result = message_send(fd, span_of(&message, sizeof message), err);
    explicit_bzero(&message, sizeof message);
    return result;
}

static int order_take(const struct order_message *message, ssize_t len, struct settings *settings,
                      struct secret *token, struct err *err)
{
    if (len != (ssize_t)sizeof *message || message->kind != ORDER_ORDER ||
        message->token_len > sizeof message->token)
        return err_set(err, ERR_INTERNAL, "malformed order of %zd bytes", len);
    *settings = message->settings;
    if (message->token_len == 0)
        return 0;
    return secret_init(token, span_of(message->token, message->token_len), err);
}

int order_recv(int fd, int timeout_ms, struct settings *settings, struct secret *token,
               struct err *err)
{
    struct order_message message;
    ssize_t len;
    int result;

    *token = (struct secret){0};
    if (ipc_wait(fd, timeout_ms, err) < 0)
        return -1;
    len = ipc_recv(fd, (struct room){.ptr = (uint8_t *)&message, .len = sizeof message}, NULL, err);
    if (len == 0)
        result = err_set(err, ERR_TIMEOUT, "no order within %d ms", timeout_ms);
    else
        result = len < 0 ? -1 : order_take(&message, len, settings, token, err);
    explicit_bzero(&message, sizeof message);
    return result;
}

int order_send_report(int fd, int result, const struct err *why, struct err *err)
{
    struct report_message message;

    memset(&message, 0, sizeof message);
    message.kind = ORDER_REPORT;
    message.result = result;
    if (result < 0) {
        message.code = why->code;
        memcpy(message.text, why->text, sizeof message.text);
    }
    return message_send(fd, span_of(&message, sizeof message), err);
}

int order_recv_report(int fd, int timeout_ms, int *result, struct err *why, struct err *err)
{
    struct report_message message;
    ssize_t len;

    if (ipc_wait(fd, timeout_ms, err) < 0)
        return -1;
    len = ipc_recv(fd, (struct room){.ptr = (uint8_t *)&message, .len = sizeof message}, NULL, err);
    if (len == 0)
        return err_set(err, ERR_TIMEOUT, "no report within %d ms", timeout_ms);
    if (len < 0)
        return -1;
    if (len != (ssize_t)sizeof message || message.kind != ORDER_REPORT)
        return err_set(err, ERR_INTERNAL, "malformed report of %zd bytes", len);
    *result = message.result == 0 ? 0 : -1;
    message.text[sizeof message.text - 1] = '\0';
    if (*result < 0)
        (void)err_set(why, err_from_number(message.code), "%s", message.text);
    return 0;
}
