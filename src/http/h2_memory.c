/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of nghttp2. Every connection has its own limit, so that no peer can make the library
 * queue without end, and all of them together have one; and every block is wiped before it goes,
 * because header tables and queued heads hold credentials.
 *
 * A session is never refused memory once it exists: nghttp2 1.52 uses an item that it has freed
 * when there is none to queue it. What goes over the limit is noted instead, and the connection
 * ends after the frame that did it, which can take only so much. A process without any memory ends.
 */
#include "base/pool.h"
#include "http/h2_session.h"

/* In front of each block; as large as the strictest alignment, so that what follows keeps it. */
struct piece {
    size_t size;
    max_align_t bytes[];
};

static void *piece_take(size_t size, struct h2_memory *memory)
{
    struct piece *piece;

    piece = size > SIZE_MAX - sizeof *piece ? NULL : pool_block_new(sizeof *piece + size);
    ENSURE(piece != NULL || memory->can_refuse);
    if (piece == NULL)
        return NULL;
    piece->size = size;
    quota_add(&memory->quota, sizeof *piece + size);
    return piece->bytes;
}

static void *memory_take(size_t size, void *user)
{
    struct h2_memory *memory = user;
    void *bytes = piece_take(size, memory);

    memory->is_over |= quota_is_over(&memory->quota);
    return bytes;
}

static struct piece *piece_of(void *bytes)
{
    return (struct piece *)((uint8_t *)bytes - offsetof(struct piece, bytes));
}

static void memory_give(void *bytes, void *user)
{
    struct h2_memory *memory = user;
    struct piece *piece;

    if (bytes == NULL)
        return;
    piece = piece_of(bytes);
    quota_give(&memory->quota, sizeof *piece + piece->size);
    explicit_bzero(piece->bytes, piece->size);
    pool_block_free(piece);
}

/* pool_block_new() has zeroed it. */
static void *memory_take_zeroed(size_t count, size_t size, void *user)
{
    return memory_take(size != 0 && count > SIZE_MAX / size ? SIZE_MAX : count * size, user);
}

static void *memory_resize(void *bytes, size_t size, void *user)
{
    struct h2_memory *memory = user;
    void *larger = piece_take(size, memory);

    if (larger == NULL)
        return NULL;
    if (bytes == NULL) {
        memory->is_over |= quota_is_over(&memory->quota);
        return larger;
    }

    size_t old_size = piece_of(bytes)->size;

    memcpy(larger, bytes, old_size < size ? old_size : size);
    memory_give(bytes, user);
    memory->is_over |= quota_is_over(&memory->quota);
    return larger;
}

bool h2_memory_is_over(const struct h2_memory *memory)
{
    return memory->is_over != 0;
}

size_t h2_memory_left(const struct h2_memory *memory)
{
    return quota_left(&memory->quota);
}

nghttp2_mem h2_memory_of(struct h2_memory *memory)
{
    return (nghttp2_mem){
        .mem_user_data = memory,
        .malloc = memory_take,
        .free = memory_give,
        .calloc = memory_take_zeroed,
        .realloc = memory_resize,
    };
}
