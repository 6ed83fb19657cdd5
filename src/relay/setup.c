/* SPDX-License-Identifier: Apache-2.0 */
/* Steps 4 and 5 of the start: from the gateway's CA to a bundle that children can trust. */
#include "relay/setup.h"

#include <signal.h>
#include <unistd.h>

#include "crypto/bundle.h"
#include "crypto/digest.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/ipc.h"
#include "os/proc.h"
#include "os/proc_reap.h"
#include "relay/fetch.h"
#include "relay/order.h"
#include "relay/roots.h"

#define CA_MAX      (1 << 20)
#define PATIENCE_MS 1000 /* beyond the child's own limit */

/* The user's own roots; a file that cannot be read must not keep the relay from starting. */
static int user_roots_add(const struct settings *settings, struct text *out, struct err *err)
{
    for (size_t i = 0; i < 2; i++) {
        const char *path = settings->user_roots[i];
        struct room pem = {0};
        int result;

        /* A bundle of an earlier start of ours holds nothing but what is added anyway. */
        if (path[0] == '\0' || strcmp(path, settings->bundle) == 0)
            continue;
        if (file_read(path, LIMIT_BUNDLE, &pem, err) < 0) {
            log_warning("the user's roots are left out: %s", err->text);
            continue;
        }
        result = bundle_add(out, span_of_room(pem), err);
        file_free(&pem);
        if (result < 0)
            return -1;
    }
    return 0;
}

static int bundle_fill(const struct settings *settings, struct span ca, struct text *out,
                       struct err *err)
{
    struct room system = {0};
    int count;

    if (roots_read_system(settings->system_roots, &system, err) < 0)
        return -1;
    count = bundle_add(out, span_of_room(system), err);
    file_free(&system);
    if (count < 0)
        return -1;
    if (count == 0)
        return err_set(err, ERR_CONFIG, "the system's roots hold no certificate");
    if (user_roots_add(settings, out, err) < 0)
        return -1;
    return bundle_add(out, ca, err) < 0 ? -1 : 0;
}

static int bundle_write(const struct settings *settings, struct span ca, struct err *err)
{
    uint8_t *memory = pool_block_new(LIMIT_BUNDLE);
    struct text bundle;
    int result;

    if (memory == NULL)
        return err_set(err, ERR_MEMORY, "no memory for the bundle");
    text_init(&bundle, memory, LIMIT_BUNDLE);
    result = bundle_fill(settings, ca, &bundle, err);
    if (result == 0)
        result = file_make_dirs(settings->state_dir, 0755, err);
    if (result == 0)
        result = file_write_atomic(settings->bundle, text_span(&bundle), 0644, err);
    pool_block_free(memory);
    return result;
}

static int setup_work(const struct settings *settings, struct err *err)
{
    uint8_t *memory = pool_block_new(CA_MAX);
    struct text ca;
    struct err inner;
    int result;

    if (memory == NULL)
        return err_set(err, ERR_MEMORY, "no memory for the CA certificate");
    text_init(&ca, memory, CA_MAX);
    result = fetch_get(settings, profile_at(settings->profile)->ca_path, SETUP_LIMIT_MS, &ca, err);
    if (result == 0 && bundle_check_ca(text_span(&ca), clock_wall_ms() / 1000, &inner) < 0)
        result = err_set(err, inner.code, "gateway: its CA document: %s", inner.text);
    if (result == 0)
        result = bundle_write(settings, text_span(&ca), err);
    pool_block_free(memory);
    return result;
}

int setup_role(void)
{
    struct settings settings;
    struct secret none;
    struct err why = {0};
    struct err err;
    int result;

    (void)signal(SIGINT, SIG_IGN); /* the terminal's are for the program we run */
    (void)signal(SIGQUIT, SIG_IGN);
    if (order_recv(ORDER_FD, PATIENCE_MS, &settings, &none, &err) < 0)
        return 1;
    log_init("exeat setup", settings.log);
    result = digest_setup(&why);
    if (result == 0)
        result = setup_work(&settings, &why);
    return order_send_report(ORDER_FD, result, &why, &err) < 0 ? 1 : 0;
}

static int setup_talk(int fd, const struct settings *settings, struct err *err)
{
    struct err why;
    int result;

    if (order_send(fd, settings, NULL, err) < 0 ||
        order_recv_report(fd, SETUP_LIMIT_MS + PATIENCE_MS, &result, &why, err) < 0)
        return -1;
    if (result < 0)
        *err = why;
    return result;
}

int setup_run(const struct settings *settings, struct err *err)
{
    char name[] = "exeat";
    char role[] = "--role=setup";
    char *argv[] = {name, role, NULL};
    struct proc_fd fd = {.to = ORDER_FD};
    int pair[2];
    int result;
    pid_t pid;

    if (ipc_pair(pair, err) < 0)
        return -1;
    fd.from = pair[1];
    pid = proc_spawn_self(argv, &fd, 1, PROC_TIED, err);
    (void)close(pair[1]);
    result = pid < 0 ? -1 : setup_talk(pair[0], settings, err);
    (void)close(pair[0]);
    if (pid < 0)
        return -1;
    (void)kill(pid, SIGKILL); /* it has reported, or it never will */
    proc_reap_child(pid);
    return result;
}
