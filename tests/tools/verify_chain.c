/* SPDX-License-Identifier: Apache-2.0 */
/* verify-chain: what the gateway says of an origin's certificates, for conformance tests. */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/pool.h"
#include "base/text.h"
#include "crypto/bundle.h"
#include "crypto/tls.h"
#include "os/file.h"

static const char help[] =
    "usage: verify-chain --root FILE --host NAME < chain.pem\n"
    "\n"
    "Verifies the chain as the gateway does that of an origin it connects to, with the\n"
    "certificates in FILE as its only roots. The first certificate is the server's, the others\n"
    "may stand in any order. NAME is a name or an address.\n"
    "Prints 'ACCEPT' (status 0) or 'REJECT' and why (1). Other failures: status 2.\n";

/* More text than any chain of LIMIT_CHAIN bytes: what is over is refused by its size. */
#define INPUT_MAX (4 * LIMIT_CHAIN)

struct verify_options {
    const char *root;
    const char *host;
};

static int failed(const char *what, const char *why)
{
    (void)fprintf(stderr, "verify-chain: %s: %s\n", what, why);
    return 2;
}

/* -1, or the status to end with. */
static int options_read(int argc, char **argv, struct verify_options *options)
{
    for (int i = 1; i < argc; i++) {
        const char **value = NULL;

        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            (void)fputs(help, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--root") == 0)
            value = &options->root;
        else if (strcmp(argv[i], "--host") == 0)
            value = &options->host;
        if (value == NULL || i + 1 == argc)
            return failed(argv[i], value == NULL ? "not known; try --help" : "a value is missing");
        *value = argv[++i];
    }
    if (options->root == NULL || options->host == NULL)
        return failed("usage", "--root and --host are needed; try --help");
    return -1;
}

/* As in a CONNECT, where an IPv6 address has brackets; here it may also go without. */
static int host_read(const char *word, struct host *host, struct err *err)
{
    char memory[LIMIT_HOST + 3];
    struct text text;

    text_init(&text, memory, sizeof memory);
    if (strchr(word, ':') == NULL || word[0] == '[')
        return target_read_host(span_text(word), host, err);
    text_add_char(&text, '[');
    text_add_str(&text, word);
    text_add_char(&text, ']');
    if (text_check(&text, "host", err) < 0)
        return -1;
    return target_read_host(text_span(&text), host, err);
}

/* Everything from standard input; NULL if it cannot be read. */
static uint8_t *input_read(size_t *len)
{
    uint8_t *memory = pool_block_new(INPUT_MAX);

    if (memory == NULL)
        return NULL;
    *len = fread(memory, 1, INPUT_MAX, stdin);
    if (ferror(stdin) == 0)
        return memory;
    pool_block_free(memory);
    return NULL;
}

static struct tls_context *context_read(const char *path, struct err *err)
{
    struct tls_context *context = NULL;
    struct bundle_roots *roots;
    struct room pem;

    if (file_read(path, LIMIT_BUNDLE, &pem, err) < 0)
        return NULL;
    roots = bundle_roots_new(span_of_room(pem), err);
    if (roots != NULL)
        context = tls_context_new_client(roots, "http/1.1", err);
    bundle_roots_free(roots);
    file_free(&pem);
    return context;
}

static int verify(struct tls_context *context, const char *name, struct span pem)
{
    struct host host;
    struct err err;

    if (pem.len == INPUT_MAX)
        (void)err_set(&err, ERR_TLS, "the chain is larger than %d bytes", LIMIT_CHAIN);
    else if (host_read(name, &host, &err) == 0 && tls_verify_chain(context, &host, pem, &err) == 0)
        return puts("ACCEPT") < 0 ? 2 : 0;
    (void)printf("REJECT %s\n", err.text);
    return 1;
}

int main(int argc, char **argv)
{
    struct verify_options options = {.root = NULL};
    int status = options_read(argc, argv, &options);
    struct tls_context *context;
    struct err err;
    uint8_t *pem;
    size_t len;

    if (status >= 0)
        return status;
    context = context_read(options.root, &err);
    if (context == NULL)
        return failed(options.root, err.text);
    pem = input_read(&len);
    status = pem == NULL ? failed("standard input", "cannot be read")
                         : verify(context, options.host, span_of(pem, len));
    pool_block_free(pem);
    tls_context_free(context);
    return status;
}
