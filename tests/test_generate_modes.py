"""The modes of `music_vae_generate` that start from pieces, and what models are told by flags."""

import re
from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from music_vae import generate
from music_vae.commands.choices import ModelChoice
from music_vae.commands.generate_request import Request
from music_vae.common.lazy_imports import import_note_seq
from music_vae.latent import attribute_vectors
from music_vae.music import notes_io
from music_vae.weights import config_file
from support.midi_bytes import music_of

BEAT_STEPS = [step for step in range(1, 80) if step % 3 != 2]


@pytest.fixture(scope="module")
def melodies(random_run):
    return random_run("cat-mel_2bar_small")


@pytest.fixture(scope="module")
def grooves(random_run):
    return random_run("groovae_2bar_humanize")


@pytest.fixture(scope="module")
def beat(tmp_path_factory):
    """A MIDI file of five bars of drums at 100 quarter notes a minute, a little late."""
    sequence = import_note_seq().NoteSequence()
    sequence.tempos.add(qpm=100)
    for step in BEAT_STEPS:
        start = step * 0.15 + 0.02
        note = {"pitch": 36 if step % 4 else 38, "velocity": 30 + step, "is_drum": True}
        sequence.notes.add(start_time=start, end_time=start + 0.1, instrument=9, **note)
    path = tmp_path_factory.mktemp("beat") / "beat, late.mid"
    notes_io.write_midi(sequence, path)
    return path


@pytest.fixture
def run(tmp_path):
    """Runs the command; gives the exit code and the names of what it wrote."""

    def command(folder, *flags):
        out = tmp_path / "out"
        code = generate.main([f"--run_dir={folder}", f"--output_dir={out}", "--seed=1", *flags])
        return code, sorted(out.iterdir()) if out.exists() else []

    return command


def has_tempo(path, qpm):
    """Whether a file has one tempo, that of `qpm` but for the microsecond that MIDI rounds to."""
    (found,) = pretty_midi.PrettyMIDI(str(path)).get_tempo_changes()[1]
    return abs(60e6 / found - 60e6 / qpm) < 1.5


def notes(path):
    (instrument,) = pretty_midi.PrettyMIDI(str(path)).instruments
    return [(note.pitch, note.velocity, note.start) for note in instrument.notes]


@pytest.mark.parametrize("commas", [True, False])
def test_a_way_through_several_pieces(run, melodies, windows, commas):
    files = [f"--input_midi={','.join(windows[:3])}"]
    if not commas:
        files = [f"--input_midi={path}" for path in windows[:3]]
    code, paths = run(melodies, "--mode=interpolate", "--num_outputs=7", *files)
    assert code == 0
    assert len(paths) == 7
    assert all(has_tempo(path, 90) for path in paths)  # that of the first input


def test_a_grid_has_rows_and_columns_in_its_names(run, melodies, windows):
    flags = ["--mode=interpolate", "--grid=2x3", f"--input_midi={','.join(windows)}"]
    code, paths = run(melodies, *flags)
    assert code == 0
    places = [
        re.search(r"-row(\d+)-of-002-column(\d+)-of-003\.mid$", str(p)).groups() for p in paths
    ]
    assert places == [(f"00{row}", f"00{column}") for row in (0, 1) for column in (0, 1, 2)]


def test_a_piece_is_reconstructed_once_or_as_often_as_is_asked(run, melodies, windows):
    flags = ["--mode=reconstruct", f"--input_midi={windows[0]}"]
    assert len(run(melodies, *flags)[1]) == 1
    assert len(run(melodies, *flags, "--num_outputs=3")[1]) == 1 + 3


def test_similar_pieces_are_as_many_as_were_asked_for_in_the_tempo_asked_for(
    run, melodies, windows
):
    flags = ["--mode=similar", "--similarity=0.6", f"--input_midi={windows[0]}", "--qpm=70"]
    code, paths = run(melodies, *flags)
    assert code == 0
    assert len(paths) == 5
    assert all(has_tempo(path, 70) for path in paths)


@pytest.fixture(scope="module")
def vectors(melodies):
    """The vectors of two attributes, beside the weights of the model of melodies."""
    path = melodies / "attributes.safetensors"
    found = {"note_density": np.full(4, 2.0), "average_interval": np.array([1.0, 0, 0, 0])}
    attribute_vectors.write(path, found, config_file.read(melodies), num_windows=8)
    return path


def test_attributes_of_samples_are_changed(run, melodies, vectors):
    code, (plain, *_) = run(melodies, "--mode=sample", "--num_outputs=1")
    assert code == 0
    flags = ["--mode=attribute", "--num_outputs=1"]
    code, written = run(melodies, *flags, "--attribute=note_density=+0.0,average_interval=-0")
    assert code == 0
    (same,) = [path for path in written if "_attribute_" in path.name]
    assert music_of(same) == music_of(plain)
    same.unlink()
    code, written = run(melodies, *flags, "--attribute=note_density=-2")
    (other,) = [path for path in written if "_attribute_" in path.name]
    assert music_of(other) != music_of(plain)


def test_attributes_of_a_piece_are_changed(run, melodies, vectors, windows):
    flags = ["--mode=attribute", f"--input_midi={windows[0]}", f"--attribute_vectors={vectors}"]
    code, paths = run(melodies, *flags, "--attribute=note_density=1.5")
    assert code == 0
    assert len(paths) == 1
    assert has_tempo(paths[0], 90)


def test_a_long_groove_keeps_what_is_wanted_of_it(run, grooves, beat):
    flags = ["--mode=reconstruct", f"--input_midi={beat}", "--amount=0", "--hits=input"]
    code, paths = run(grooves, *flags)
    assert code == 0
    assert has_tempo(paths[0], 100)
    expected = [(36 if s % 4 else 38, 30 + s, s * 0.15 + 0.02) for s in BEAT_STEPS]
    np.testing.assert_allclose(sorted(notes(paths[0])), sorted(expected), atol=0.002)


def test_timing_and_velocity_of_a_groove_have_amounts_of_their_own(run, grooves, beat):
    def reconstruct(*flags):
        flags = ("--mode=reconstruct", "--hits=input", "--temperature=0", *flags)
        _, (path,) = run(grooves, f"--input_midi={beat}", *flags)
        found = sorted(notes(path), key=lambda note: note[2])
        path.unlink()
        return [[note[1] for note in found], [note[2] for note in found]]

    own, timed, loud, model = (
        reconstruct(*flags)
        for flags in (
            ("--amount=0",),
            ("--velocity_amount=0",),
            ("--timing_amount=0", "--amount=1"),
            (),
        )
    )
    assert timed[0] == own[0]
    assert timed[1] == model[1] != own[1]
    assert loud[0] == model[0] != own[0]
    assert loud[1] == own[1]


def test_a_melody_over_chords(run, random_run, windows):
    folder = random_run("cat-mel_2bar_med_chords")
    assert run(folder, "--chords=C G Am F", "--num_outputs=2")[0] == 0
    flags = ["--mode=interpolate", f"--input_midi={windows[0]},{windows[1]}", "--chords=Dm"]
    code, paths = run(folder, *flags)
    assert code == 0
    assert len(paths) == 2 + 5
    assert run(folder, "--mode=reconstruct", f"--input_midi={windows[0]}")[0] == 0  # has its own


def test_a_band_plays_a_bar_for_every_chord(run, random_run):
    folder = random_run(
        "hier-multiperf_vel_1bar_med_chords", "z_size=4,enc_rnn_size=[6],dec_rnn_size=[6]"
    )
    flags = ["--num_outputs=1", "--temperature=1", "--qpm=120"]
    _, (one,) = run(folder, "--chords=C", *flags)
    length = pretty_midi.PrettyMIDI(str(one)).get_end_time()
    one.unlink()
    _, (four,) = run(folder, "--chords=C F C F", *flags)
    assert length <= 2 + 1e-3 < 6 < pretty_midi.PrettyMIDI(str(four)).get_end_time()


def test_a_groove_with_the_hits_of_a_pattern(run, random_run, tmp_path):
    folder = random_run("groovae_2bar_hits_control")
    sequence = import_note_seq().NoteSequence()
    for step in (0, 8, 31):
        start = step * 0.125
        sequence.notes.add(
            pitch=36, velocity=80, start_time=start, end_time=start + 0.1, is_drum=True
        )
    notes_io.write_midi(sequence, tmp_path / "hits.mid")
    code, paths = run(folder, f"--control_midi={tmp_path / 'hits.mid'}", "--num_outputs=2")
    assert code == 0
    assert len(paths) == 2


def test_an_interpolation_has_a_step_for_each_piece_at_least(tmp_path):
    model, pieces = ModelChoice(config="melody"), tuple(Path(f"{n}.mid") for n in range(7))
    for count, expected in ((2, 5), (5, 5), (7, 7)):
        request = Request(model, tmp_path, "interpolate", input_midi=pieces[:count])
        assert request.count == expected


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--grid=2x2"], "--grid is for --mode=interpolate"),
        (
            ["--amount=0.5"],
            "--amount is for --mode=reconstruct, --mode=humanize, --mode=tap and --mode=add_hihat",
        ),
        (["--similarity=0.5"], "--similarity is for --mode=similar and --mode=vary"),
        (
            ["--mode=humanize", "--input_midi=A", "--similarity=0.5"],
            "--similarity is for --mode=similar and --mode=vary",
        ),
        (["--window=2"], "--window is for --mode=interpolate, --mode=reconstruct, --mode=humanize"),
        (["--mode=similar"], "--mode=similar needs one piece as --input_midi, not 0"),
        (["--mode=similar", "--input_midi=A,B"], "needs one piece as --input_midi, not 2"),
        (["--mode=similar", "--input_midi=A", "--similarity=1.5"], "--similarity"),
        (["--mode=interpolate", "--input_midi=A"], "needs two or more pieces"),
        (["--mode=interpolate", "--input_midi=A,B", "--num_outputs=1"], "the two ends"),
        (
            ["--mode=interpolate", "--input_midi=A,B,A", "--num_outputs=2"],
            "--num_outputs=2 is fewer than the 3 pieces of --input_midi",
        ),
        (["--mode=interpolate", "--input_midi=A", "--input_midi_1=A"], "give --input_midi, or"),
        (["--mode=interpolate", "--input_midi=A,"], "--input_midi has an empty name"),
        (["--mode=interpolate", "--input_midi=A,B", "--grid=2x2"], "needs 4 pieces"),
        (["--mode=interpolate", "--input_midi=A,B,A,B", "--grid=5"], "--grid=5 is no grid"),
        (["--mode=interpolate", "--input_midi=A,B,A,B", "--grid=1x5"], "--grid=1x5 is no grid"),
        (
            ["--mode=interpolate", "--input_midi=A,B,A,B", "--grid=2x2", "--num_outputs=4"],
            "leave out --num_outputs",
        ),
        (["--mode=reconstruct", "--input_midi=A", "--amount=0"], "is for models of grooves"),
        (["--mode=reconstruct", "--input_midi=A", "--amount=3.5"], "--amount"),
        (
            ["--mode=reconstruct", "--input_midi=nowhere.mid"],
            "--input_midi=nowhere.mid: no such file",
        ),
        (["--mode=attribute"], "--attribute is required"),
        (["--mode=attribute", "--attribute=note_density"], "expected NAME=AMOUNT"),
        (["--mode=attribute", "--attribute=note_density=much"], "expected NAME=AMOUNT"),
        (["--mode=attribute", "--attribute=a=1,a=2"], "--attribute changes a twice"),
        (["--mode=attribute", "--attribute=loudness=1"], "unknown attribute 'loudness'; known are"),
        (
            ["--mode=attribute", "--attribute=a=1", "--attribute_vectors=nowhere.safetensors"],
            "'nowhere.safetensors' cannot be read",
        ),
        (
            ["--chords=C"],
            "--chords: cat-mel_2bar_small is not conditioned on chords; these configs are: "
            "cat-mel_2bar_med_chords, hier-multiperf_vel_1bar_med_chords, hier-",
        ),
        (
            ["--key=C"],
            "--key: cat-mel_2bar_small is not conditioned on a key; no publ",
        ),
        (
            ["--control_midi=A"],
            "--control_midi: cat-mel_2bar_small is not conditioned on hits; these configs are: ",
        ),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    run, melodies, vectors, windows, capsys, flags, message
):
    flags = [re.sub(r"\b[AB]\b", lambda m: windows["AB".index(m[0])], flag) for flag in flags]
    code, written = run(melodies, *flags)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert (code, written) == (2, [])


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("cat-mel_2bar_med_chords", [], "has to be told the chord of every step, as in --chords="),
        ("cat-mel_2bar_med_chords", ["--chords=C H7"], "unknown chord symbol 'H7'"),
        ("groovae_2bar_hits_control", [], "has to be told the hits, as in --control_midi="),
        ("groovae_2bar_humanize", ["--mode=attribute", "--attribute=a=1"], "no attribute vectors"),
    ],
)
def test_what_a_model_needs_is_said(run, random_run, capsys, name, flags, message):
    assert run(random_run(name), *flags) == (2, [])
    assert message in capsys.readouterr().err


def test_the_chords_of_an_interpolation_have_to_be_said(run, random_run, windows, capsys):
    flags = ["--mode=interpolate", f"--input_midi={windows[0]},{windows[1]}"]
    assert run(random_run("cat-mel_2bar_med_chords"), *flags) == (2, [])
    assert "as in --chords='C G Am F'" in capsys.readouterr().err
