/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_OS_IPC_H
#define EXEAT_OS_IPC_H

#include "base/err.h"
#include "base/span.h"

/*
 * Messages between our own processes over SOCK_SEQPACKET socket pairs: bounded, whole, typed by
 * their first bytes, each with at most one descriptor. Non-blocking, close-on-exec.
 */
#define IPC_MESSAGE_MAX 65536

int ipc_pair(int fds[2], struct err *err);

/*
 * 1 sent, 0 the peer's queue is full (try when writable), -1 ERR_SYSTEM or ERR_CLOSED.
 * `pass_fd` is duplicated into the peer, -1 for none; it stays the caller's.
 */
int ipc_send(int fd, struct span message, int pass_fd, struct err *err);

/*
 * Length of the message received, 0 if none is waiting, -1: ERR_CLOSED when the peer has gone,
 * ERR_LIMIT for a message larger than `room`. *passed_fd is a descriptor that came along (the
 * caller's now, close-on-exec) or -1, also when we were out of descriptors; `passed_fd` NULL closes
 * what comes.
 */
ssize_t ipc_recv(int fd, struct room room, int *passed_fd, struct err *err);

/*
 * Wait until fd is readable: 1; 0 when `timeout_ms` is over (-1: never) or a signal came; -1 with
 * ERR_SYSTEM. For roles without an event loop.
 */
int ipc_wait(int fd, int timeout_ms, struct err *err);

/*
 * Wait until the peer's queue has room again: 1; 0 when `timeout_ms` is over or a signal came; -1:
 * ERR_CLOSED when the peer has gone, ERR_SYSTEM.
 */
int ipc_wait_room(int fd, int timeout_ms, struct err *err);

#endif
