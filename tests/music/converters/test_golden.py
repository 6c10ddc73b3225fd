"""Every converter gives what magenta 2.1.4 gave (tests/golden/README.md says what the files hold).

GOLDEN_DIR=/another/folder runs the same tests on another set of golden files.
"""

import ast
import functools
import json
import os
import pathlib
import struct

import numpy as np
import pytest

from music_vae.common import constants
from music_vae.common.errors import UserError
from music_vae.music.converters.base import Converter
from music_vae.music.converters.controls import CHORD_CLASSES
from music_vae.music.converters.drums import DrumsConverter
from music_vae.music.converters.groove import GrooveConverter
from music_vae.music.converters.melody import OneHotMelodyConverter
from music_vae.music.converters.performance import MultiInstrumentPerformanceConverter
from music_vae.music.converters.trio import TrioConverter
from support.paths import GOLDEN

DEFAULT_DIR = GOLDEN
DATA = pathlib.Path(os.environ.get("GOLDEN_DIR", DEFAULT_DIR)) / "data"
CASES = json.loads((DATA / "converters.json").read_text())
CRASHED = -1  # the count of a sequence on which magenta failed
KEPT = 6  # golden examples of a sequence, at most
SEMITONES = 5  # the transpositions of training

CLASSES = {
    cls.__name__: cls
    for cls in (
        DrumsConverter,
        GrooveConverter,
        MultiInstrumentPerformanceConverter,
        OneHotMelodyConverter,
        TrioConverter,
    )
}

DRUMS = {"max_bars": 100, "slice_bars": 2, "steps_per_quarter": 4, "roll_input": True}
MELODY = {"max_bars": 100, "steps_per_quarter": 4, "skip_polyphony": False}
GROOVE = {
    "split_bars": 2,
    "max_tensors_per_notesequence": 20,
    "inference_pitch_classes": constants.REDUCED_DRUM_PITCH_CLASSES,
}
PERFORMANCE = {
    "num_velocity_bins": 8,
    "hop_size_bars": 1,
    "max_num_instruments": 8,
    "max_events_per_instrument": 64,
}
CONFIGS = {
    "cat-mel_2bar_small": lambda: OneHotMelodyConverter(
        **MELODY, slice_bars=2, valid_programs=constants.MELODY_PROGRAMS
    ),
    "cat-mel_2bar_med_chords": lambda: OneHotMelodyConverter(
        **MELODY, slice_bars=2, chord_encoding="triad"
    ),
    "hier-multiperf_vel_1bar_med": lambda: MultiInstrumentPerformanceConverter(**PERFORMANCE),
    "hier-multiperf_vel_1bar_med_chords": lambda: MultiInstrumentPerformanceConverter(
        **PERFORMANCE, chord_encoding="triad"
    ),
    "flat-mel_16bar": lambda: OneHotMelodyConverter(**MELODY, slice_bars=16),
    "cat-drums_2bar_small": lambda: DrumsConverter(**DRUMS),
    "nade-drums_2bar_reduced": lambda: DrumsConverter(**DRUMS, roll_output=True),
    "flat-trio_16bar": lambda: TrioConverter(slice_bars=16),
    "groovae_4bar": lambda: GrooveConverter(**GROOVE | {"split_bars": 4}),
    "groovae_2bar_humanize": lambda: GrooveConverter(**GROOVE, humanize=True),
    "groovae_2bar_tap_fixed_velocity": lambda: GrooveConverter(
        **GROOVE, tapify=True, fixed_velocities=True
    ),
    "groovae_2bar_add_closed_hh": lambda: GrooveConverter(**GROOVE, add_instruments=(2,)),
    "groovae_2bar_hits_control_tfds": lambda: GrooveConverter(**GROOVE, hits_as_controls=True),
    "nade-drums_2bar_full": lambda: DrumsConverter(
        **DRUMS, roll_output=True, pitch_classes=constants.FULL_DRUM_PITCH_CLASSES
    ),
}


def make_converter(case: dict) -> Converter:
    """The converter that a case names: 'config NAME' or 'data.Class(name=value, ...)'."""
    description = case["converter"]
    if description.startswith("config "):
        make = CONFIGS.get(description.removeprefix("config "))
        if make is None:
            pytest.skip(f"no converter yet for {description}")
        converter = make()
    else:
        call = ast.parse(description, mode="eval").body
        cls = CLASSES.get(call.func.attr)
        if cls is None:
            pytest.skip(f"no {call.func.attr} yet")
        try:
            converter = cls(**{k.arg: literal(k.value) for k in call.keywords})
        except UserError as error:
            pytest.skip(f"{description}: {error}")
    return converter.for_inference() if case["mode"] == "infer" else converter


def literal(node: ast.expr):
    """A constant as its value, 'note_seq.Class()' as such an object."""
    if isinstance(node, ast.Call):
        import note_seq

        return getattr(note_seq, node.func.attr)()
    return ast.literal_eval(node)


@functools.cache
def sequences():
    from note_seq.protobuf import music_pb2

    data, found, at = (DATA / "sequences.bin").read_bytes(), [], 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        found.append(music_pb2.NoteSequence.FromString(data[at + 4 : at + 4 + size]))
        at += 4 + size
    return found


@functools.cache
def tensors(name: str):
    """What our converter makes of every golden sequence."""
    converter = make_converter(CASES[name])
    return [converter.to_tensors(sequence) for sequence in sequences()]


def golden_examples(name: str):
    """Triples of sequence index, example index and the arrays of that example."""
    with np.load(DATA / f"{name}.npz") as golden:
        for i in range(len(sequences())):
            for j in range(KEPT):
                if f"{i}/{j}/out" in golden:
                    keys = ("in", "out", "ctl", "len", "back")
                    arrays = {k: golden[f"{i}/{j}/{k}"] for k in keys if f"{i}/{j}/{k}" in golden}
                    yield i, j, {"in": arrays["out"], **arrays}


def in_golden_order(found, dtypes: dict):
    """Indices of the examples sorted as in the golden files: by the bytes of outputs, controls."""
    return sorted(
        range(len(found.outputs)),
        key=lambda e: (
            found.outputs[e].astype(dtypes["out"]).tobytes(),
            found.controls[e].astype(dtypes["ctl"]).tobytes() if "ctl" in dtypes else b"",
        ),
    )


def without_diminished_triads(sequence, control_depth):
    """The sequence with 'no chord' for them, as magenta's melodies with chords but no keys are."""
    copy = type(sequence)()
    copy.CopyFrom(sequence)
    if control_depth != CHORD_CLASSES:
        return copy
    del copy.text_annotations[:]
    for chord in sequence.text_annotations:
        text = "N.C." if chord.text.endswith("dim") else chord.text
        if not copy.text_annotations or copy.text_annotations[-1].text != text:
            copy.text_annotations.add().CopyFrom(chord)
            copy.text_annotations[-1].text = text
    return copy


def comparable(sequence):
    """The sequence without the times of its notes, and these in seconds, as rows (start, end).

    The notes are in order of pitch and time: drum hits come as sets.
    """
    copy = type(sequence)()
    copy.CopyFrom(sequence)
    copy.notes.sort(key=lambda n: (n.instrument, n.pitch, n.start_time))
    times = np.array([(n.start_time, n.end_time) for n in copy.notes]).reshape(-1, 2)
    for note in copy.notes:
        note.ClearField("start_time")
        note.ClearField("end_time")
    return copy, times


def decoded_rows(converter, outputs):
    """The rows that the original decoded: it lost 8 in 9 of grooves in bins, one step to a row."""
    if isinstance(converter, GrooveConverter) and converter.num_velocity_bins is not None:
        steps = len(outputs) // converter.num_drums
        return outputs if converter.split_instruments else outputs[:steps]
    return outputs


@pytest.fixture(params=sorted(CASES))
def name(request):
    make_converter(CASES[request.param])  # skips what is not in the package yet
    return request.param


def test_a_converter_has_the_depths_and_the_end_token_of_the_original(name):
    case, converter = CASES[name], make_converter(CASES[name])
    assert converter.input_depth == case["input_depth"]
    assert converter.output_depth == case["output_depth"]
    assert converter.control_depth == case["control_depth"]
    # The original's trios and grooves have the end token False, which the file has as 0: none.
    assert converter.end_token == (case["end_token"] or None)
    assert converter.length_shape == tuple(case["length_shape"])


def test_every_sequence_gives_as_many_examples_as_in_the_original(name):
    counts = [len(t.outputs) for t in tensors(name)]
    expected = CASES[name]["counts"]
    known = [g != CRASHED for g in expected]
    assert [c for c, k in zip(counts, known, strict=True) if k] == [
        g for g in expected if g != CRASHED
    ]


def test_a_sequence_without_examples_says_why(name):
    for sequence, found in zip(sequences(), tensors(name), strict=True):
        assert found.outputs or found.skipped, sequence.id


def test_examples_equal_the_original_s(name):
    found = tensors(name)
    compared = 0
    for i, j, golden in golden_examples(name):
        dtypes = {key: array.dtype for key, array in golden.items()}
        e = in_golden_order(found[i], dtypes)[j]
        np.testing.assert_allclose(found[i].inputs[e], golden["in"], atol=1e-6)
        np.testing.assert_allclose(found[i].outputs[e], golden["out"], atol=1e-6)
        if "ctl" in golden:
            np.testing.assert_allclose(found[i].controls[e], golden["ctl"], atol=1e-6)
        np.testing.assert_array_equal(found[i].lengths[e], golden["len"])
        compared += 1
    assert compared == sum(min(count, KEPT) for count in CASES[name]["counts"] if count > 0)


def test_examples_decode_to_the_original_s_notes(name):
    from note_seq.protobuf import music_pb2

    converter = make_converter(CASES[name])
    for i, j, golden in golden_examples(name):
        controls = [golden["ctl"]] if "ctl" in golden else None
        (decoded,) = converter.from_tensors([decoded_rows(converter, golden["out"])], controls)
        if "back" not in golden:
            continue
        if isinstance(converter, OneHotMelodyConverter | TrioConverter):
            decoded = without_diminished_triads(decoded, converter.control_depth)
        expected = music_pb2.NoteSequence.FromString(golden["back"].tobytes())
        (found, found_s), (want, want_s) = comparable(decoded), comparable(expected)
        assert found == want, f"sequence {i}, example {j}"
        # The offsets of grooves were float64 there before they went into the file as float32.
        np.testing.assert_allclose(found_s, want_s, atol=1e-6)


def test_the_short_cut_of_transposition_equals_transposed_notes(name):
    from note_seq import sequences_lib

    converter = make_converter(CASES[name])
    for sequence in sequences():
        low, high = converter.transposable_range(sequence)
        if low == high:
            continue
        examples = converter.extract(sequence).examples
        for k in range(max(low, -SEMITONES), min(high, SEMITONES) + 1):
            short_cut = [converter.transpose(e, k) for e in examples]
            if not k or not examples or short_cut[0] is None:
                continue
            notes, _ = sequences_lib.transpose_note_sequence(sequence, k)
            converted = converter.extract(notes).examples
            assert compact(short_cut) == compact(converted), f"{sequence.id}, {k} semitones"


def compact(examples):
    """The outputs and controls of examples as lists."""
    return [
        (e.outputs.tolist(), None if e.controls is None else e.controls.tolist()) for e in examples
    ]
