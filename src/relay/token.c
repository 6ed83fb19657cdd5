/* SPDX-License-Identifier: Apache-2.0 */
/* The session token on its way from a file or a descriptor into a struct secret. Threats F5, F6. */
#include "relay/token.h"

#include <errno.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/num.h"
#include "os/file.h"

int token_source_read(struct token_source *source, const char *option_path, const char *fd_value,
                      const char *profile_path, struct err *err)
{
    uint64_t fd;

    *source = (struct token_source){.path = option_path, .fd = -1};
    if (option_path != NULL)
        return 0;
    source->path = profile_path;
    if (fd_value == NULL || fd_value[0] == '\0')
        return 0;
    if (num_read_u64(span_text(fd_value), &fd, err) < 0 || fd < 3 || fd > 1 << 20)
        return err_set(err, ERR_CONFIG, "gate 4: EXEAT_TOKEN_FD is not a descriptor from 3 on");
    *source = (struct token_source){.path = NULL, .fd = (int)fd};
    return 0;
}

static int token_check(struct span token, struct err *err)
{
    if (token.len == 0)
        return err_set(err, ERR_CONFIG, "gate 4: the token is empty");
    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] <= 0x20 || token.ptr[i] >= 0x7f)
            return err_set(err, ERR_CONFIG, "gate 4: token: byte at %zu cannot stand in a header",
                           i);
    }
    return 0;
}

int token_load(struct token_source *source, struct secret *token, struct err *err)
{
    int fd = source->fd;

    *token = (struct secret){0};
    source->fd = -1;
    if (source->path == NULL) {
        if (file_read_secret_fd(fd, LIMIT_TOKEN, token, err) < 0)
            return -1;
    } else if (file_read_secret(source->path, LIMIT_TOKEN, token, err) < 0) {
        if (err->code == ERR_SYSTEM && err->sys == ENOENT)
            return err_set(err, ERR_NOT_FOUND, "gate 4: no token file %s", source->path);
        return -1;
    }
    if (token_check(secret_span(token), err) < 0) {
        secret_fini(token);
        return -1;
    }
    return 0;
}

int token_forget(const struct token_source *source, struct err *err)
{
    if (source->path == NULL || unlink(source->path) == 0)
        return 0;
    return err_set_sys(err, ERR_SYSTEM, errno, source->path);
}
