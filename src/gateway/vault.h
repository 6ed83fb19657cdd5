/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_VAULT_H
#define EXEAT_GATEWAY_VAULT_H

/* The role `vault`: the only process that has keys and credentials. Returns the exit status. */
int vault_main(int argc, char **argv);

#endif
