"""Small SoundFont 2 files for tests."""

import struct

import numpy as np

RATE = 44100


def chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def soundfont(generators=(), *, samples=None, loop=(0, 0), root_key=69, drums=()):
    """The bytes of a file with one sample.

    Args:
      generators: Pairs of number and amount for the zone of program 0.
      samples: int16; by default a second of 441 Hz, whose period is 100 samples.
      loop: Its start and end.
      root_key: The key of the sample.
      drums: Generators of the zones of the drum kit, a list for each.
    """
    if samples is None:
        samples = np.rint(16000 * np.sin(2 * np.pi * np.arange(RATE) / 100)).astype("<i2")
    zones = [[list(generators)], [list(zone) for zone in drums]]
    presets = [(0, 0, b"Tone"), (128, 0, b"Drums")][: 1 + bool(drums)]
    phdr = pbag = pgen = inst = ibag = igen = b""
    num_bags = num_generators = 0
    for number, (bank, program, name) in enumerate(presets):
        phdr += struct.pack("<20sHHHIII", name, program, bank, number, 0, 0, 0)
        pbag += struct.pack("<HH", number, 0)
        pgen += struct.pack("<Hh", 41, number)
        inst += struct.pack("<20sH", name, num_bags)
        for zone in zones[number]:
            ibag += struct.pack("<HH", num_generators, 0)
            for kind, amount in [*zone, (53, 0)]:
                igen += struct.pack("<HH", kind, amount & 0xFFFF)
                num_generators += 1
            num_bags += 1
    phdr += struct.pack("<20sHHHIII", b"EOP", 0, 0, len(presets), 0, 0, 0)
    pbag += struct.pack("<HH", len(presets), 0)
    inst += struct.pack("<20sH", b"EOI", num_bags)
    ibag += struct.pack("<HH", num_generators, 0)
    shdr = struct.pack(
        "<20sIIIIIBbHH", b"Sine", 0, len(samples), *loop, RATE, root_key, 0, 0, 1
    ) + struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0)
    tables = {
        b"phdr": phdr,
        b"pbag": pbag,
        b"pgen": pgen + bytes(4),
        b"inst": inst,
        b"ibag": ibag,
        b"igen": igen + bytes(4),
        b"shdr": shdr,
    }
    return _file(tables, samples)


def many_zones(count):
    """The bytes of a file whose preset plays an instrument `count` times, of `count` zones.

    No zone of the instrument is for the velocity of a note that is played at 2 or more.
    """
    bags = b"".join(struct.pack("<HH", number, 0) for number in range(count + 1))
    pairs = b"".join(struct.pack("<HH", 2 * number, 0) for number in range(count + 1))
    tables = {
        b"phdr": struct.pack("<20sHHHIII", b"Many", 0, 0, 0, 0, 0, 0)
        + struct.pack("<20sHHHIII", b"EOP", 0, 0, count, 0, 0, 0),
        b"pbag": bags,
        b"pgen": struct.pack("<HH", 41, 0) * count + bytes(4),
        b"inst": struct.pack("<20sH", b"Many", 0) + struct.pack("<20sH", b"EOI", count),
        b"ibag": pairs,
        b"igen": struct.pack("<HHHH", 44, 0x0101, 53, 0) * count + bytes(4),
        b"shdr": struct.pack("<20sIIIIIBbHH", b"A", 0, 100, 0, 0, RATE, 69, 0, 0, 1)
        + struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0),
    }
    return _file(tables, np.zeros(100, "<i2"))


def _file(tables, samples):
    """The bytes of a file with these tables, and modulators that do nothing."""
    tables = {**tables, b"pmod": bytes(10), b"imod": bytes(10)}
    body = b"sfbk"
    body += chunk(b"LIST", b"INFO" + chunk(b"ifil", struct.pack("<HH", 2, 4)))
    body += chunk(b"LIST", b"sdta" + chunk(b"smpl", samples.tobytes() + bytes(92)))
    body += chunk(b"LIST", b"pdta" + b"".join(chunk(*table) for table in tables.items()))
    return chunk(b"RIFF", body)
