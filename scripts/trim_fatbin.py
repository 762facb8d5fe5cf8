#!/usr/bin/env python3
"""Keeps, of the machine code in a CUDA library, that of some devices, so that it packs small: trim_fatbin.py LIBRARY 90[,120]

Works on the file itself. Code of other devices, and code to be compiled by the driver, is overwritten with zeros; what the library
holds otherwise stays in its place. The section .nv_fatbin is a row of containers, each a header and entries of one device.
"""
import struct
import sys
from pathlib import Path

MAGIC, ELF_KIND = 0xBA55ED50, 2


def sections(data):
    """(name, begin, bytes) of an ELF64 file."""
    table, = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<HHH", data, 0x3A)
    rows = [struct.unpack_from("<IIQQQQIIQQ", data, table + i * size) for i in range(count)]
    for row in rows:
        begin = rows[names][4] + row[0]
        yield bytes(data[begin:data.index(0, begin)]).decode(), row[4], row[5]


def trim(data, kept):
    """How many bytes were overwritten."""
    zeroed = 0
    for name, at, size in sections(data):
        if name != ".nv_fatbin":
            continue
        end = at + size
        while at < end:
            if struct.unpack_from("<I", data, at)[0] != MAGIC:
                at += 8  # padding
                continue
            header, content = struct.unpack_from("<HQ", data, at + 6)
            entry, at = at + header, at + header + content
            while entry < at:
                kind, _, header, content = struct.unpack_from("<HHIQ", data, entry)
                device, = struct.unpack_from("<I", data, entry + 28)
                if kind != ELF_KIND or device not in kept:
                    data[entry + header:entry + header + content] = bytes(content)
                    zeroed += content
                entry += header + content
    return zeroed


def main():
    path, kept = Path(sys.argv[1]), {int(word) for word in sys.argv[2].split(",")}
    data = bytearray(path.read_bytes())
    zeroed = trim(data, kept)
    if zeroed == 0:
        sys.exit(f"trim_fatbin: {path.name} holds no code that could go")
    path.write_bytes(data)
    print(f"trim_fatbin: {path.name}: {zeroed >> 20} of {len(data) >> 20} MB go", file=sys.stderr)


if __name__ == "__main__":
    main()
