/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A glob and a path, the first newline between them: the matcher against one that fills a table
 * of every place in the glob and every place in the path.
 */
#include "policy/match.h"

#define PATH_MAX_HERE 512

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* reached[i] for the path read so far; by the rule for the byte before each place. */
static bool table_match(struct span glob, struct span path)
{
    bool reached[MATCH_GLOB_MAX + 1] = {true};

    for (size_t i = 0; i < glob.len && reached[i]; i++)
        reached[i + 1] = glob.ptr[i] == '*';
    for (size_t at = 0; at < path.len; at++) {
        bool next[MATCH_GLOB_MAX + 1] = {false};

        for (size_t i = 0; i < glob.len; i++) {
            bool is_star = glob.ptr[i] == '*';
            bool is_double = is_star && ((i > 0 && glob.ptr[i - 1] == '*') ||
                                         (i + 1 < glob.len && glob.ptr[i + 1] == '*'));

            if (is_star) {
                next[i] |= reached[i] && (is_double || path.ptr[at] != '/');
                next[i + 1] |= next[i];
            } else {
                next[i + 1] |= reached[i] && glob.ptr[i] == path.ptr[at];
            }
        }
        memcpy(reached, next, sizeof reached);
    }
    return reached[glob.len];
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct span in = span_of(bytes, len);
    ssize_t newline = span_find(in, '\n');
    struct span glob;
    struct span path;
    struct err err;

    if (newline < 0 || newline > MATCH_GLOB_MAX)
        return 0;
    glob = span_first(in, (size_t)newline);
    path = span_from(in, (size_t)newline + 1);
    if (path.len > PATH_MAX_HERE)
        path = span_first(path, PATH_MAX_HERE);
    ENSURE(match_path(glob, path) == table_match(glob, path));
    if (match_check_glob(glob, &err) < 0)
        ENSURE(err.code == ERR_CONFIG && err.text[0] != 0);
    return 0;
}
