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
    tables = (
        chunk(b"phdr", phdr)
        + chunk(b"pbag", pbag)
        + chunk(b"pmod", bytes(10))
        + chunk(b"pgen", pgen + bytes(4))
        + chunk(b"inst", inst)
        + chunk(b"ibag", ibag)
        + chunk(b"imod", bytes(10))
        + chunk(b"igen", igen + bytes(4))
        + chunk(b"shdr", shdr)
    )
    body = b"sfbk"
    body += chunk(b"LIST", b"INFO" + chunk(b"ifil", struct.pack("<HH", 2, 4)))
    body += chunk(b"LIST", b"sdta" + chunk(b"smpl", samples.tobytes() + bytes(92)))
    body += chunk(b"LIST", b"pdta" + tables)
    return chunk(b"RIFF", body)
