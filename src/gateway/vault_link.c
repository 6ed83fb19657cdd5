/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the vault. A handle is a place in a fixed table and the generation of that place,
 * so that an answer that comes too late finds nobody.
 */
#include "gateway/vault_link.h"

#include <unistd.h>

#include "os/log.h"

static void link_ready(struct loop_watch *watch, unsigned ready);

static int link_open(struct vault_link *link, int fd, struct err *err)
{
    link->fd = fd;
    if (loop_watch_open(&link->watch, link->loop, fd, link_ready, link, err) < 0) {
        link->fd = -1;
        return -1;
    }
    loop_watch_set(&link->watch, LOOP_READ);
    link->on_open(link);
    return 0;
}

int vault_link_init(struct vault_link *link, struct loop *loop, int fd, struct err *err)
{
    link->loop = loop;
    link->replacement_fd = -1;
    return link_open(link, fd, err);
}

/* Everybody who waits learns that there will be no answer. */
static void waits_fail(struct vault_link *link)
{
    const struct message reply = {.code = ERR_CREDENTIAL};

    for (size_t i = 0; i < VAULT_WAITS; i++) {
        struct vault_wait *wait = link->waits[i];

        if (wait == NULL)
            continue;
        vault_link_forget(link, wait);
        wait->on_reply(wait, &reply);
    }
}

static void link_closed(struct loop_watch *watch)
{
    struct vault_link *link = watch->owner;
    struct err err;
    int fd = link->replacement_fd;

    link->replacement_fd = -1;
    link->is_closing = 0;
    if (fd >= 0 && link_open(link, fd, &err) < 0)
        log_error("channel to the vault: %s", err.text);
}

/* The watch lives until its reap step; a new channel waits for that. */
static void link_close(struct vault_link *link)
{
    link->fd = -1;
    link->is_closing = 1;
    loop_watch_close(&link->watch, link_closed);
}

int vault_link_replace(struct vault_link *link, int fd, struct err *err)
{
    waits_fail(link);
    if (link->replacement_fd >= 0)
        (void)close(link->replacement_fd);
    link->replacement_fd = -1;
    if (link->fd < 0 && !link->is_closing)
        return link_open(link, fd, err);
    link->replacement_fd = fd;
    if (link->fd >= 0)
        link_close(link);
    return 0;
}

static void reply_deliver(struct vault_link *link, const struct message *message)
{
    size_t place = message->handle % VAULT_WAITS;
    struct vault_wait *wait = link->waits[place];

    if (wait == NULL || wait->handle != message->handle)
        return;
    vault_link_forget(link, wait);
    wait->on_reply(wait, message);
}

static void link_ready(struct loop_watch *watch, unsigned ready)
{
    struct vault_link *link = watch->owner;
    struct room room = {.ptr = link->room, .len = sizeof link->room};
    struct message message;
    struct err err;
    int result;

    (void)ready;
    while (link->fd >= 0 &&
           (result = message_recv(link->fd, SENDER_VAULT, room, &message, NULL, &err)) != 0) {
        if (result < 0) {
            log_warning("the vault is gone: %s", err.text);
            link_close(link);
            waits_fail(link);
            return;
        }
        if (message.handle == 0)
            link->on_notice(link, &message);
        else
            reply_deliver(link, &message);
        message_wipe(room, &message);
    }
}

int vault_link_ask(struct vault_link *link, const struct message *message, struct vault_wait *wait,
                   struct err *err)
{
    struct message asked = *message;
    size_t place = link->next;
    int sent;

    ENSURE(wait->handle == 0);
    if (link->fd < 0)
        return err_set(err, ERR_CREDENTIAL, "the vault is not reachable");
    while (link->waits[place] != NULL) {
        place = (place + 1) % VAULT_WAITS;
        if (place == link->next)
            return err_set(err, ERR_LIMIT, "%d questions to the vault are open", VAULT_WAITS);
    }
    link->next = (place + 1) % VAULT_WAITS;
    link->generations[place]++;
    asked.handle = link->generations[place] * VAULT_WAITS + place;
    sent = message_send(link->fd, &asked, -1, err);
    if (sent < 0)
        return err_set(err, ERR_CREDENTIAL, "the vault is not reachable");
    if (sent == 0)
        return err_set(err, ERR_LIMIT, "the queue to the vault is full");
    wait->handle = asked.handle;
    link->waits[place] = wait;
    return 0;
}

void vault_link_forget(struct vault_link *link, struct vault_wait *wait)
{
    if (wait->handle == 0)
        return;
    link->waits[wait->handle % VAULT_WAITS] = NULL;
    wait->handle = 0;
}

int vault_link_tell(struct vault_link *link, const struct message *message, struct err *err)
{
    if (link->fd < 0)
        return err_set(err, ERR_CREDENTIAL, "the vault is not reachable");
    return message_send(link->fd, message, -1, err) < 0 ? -1 : 0;
}
