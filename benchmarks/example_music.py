"""Random tunes in a TFRecord file: what a benchmark reads where no music is given."""

from pathlib import Path

import numpy as np

_SEED = 0
_BARS = 32
_QPM = 120
_BASS_PROGRAM = 33
_SEMITONES = 25  # above the lowest pitch


def write(path: Path, number: int) -> None:
    """Writes `number` tunes of 32 bars: a melody, a bass line and drums."""
    from music_vae.common import lazy_imports
    from music_vae.dataset import tfrecord

    note_sequence = lazy_imports.import_note_seq().NoteSequence
    rng = np.random.default_rng(_SEED)
    records = []
    for name in range(number):
        sequence = note_sequence(id=str(name), ticks_per_quarter=220)
        sequence.tempos.add(qpm=_QPM)
        sequence.time_signatures.add(numerator=4, denominator=4)
        for lowest, instrument, program in ((57, 0, 0), (33, 1, _BASS_PROGRAM), (36, 9, 0)):
            step = 0
            while step < 16 * _BARS:
                steps = int(rng.choice([1, 2, 2, 4, 4, 8]))
                sequence.notes.add(
                    pitch=lowest + int(rng.integers(_SEMITONES)),
                    velocity=int(rng.integers(40, 127)),
                    start_time=step * 15 / _QPM,
                    end_time=(step + steps) * 15 / _QPM,
                    instrument=instrument,
                    program=program,
                    is_drum=instrument == 9,
                )
                step += steps
        sequence.total_time = max(note.end_time for note in sequence.notes)
        records.append(sequence.SerializeToString())
    tfrecord.write_records(path, records)
