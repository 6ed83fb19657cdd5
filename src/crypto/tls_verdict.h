/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_CRYPTO_TLS_VERDICT_H
#define EXEAT_CRYPTO_TLS_VERDICT_H

#include "base/err.h"
#include "crypto/tls.h"

/*
 * Why a connection failed, in our codes and words: from the verification's result, the peer's
 * alert (copied into tls->alert) or OpenSSL's first reason. Empties OpenSSL's queue. Returns -1.
 */
int tls_verdict(struct tls *tls, const char *what, struct err *err);

#endif
