"""Reading TensorBoard's event files without TensorBoard: records with masked CRC-32C, of protocol buffers."""

import struct


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def fields(data):
    """(number, value) of each field: an integer, a float or bytes."""
    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte, at = data[at], at + 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    at = 0
    while at < len(data):
        number, kind = divmod(varint(), 8)
        if kind == 0:
            yield number, varint()
        elif kind == 2:
            size = varint()
            yield number, data[at:at + size]
            at += size
        else:
            form = {1: "<d", 5: "<f"}[kind]
            yield number, struct.unpack_from(form, data, at)[0]
            at += struct.calcsize(form)


def read(path):
    """One dictionary for each event. Raises ValueError where a checksum is wrong."""
    data, at, events = path.read_bytes(), 0, []
    while at < len(data):
        length, length_crc = struct.unpack_from("<QI", data, at)
        record = data[at + 12:at + 12 + length]
        if length_crc != masked(data[at:at + 8]) or struct.unpack_from("<I", data, at + 12 + length)[0] != masked(record):
            raise ValueError(f"{path}: a checksum is wrong at byte {at}")
        at += 16 + length
        event = {"step": 0, "scalars": {}}
        for number, value in fields(record):
            if number == 5:
                for _, one in fields(value):
                    scalar = dict(fields(one))
                    event["scalars"][scalar[1].decode()] = scalar[2]
            else:
                event[{1: "wall_time", 2: "step", 3: "file_version"}[number]] = value.decode() if number == 3 else value
        events.append(event)
    return events
