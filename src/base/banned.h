/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_BASE_BANNED_H
#define EXEAT_BASE_BANNED_H

/*
 * Force-included into every file. The system headers that declare the banned names come first,
 * so that only our own use of them is an error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* glibc's fortified headers make macros of some of them. */
#undef strcpy
#undef strcat
#undef strncpy
#undef strncat
#undef sprintf
#undef vsprintf
#undef gets

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gets
#pragma GCC poison atoi atol strdup localtime gmtime ctime

#endif
