/* SPDX-License-Identifier: Apache-2.0 */
/* What --help teaches. */
#include "relay/help.h"

#define OPTIONS_OF_START                                                                           \
    "  --profile ccr|exeat   names of variables and paths; default: the first whose gate 1\n"      \
    "                        variable is set\n"                                                    \
    "  --gateway URL         http:// or https:// (EXEAT_GATEWAY_URL, ANTHROPIC_BASE_URL)\n"        \
    "  --session-id ID       (EXEAT_SESSION_ID, CLAUDE_CODE_REMOTE_SESSION_ID)\n"                  \
    "  --token-file FILE     mode 0600, removed after the start; or the number of an open\n"       \
    "                        descriptor in EXEAT_TOKEN_FD\n"                                       \
    "  --port N              on 127.0.0.1; default: the system chooses\n"                          \
    "  --state-dir DIR       for ca-bundle.crt and relay.state (EXEAT_STATE_DIR)\n"                \
    "  --no-proxy LIST|ccr   what children reach directly; replaces the default of loopback,\n"    \
    "                        private networks and the gateway\n"                                   \
    "  --gateway-ca FILE     roots for the gateway's own certificate; default: the system's\n"     \
    "  --system-roots FILE   where the system's roots are\n"                                       \
    "  --log LEVEL           error, warning (default), info, debug\n"

static const char overview[] =
    "exeat: run a program whose HTTPS goes through an egress gateway\n"
    "\n"
    "  exeat run [options] [--] CMD...   start the relay, run CMD with it, stop the relay\n"
    "  exeat relay [options]             the relay alone, until SIGTERM\n"
    "  exeat env [options]               the environment of a running relay\n"
    "  exeat connect HOST PORT           stdin and stdout to HOST:PORT, for ssh's ProxyCommand\n"
    "  exeat --version | --help\n"
    "\n"
    "The relay starts only when four gates are open (profile exeat; see exeat(1) for ccr):\n"
    "  1 EXEAT_REMOTE=1   2 EXEAT_ENABLED=1   3 EXEAT_SESSION_ID=...   4 a token file\n"
    "\n"
    "Try it:\n"
    "  export EXEAT_REMOTE=1 EXEAT_ENABLED=1 EXEAT_SESSION_ID=s1\n"
    "  export EXEAT_GATEWAY_URL=https://gateway.example\n"
    "  exeat run --token-file ./token -- curl https://api.example/\n"
    "\n"
    "`exeat COMMAND --help` lists the options of a command.\n";

static const char of_run[] =
    "exeat run [options] [--] CMD...\n"
    "\n"
    "Start the relay, run CMD with its environment, pass on signals, end with CMD's status\n"
    "(128+n after signal n, 127 not found, 126 not executable).\n"
    "When the relay cannot start, one warning is logged and CMD runs without it.\n"
    "\n"
    "  --required            do not run CMD then: exit 1 with the reason\n" OPTIONS_OF_START;

static const char of_relay[] =
    "exeat relay [options]\n"
    "\n"
    "Run the relay in the foreground. Prints `listening on 127.0.0.1:PORT` and the environment\n"
    "for children (shell form) on stdout; SIGTERM stops it. Exit 1 when it cannot start.\n"
    "\n"
    "  --required            accepted for symmetry with run\n" OPTIONS_OF_START;

static const char of_env[] =
    "exeat env [options]\n"
    "\n"
    "Print the environment of the relay that runs in the state directory, for example\n"
    "  eval \"$(exeat env)\"\n"
    "Exit 1 when none runs there.\n"
    "\n"
    "  --format shell|json|dotenv   default: shell\n"
    "  --profile ccr|exeat          whose default state directory\n"
    "  --state-dir DIR              the state directory itself\n"
    "  --log LEVEL                  error, warning (default), info, debug\n";

static const char of_connect[] =
    "exeat connect [options] HOST PORT\n"
    "\n"
    "Carry standard input and output to HOST:PORT through the relay, for programs that know no\n"
    "proxy, for example\n"
    "  ssh -o ProxyCommand='exeat connect %h %p' git@git.example\n"
    "Exit 0 when the connection ended in order; 1 with one line that says why it was refused.\n"
    "\n"
    "  --proxy URL           http://host:port (https_proxy, HTTPS_PROXY)\n"
    "  --log LEVEL           error, warning (default), info, debug\n";

const char *help_text(enum options_command command)
{
    switch (command) {
    case OPTIONS_RUN:
        return of_run;
    case OPTIONS_RELAY:
        return of_relay;
    case OPTIONS_ENV:
        return of_env;
    case OPTIONS_CONNECT:
        return of_connect;
    case OPTIONS_HELP:
    case OPTIONS_VERSION:
    case OPTIONS_ROLE_SETUP:
    case OPTIONS_ROLE_WORKER:
        return overview;
    }
    return overview;
}
