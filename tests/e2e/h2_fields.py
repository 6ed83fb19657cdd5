# SPDX-License-Identifier: Apache-2.0
"""Header compression (RFC 7541) for tests: what a peer writes is decoded, and any field block can be
written, right or wrong. The code shares nothing with the programs under test.
"""

STATIC = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"),
    (":path", "/index.html"), (":scheme", "http"), (":scheme", "https"), (":status", "200"),
    (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"),
    (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), *((name, "") for name in (
        "accept-language accept-ranges accept access-control-allow-origin age allow authorization "
        "cache-control content-disposition content-encoding content-language content-length "
        "content-location content-range content-type cookie date etag expect expires from host "
        "if-match if-modified-since if-none-match if-range if-unmodified-since last-modified link "
        "location max-forwards proxy-authenticate proxy-authorization range referer refresh "
        "retry-after server set-cookie strict-transport-security transfer-encoding user-agent vary "
        "via www-authenticate").split())]

# Appendix B: only the lengths, for the code is canonical.
LENGTHS = [
    13, 23, *[28] * 7, 24, 30, 28, 28, 30, *[28] * 8, 30, *[28] * 9, 6, 10, 10, 12, 13, 6, 8, 11, 10,
    10, 8, 11, 8, 6, 6, 6, 5, 5, 5, *[6] * 7, 7, 8, 15, 6, 12, 10, 13, 6, *[7] * 22, 8, 7, 8, 13, 19,
    13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, *[7] * 5, 15, 11,
    14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, *[23] * 5, 24, 23, 24, 24, 22, 23, 24,
    *[23] * 4, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22,
    23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23,
    22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27,
    27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26,
    *[27] * 5, 28, *[27] * 5, 26, 30]


def huffman_codes():
    """{(length, code): symbol}."""
    codes, code, before = {}, 0, 0
    for symbol in sorted(range(257), key=lambda symbol: (LENGTHS[symbol], symbol)):
        code <<= LENGTHS[symbol] - before
        before = LENGTHS[symbol]
        codes[before, code] = symbol
        code += 1
    return codes


CODES = huffman_codes()


def huffman_decode(data):
    out, code, length = bytearray(), 0, 0
    for byte in data:
        for bit in range(7, -1, -1):
            code, length = code << 1 | (byte >> bit & 1), length + 1
            symbol = CODES.get((length, code))
            if symbol is not None:
                out.append(symbol)
                code, length = 0, 0
    assert length < 8 and code == (1 << length) - 1, "padding"
    return bytes(out)


# ---- writing ----

def integer(value, bits, first=0):
    """With `first` in the bits above the prefix."""
    full = (1 << bits) - 1
    if value < full:
        return bytes([first | value])
    out, value = bytearray([first | full]), value - full
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def text(value):
    value = value.encode("latin-1") if isinstance(value, str) else value
    return integer(len(value), 7) + value


def indexed(index):
    return integer(index, 7, 0x80)


def literal(name, value, first=0x00, bits=4):
    """A new name and its value, not put into the table."""
    return integer(0, bits, first) + text(name) + text(value)


def inserted(name, value):
    """As literal(), and it becomes entry 62."""
    return literal(name, value, 0x40, 6)


def table_size(size):
    return integer(size, 5, 0x20)


def block(fields):
    """Each field as a literal: any bytes may stand in it."""
    return b"".join(literal(name, value) for name, value in fields)


# ---- reading ----

class Decoder:
    def __init__(self, size=4096):
        self.table = []
        self.size = size

    def _integer(self, data, at, bits):
        full = (1 << bits) - 1
        value = data[at] & full
        at += 1
        shift = 0
        while value >= full:
            value += (data[at] & 127) << shift
            shift += 7
            at += 1
            if data[at - 1] < 128:
                break
        return value, at

    def _text(self, data, at):
        length, start = self._integer(data, at, 7)
        value = data[start:start + length]
        assert len(value) == length
        if data[at] & 0x80:
            value = huffman_decode(value)
        return value.decode("latin-1"), start + length

    def _entry(self, index):
        return STATIC[index - 1] if index <= len(STATIC) else self.table[index - len(STATIC) - 1]

    def _insert(self, field):
        self.table.insert(0, field)
        self._evict()

    def _evict(self):
        while sum(len(name) + len(value) + 32 for name, value in self.table) > self.size:
            self.table.pop()

    def decode(self, data):
        fields, at = [], 0
        while at < len(data):
            byte = data[at]
            if byte & 0x80:
                index, at = self._integer(data, at, 7)
                fields.append(self._entry(index))
                continue
            if byte & 0xe0 == 0x20:
                self.size, at = self._integer(data, at, 5)
                self._evict()
                continue
            index, at = self._integer(data, at, 6 if byte & 0x40 else 4)
            if index:
                name = self._entry(index)[0]
            else:
                name, at = self._text(data, at)
            value, at = self._text(data, at)
            fields.append((name, value))
            if byte & 0x40:
                self._insert((name, value))
        return fields
