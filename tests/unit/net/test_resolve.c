/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is guarded: one call back for each question, never from within; answers bounded (E7); only
 * the name that was asked for goes out (E8, I1); everything works under the sandbox.
 */
#include "net/resolve.h"

#include <sys/wait.h>
#include <unistd.h>

#include "dns_server.h"
#include "net/resolve_names.h"
#include "os/file.h"
#include "os/sandbox.h"
#include "test.h"

#define QUERY_COUNT 300
#define TIMEOUT_MS  1400

static struct loop loop;
static struct err err;
static struct dns_server server;
static struct resolver *resolver;

struct asked {
    struct resolve_query query;
    int done_count;
    size_t count;
    struct address addresses[LIMIT_ADDRESS_COUNT];
    struct err err;
};

static struct asked asked[QUERY_COUNT];
static size_t waiting; /* loop_stop() when none is left */

static int open_all(int64_t timeout_ms)
{
    char servers[32];

    (void)snprintf(servers, sizeof servers, "127.0.0.1:%u", server.port);
    if (loop_init(&loop, &err) < 0 || dns_server_start(&server, &loop, &err) < 0)
        return -1;
    resolver = resolver_new(&loop, servers, timeout_ms, &err);
    return resolver == NULL ? -1 : 0;
}

static int set_up(void **state)
{
    (void)state;
    memset(asked, 0, sizeof asked);
    waiting = 0;
    if (dns_server_open(&server, &err) < 0)
        return -1;
    return open_all(TIMEOUT_MS);
}

static int tear_down(void **state)
{
    (void)state;
    resolver_free(resolver);
    resolver = NULL;
    dns_server_close(&server);
    loop_fini(&loop);
    return 0;
}

static void on_done(struct resolve_query *query, const struct address *addresses, size_t count,
                    const struct err *why)
{
    struct asked *which = query->owner;

    CHECK((count == 0) == (why != NULL));
    CHECK(count <= LIMIT_ADDRESS_COUNT);
    which->done_count++;
    which->count = count;
    memcpy(which->addresses, addresses, count * sizeof *addresses);
    if (why != NULL)
        which->err = *why;
    if (--waiting == 0)
        loop_stop(&loop);
}

static void ask_with(struct asked *which, const char *name,
                     void (*callback)(struct resolve_query *, const struct address *, size_t,
                                      const struct err *))
{
    struct host host = {.kind = HOST_NAME, .len = strlen(name)};

    memcpy(host.name, name, host.len + 1);
    if (strchr(name, ':') != NULL)
        host.kind = HOST_IPV6;
    else if (name[0] >= '0' && name[0] <= '9')
        host.kind = HOST_IPV4;
    which->query = (struct resolve_query){.on_done = callback, .owner = which};
    CHECK_INT(resolve_start(resolver, &which->query, &host, 443, &err), 0);
    CHECK_INT(which->done_count, 0); /* not from within */
    waiting++;
}

static void ask(struct asked *which, const char *name)
{
    ask_with(which, name, on_done);
}

/* Ask and wait for the one answer. */
static const struct asked *answer_to(const char *name)
{
    memset(&asked[0], 0, sizeof asked[0]);
    ask(&asked[0], name);
    loop_run(&loop);
    CHECK_INT(asked[0].done_count, 1);
    return &asked[0];
}

/* All of them in one line. */
static const char *words(const struct asked *which)
{
    static char memory[4096];
    struct text text;

    text_init(&text, memory, sizeof memory);
    for (size_t i = 0; i < which->count; i++) {
        if (i > 0)
            text_add_char(&text, ' ');
        socket_write_address(&text, &which->addresses[i]);
    }
    return text_str(&text);
}

TEST(resolve_asks_for_both_families_and_lets_them_take_turns)
{
    CHECK_STR(words(answer_to("both.example")), "[2001:db8::1]:443 192.0.2.1:443");
    CHECK_INT(server.udp_count, 2);
}

TEST(resolve_is_content_with_one_family)
{
    CHECK_STR(words(answer_to("four.example")), "192.0.2.4:443");
}

TEST(resolve_does_not_wait_long_for_the_other_family)
{
    int64_t start_ms = loop.now_ms;

    CHECK_STR(words(answer_to("lame.example")), "192.0.2.4:443");
    CHECK(loop.now_ms - start_ms < TIMEOUT_MS / 2);
}

TEST(resolve_follows_an_alias_in_the_answer)
{
    CHECK_STR(words(answer_to("alias.example")), "192.0.2.7:443");
}

TEST(resolve_says_when_there_is_no_such_name)
{
    const struct asked *which = answer_to("none.example");

    CHECK_INT(which->count, 0);
    CHECK_INT(which->err.code, ERR_DNS);
    CHECK_INT(err_status(which->err.code), 502);
}

TEST(resolve_says_when_the_server_fails)
{
    CHECK_INT(answer_to("fail.example")->err.code, ERR_DNS);
}

TEST(resolve_times_out_in_the_time_it_was_given)
{
    int64_t start_ms = loop.now_ms;
    const struct asked *which = answer_to("silent.example");

    CHECK_INT(which->err.code, ERR_TIMEOUT);
    CHECK(loop.now_ms - start_ms >= TIMEOUT_MS / 2);
    CHECK(loop.now_ms - start_ms <= TIMEOUT_MS + 1500);
    CHECK(server.udp_count > 2); /* it has tried more than once */
}

/* E7: one hundred addresses, which come by TCP. */
TEST(resolve_bounds_the_addresses_of_an_answer)
{
    const struct asked *which = answer_to("many.example");

    CHECK_INT(which->count, LIMIT_ADDRESS_COUNT);
    CHECK(server.tcp_count >= 2);
    CHECK_INT(which->addresses[0].any.sa_family, AF_INET6);
    CHECK_INT(which->addresses[1].any.sa_family, AF_INET);
}

TEST(resolve_survives_bytes_that_are_no_message)
{
    CHECK_INT(answer_to("junk.example")->count, 0);
}

/* c-ares writes to what is closed already: an error there, not a signal that ends us. */
TEST(resolve_survives_a_server_that_hangs_up)
{
    for (int i = 0; i < 3; i++)
        CHECK_INT(answer_to("hangup.example")->err.code, ERR_DNS);
    CHECK(server.tcp_count > 0);
}

/* M6 */
TEST(resolve_takes_no_answer_to_another_question)
{
    CHECK_INT(answer_to("other.example")->count, 0);
}

/* E8, I1, F9: neither resolv.conf's search list nor the environment makes another name. */
TEST(resolve_sends_out_the_very_name_and_no_other)
{
    resolver_free(resolver);
    CHECK_INT(setenv("LOCALDOMAIN", "evil.example", 1), 0);
    CHECK_INT(setenv("RES_OPTIONS", "ndots:15", 1), 0);
    char servers[32];

    (void)snprintf(servers, sizeof servers, "127.0.0.1:%u", server.port);
    resolver = resolver_new(&loop, servers, TIMEOUT_MS, &err);
    CHECK(resolver != NULL);
    CHECK_INT(answer_to("none")->count, 0);
    CHECK_STR(server.names, "none none ");
    CHECK_INT(unsetenv("LOCALDOMAIN"), 0);
    CHECK_INT(unsetenv("RES_OPTIONS"), 0);
}

TEST(resolve_answers_literals_itself)
{
    CHECK_STR(words(answer_to("192.0.2.77")), "192.0.2.77:443");
    CHECK_STR(words(answer_to("2001:db8::77")), "[2001:db8::77]:443");
    CHECK_INT(server.udp_count, 0);
}

TEST(resolve_answers_static_names_itself)
{
    struct address address;

    CHECK_INT(socket_read_ip(span_text("192.0.2.20"), 9, &address, &err), 0);
    CHECK_INT(resolver_add_static(resolver, span_text("Origin.Test."), &address, &err), 0);
    CHECK_INT(socket_read_ip(span_text("2001:db8::20"), 9, &address, &err), 0);
    CHECK_INT(resolver_add_static(resolver, span_text("ORIGIN.test"), &address, &err), 0);
    CHECK_STR(words(answer_to("origin.test")), "[2001:db8::20]:443 192.0.2.20:443");
    CHECK_INT(server.udp_count, 0);
    CHECK_INT(answer_to("none.origin.test")->count, 0);
    CHECK(server.udp_count > 0);
}

TEST(resolve_bounds_static_names)
{
    struct address address;
    char name[32];

    CHECK_INT(socket_read_ip(span_text("192.0.2.20"), 0, &address, &err), 0);
    for (int i = 0; i < 1024; i++) {
        (void)snprintf(name, sizeof name, "n%d.test", i);
        CHECK_INT(resolver_add_static(resolver, span_text(name), &address, &err), 0);
    }
    CHECK_INT(resolver_add_static(resolver, span_text("more.test"), &address, &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
    CHECK_STR(words(answer_to("n1023.test")), "192.0.2.20:443");
    CHECK_INT(resolver_add_static(resolver, span_text(""), &address, &err), -1);
    CHECK_INT(err.code, ERR_CONFIG);
}

TEST(resolve_asks_many_at_once)
{
    char name[64];

    for (size_t i = 0; i < QUERY_COUNT; i++) {
        (void)snprintf(name, sizeof name, "%s.n%zu.example", i % 3 == 0 ? "none" : "both", i);
        ask(&asked[i], name);
    }
    loop_run(&loop);
    for (size_t i = 0; i < QUERY_COUNT; i++) {
        CHECK_INT(asked[i].done_count, 1);
        CHECK_INT(asked[i].count, i % 3 == 0 ? 0 : 2);
    }
}

TEST(resolve_cancel_tells_nobody)
{
    ask(&asked[0], "both.example");
    ask(&asked[1], "both.example");
    ask(&asked[2], "192.0.2.1");
    resolve_cancel(&asked[0].query);
    resolve_cancel(&asked[2].query);
    resolve_cancel(&asked[0].query); /* twice is once */
    waiting -= 2;
    loop_run(&loop);
    CHECK_INT(asked[0].done_count, 0);
    CHECK_INT(asked[1].done_count, 1);
    CHECK_INT(asked[2].done_count, 0);
    resolve_cancel(&asked[1].query); /* after the end: nothing */
}

static void cancel_the_others(struct resolve_query *query, const struct address *addresses,
                              size_t count, const struct err *why)
{
    for (size_t i = 0; i < 3; i++) {
        if (&asked[i].query != query && asked[i].done_count == 0) {
            resolve_cancel(&asked[i].query);
            waiting--;
        }
    }
    on_done(query, addresses, count, why);
}

/* Complete in the same tick: whoever is told first takes the others out. */
TEST(resolve_cancel_works_from_within_an_answer)
{
    int told = 0;

    for (size_t i = 0; i < 3; i++)
        ask_with(&asked[i], "192.0.2.1", cancel_the_others);
    loop_run(&loop);
    for (size_t i = 0; i < 3; i++)
        told += asked[i].done_count;
    CHECK_INT(told, 1);
}

static void ask_again(struct resolve_query *query, const struct address *addresses, size_t count,
                      const struct err *why)
{
    ask(&asked[1], "both.second.example");
    on_done(query, addresses, count, why);
}

TEST(resolve_start_works_from_within_an_answer)
{
    ask_with(&asked[0], "both.example", ask_again);
    loop_run(&loop);
    CHECK_INT(asked[0].done_count, 1);
    CHECK_STR(words(&asked[1]), "[2001:db8::1]:443 192.0.2.1:443");
}

TEST(resolver_free_answers_what_is_open)
{
    ask(&asked[0], "silent.example");
    ask(&asked[1], "192.0.2.1");
    ask(&asked[2], "silent.example");
    resolve_cancel(&asked[2].query);
    resolver_free(resolver);
    resolver = NULL;
    CHECK_INT(asked[0].done_count, 1);
    CHECK_INT(asked[0].err.code, ERR_CLOSED);
    CHECK_INT(asked[1].done_count, 1);
    CHECK_INT(asked[1].err.code, ERR_CLOSED);
    CHECK_INT(asked[2].done_count, 0);
}

TEST(resolver_new_refuses_servers_that_are_none)
{
    CHECK(resolver_new(&loop, "not an address", 1000, &err) == NULL);
    CHECK_INT(err.code, ERR_CONFIG);
}

/* --- the hosts file --- */

static const char *hosts_answer(const struct resolve_names *names, const char *name)
{
    static char memory[256];
    struct text text;

    text_init(&text, memory, sizeof memory);
    for (const struct resolve_name *at = resolve_names_find(names, span_text(name)); at != NULL;
         at = at->next) {
        socket_write_ip(&text, &at->address);
        text_add_char(&text, ' ');
    }
    return text_str(&text);
}

TEST(resolve_names_reads_a_hosts_file)
{
    static const char content[] = "# comment\n"
                                  "127.0.0.1\tlocalhost  Alias.Test # 192.0.2.1 not.this\r\n"
                                  "::1 localhost\n"
                                  "\n"
                                  "fe80::1%eth0 zone.test\n"
                                  "1.2.3 short.test\n"
                                  "word word.test\n"
                                  "  192.0.2.9 spaced.test.\n"
                                  "192.0.2.10 last.test";
    char path[] = "/tmp/exeat-hosts-XXXXXX";
    int fd = mkstemp(path);
    struct resolve_names names;
    struct address address;

    CHECK_INT(file_write_all(fd, span_text(content), &err), 0);
    (void)close(fd);
    CHECK_INT(resolve_names_init(&names, &err), 0);
    CHECK_INT(resolve_names_read_hosts(&names, path, &err), 0);
    CHECK_STR(hosts_answer(&names, "localhost"), "127.0.0.1 ::1 ");
    CHECK_STR(hosts_answer(&names, "alias.test"), "127.0.0.1 ");
    CHECK_STR(hosts_answer(&names, "spaced.test"), "192.0.2.9 ");
    CHECK_STR(hosts_answer(&names, "last.test"), "192.0.2.10 ");
    CHECK_STR(hosts_answer(&names, "not.this"), "");
    CHECK_STR(hosts_answer(&names, "zone.test"), "");
    CHECK_STR(hosts_answer(&names, "short.test"), "");
    CHECK_STR(hosts_answer(&names, "word.test"), "");
    /* What the configuration says comes before. */
    CHECK_INT(socket_read_ip(span_text("192.0.2.99"), 0, &address, &err), 0);
    CHECK_INT(resolve_names_add(&names, span_text("localhost"), &address, &err), 0);
    CHECK_STR(hosts_answer(&names, "localhost"), "192.0.2.99 ");
    resolve_names_fini(&names);
    CHECK_INT(unlink(path), 0);
}

TEST(resolve_names_does_without_a_hosts_file)
{
    struct resolve_names names;

    CHECK_INT(resolve_names_init(&names, &err), 0);
    CHECK_INT(resolve_names_read_hosts(&names, "/nonexistent/hosts", &err), 0);
    CHECK_INT(resolve_names_read_hosts(&names, "/tmp", &err), -1);
    resolve_names_fini(&names);
}

/* --- under the sandbox --- */

static int sandboxed(void)
{
    if (open_all(2000) < 0 || sandbox_enter(SANDBOX_WORKER, &err) < 0)
        return 1;
    if (strcmp(words(answer_to("both.example")), "[2001:db8::1]:443 192.0.2.1:443") != 0)
        return 2;
    if (answer_to("many.example")->count != LIMIT_ADDRESS_COUNT || server.tcp_count < 2)
        return 3;
    if (answer_to("none.example")->err.code != ERR_DNS)
        return 4;
    if (answer_to("localhost")->count == 0 && access("/etc/hosts", R_OK) == 0)
        return 5;
    return access("/etc/hosts", R_OK) == 0 ? 6 : 0;
}

TEST(resolve_works_where_files_cannot_be_opened)
{
    pid_t pid;
    int status;

    CHECK_INT(dns_server_open(&server, &err), 0);
    if (sandbox_built() == SANDBOX_NONE) {
        (void)close(server.udp_fd);
        (void)close(server.listener_fd);
        skip();
    }
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(sandboxed());
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    (void)close(server.udp_fd);
    (void)close(server.listener_fd);
}

#define RESOLVE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TEST_MAIN(RESOLVE_TEST(resolve_asks_for_both_families_and_lets_them_take_turns),
          RESOLVE_TEST(resolve_is_content_with_one_family),
          RESOLVE_TEST(resolve_does_not_wait_long_for_the_other_family),
          RESOLVE_TEST(resolve_follows_an_alias_in_the_answer),
          RESOLVE_TEST(resolve_says_when_there_is_no_such_name),
          RESOLVE_TEST(resolve_says_when_the_server_fails),
          RESOLVE_TEST(resolve_times_out_in_the_time_it_was_given),
          RESOLVE_TEST(resolve_bounds_the_addresses_of_an_answer),
          RESOLVE_TEST(resolve_survives_bytes_that_are_no_message),
          RESOLVE_TEST(resolve_survives_a_server_that_hangs_up),
          RESOLVE_TEST(resolve_takes_no_answer_to_another_question),
          RESOLVE_TEST(resolve_sends_out_the_very_name_and_no_other),
          RESOLVE_TEST(resolve_answers_literals_itself),
          RESOLVE_TEST(resolve_answers_static_names_itself),
          RESOLVE_TEST(resolve_bounds_static_names), RESOLVE_TEST(resolve_asks_many_at_once),
          RESOLVE_TEST(resolve_cancel_tells_nobody),
          RESOLVE_TEST(resolve_cancel_works_from_within_an_answer),
          RESOLVE_TEST(resolve_start_works_from_within_an_answer),
          RESOLVE_TEST(resolver_free_answers_what_is_open),
          RESOLVE_TEST(resolver_new_refuses_servers_that_are_none),
          TEST_OF(resolve_names_reads_a_hosts_file),
          TEST_OF(resolve_names_does_without_a_hosts_file),
          TEST_OF(resolve_works_where_files_cannot_be_opened))
