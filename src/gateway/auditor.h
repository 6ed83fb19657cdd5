/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_AUDITOR_H
#define EXEAT_GATEWAY_AUDITOR_H

/*
 * The role `auditor`: the only process that writes the audit log. `--id` 0: the first one of this
 * main, so that what the journal holds belongs to workers that are gone. Returns the exit status.
 */
int auditor_main(int argc, char **argv);

#endif
