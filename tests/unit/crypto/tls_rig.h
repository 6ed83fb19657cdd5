/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_TLS_RIG_H
#define EXEAT_TESTS_TLS_RIG_H

/* A root, a good server's certificate under it, and contexts of both sides: made once a program. */
#include "crypto/bundle.h"
#include "crypto/tls_context.h"
#include "ends.h"
#include "pki.h"

#define RIG_PLAIN 66560
#define RIG_WIRE  66560

extern struct pki rig_root;
extern struct pki rig_good; /* api.test, *.wild.test, 192.0.2.7 */
extern struct bundle_roots *rig_roots;
extern struct tls_context *rig_client_context;
extern struct tls_context *rig_server_context;

/* For cmocka_run_group_tests(). */
int rig_setup(void **state);
int rig_teardown(void **state);

/* A listener's context with this certificate and key. NULL, and the reason printed. */
struct tls_context *rig_listener(const struct pki *pki);

/* Both ends, ready to shake hands: the client asks for `host`, the server has `context`. */
void rig_open(struct end *client, struct end *server, struct tls_context *context,
              const struct host *host);

#endif
