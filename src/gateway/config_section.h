/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_CONFIG_SECTION_H
#define EXEAT_GATEWAY_CONFIG_SECTION_H

#include "gateway/config_value.h"

/* The sections of the file, for the table of config.c. Private to config_*.c. */

/* `into` is the member of struct config of that name: */
/* unsigned */
int config_read_workers(struct config_reader *reader, const struct config_node *node,
                        const struct config_field *field, void *into);
/* const char * */
int config_read_user(struct config_reader *reader, const struct config_node *node,
                     const struct config_field *field, void *into);
/* enum log_level */
int config_read_log(struct config_reader *reader, const struct config_node *node,
                    const struct config_field *field, void *into);
/* struct config_ca */
int config_read_ca(struct config_reader *reader, const struct config_node *node,
                   const struct config_field *field, void *into);
/* struct config_audit */
int config_read_tls(struct config_reader *reader, const struct config_node *node,
                    const struct config_field *field, void *into);
int config_read_audit(struct config_reader *reader, const struct config_node *node,
                      const struct config_field *field, void *into);
/* struct config_limits */
int config_read_limits(struct config_reader *reader, const struct config_node *node,
                       const struct config_field *field, void *into);
/* struct config_timeouts */
int config_read_timeouts(struct config_reader *reader, const struct config_node *node,
                         const struct config_field *field, void *into);

/* `into` is struct config itself: */
int config_read_listen(struct config_reader *reader, const struct config_node *node,
                       const struct config_field *field, void *into);
int config_read_origins(struct config_reader *reader, const struct config_node *node,
                        const struct config_field *field, void *into);
int config_read_resolver(struct config_reader *reader, const struct config_node *node,
                         const struct config_field *field, void *into);
/* Before the rules, which name them. */
int config_read_credentials(struct config_reader *reader, const struct config_node *node,
                            const struct config_field *field, void *into);
int config_read_rules(struct config_reader *reader, const struct config_node *node,
                      const struct config_field *field, void *into);

/* `into` is the rule. */
int config_read_inject(struct config_reader *reader, const struct config_node *node,
                       const struct config_field *field, void *into);

/* Of a rule that is read: are its credentials bound to what may have them? -1 with an error. */
int config_check_inject(struct config_reader *reader, const struct config_node *node,
                        const struct rule *rule);

/* By enum rule_action, as they are written. */
extern const char *const config_actions[RULE_TCP + 1];

/* The place of a value that may be absent: its own, or the map's. */
const struct config_node *config_value_or_map(const struct config_node *map, const char *key);

/* What the file need not say. */
void config_set_defaults(struct config *config);
void config_set_limits(struct config_limits *limits);

/* What it did not say and is a part of what it did. */
void config_set_shares(struct config_limits *limits);

/* Of all of the file: may a worker take so much? -1 with an error. */
int config_check_memory(struct config_reader *reader, const struct config_node *tree);

/* Warnings about what is allowed and surely not meant: unused credentials, rules that never
 * decide. */
void config_lint(struct config_reader *reader);

#endif
