/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_PROFILE_H
#define EXEAT_RELAY_PROFILE_H

/* The names of protocol version 1: the original's and ours (docs/protocol.md section 1). */

enum profile_id { PROFILE_CCR, PROFILE_EXEAT, PROFILE_COUNT };

struct profile {
    enum profile_id id;
    const char *name;
    const char *remote_var;  /* gate 1: in a cloud container */
    const char *enabled_var; /* gate 2: switched on for this session */
    const char *session_var; /* gate 3: session id */
    const char *token_path;  /* gate 4: token file */
    const char *url_var;     /* base URL of the gateway */
    const char *url_default; /* or NULL */
    const char *ca_path;     /* below the base URL */
    const char *tunnel_path; /* likewise */
    const char *state_var;   /* directory of our files, or NULL */
    const char *state_name;  /* its default, in the home directory */
};

const struct profile *profile_at(enum profile_id id);

/* NULL if there is none of that name. */
const struct profile *profile_find(const char *name);

/* The first profile whose gate 1 variable is set to anything in `envp`; NULL if none is. */
const struct profile *profile_detect(char *const *envp);

#endif
