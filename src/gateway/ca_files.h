/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_CA_FILES_H
#define EXEAT_GATEWAY_CA_FILES_H

#include "base/text.h"
#include "gateway/config.h"

/*
 * The files of the certificate authority. The one in use is where the configuration says; while it
 * is being replaced another lies beside it:
 *
 *   phase       certificate  .next  .old    key  .next    published       signs
 *   ONE         A                           a             A               A
 *   STARTED     A            B              a    b        A and B         A
 *   SWITCHED    B                   A       b             B and A         B
 *
 * and BROKEN is what an interrupted switch leaves (certificate A, key b): switching again ends it.
 */
#define CA_PHASES(X) X(ONE) X(STARTED) X(BROKEN) X(SWITCHED)

enum ca_phase {
#define CA_PHASE_ENUM(name) CA_PHASE_##name,
    CA_PHASES(CA_PHASE_ENUM)
#undef CA_PHASE_ENUM
};

enum ca_file { CA_FILE_ACTIVE, CA_FILE_NEXT, CA_FILE_OLD };

#define CA_FILE_PATH 4096

/* ERR_CONFIG if the path is too long. */
int ca_files_certificate(const struct config_ca *ca, enum ca_file which, char path[CA_FILE_PATH],
                         struct err *err);
int ca_files_key(const struct config_ca *ca, enum ca_file which, char path[CA_FILE_PATH],
                 struct err *err);

int ca_files_phase(const struct config_ca *ca, enum ca_phase *phase, struct err *err);

/* A new authority into the two files of `which`: the key 0600, the certificate 0644. */
int ca_files_make(const struct config_ca *ca, enum ca_file which, struct span name,
                  struct err *err);

/* From STARTED or BROKEN to SWITCHED; from SWITCHED to ONE. */
int ca_files_switch(const struct config_ca *ca, struct err *err);
int ca_files_finish(const struct config_ca *ca, struct err *err);

/*
 * What containers are to trust now, as PEM, the one that signs first. One beside it that has
 * expired or is no CA is left out and logged: a relay takes a document as a whole or not at all.
 */
int ca_files_published(const struct config_ca *ca, int64_t now_s, struct text *out,
                       struct err *err);

#endif
