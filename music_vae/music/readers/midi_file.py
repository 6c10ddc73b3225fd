"""Reads MIDI files as NoteSequences."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from music_vae.common.lazy_imports import import_note_seq
from music_vae.music.readers.midi_repairs import pitch_of, repair
from music_vae.music.readers.midi_structure import MidiTracks, read_tracks, unwrapped
from music_vae.music.readers.reading import Reading, checked, log_ignored, parsing
from music_vae.music.unreadable import UnreadableMusicError

if TYPE_CHECKING:
    import mido
    from note_seq.protobuf.music_pb2 import NoteSequence

_log = logging.getLogger(__name__)

_MAX_PIECES = 1_000


def read_midi(data: bytes, source: Path) -> Reading:
    """Reads the sequences of a MIDI file, which a RIFF file (`.rmi`) may wrap.

    It logs what it ignores in `source`.

    >>> path = Path("examples/tunes/soldiers_joy.mid")
    >>> read_midi(path.read_bytes(), path).sequences[0].tempos[0].qpm
    120.0

    Raises:
      UnreadableMusicError: If it is no MIDI file, or gives no notes.
    """
    tracks = read_tracks(unwrapped(data))
    pieces = tracks.pieces()
    if len(pieces) > _MAX_PIECES:
        raise UnreadableMusicError(f"MIDI of type 2 with more than {_MAX_PIECES:,} pieces")
    sequences: list[NoteSequence] = []
    errors: list[UnreadableMusicError] = []
    for number, piece in enumerate(pieces, 1):
        try:
            sequences.append(_read_piece(piece))
        except UnreadableMusicError as error:
            errors.append(error)
        else:
            sequences[-1].reference_number = number if len(pieces) > 1 else 0
    if not sequences:
        raise errors[0]
    for remark in tracks.remarks:
        _log.warning("%s: %s", source, remark)
    log_ignored(source, tracks.ignored)
    return Reading(sequences, Counter(error.reason for error in errors))


def _read_piece(tracks: MidiTracks) -> NoteSequence:
    """Makes notes of the events of a piece, which it changes."""
    repair(tracks)
    note_seq = import_note_seq()
    import pretty_midi

    with parsing("MIDI"), warnings.catch_warnings():
        # pretty_midi warns of tempo changes outside the first track, which are common.
        warnings.filterwarnings("ignore", message="Tempo, Key or Time signature")
        midi = pretty_midi.PrettyMIDI(mido_object=_mido_file(tracks))
        for instrument in midi.instruments:
            for note in instrument.notes:
                note.pitch = pitch_of(note.pitch)
        return checked(note_seq.midi_to_note_sequence(midi))


def _mido_file(midi: MidiTracks) -> mido.MidiFile:
    """Returns the tracks as pretty_midi takes them: each event counts from the one before it."""
    import mido

    for track in midi.tracks:
        last = 0
        for event in track:
            event.time, last = event.time - last, event.time
    return mido.MidiFile(ticks_per_beat=midi.ticks_per_quarter, tracks=midi.tracks)
