/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_VAULT_KEYS_H
#define EXEAT_GATEWAY_VAULT_KEYS_H

#include "crypto/leaf.h"
#include "crypto/sign.h"
#include "gateway/config.h"

/* Everything secret that the gateway has: the CA's key, listeners' keys, credentials' values. */
struct vault_keys {
    const struct config *config; /* borrowed */
    struct leaf_ca *ca;
    struct sign_key **listeners; /* by index of config.listens; NULL: without TLS */
    struct secret *credentials;  /* by index of policy.credentials */
    int64_t *changed_ns;         /* of their files, as they were read */
};

/*
 * Read all of it. What came from the environment is wiped there. ERR_CONFIG, ERR_CERT_INVALID and
 * others; the text names the file, variable or credential, never a value.
 */
int vault_keys_init(struct vault_keys *keys, const struct config *config, struct err *err);
void vault_keys_fini(struct vault_keys *keys);

/*
 * Read the files of credentials again that have changed since. How many have a new value; what
 * cannot be used leaves the old one and is logged.
 */
int vault_keys_refresh(struct vault_keys *keys);

#endif
