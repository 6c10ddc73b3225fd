"""Files of every kind that a sequencer exports, through the commands: which notes, how long."""

import mido
import pytest

from music_vae import generate
from music_vae.music import notes_io
from support.daw_files import KINDS
from support.midi_notes import note_ons

BAR = 4 * 480

WINDOWS = ("loop of 2 bars", "loop at 93.5", "triplets", "three octaves up")
"""Melodies of one window, as they are."""

BEATS = {
    "beat of 2 bars": (24, 2),
    "beat of 5 bars": (60, 5),
    "beat at 93.5": (24, 2),
    "beat that ends in a rest": (12, 1),
    "beat that slows down": (48, 4),
    "drums on channel 1": (24, 2),
    "rolls": (40, 2),
    "GM kit": (23, 2),
    "song with drums": (48, 4),
    "song with pads": (48, 4),
}
"""Number of drum hits of each kind, and of bars up to the last of them."""


@pytest.fixture
def made(tmp_path):
    """The files that a command makes of one of a kind, and that one."""

    def make(kind, *flags):
        source = tmp_path / f"{kind}.mid"
        source.write_bytes(KINDS[kind]())
        out = tmp_path / "out"
        arguments = [f"--input_midi={source}", f"--output_dir={out}", "--seed=1", *flags]
        code = generate.main(arguments)
        return code, sorted(out.iterdir()) if out.exists() else [], source

    return make


def ends(path):
    file = mido.MidiFile(path)
    assert file.ticks_per_beat == 480
    return {sum(event.time for event in track) for track in file.tracks}


def hits(path):
    """Pitch and nearest sixteenth of each drum note, counted in quarter notes of the file."""
    return [(event.note, round(4 * quarter), event.channel) for quarter, event in note_ons(path)]


@pytest.mark.parametrize(
    "flags",
    [
        ["--mode=reconstruct"],
        ["--mode=similar", "--num_outputs=2"],
        ["--mode=similar", "--num_outputs=2", "--window=all"],
        ["--mode=attribute", "--attribute=note_density=+1"],
    ],
    ids=lambda flags: " ".join(flags),
)
def test_what_is_made_of_a_synth_lead_is_for_that_synth(made, flags):
    code, paths, _ = made("synth lead", "--config=cat-mel_2bar_mini", *flags)
    assert code == 0
    for path in paths:
        (_, track) = mido.MidiFile(path).tracks
        assert track.name == "Lead"
        assert [event.program for event in track if event.type == "program_change"] == [81]


def test_pieces_that_were_moved_by_different_octaves_are_said_to_stay_there(made, tmp_path, caplog):
    low = tmp_path / "low.mid"
    low.write_bytes(KINDS["loop of 2 bars"]())
    flags = ["--config=cat-mel_2bar_mini", "--mode=interpolate", "--num_outputs=3"]
    code, paths, _ = made("three octaves up", *flags, f"--input_midi={low}")
    assert (code, len(paths)) == (0, 3)
    line = "not all pieces were moved by as many octaves; what is made of them is not moved back"
    assert line in caplog.messages


@pytest.mark.parametrize("kind", WINDOWS)
def test_what_is_made_of_a_loop_is_as_long_as_the_loop(made, kind):
    flags = ["--config=cat-mel_2bar_mini", "--mode=similar", "--num_outputs=3"]
    code, paths, source = made(kind, *flags)
    assert (code, len(paths)) == (0, 3)
    expected = notes_io.tempo_of(*notes_io.read_music_file(source))
    for path in paths:
        assert ends(path) == {2 * BAR}
        found = notes_io.tempo_of(*notes_io.read_music_file(path))
        assert found == pytest.approx(expected, abs=1e-4)
        assert len(mido.MidiFile(path).tracks) == 2


LOOPS = {
    "loop of 1 bar": ("bar 1", 1),
    "loop of 2 bars": ("bars 1-2", 2),
    "loop of 3 bars": ("bars 1-3", 3),
    "loop of 4 bars": ("bars 1-4", 4),
    "held last note": ("bars 1-4", 4),
    "late last note": ("bars 1-2", 2),
    "early held last note": ("bars 1-3", 3),
    "roll to the end": ("bars 1-2", 2),
    "late ghost note": ("bars 1-2", 2),
    "beat of 3 bars": ("bars 1-3", 3),
    "beat of 5 bars": ("bars 1-5", 5),
    "loop that begins with a rest": ("bars 1-2", 2),
}
"""The bars of loops of any length, in words and as a number."""


@pytest.mark.parametrize("kind", LOOPS)
def test_all_windows_are_as_long_as_the_loop(made, caplog, kind):
    with caplog.at_level("INFO"):
        code, (path,), source = made(kind, "--mode=vary", "--window=all", "--num_outputs=1")
    said, count = LOOPS[kind]
    assert code == 0
    assert ends(path) == {count * BAR}
    assert all(step < 16 * count for _, step, _ in hits(path))
    (line,) = [message for message in caplog.messages if message.startswith(f"{source}: ")]
    assert line.startswith((f"{source}: {said} of track", f"{source}: {said} of the drums"))


@pytest.mark.parametrize(
    ("kind", "model"),
    [("late last note", "melody"), ("roll to the end", "drums"), ("late ghost note", "drums")],
)
def test_a_last_note_just_before_the_bar_line_makes_no_bar(made, kind, model):
    for flags in (["--mode=vary"], [f"--config={model}", "--mode=reconstruct"]):
        code, paths, _ = made(kind, *flags)
        assert code == 0
        assert {end for path in paths for end in ends(path)} == {2 * BAR}


def test_a_rest_at_the_beginning_of_a_loop_stays(made, caplog):
    flags = ["--config=melody", "--mode=reconstruct", "--temperature=0.01"]
    with caplog.at_level("INFO"):
        _, (path,), source = made("loop that begins with a rest", *flags)
    assert hits(path)[0][1] == 16
    assert f"{source}: bars 1-2 of track 'Lead' (program 0)" in caplog.messages


@pytest.mark.parametrize("kind", BEATS)
def test_humanizing_keeps_the_drums_of_every_kind_and_nothing_else(made, caplog, kind):
    flags = ["--config=groovae_2bar_humanize_mini", "--mode=reconstruct", "--hits=input"]
    code, (path,), source = made(kind, *flags, "--timing_amount=0")
    count, bars = BEATS[kind]
    assert code == 0
    assert ends(path) == {bars * BAR}
    assert [track.name for track in mido.MidiFile(path).tracks] == ["Tempo", "Drums"]
    found, given = hits(path), hits(source)
    channels = {channel for _, _, channel in given}
    own = 9 if 9 in channels else 1 if kind == "song with pads" else 0
    assert len(found) == count
    assert sorted(hit[:2] for hit in found) == sorted(hit[:2] for hit in given if hit[2] == own)
    remarks = [message for message in caplog.messages if "channel 10" in message]
    assert len(remarks) == (own != 9)


def test_a_song_without_drums_is_refused_in_a_line(made, capsys):
    flags = ["--config=groovae_2bar_humanize_mini", "--mode=reconstruct"]
    code, paths, _ = made("song without drums", *flags)
    assert (code, paths) == (2, [])
    error = capsys.readouterr().err
    assert "it has no drums: nothing is on channel 10" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_every_kind_is_the_same_when_it_is_written_again(tmp_path, kind):
    (tmp_path / "a.mid").write_bytes(KINDS[kind]())
    (first,) = notes_io.read_music_file(tmp_path / "a.mid")
    notes_io.write_midi(first, tmp_path / "b.mid")
    (again,) = notes_io.read_music_file(tmp_path / "b.mid")

    def notes(sequence):
        return sorted(
            (n.is_drum, n.program, n.pitch, n.start_time, n.end_time, n.velocity)
            for n in sequence.notes
        )

    assert len(again.notes) == len(first.notes)
    for one, other in zip(notes(first), notes(again), strict=True):
        assert other == pytest.approx(one, abs=1e-3)
    (end,) = ends(tmp_path / "b.mid")
    assert end % BAR == 0
