"""The corpora scripts are plain files beside each other, not a package."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts" / "corpora"))


@pytest.fixture
def make_tune():
    """Makes a tune of (pitch, length in quarters; pitch 0 for a rest) in 4/4 at 120 a minute."""
    from music_vae.common.lazy_imports import import_note_seq

    def make(notes, title="", name="tune", program=0, drums=False):
        sequence = import_note_seq().NoteSequence(id=f"/id/{name}", filename=name)
        sequence.sequence_metadata.title = title
        sequence.time_signatures.add(numerator=4, denominator=4)
        sequence.tempos.add(qpm=120)
        time = 0.0
        for pitch, quarters in notes:
            end = time + quarters / 2
            if pitch:
                sequence.notes.add(
                    pitch=pitch,
                    velocity=80,
                    start_time=time,
                    end_time=end,
                    program=program,
                    is_drum=drums,
                )
            time = end
        sequence.total_time = time
        return sequence

    return make
