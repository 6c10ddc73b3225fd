"""Files as musicians export them: which music is made of them, and what is said of them."""

import pretty_midi
import pytest

from music_vae import generate
from music_vae.commands import generating, inputs
from music_vae.commands.choices import ModelChoice, Sampling
from music_vae.commands.generate_request import InputFile, Request
from music_vae.common.errors import UserError
from music_vae.music import notes_io
from support import exported

MELODIES = ModelChoice(config="cat-mel_2bar_mini")
DRUMS = ModelChoice(config="cat-drums_2bar_mini_hikl")
GROOVES = ModelChoice(config="groovae_2bar_humanize_mini")
FAITHFUL = Sampling(seed=1, temperature=0.01)


@pytest.fixture
def made(tmp_path, caplog):
    """Reconstructs a file; gives quarter notes and pitches, and the line that was logged."""

    def make(name, *, model=MELODIES, mode="reconstruct", **options):
        out = tmp_path / "out"
        path = exported.write(tmp_path, name)
        request = Request(
            model, out, mode, num_outputs=1, input_midi=(path,), sampling=FAITHFUL, **options
        )
        caplog.clear()
        with caplog.at_level("INFO"):
            (written,) = generating.generate(request)
        prefix = f"{path}: "
        said = [r.getMessage() for r in caplog.records if r.getMessage().startswith(prefix)]
        return notes_of(written), [line.removeprefix(prefix) for line in said]

    return make


def notes_of(path):
    """Time in quarter notes, and pitch, of every note of a file."""
    midi = pretty_midi.PrettyMIDI(str(path))
    notes = [note for instrument in midi.instruments for note in instrument.notes]
    beats = [(midi.time_to_tick(note.start) / midi.resolution, note.pitch) for note in notes]
    return sorted((round(start, 1), pitch) for start, pitch in beats)


def starts_and_pitches(notes):
    return sorted((round(start, 1), pitch) for start, _, pitch in notes)


TUNE = starts_and_pitches(exported.TUNE)
LEAD = "track 'Lead' (program 0)"
OTHERS = "track 'Bass' left out; the drums left out"
NO_LOUDNESS = "not in this model: loudness"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("loop", f"bars 1-2 of {LEAD}"),
        ("pickup", f"bars 2-3 of {LEAD}; the pick-up to bar 2 left out"),
        ("ringing_last_note", f"bars 1-2 of {LEAD}; the last note ends with bar 2"),
        ("trailing_tick", f"bars 1-2 of {LEAD}"),
        ("late_release", f"bars 1-2 of {LEAD}"),
        (
            "early_start",
            f"bars 2-3 of {LEAD}; timing moved to the grid of sixteenths, by up to 5 ms",
        ),
        ("three_tracks", f"bars 1-2 of {LEAD}; tracks 'Bass' and 'Keys' left out"),
        ("chords", "bars 1-2 of track 'Keys' (program 0); chords: top notes kept"),
        ("synth_lead", "bars 1-2 of track 'Lead' (program 81)"),
        ("tempo_93_5", f"bars 1-2 of {LEAD}"),
        ("repeated_loop", f"bars 1-2 of {LEAD}; the rest repeats them"),
    ],
)
def test_two_bars_come_back_and_one_line_says_which(made, name, said):
    assert made(name) == (TUNE, [f"{said}; {NO_LOUDNESS}"])


@pytest.mark.parametrize(("name", "semitones"), [("three_octaves_up", 36), ("out_of_range", 48)])
def test_a_melody_that_is_too_high_for_the_model_comes_back_as_high(made, name, semitones):
    notes, (said,) = made(name)
    assert notes == [(start, pitch + semitones) for start, pitch in TUNE]
    assert "octaves lower, where the model knows melodies" in said


@pytest.mark.parametrize("name", ["four_bars", "five_bars", "pickup", "slowing_down"])
def test_a_whole_melody_comes_back_window_by_window(made, tmp_path, name):
    notes, (said,) = made(name, window="all")
    assert notes == starts_and_pitches(exported.FILES[name][exported.LEAD])
    last_bar = {"four_bars": 4, "five_bars": 5, "pickup": 3, "slowing_down": 4}[name]
    assert said == f"bars 1-{last_bar} of {LEAD}; {NO_LOUDNESS}"
    (path,) = (tmp_path / "out").iterdir()
    given = pretty_midi.PrettyMIDI(str(tmp_path / f"{name}.mid")).get_tempo_changes()
    found = pretty_midi.PrettyMIDI(str(path)).get_tempo_changes()
    assert [array.tolist() for array in found] == [pytest.approx(a.tolist()) for a in given]


TIES = "3 notes that cross from one window to the next end there; the last note ends with bar 8"


@pytest.mark.parametrize(
    ("name", "window", "said"),
    [
        ("ties", "all", f"bars 1-8 of {LEAD}; {TIES}"),
        ("ties", "2", f"bars 3-4 of {LEAD}; the note across the end of bar 4 ends there"),
        ("ties", "4", f"bars 7-8 of {LEAD}; the last note ends with bar 8"),
        ("ringing_last_note", "all", f"bars 1-2 of {LEAD}; the last note ends with bar 2"),
        ("ringing_into_bar_4", "all", f"bars 1-3 of {LEAD}; the last note ends with bar 3"),
        ("ringing_into_bar_4", "2", f"bar 3 of {LEAD}"),
        ("ringing_into_bar_5", "all", f"bars 1-4 of {LEAD}; the last note ends with bar 4"),
    ],
)
def test_notes_that_end_early_are_said_once(made, name, window, said):
    _, (line,) = made(name, window=window)
    assert line == f"{said}; {NO_LOUDNESS}"


def test_a_whole_melody_of_a_song_begins_where_it_begins_in_the_song(made):
    notes, (said,) = made("song", window="all")
    assert notes == starts_and_pitches(exported.FILES["song"][exported.LEAD])
    assert said == f"bars 5-10 of {LEAD}; {OTHERS}; {NO_LOUDNESS}"


def test_drums_on_the_track_of_a_melody_are_said_to_be_left_out(made):
    for mode, model in (("similar", MELODIES), ("reconstruct", MELODIES)):
        _, (said,) = made("drums_beside_a_melody", mode=mode, model=model)
        assert said == f"bars 1-2 of {LEAD}; the drums left out; {NO_LOUDNESS}"
    _, (said,) = made("loop")
    assert "drums" not in said


def test_a_window_is_chosen_by_its_number(made):
    notes, (said,) = made("song", window="2")
    assert notes == starts_and_pitches(exported.ANSWER)
    assert said == f"bars 7-8 of {LEAD}; {OTHERS}; {NO_LOUDNESS}"
    _, (said,) = made("song", window="4")
    assert said.startswith("bars 1-2 of track 'Bass' (program 33); track 'Lead' left out")


def test_drums_are_heard_without_the_rest_of_a_song(made):
    notes, (said,) = made("song", model=GROOVES, window="2", hits="input", amount=0)
    assert notes == starts_and_pitches(exported.BEAT)
    assert said == "bars 3-4 of the drums; 88 notes of other tracks left out"
    notes, (said,) = made("song", model=GROOVES, hits="input", amount=0)
    assert len(notes) == 5 * len(exported.BEAT)
    assert said == "bars 1-10 of the drums; 88 notes of other tracks left out"


def test_drums_of_another_kit_are_named_unless_they_stay(made):
    others = "2 of 5 drum sounds are played as others: tambourine as closed hi hat, cowbell as "
    _, (said,) = made("percussion", model=DRUMS)
    assert said == f"bars 1-2 of the drums; {others}acoustic snare; {NO_LOUDNESS}"
    assert others in made("percussion", model=GROOVES, hits="model")[1][0]
    assert made("percussion", model=GROOVES)[1] == ["bars 1-2 of the drums"]


TAPS = ModelChoice(config="groovae_2bar_tap_fixed_velocity_mini")


@pytest.mark.parametrize("window", [None, "1"])
def test_taps_are_heard_as_taps_whatever_drum_they_are_on(made, window):
    for mode in ("reconstruct", "similar"):
        _, (said,) = made("taps", model=TAPS, mode=mode, window=window)
        assert said == "bars 1-2 of the drums"
    _, (said,) = made("taps", model=GROOVES, hits="model", window=window)
    assert said.endswith("1 of 1 drum sound is played as another: hi bongo as hi-mid tom")


def test_variations_and_attributes_go_through_a_whole_melody(made):
    for mode, options in (("similar", {}), ("attribute", {"attribute": ("note_density=+1",)})):
        notes, _ = made("five_bars", mode=mode, window="all", **options)
        assert {start // 8 for start, _ in notes} == {0, 1, 2}
        assert max(notes)[0] < 20
        again, _ = made("five_bars", mode=mode, window="all", **options)
        assert again == notes


def test_what_is_repeated_in_a_piece_stays_the_same_in_a_variation(made):
    notes, _ = made("song", mode="similar", window="all", similarity=0.6)
    first = [(start - 16, pitch) for start, pitch in notes if start < 24]
    assert first == [(start - 32, pitch) for start, pitch in notes if start >= 32]


@pytest.fixture
def command(tmp_path, capsys):
    def run(name, *flags, mode="similar"):
        files = ",".join(str(exported.write(tmp_path, part)) for part in name.split(","))
        given = ["--config=cat-mel_2bar_mini", f"--mode={mode}", f"--input_midi={files}"]
        code = generate.main([*given, f"--output_dir={tmp_path / 'out'}", *flags])
        return code, capsys.readouterr()

    return run


def test_windows_are_listed_and_written_to_be_heard(command, tmp_path):
    code, output = command("song")
    assert code == 2
    paths = sorted((tmp_path / "out").glob("*_input1-extractions_*.mid"))
    assert output.out.splitlines() == [
        *(f"{n}: bars {3 + 2 * n}-{4 + 2 * n} of Lead  {paths[n - 1]}" for n in (1, 2, 3)),
        *(f"{n}: bars {2 * n - 7}-{2 * n - 6} of Bass  {paths[n - 1]}" for n in range(4, 9)),
    ]
    assert notes_of(paths[1]) == starts_and_pitches(exported.ANSWER)
    assert output.err.splitlines()[-1].endswith(
        "song.mid: it holds 8 windows for cat-mel_2bar_mini, and one is needed; choose one, as in "
        "--window=1, or all with --window=all"
    )


def test_an_interpolation_goes_from_one_window_of_a_song_to_another(command, tmp_path):
    flags = ["--seed=1", "--temperature=0.01", "--num_outputs=2"]
    assert command("song,song", "--window=1,2", *flags, mode="interpolate")[0] == 0
    first, last = sorted((tmp_path / "out").iterdir())
    assert notes_of(first) == TUNE
    assert notes_of(last) == starts_and_pitches(exported.ANSWER)


@pytest.mark.parametrize(
    ("name", "flags", "mode", "message"),
    [
        ("song", ["--window=9"], "similar", "it holds 8 windows; there is no --window=9"),
        ("song", ["--window=0"], "similar", "--window=0: expected the number of a window, from 1"),
        ("song", ["--window=some"], "similar", "--window=some: expected the number of a window"),
        ("song", ["--window=1,2"], "similar", "--window=1,2 has 2 numbers for 1 pieces"),
        ("song,song", ["--window=all"], "interpolate", "--window=all is for one piece"),
        ("song,loop", [], "interpolate", "choose one for each input, as in --window=1,1"),
        ("two_four", [], "similar", "it is in 2/4, and cat-mel_2bar_mini takes music in 4/4"),
        ("two_four", ["--window=all"], "similar", "it is in 2/4, and cat-mel_2bar_mini takes"),
        ("beat", [], "similar", "it has only drums, and cat-mel_2bar_mini takes melodies"),
    ],
)
def test_a_mistake_is_one_line_at_the_end(command, name, flags, mode, message):
    code, output = command(name, *flags, mode=mode)
    assert code == 2
    assert message in output.err.splitlines()[-1]


def test_a_window_needs_a_piece(tmp_path):
    with pytest.raises(
        UserError, match="`window` is for `mode=interpolate`, `mode=reconstruct`, `mode=hum"
    ):
        Request(MELODIES, tmp_path, window="1")
    with pytest.raises(UserError, match="`window` is for pieces that are given as `input_midi`"):
        Request(MELODIES, tmp_path, "attribute", attribute=("a=1",), window="all")


@pytest.mark.parametrize(
    ("metres", "message"),
    [
        ([(0, 4), (4, 3)], "from bar 3 on it is in 3/4, and groovae_2bar_humanize_mini takes"),
        ([(0, 3), (3, 4)], "it begins in 3/4, and groovae_2bar_humanize_mini takes music in 4/4"),
    ],
)
def test_a_groove_that_changes_its_metre_is_refused_with_the_bar(tmp_path, metres, message):
    (piece,) = notes_io.read_music_file(exported.write(tmp_path, "six_bar_beat"))
    del piece.time_signatures[:]
    for time_s, numerator in metres:
        piece.time_signatures.add(time=time_s, numerator=numerator, denominator=4)
    notes_io.write_midi(piece, tmp_path / "changes.mid")
    given = InputFile("input_midi", "input1", tmp_path / "changes.mid")
    with pytest.raises(UserError, match=f"{message}.*; `window=1` takes a part of it$"):
        inputs.read_groove(GROOVES.read_config(), given, keeps_hits=True)


def test_a_metre_after_the_last_hit_is_none_of_a_groove(tmp_path):
    (piece,) = notes_io.read_music_file(exported.write(tmp_path, "beat"))
    piece.time_signatures.add(time=4.0, numerator=3, denominator=4)
    notes_io.write_midi(piece, tmp_path / "changes.mid")
    given = InputFile("input_midi", "input1", tmp_path / "changes.mid")
    groove = inputs.read_groove(GROOVES.read_config(), given, keeps_hits=True)
    assert len(groove.notes) == len(exported.BEAT)


def test_a_groove_in_another_metre_is_refused_in_a_sentence(tmp_path):
    path = exported.write(tmp_path, "waltz_beat")
    given = InputFile("input_midi", "input1", path)
    with pytest.raises(UserError, match="it is in 3/4, and groovae_2bar_humanize_mini takes"):
        inputs.read_groove(GROOVES.read_config(), given, keeps_hits=True)
