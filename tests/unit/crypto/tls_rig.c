/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_rig.h"

#include "crypto/digest.h"
#include "test.h"

struct pki rig_root;
struct pki rig_good;
struct bundle_roots *rig_roots;
struct tls_context *rig_client_context;
struct tls_context *rig_server_context;

struct tls_context *rig_listener(const struct pki *pki)
{
    struct err err = {0};
    struct tls_context *context =
        tls_context_new_listener(pki_certificate(pki), pki_key(pki), NULL, &err);

    if (context == NULL)
        print_error("%s\n", err.text);
    return context;
}

int rig_setup(void **state)
{
    struct err err;

    (void)state;
    if (digest_setup(&err) < 0)
        return -1;
    pki_make(&rig_root, &(struct pki_ask){.cn = "root", .is_ca = 1}, NULL);
    pki_make(&rig_good,
             &(struct pki_ask){.cn = "x", .san = "DNS:api.test,IP:192.0.2.7,DNS:*.wild.test"},
             &rig_root);
    rig_roots = bundle_roots_new(pki_certificate(&rig_root), &err);
    rig_client_context = tls_context_new_client(rig_roots, "http/1.1", &err);
    rig_server_context = rig_listener(&rig_good);
    return rig_client_context == NULL || rig_server_context == NULL ? -1 : 0;
}

int rig_teardown(void **state)
{
    (void)state;
    tls_context_free(rig_client_context);
    tls_context_free(rig_server_context);
    bundle_roots_free(rig_roots);
    pki_fini(&rig_good);
    pki_fini(&rig_root);
    return 0;
}

void rig_open(struct end *client, struct end *server, struct tls_context *context,
              const struct host *host)
{
    struct err err = {0};

    end_init(client, RIG_PLAIN, RIG_WIRE);
    end_init(server, RIG_PLAIN, RIG_WIRE);
    CHECK_INT(tls_init_client(&client->tls, rig_client_context, host, &err), 0);
    CHECK_INT(tls_init_server(&server->tls, context, NULL, &err), 0);
}
