/* SPDX-License-Identifier: Apache-2.0 */
/* exeat-gateway: one binary, its commands, and the roles that `serve` starts from it. */
#include <stdio.h>
#include <string.h>

#include "gateway/auditor.h"
#include "gateway/command.h"
#include "gateway/master.h"
#include "gateway/options.h"
#include "gateway/role.h"
#include "gateway/vault.h"
#include "gateway/worker.h"

static const char help_all[] =
    "exeat-gateway: lets agents in containers out, by policy, with credentials they never see\n"
    "\n"
    "usage: exeat-gateway COMMAND -c FILE [options]\n"
    "\n"
    "  serve            run the gateway\n"
    "  check            is the configuration good? every error with file, line and column\n"
    "  ca init          make the certificate authority that containers will trust\n"
    "  ca rotate        replace it, in three steps, while containers run\n"
    "  ca show          its subject, fingerprint and validity, or its certificate\n"
    "  session create   let one agent in: makes its token\n"
    "  session list     who may use the gateway\n"
    "  session revoke   end a session and its tunnels\n"
    "  audit verify     was the audit log changed?\n"
    "\n"
    "  --help           this; COMMAND --help tells more\n"
    "  --version\n"
    "\n"
    "first steps:\n"
    "  exeat-gateway ca init -c gateway.yaml\n"
    "  exeat-gateway check -c gateway.yaml\n"
    "  exeat-gateway session create -c gateway.yaml --token-file token\n"
    "  exeat-gateway serve -c gateway.yaml\n";

static const char help_serve[] =
    "usage: exeat-gateway serve -c FILE [--log error|warning|info|debug]\n"
    "\n"
    "Run the gateway in the foreground. Prints 'listening on ADDRESS' for each listener when it\n"
    "is ready; the log goes to stderr.\n"
    "\n"
    "  SIGTERM, SIGINT  let tunnels finish (timeouts.drain), then end; twice: end at once\n"
    "  SIGHUP           take the configuration anew; if it is bad, the old one stays\n";

static const char help_check[] =
    "usage: exeat-gateway check -c FILE [--json]\n"
    "\n"
    "Read the configuration and everything it names, as 'serve' would. Prints each error as\n"
    "file:line:column: what was seen and what was expected, and ends with 1; or a summary.\n";

static const char help_ca_init[] =
    "usage: exeat-gateway ca init -c FILE\n"
    "\n"
    "Make the certificate authority (ECDSA P-256, 10 years): the key with mode 0600, the\n"
    "certificate with 0644, where 'ca' in the configuration says. Never overwrites one.\n";

static const char help_ca_rotate[] =
    "usage: exeat-gateway ca rotate -c FILE [--start|--switch|--finish]\n"
    "\n"
    "Replace the certificate authority. Without an option: where that stands.\n"
    "\n"
    "  --start   make a new one beside it; both are published, the old one signs\n"
    "  --switch  the new one signs, both are published; the old key is gone\n"
    "  --finish  only the new one is published\n"
    "\n"
    "After each step SIGHUP lets the gateway take it. Containers fetch what is published when "
    "they\n"
    "start: switch when none runs any more that was started before the first step.\n";

static const char help_ca_show[] =
    "usage: exeat-gateway ca show -c FILE [--pem|--json]\n"
    "\n"
    "Subject, SHA-256 fingerprint and validity of the certificate authority; with --pem its\n"
    "certificate. Never its key.\n";

static const char help_session_create[] =
    "usage: exeat-gateway session create -c FILE [--ttl 8h] [--id ID] [--tenant NAME]\n"
    "                                    [--token-file PATH] [--json]\n"
    "\n"
    "Make a session and print its id and its token, once: only a hash of it is kept.\n"
    "\n"
    "  --ttl TIME         how long it may be used: 30m, 8h, 7d (default 8h)\n"
    "  --id ID            instead of a random one: A-Z a-z 0-9 . _ -\n"
    "  --tenant NAME      whose it is (default 'default')\n"
    "  --token-file PATH  write the token there (mode 0600) and print only the id\n"
    "  --json             print one JSON object\n";

static const char help_session_list[] =
    "usage: exeat-gateway session list -c FILE [--json]\n"
    "\n"
    "Id, tenant, creation, expiry and state (live, expired, revoked) of every session.\n";

static const char help_session_revoke[] =
    "usage: exeat-gateway session revoke -c FILE ID\n"
    "\n"
    "End a session: its token is refused and its tunnels are closed within seconds.\n";

static const char help_audit_verify[] =
    "usage: exeat-gateway audit verify -c FILE\n"
    "       exeat-gateway audit verify LOG...\n"
    "       exeat-gateway audit verify OLDEST.log ... -c FILE\n"
    "\n"
    "Follow the hash chain of the audit log from its first record to the last one that was\n"
    "written. Names the first line that does not fit and ends with 1. After a rotation name all\n"
    "files, the oldest first.\n";

static const struct options_command commands[] = {
    {"serve", OPTION_CONFIG | OPTION_LOG, OPTION_CONFIG, 0, 0, help_serve, master_serve},
    {"check", OPTION_CONFIG | OPTION_JSON, OPTION_CONFIG, 0, 0, help_check, command_check},
    {"ca init", OPTION_CONFIG, OPTION_CONFIG, 0, 0, help_ca_init, command_ca_init},
    {"ca rotate", OPTION_CONFIG | OPTION_START | OPTION_SWITCH | OPTION_FINISH, OPTION_CONFIG, 0, 0,
     help_ca_rotate, command_ca_rotate},
    {"ca show", OPTION_CONFIG | OPTION_PEM | OPTION_JSON, OPTION_CONFIG, 0, 0, help_ca_show,
     command_ca_show},
    {"session create",
     OPTION_CONFIG | OPTION_TTL | OPTION_ID | OPTION_TENANT | OPTION_TOKEN_FILE | OPTION_JSON,
     OPTION_CONFIG, 0, 0, help_session_create, command_session_create},
    {"session list", OPTION_CONFIG | OPTION_JSON, OPTION_CONFIG, 0, 0, help_session_list,
     command_session_list},
    {"session revoke", OPTION_CONFIG, OPTION_CONFIG, 1, 1, help_session_revoke,
     command_session_revoke},
    {"audit verify", OPTION_CONFIG, 0, 0, OPTIONS_WORDS, help_audit_verify, command_audit_verify},
    {.name = NULL},
};

static int role_run(const char *role, int argc, char **argv)
{
    if (strcmp(role, "worker") == 0)
        return worker_main(argc, argv);
    if (strcmp(role, "vault") == 0)
        return vault_main(argc, argv);
    if (strcmp(role, "auditor") == 0)
        return auditor_main(argc, argv);
    return command_failed("there is no role '%s'", role);
}

int main(int argc, char **argv)
{
    const struct options_command *command;
    const char *role = role_name(argc, argv);
    struct options options;
    int status;

    if (role != NULL)
        return role_run(role, argc, argv);
    status = options_read(argc, argv, commands, help_all, &command, &options);
    if (status >= 0)
        return status;
    status = command->run(&options);
    if (fflush(stdout) != 0 || ferror(stdout) != 0)
        return command_failed("cannot write to stdout");
    return status;
}
