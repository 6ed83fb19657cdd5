/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which resolved addresses may be dialled (threats E5, E6, E9).
 *
 * Everything that the IANA special-purpose registries list is refused, globally reachable or not:
 * no origin lives there. Three steps for one address:
 * 1 a metadata address needs its own /32 or /128 in the configuration;
 * 2 an IPv4 address inside an IPv6 one is taken out and goes through the same steps, for that is
 *   where the packet ends up; only the outer address's own /128 skips this;
 * 3 what the tables hold, and IPv6 outside 2000::/3, needs a network in the configuration.
 */
#include "policy/address.h"

#include <arpa/inet.h>

#include "base/num.h"

#define MAPPED 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff

struct special {
    uint8_t address[16];
    unsigned prefix; /* of 128 */
    const char *what;
};

/* iana-ipv4-special-registry, and multicast. */
static const struct special special_v4[] = {
    {{MAPPED, 0, 0, 0, 0}, 104, "'this network' (0.0.0.0/8)"},
    {{MAPPED, 10, 0, 0, 0}, 104, "private use (10.0.0.0/8)"},
    {{MAPPED, 100, 64, 0, 0}, 106, "shared address space (100.64.0.0/10)"},
    {{MAPPED, 127, 0, 0, 0}, 104, "loopback (127.0.0.0/8)"},
    {{MAPPED, 169, 254, 0, 0}, 112, "link-local (169.254.0.0/16)"},
    {{MAPPED, 172, 16, 0, 0}, 108, "private use (172.16.0.0/12)"},
    {{MAPPED, 192, 0, 0, 0}, 120, "protocol assignments (192.0.0.0/24)"},
    {{MAPPED, 192, 0, 2, 0}, 120, "documentation (192.0.2.0/24)"},
    {{MAPPED, 192, 31, 196, 0}, 120, "AS112 (192.31.196.0/24)"},
    {{MAPPED, 192, 52, 193, 0}, 120, "AMT (192.52.193.0/24)"},
    {{MAPPED, 192, 88, 99, 0}, 120, "6to4 relays (192.88.99.0/24)"},
    {{MAPPED, 192, 168, 0, 0}, 112, "private use (192.168.0.0/16)"},
    {{MAPPED, 192, 175, 48, 0}, 120, "AS112 (192.175.48.0/24)"},
    {{MAPPED, 198, 18, 0, 0}, 111, "benchmarking (198.18.0.0/15)"},
    {{MAPPED, 198, 51, 100, 0}, 120, "documentation (198.51.100.0/24)"},
    {{MAPPED, 203, 0, 113, 0}, 120, "documentation (203.0.113.0/24)"},
    {{MAPPED, 224, 0, 0, 0}, 100, "multicast (224.0.0.0/4)"},
    {{MAPPED, 255, 255, 255, 255}, 128, "broadcast"},
    {{MAPPED, 240, 0, 0, 0}, 100, "reserved (240.0.0.0/4)"},
};

/* iana-ipv6-special-registry; 2001::/23 holds Teredo, benchmarking, ORCHID and their like. */
static const struct special special_v6[] = {
    {{0}, 128, "unspecified (::)"},
    {{[15] = 1}, 128, "loopback (::1)"},
    {{0}, 96, "IPv4-compatible (::/96)"},
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, "local translation (64:ff9b:1::/48)"},
    {{0x01, 0x00}, 64, "discard-only (100::/64)"},
    {{0x01, 0x00, [7] = 0x01}, 64, "dummy prefix (100:0:0:1::/64)"},
    {{0x20, 0x01, 0x00, 0x00}, 32, "Teredo (2001::/32)"},
    {{0x20, 0x01, 0x00, 0x00}, 23, "protocol assignments (2001::/23)"},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, "documentation (2001:db8::/32)"},
    {{0x20, 0x02}, 16, "6to4 (2002::/16)"},
    {{0x26, 0x20, 0x00, 0x4f, 0x80, 0x00}, 48, "AS112 (2620:4f:8000::/48)"},
    {{0x3f, 0xff}, 20, "documentation (3fff::/20)"},
    {{0x5f, 0x00}, 16, "segment routing (5f00::/16)"},
    {{0xfc, 0x00}, 7, "unique local (fc00::/7)"},
    {{0xfe, 0x80}, 10, "link-local (fe80::/10)"},
    {{0xfe, 0xc0}, 10, "site-local (fec0::/10)"},
    {{0xff, 0x00}, 8, "multicast (ff00::/8)"},
};

/* Where clouds hand out credentials to whoever asks (threat E6). */
static const struct special metadata[] = {
    {{MAPPED, 169, 254, 169, 254}, 128, "instance metadata"},
    {{MAPPED, 169, 254, 170, 2}, 128, "container credentials (AWS)"},
    {{MAPPED, 169, 254, 170, 23}, 128, "pod credentials (AWS)"},
    {{MAPPED, 100, 100, 100, 200}, 128, "instance metadata (Alibaba)"},
    {{MAPPED, 168, 63, 129, 16}, 128, "platform services (Azure)"},
    {{MAPPED, 192, 0, 0, 192}, 128, "instance metadata (Oracle)"},
    {{MAPPED, 169, 254, 42, 42}, 128, "instance metadata (Scaleway)"},
    {{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54}, 128, "instance metadata (AWS)"},
    {{0xfd, 0x00, 0x0e, 0xc2, [15] = 0x23}, 128, "pod credentials (AWS)"},
    {{0xfd, 0x20, 0x00, 0xce, [14] = 0x02, 0x54}, 128, "instance metadata (Google)"},
    {{0xfd, 0x00, 0x00, 0x42, [15] = 0x42}, 128, "instance metadata (Scaleway)"},
};

static const struct special mapped = {{MAPPED, 0, 0, 0, 0}, 96, "IPv4"};

/* Where an IPv4 address stands in an IPv6 one: bytes `at`, each XORed with `mask`. */
struct embedding {
    struct special within;
    uint8_t at[4];
    uint8_t mask;
};

static const struct embedding embeddings[] = {
    {{{0}, 96, "IPv4-compatible"}, {12, 13, 14, 15}, 0},
    {{{0x00, 0x64, 0xff, 0x9b}, 96, "NAT64"}, {12, 13, 14, 15}, 0},
    {{{0x20, 0x02}, 16, "6to4"}, {2, 3, 4, 5}, 0},
    {{{0x20, 0x01, 0x00, 0x00}, 32, "Teredo"}, {4, 5, 6, 7}, 0},
    {{{0x20, 0x01, 0x00, 0x00}, 32, "Teredo"}, {12, 13, 14, 15}, 0xff},
};

/* A network of one's own translator can put it at any place of RFC 6052 section 2.2 that leaves
 * room for a /48; which one is not known here, so only metadata addresses are looked for. */
static const uint8_t local_places[][4] = {
    {6, 7, 9, 10}, {7, 9, 10, 11}, {9, 10, 11, 12}, {12, 13, 14, 15}};
static const struct special local_translation = {
    {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, "local translation"};

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static bool is_within(const uint8_t address[16], const uint8_t network[16], unsigned prefix)
{
    unsigned whole = prefix / 8;
    unsigned mask = 0xff00u >> (prefix % 8) & 0xffu;

    if (memcmp(address, network, whole) != 0)
        return false;
    return prefix % 8 == 0 || (address[whole] & mask) == (network[whole] & mask);
}

static bool is_ipv4(const uint8_t address[16])
{
    return is_within(address, mapped.address, mapped.prefix);
}

static const struct special *find(const struct special *table, size_t count,
                                  const uint8_t address[16])
{
    for (size_t i = 0; i < count; i++) {
        if (is_within(address, table[i].address, table[i].prefix))
            return &table[i];
    }
    return NULL;
}

/* The longest prefix that lists the address, 0 if none does. ::/0 does not list IPv4. */
static unsigned listed(const struct policy *policy, const uint8_t address[16])
{
    unsigned longest = 0;
    unsigned least = is_ipv4(address) ? mapped.prefix : 0;

    for (size_t i = 0; i < policy->network_count; i++) {
        const struct network *network = &policy->networks[i];

        if (network->prefix >= least && is_within(address, network->address, network->prefix))
            longest = network->prefix + 1 > longest ? network->prefix + 1 : longest;
    }
    return longest;
}

#define LISTED_ITSELF 129

static int refuse(const uint8_t address[16], const char *what, const char *in, struct err *err)
{
    char text[INET6_ADDRSTRLEN] = "?";

    if (is_ipv4(address))
        (void)inet_ntop(AF_INET, address + 12, text, sizeof text);
    else
        (void)inet_ntop(AF_INET6, address, text, sizeof text);
    return err_set(err, ERR_ADDRESS, "%s is %s%s%s", text, what, in[0] == 0 ? "" : " inside ", in);
}

/* Steps 1 and 3 for an IPv4 address; `in` names what it was inside of. */
static int check_ipv4(const struct policy *policy, const uint8_t address[16], const char *in,
                      struct err *err)
{
    unsigned list = listed(policy, address);
    const struct special *special;

    if (list == LISTED_ITSELF)
        return 0;
    special = find(metadata, COUNT_OF(metadata), address);
    if (special != NULL)
        return refuse(address, special->what, in, err);
    special = find(special_v4, COUNT_OF(special_v4), address);
    if (special != NULL && list == 0)
        return refuse(address, special->what, in, err);
    return 0;
}

static void unwrap(const uint8_t address[16], const uint8_t at[4], uint8_t mask, uint8_t inner[16])
{
    memcpy(inner, mapped.address, 16);
    for (size_t i = 0; i < 4; i++)
        inner[12 + i] = address[at[i]] ^ mask;
}

static int check_embedded(const struct policy *policy, const uint8_t address[16], struct err *err)
{
    uint8_t inner[16];

    for (size_t i = 0; i < COUNT_OF(embeddings); i++) {
        const struct embedding *embedding = &embeddings[i];

        if (!is_within(address, embedding->within.address, embedding->within.prefix))
            continue;
        unwrap(address, embedding->at, embedding->mask, inner);
        if (check_ipv4(policy, inner, embedding->within.what, err) < 0)
            return -1;
    }
    if (!is_within(address, local_translation.address, local_translation.prefix))
        return 0;
    for (size_t i = 0; i < COUNT_OF(local_places); i++) {
        const struct special *special;

        unwrap(address, local_places[i], 0, inner);
        special = find(metadata, COUNT_OF(metadata), inner);
        if (special != NULL && listed(policy, inner) != LISTED_ITSELF)
            return refuse(inner, special->what, local_translation.what, err);
    }
    return 0;
}

static bool is_global_v6(const uint8_t address[16])
{
    /* 2000::/3 is all that IANA has given out; 64:ff9b::/96 leads out of it to IPv4. */
    return (address[0] & 0xe0) == 0x20 ||
           is_within(address, embeddings[1].within.address, embeddings[1].within.prefix);
}

static int check_ipv6(const struct policy *policy, const uint8_t address[16], struct err *err)
{
    unsigned list = listed(policy, address);
    const struct special *special;

    if (list == LISTED_ITSELF)
        return 0;
    special = find(metadata, COUNT_OF(metadata), address);
    if (special != NULL)
        return refuse(address, special->what, "", err);
    special = find(special_v6, COUNT_OF(special_v6), address);
    if (special != NULL && special->prefix == 128) /* ::1 is not 0.0.0.1 */
        return list > 0 ? 0 : refuse(address, special->what, "", err);
    if (check_embedded(policy, address, err) < 0)
        return -1;
    if (list > 0)
        return 0;
    if (special != NULL)
        return refuse(address, special->what, "", err);
    if (!is_global_v6(address))
        return refuse(address, "outside 2000::/3", "", err);
    return 0;
}

int address_check(const struct policy *policy, const uint8_t address[16], struct err *err)
{
    if (is_ipv4(address))
        return check_ipv4(policy, address, "", err);
    return check_ipv6(policy, address, err);
}

int address_bytes(const struct sockaddr *any, uint8_t address[16])
{
    if (any->sa_family == AF_INET) {
        struct sockaddr_in v4;

        memcpy(&v4, any, sizeof v4);
        memcpy(address, mapped.address, 12);
        memcpy(address + 12, &v4.sin_addr, 4);
        return 0;
    }
    if (any->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;

        memcpy(&v6, any, sizeof v6);
        memcpy(address, &v6.sin6_addr, 16);
        return 0;
    }
    return -1;
}

/* Strict spellings only: inet_pton() takes no octal, hex or short form (threat E4). */
static int read_literal(struct span text, uint8_t address[16], unsigned *bits, struct err *err)
{
    char copy[INET6_ADDRSTRLEN];
    struct in_addr v4;
    struct in6_addr v6;

    if (text.len == 0 || text.len >= sizeof copy || span_find(text, 0) >= 0)
        return err_set(err, ERR_CONFIG, "%zu bytes, expected an IPv4 or IPv6 address", text.len);
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    if (inet_pton(AF_INET, copy, &v4) == 1) {
        memcpy(address, mapped.address, 12);
        memcpy(address + 12, &v4, 4);
        *bits = 32;
        return 0;
    }
    if (inet_pton(AF_INET6, copy, &v6) == 1) {
        memcpy(address, &v6, 16);
        *bits = 128;
        return 0;
    }
    return err_set(err, ERR_CONFIG, "'%s', expected an IPv4 or IPv6 address", copy);
}

static int read_prefix(struct span text, unsigned bits, unsigned *prefix, struct err *err)
{
    uint64_t value;
    struct err why;

    if (num_read_u64(text, &value, &why) < 0 || value > bits ||
        (text.len > 1 && text.ptr[0] == '0'))
        return err_set(err, ERR_CONFIG, "prefix length '%.*s', expected 0 to %u",
                       (int)num_min(text.len, 20), (const char *)text.ptr, bits);
    *prefix = 128 - bits + (unsigned)value;
    return 0;
}

int address_read_network(struct span text, struct network *network, struct err *err)
{
    ssize_t slash = span_find(text, '/');
    struct span literal = slash < 0 ? text : span_first(text, (size_t)slash);
    unsigned bits = 0;

    *network = (struct network){.prefix = 128};
    if (read_literal(literal, network->address, &bits, err) < 0)
        return -1;
    if (slash >= 0 &&
        read_prefix(span_from(text, (size_t)slash + 1), bits, &network->prefix, err) < 0)
        return -1;
    for (unsigned i = network->prefix; i < 128; i++) {
        if (network->address[i / 8] >> (7 - i % 8) & 1)
            return err_set(err, ERR_CONFIG, "bits behind the prefix of %u",
                           network->prefix - (128 - bits));
    }
    return 0;
}
