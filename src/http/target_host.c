/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts in canonical form. There is one spelling of each: names lower-cased and without the final
 * dot, IPv4 as a strict dotted quad, IPv6 as RFC 5952 writes it. Whatever a resolver would take for
 * an address although it is not spelled as one (octal, hex, short, decimal: threat E4) is refused,
 * not converted.
 */
#include "http/target.h"

#include "base/num.h"
#include "base/text.h"

#define LABEL_MAX 63

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(uint8_t byte)
{
    return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
}

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

/* Four numbers of 0 to 255 without leading zeros, and nothing else. */
static bool ipv4_read(struct span text, uint8_t bytes[4])
{
    size_t at = 0;

    for (int i = 0; i < 4; i++) {
        unsigned value = 0;
        size_t start = at;

        while (at < text.len && at - start < 3 && is_digit(text.ptr[at]))
            value = value * 10 + (unsigned)(text.ptr[at++] - '0');
        if (at == start || value > 255 || (at - start > 1 && text.ptr[start] == '0'))
            return false;
        bytes[i] = (uint8_t)value;
        if (i < 3 && (at == text.len || text.ptr[at++] != '.'))
            return false;
    }
    return at == text.len;
}

static int hex_value(uint8_t byte)
{
    if (is_digit(byte))
        return byte - '0';
    return is_letter(byte) && (byte | 0x20) <= 'f' ? (byte | 0x20) - 'a' + 10 : -1;
}

/* One to four hex digits; returns how many there were. */
static size_t group_read(struct span text, uint16_t *group)
{
    size_t len = 0;
    unsigned value = 0;

    while (len < text.len && len < 4 && hex_value(text.ptr[len]) >= 0)
        value = value << 4 | (unsigned)hex_value(text.ptr[len++]);
    *group = (uint16_t)value;
    return len;
}

/*
 * The groups between "::", or all there are, into `groups`; the last two may be an IPv4 address.
 * Returns how many, or -1.
 */
static int groups_read(struct span text, uint16_t groups[8])
{
    int count = 0;

    while (text.len > 0) {
        uint8_t quad[4];
        size_t len;

        if (count <= 6 && span_find(text, '.') >= 0 && span_find(text, ':') < 0) {
            if (!ipv4_read(text, quad))
                return -1;
            groups[count++] = (uint16_t)(quad[0] << 8 | quad[1]);
            groups[count++] = (uint16_t)(quad[2] << 8 | quad[3]);
            return count;
        }
        if (count == 8)
            return -1;
        len = group_read(text, &groups[count++]);
        text = span_from(text, len);
        if (len == 0 || (text.len > 0 && text.ptr[0] != ':') || text.len == 1)
            return -1;
        if (text.len > 0)
            text = span_from(text, 1);
    }
    return count;
}

/* RFC 4291 section 2.2, without zone ids. */
static bool ipv6_read(struct span text, uint16_t groups[8])
{
    ssize_t gap = span_find_span(text, span_of("::", 2));
    uint16_t back[8];
    int front_count;
    int back_count;

    memset(groups, 0, 8 * sizeof groups[0]);
    if (gap < 0)
        return groups_read(text, groups) == 8;

    struct span front = span_first(text, (size_t)gap);

    if (span_find(front, '.') >= 0)
        return false;
    front_count = groups_read(front, groups);
    back_count = groups_read(span_from(text, (size_t)gap + 2), back);
    if (front_count < 0 || back_count < 0 || front_count + back_count > 7)
        return false;
    for (int i = 0; i < back_count; i++)
        groups[8 - back_count + i] = back[i];
    return true;
}

/* The first longest run of at least two zero groups; len 0 if there is none. */
static void gap_find(const uint16_t groups[8], int *start, int *len)
{
    *start = 0;
    *len = 0;
    for (int i = 0; i < 8; i++) {
        int run = 0;

        while (i + run < 8 && groups[i + run] == 0)
            run++;
        if (run >= 2 && run > *len) {
            *start = i;
            *len = run;
        }
        i += run;
    }
}

/* RFC 5952: lower case, no leading zeros, the longest run as "::", ::ffff:a.b.c.d mixed. */
static void ipv6_write(const uint16_t groups[8], struct text *text)
{
    static const uint16_t mapped[6] = {0, 0, 0, 0, 0, 0xffff};
    int gap_start;
    int gap_len;

    if (memcmp(groups, mapped, sizeof mapped) == 0) {
        text_addf(text, "::ffff:%u.%u.%u.%u", groups[6] >> 8, groups[6] & 0xff, groups[7] >> 8,
                  groups[7] & 0xff);
        return;
    }
    gap_find(groups, &gap_start, &gap_len);
    for (int i = 0; i < 8; i++) {
        if (gap_len > 0 && i == gap_start) {
            text_add_str(text, "::");
            i += gap_len - 1;
            continue;
        }
        if (i > 0 && (gap_len == 0 || i != gap_start + gap_len))
            text_add_char(text, ':');
        text_addf(text, "%x", groups[i]);
    }
}

static int host_read_ipv6(struct span text, struct host *host, struct err *err)
{
    uint16_t groups[8];
    struct text name;

    if (text.len < 4 || text.ptr[text.len - 1] != ']' ||
        !ipv6_read(span_of(text.ptr + 1, text.len - 2), groups))
        return err_set(err, ERR_TARGET, "host: what is in brackets is no IPv6 address");
    text_init(&name, host->name, sizeof host->name);
    ipv6_write(groups, &name);
    (void)text_str(&name);
    ENSURE(!name.overflow);
    host->kind = HOST_IPV6;
    host->len = name.len;
    return 0;
}

/* RFC 5890 A-labels: "xn--" needs something behind it that is not just ASCII after decoding. */
static bool is_bad_a_label(struct span label)
{
    return label.len >= 4 && span_equal_nocase(span_first(label, 4), span_of("xn--", 4)) &&
           (label.len == 4 || label.ptr[label.len - 1] == '-');
}

static int label_check(struct span label, struct err *err)
{
    if (label.len == 0)
        return err_set(err, ERR_TARGET, "host: empty label");
    if (label.len > LABEL_MAX)
        return err_set(err, ERR_TARGET, "host: label of %zu bytes", label.len);
    for (size_t i = 0; i < label.len; i++) {
        uint8_t byte = label.ptr[i];

        if (!is_digit(byte) && !is_letter(byte) && byte != '-' && byte != '_')
            return err_set(err, ERR_TARGET, "host: byte 0x%02x", byte);
    }
    if (is_bad_a_label(label))
        return err_set(err, ERR_TARGET, "host: 'xn--' without punycode");
    return 0;
}

/* Whether inet_aton() could take a name with this last label for an address. */
static bool is_numeric(struct span label)
{
    size_t digits = 0;

    if (label.len >= 2 && label.ptr[0] == '0' && lower(label.ptr[1]) == 'x')
        return true;
    while (digits < label.len && is_digit(label.ptr[digits]))
        digits++;
    return digits == label.len;
}

static int host_read_name(struct span text, struct host *host, struct err *err)
{
    struct span rest = text;
    struct span label;
    ssize_t dot;

    if (rest.len > 0 && rest.ptr[rest.len - 1] == '.')
        rest.len--;
    if (rest.len == 0 || rest.len > LIMIT_HOST)
        return err_set(err, ERR_TARGET, "host of %zu bytes", rest.len);
    host->kind = HOST_NAME;
    host->len = rest.len;
    for (size_t i = 0; i < rest.len; i++)
        host->name[i] = (char)lower(rest.ptr[i]);
    host->name[rest.len] = '\0';
    do {
        dot = span_find(rest, '.');
        label = dot < 0 ? rest : span_first(rest, (size_t)dot);
        if (label_check(label, err) < 0)
            return -1;
        rest = span_from(rest, dot < 0 ? rest.len : (size_t)dot + 1);
    } while (dot >= 0);
    if (is_numeric(label))
        return err_set(err, ERR_TARGET, "host: neither a name nor a dotted quad");
    return 0;
}

int target_read_host(struct span text, struct host *host, struct err *err)
{
    uint8_t quad[4];

    *host = (struct host){.kind = HOST_NAME};
    if (text.len > 0 && text.ptr[0] == '[')
        return host_read_ipv6(text, host, err);
    if (!ipv4_read(text, quad)) {
        if (host_read_name(text, host, err) < 0) {
            *host = (struct host){.kind = HOST_NAME};
            return -1;
        }
        return 0;
    }
    host->kind = HOST_IPV4;
    host->len = text.len;
    memcpy(host->name, text.ptr, text.len);
    return 0;
}

/* Where the host ends: behind the bracket, or before the first colon. */
static size_t host_len(struct span text)
{
    bool is_ipv6 = text.len > 0 && text.ptr[0] == '[';
    ssize_t end = span_find(text, is_ipv6 ? ']' : ':');

    if (end < 0)
        return text.len;
    return is_ipv6 ? (size_t)end + 1 : (size_t)end;
}

/* `port` is set only where there is one; returns 1 then, 0 without. */
static int authority_read(struct span text, struct host *host, uint16_t *port, struct err *err)
{
    size_t len = host_len(text);

    if (target_read_host(span_first(text, len), host, err) < 0)
        return -1;
    if (len == text.len)
        return 0;
    if (text.ptr[len] != ':')
        return err_set(err, ERR_TARGET, "host: byte 0x%02x behind it", text.ptr[len]);
    return num_read_port(span_from(text, len + 1), port, err) < 0 ? -1 : 1;
}

int target_read_connect(struct span text, struct host *host, uint16_t *port, struct err *err)
{
    int result = authority_read(text, host, port, err);

    if (result == 0)
        return err_set(err, ERR_TARGET, "a CONNECT target without port");
    return result < 0 ? -1 : 0;
}

int target_read_authority(struct span text, uint16_t default_port, struct host *host,
                          uint16_t *port, struct err *err)
{
    *port = default_port;
    return authority_read(text, host, port, err) < 0 ? -1 : 0;
}

bool target_is_same_host(const struct host *a, const struct host *b)
{
    return a->kind == b->kind && span_equal(target_host_span(a), target_host_span(b));
}
