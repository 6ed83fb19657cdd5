# SPDX-License-Identifier: Apache-2.0
"""The bytes of every message, by its number: who knows number and length knows all of them."""
import hashlib
import random

# No power of two: bytes that were moved by a whole buffer are not the same again.
RING = random.Random(20250101).randbytes(1_048_573)
VIEW = memoryview(RING)
BLOCK = 1 << 16


def blocks(number, length, size=BLOCK):
    """The content of message `number`, in pieces of at most `size`."""
    at = number * 7919 % len(RING)
    while length > 0:
        piece = VIEW[at:at + min(size, length)]
        yield piece
        length -= len(piece)
        at = (at + len(piece)) % len(RING)


def content(number, length):
    return b"".join(blocks(number, length))


def digest(number, length):
    sha = hashlib.sha256()
    for piece in blocks(number, length):
        sha.update(piece)
    return sha.hexdigest()


class Check:
    """SHA-256 of what came, against the message it should be."""

    def __init__(self, number):
        self.number = number
        self.length = 0
        self.sha = hashlib.sha256()

    def add(self, piece):
        self.length += len(piece)
        self.sha.update(piece)

    def is_whole(self, length):
        return self.length == length and self.is_prefix()

    def is_prefix(self):
        """Whatever was cut off: the bytes before it must be right."""
        return self.sha.hexdigest() == digest(self.number, self.length)
