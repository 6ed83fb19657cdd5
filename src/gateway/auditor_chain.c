/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain of the audit log (threat J4). A line ends in
 *     ,"prev":"<64 hex>","hash":"<64 hex>"}
 * where hash is SHA-256 over all bytes of the line before `,"hash"`, and prev is the hash of the
 * line before. No JSON parser is needed: both ends of the line have a fixed form.
 */
#include "gateway/auditor_chain.h"

#include "base/num.h"
#include "base/text.h"
#include "crypto/digest.h"

#define HASH_HEX 64

static const char prev_key[] = ",\"prev\":\"";
static const char hash_key[] = "\",\"hash\":\"";
static const char line_start[] = "{\"seq\":";
static const char line_end[] = "\"}";

#define TAIL_LEN                                                                                   \
    (sizeof prev_key - 1 + HASH_HEX + sizeof hash_key - 1 + HASH_HEX + sizeof line_end - 1)

void auditor_chain_init(struct auditor_chain *chain)
{
    chain->seq = 0;
    memset(chain->hash, '0', HASH_HEX);
    chain->hash[HASH_HEX] = '\0';
}

static int hex_take(struct span *rest, char hash[65])
{
    for (size_t i = 0; i < HASH_HEX; i++) {
        uint8_t c = rest->ptr[i];

        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return -1;
        hash[i] = (char)c;
    }
    hash[HASH_HEX] = '\0';
    *rest = span_from(*rest, HASH_HEX);
    return 0;
}

static int literal_take(struct span *rest, const char *literal)
{
    if (!span_starts(*rest, span_text(literal)))
        return -1;
    *rest = span_from(*rest, strlen(literal));
    return 0;
}

static int number_read(struct span line, uint64_t *seq, struct err *err)
{
    struct span rest = line;
    ssize_t comma;

    if (literal_take(&rest, line_start) < 0)
        return err_set(err, ERR_SYNTAX, "not an audit record");
    comma = span_find(rest, ',');
    if (comma <= 0 || num_read_u64(span_first(rest, (size_t)comma), seq, err) < 0 || *seq == 0)
        return err_set(err, ERR_SYNTAX, "no number of the record");
    return 0;
}

int auditor_chain_read(struct span line, struct auditor_chain *before, struct auditor_chain *self,
                       struct err *err)
{
    uint8_t digest[DIGEST_SHA256];
    char computed[HASH_HEX + 1];
    struct text hex;
    struct span tail;

    if (line.len < sizeof line_start + TAIL_LEN)
        return err_set(err, ERR_SYNTAX, "not an audit record: only %zu bytes", line.len);
    if (number_read(line, &self->seq, err) < 0)
        return -1;
    tail = span_from(line, line.len - TAIL_LEN);
    if (literal_take(&tail, prev_key) < 0 || hex_take(&tail, before->hash) < 0 ||
        literal_take(&tail, hash_key) < 0 || hex_take(&tail, self->hash) < 0 ||
        literal_take(&tail, line_end) < 0)
        return err_set(err, ERR_SYNTAX, "record %llu does not end in prev and hash",
                       (unsigned long long)self->seq);
    before->seq = self->seq - 1;
    digest_sha256(
        span_first(line, line.len - HASH_HEX - (sizeof hash_key - 2) - (sizeof line_end - 1)),
        digest);
    text_init(&hex, computed, sizeof computed);
    text_add_hex(&hex, span_of(digest, sizeof digest));
    if (!span_equal(text_span(&hex), span_of(self->hash, HASH_HEX)))
        return err_set(err, ERR_SYNTAX, "record %llu was changed: its hash does not fit",
                       (unsigned long long)self->seq);
    return 0;
}

int auditor_chain_follow(struct auditor_chain *chain, struct span line, struct err *err)
{
    struct auditor_chain before;
    struct auditor_chain self;

    if (auditor_chain_read(line, &before, &self, err) < 0)
        return -1;
    if (before.seq != chain->seq)
        return err_set(err, ERR_SYNTAX, "record %llu follows record %llu",
                       (unsigned long long)self.seq, (unsigned long long)chain->seq);
    if (memcmp(before.hash, chain->hash, HASH_HEX) != 0)
        return err_set(err, ERR_SYNTAX, "record %llu does not name the hash of the one before",
                       (unsigned long long)self.seq);
    *chain = self;
    return 0;
}
