/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning of every role: harden, arguments, configuration, log. */
#include "gateway/role.h"

#include <signal.h>

#include "base/num.h"
#include "base/pool.h"
#include "crypto/digest.h"
#include "gateway/messages.h"
#include "os/disk.h"
#include "os/proc.h"

/* What follows `name` in an argument "--name=value", or NULL. */
static const char *argument_value(const char *argument, const char *name)
{
    size_t len = strlen(name);

    return strncmp(argument, name, len) == 0 ? argument + len : NULL;
}

const char *role_name(int argc, char **argv)
{
    return argc > 1 ? argument_value(argv[1], "--role=") : NULL;
}

static int argument_read(struct role *role, const char *argument, struct err *err)
{
    const char *value;
    uint64_t number;

    if ((value = argument_value(argument, "--id=")) != NULL) {
        if (num_read_u64(span_text(value), &number, err) < 0 || number > UINT32_MAX)
            return err_set(err, ERR_CONFIG, "bad id of a role");
        role->id = (unsigned)number;
        return 0;
    }
    if ((value = argument_value(argument, "--config-path=")) != NULL) {
        role->config_path = value;
        return 0;
    }
    if ((value = argument_value(argument, "--log=")) != NULL && value[0] != '\0') {
        if (log_level_read(value, &role->log) < 0)
            return err_set(err, ERR_CONFIG, "bad log level of a role");
        return 0;
    }
    return err_set(err, ERR_CONFIG, "roles are started by 'exeat-gateway serve' only");
}

static int config_take(struct role *role, struct err *err)
{
    struct config_errors *errors = pool_block_new(sizeof *errors);
    struct room bytes = {.len = 0};
    uint64_t size;
    ssize_t len;
    int result = -1;

    if (errors == NULL)
        return err_set(err, ERR_MEMORY, "no memory for the configuration");
    config_errors_init(errors);
    if (disk_size(FD_CONFIG, &size, err) < 0)
        goto done;
    if (size > CONFIG_FILE_MAX) {
        err_set(err, ERR_CONFIG, "configuration of %llu bytes", (unsigned long long)size);
        goto done;
    }
    bytes = (struct room){.ptr = pool_block_new((size_t)size + 1), .len = (size_t)size};
    if (bytes.ptr == NULL || (len = disk_read(FD_CONFIG, 0, bytes, err)) < 0)
        goto done;
    result = config_read(&role->config, span_of(bytes.ptr, (size_t)len), role->config_path, errors);
    if (result < 0)
        err_set(err, ERR_CONFIG, "configuration: %s", errors->errors.items[0].text);
done:
    pool_block_free(bytes.ptr);
    pool_block_free(errors);
    disk_close(FD_CONFIG);
    return result;
}

/* A terminal sends these to all of us, but main alone decides and says what to do. */
static void signals_ignore(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        (void)signal(numbers[i], SIG_IGN);
}

int role_start(struct role *role, const char *name, int argc, char **argv, struct err *err)
{
    *role = (struct role){.config_path = "", .log = LOG_INFO};
    err_clear(err);
    if (proc_harden(err) < 0)
        return -1;
    signals_ignore();
    for (int i = 2; i < argc; i++) {
        if (argument_read(role, argv[i], err) < 0)
            return -1;
    }
    (void)snprintf(role->log_name, sizeof role->log_name, "exeat-gateway %s", name);
    log_init(role->log_name, role->log);
    return digest_setup(err) < 0 ? -1 : config_take(role, err);
}

int role_ready(struct err *err)
{
    const struct message message = {.type = MESSAGE_READY};

    return message_send(FD_CONTROL, &message, -1, err) == 1 ? 0 : -1;
}
