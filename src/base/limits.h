/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_BASE_LIMITS_H
#define EXEAT_BASE_LIMITS_H

/* Every limit on what a peer can make us hold or do. Bytes unless the name says otherwise. */

/* Secrets and names */
#define LIMIT_SECRET     8192 /* a token, credential or key in memory */
#define LIMIT_TOKEN      4096 /* a session token */
#define LIMIT_SESSION_ID 128
#define LIMIT_HOST       253 /* RFC 1035 section 2.3.4, without the final dot */
#define LIMIT_NAME       64  /* of a rule or credential in the configuration */

/* HTTP/1 */
#define LIMIT_HEAD             65536 /* start line and fields together */
#define LIMIT_FIELD            16384 /* one field line */
#define LIMIT_FIELD_COUNT      128
#define LIMIT_TARGET           16384 /* the request target */
#define LIMIT_CHUNK_EXTENSION  256   /* in one chunk line */
#define LIMIT_CHUNK_EXTENSIONS 4096  /* in one message */
#define LIMIT_TRAILER          8192
#define LIMIT_INTERIM_COUNT    16 /* 1xx responses before the final one */

/* HTTP/2: one block of fields on the wire, and the memory of its library */
#define LIMIT_H2_BLOCK         65536  /* compressed */
#define LIMIT_H2_CONTINUATIONS 8      /* frames in one block */
#define LIMIT_H2_MEMORY        524288 /* of a connection: tables, buffers, two large heads */
#define LIMIT_H2_STREAM_MEMORY 4096   /* in addition, for each stream that may be open */

/*
 * HTTP/2 frames that cost us more than they cost the peer: how many may come at once. A tick of
 * about a second gives a tenth back, and so does work that is of use (http/h2_budget.c).
 */
#define LIMIT_H2_RESETS     200 /* of streams whose response is not complete: "rapid reset" */
#define LIMIT_H2_FAULTS     200 /* for which we must reset a stream: "made you reset" */
#define LIMIT_H2_PINGS      200
#define LIMIT_H2_SETTINGS   50
#define LIMIT_H2_EMPTY      200 /* DATA, HEADERS, CONTINUATION with nothing in them */
#define LIMIT_H2_PRIORITIES 500
#define LIMIT_H2_WINDOWS    2000 /* WINDOW_UPDATE */
#define LIMIT_H2_STRAYS     1000 /* of no known type, or for a stream that has ended */

/* HTTP/2: streams and what they hold */
#define LIMIT_STREAM_COUNT      100     /* open at once on one connection */
#define LIMIT_STREAM_WINDOW     262144  /* content of one stream that was not taken yet */
#define LIMIT_CONNECTION_WINDOW 1048576 /* the same of all streams of a connection */

/* Tunnel */
#define LIMIT_CONNECT_HEAD 8192   /* the client's CONNECT head, and the first chunk */
#define LIMIT_CHUNK        524288 /* payload of one chunk */
#define LIMIT_FRAME        524304 /* WebSocket payload: a full chunk with its header, rounded up */
#define LIMIT_EARLY        65536  /* held from the client until its tunnel is open */

/* TLS */
#define LIMIT_CLIENT_HELLO 65536
#define LIMIT_CHAIN        102400 /* an origin's certificate chain */
#define LIMIT_BUNDLE       8388608

/* Names */
#define LIMIT_ADDRESS_COUNT 64 /* in one DNS answer */

/* Leaves that the vault mints in a second, for all tenants */
#define LIMIT_LEAVES_PER_SECOND 200

/* Buffers: a block holds four full TLS records, the frame heads before them, and one more record
 * so that an answer of the TLS library always finds room */
#define LIMIT_BLOCK       83968
#define LIMIT_ARENA_BLOCK 4096

#endif
