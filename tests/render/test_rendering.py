"""`music_vae_generate --render`: which files, for every mode; what is refused before any work."""

import re
import sys
import wave

import mido
import pretty_midi
import pytest

from music_vae import generate
from music_vae.common.errors import UserError
from music_vae.render import plotting, rendering
from support.soundfonts import soundfont


@pytest.fixture(scope="module")
def melodies(random_run):
    return random_run("cat-mel_2bar_small")


@pytest.fixture
def run(melodies, tmp_path):
    """Runs the command; gives the exit code and the files by their suffix, in order."""

    def command(*flags, folder=None):
        out = tmp_path / "out"
        arguments = [f"--run_dir={folder or melodies}", f"--output_dir={out}", "--seed=1", *flags]
        code = generate.main(arguments)
        found = {}
        for path in sorted(out.iterdir()) if out.exists() else []:
            found.setdefault(path.suffix[1:], []).append(path)
        return code, found

    return command


def stems(paths):
    return [path.stem for path in paths]


def test_every_format_lies_beside_the_midi_files(run, capsys):
    code, found = run("--num_outputs=2", "--render=ogg,wav,flac,png,svg,html")
    assert code == 0
    assert set(found) == {"mid", "wav", "flac", "ogg", "png", "svg", "html"}
    for name in ("wav", "flac", "ogg", "png", "svg"):
        assert stems(found[name]) == stems(found["mid"])
    assert [path.name for path in found["html"]] == ["index.html"]
    printed = capsys.readouterr().out.split()
    assert sorted(printed) == sorted(str(path) for paths in found.values() for path in paths)
    assert printed[:2] == [str(path) for path in found["mid"]]


def test_without_the_flag_there_are_midi_files_alone(run):
    _, found = run("--num_outputs=2")
    assert list(found) == ["mid"]


def test_a_way_becomes_one_picture(run, windows):
    first = ",".join(windows[:2])
    flags = ["--mode=interpolate", f"--input_midi={first}", "--num_outputs=3"]
    code, found = run(*flags, "--render=svg,html")
    assert code == 0
    (picture,) = found["svg"]
    assert re.fullmatch(r"cat-mel_2bar_small_interpolate_[\d_-]+_seed1", picture.stem)
    assert all(stem.startswith(picture.stem) for stem in stems(found["mid"]))
    drawn = picture.read_text(encoding="utf-8")
    assert all(f"{number} of 3" in drawn for number in (1, 2, 3))
    page = found["html"][0].read_text(encoding="utf-8")
    assert "repeat(3, " in page
    assert "3 steps on the way" in page


def test_a_grid_becomes_one_picture(run, windows):
    flags = [
        "--mode=interpolate",
        f"--input_midi={','.join(windows)}",
        "--grid=2x3",
        "--render=svg,html",
    ]
    code, found = run(*flags)
    assert code == 0
    assert len(found["mid"]) == 6
    (picture,) = found["svg"]
    assert "row 2, column 3" in picture.read_text(encoding="utf-8")
    page = found["html"][0].read_text(encoding="utf-8")
    assert "repeat(3, " in page
    assert page.count("<li ") == 6


def test_a_loop_is_as_long_as_its_midi_file(run, random_run):
    for folder in (None, random_run("groovae_2bar_humanize")):
        flags = ["--num_outputs=2", "--render=wav,flac", "--loop", "--qpm=93.5"]
        code, found = run(*flags, folder=folder)
        assert code == 0
        assert stems(found["wav"]) == stems(found["flac"]) == stems(found["mid"])
        for path in found["wav"]:
            with wave.open(str(path)) as file:
                assert file.getnframes() == round(8 * 60 / 93.5 * 44100)
            midi = mido.MidiFile(path.with_suffix(".mid"))
            assert [sum(event.time for event in track) for track in midi.tracks] == [8 * 480] * 2


def test_an_interpolation_can_be_one_file_of_each_kind(run, windows):
    flags = ["--mode=interpolate", f"--input_midi={','.join(windows[:3])}", "--num_outputs=4"]
    code, found = run(*flags, "--join", "--loop", "--render=wav,svg,html")
    assert code == 0
    assert {kind: len(paths) for kind, paths in found.items()} == dict.fromkeys(found, 1)
    assert set(found) == {"mid", "wav", "svg", "html"}
    assert found["mid"][0].name.endswith("-000-of-001.mid")
    midi = mido.MidiFile(found["mid"][0])
    assert [sum(event.time for event in track) for track in midi.tracks] == [4 * 8 * 480] * 2
    with wave.open(str(found["wav"][0])) as file:
        assert file.getnframes() == round(4 * 8 * 60 / 90 * 44100)  # the first input's tempo
    apart = sorted(set(run(*flags)[1]["mid"]) - {found["mid"][0]})
    expected = [
        (note.pitch, pytest.approx(note.start + number * 8 * 60 / 90, abs=2e-3))
        for number, path in enumerate(apart)
        for note in pretty_midi.PrettyMIDI(str(path)).instruments[0].notes
    ]
    (joined,) = pretty_midi.PrettyMIDI(str(found["mid"][0])).instruments
    assert [(note.pitch, note.start) for note in joined.notes] == expected
    assert "4 steps" not in found["html"][0].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "flags", [["--mode=similar", "--num_outputs=2"], ["--mode=reconstruct"]], ids=lambda f: f[0][7:]
)
def test_modes_that_start_from_a_piece(run, windows, flags):
    code, found = run(*flags, f"--input_midi={windows[0]}", "--render=png,wav,html")
    assert code == 0
    assert stems(found["png"]) == stems(found["wav"]) == stems(found["mid"])
    assert "a.mid" in found["html"][0].read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["groovae_2bar_humanize", "flat-trio_16bar"])
def test_grooves_and_trios_are_rendered(run, random_run, name):
    flags = ["--num_outputs=1", "--render=wav,png,html", "--temperature=0.01"]
    code, found = run(*flags, folder=random_run(name))
    assert code == 0
    assert stems(found["png"]) == stems(found["wav"]) == stems(found["mid"])


def test_the_page_gives_the_seed_that_chance_chose(run, melodies, tmp_path):
    def notes(path):
        instruments = pretty_midi.PrettyMIDI(str(path)).instruments
        return [(note.pitch, note.start) for i in instruments for note in i.notes]

    out = tmp_path / "chance"
    flags = [f"--run_dir={melodies}", "--num_outputs=1", "--temperature=1"]
    assert generate.main([*flags, f"--output_dir={out}", "--render=html"]) == 0
    page = (out / "index.html").read_text(encoding="utf-8")
    seed = re.search(r"<dt>seed</dt><dd>(\d+)</dd>", page)[1]
    _, found = run("--num_outputs=1", "--temperature=1", f"--seed={seed}")
    (first,) = out.glob("*.mid")
    assert notes(first) == notes(found["mid"][0])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--render=mp3"], "expected some of wav, flac, ogg, png, svg, html, not 'mp3'"),
        (["--render="], "expected some of wav, flac, ogg, png, svg, html, not ''"),
        (["--render=wav,,png"], "not ''"),
        (["--render=png", "--soundfont=x.sf2"], "--soundfont is for --render with wav, flac, ogg"),
        (["--soundfont=x.sf2"], "--soundfont is for --render with wav, flac, ogg"),
        (["--loop"], "--loop is for --render with wav, flac, ogg"),
        (["--loop", "--render=svg,html"], "--loop is for --render with wav, flac, ogg"),
        (["--render=wav", "--soundfont=none.sf2"], "the soundfont none.sf2 cannot be read"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(run, capsys, flags, message):
    code, found = run(*flags)
    assert (code, found) == (2, {})
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_broken_soundfont_is_one_line_and_nothing_is_written(run, tmp_path, capsys):
    path = tmp_path / "broken.sf2"
    path.write_bytes(soundfont()[:5000])
    assert run("--render=wav", f"--soundfont={path}") == (2, {})
    assert f"{path} is not a SoundFont 2 file (.sf2): it is cut off" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("package", "formats", "extra"),
    [
        ("matplotlib", "html", "plots"),
        ("matplotlib", "png", "plots"),
        ("soundfile", "ogg", "audio"),
    ],
)
def test_a_missing_package_is_one_line_and_nothing_is_written(
    run, monkeypatch, capsys, package, formats, extra
):
    monkeypatch.setitem(sys.modules, package, None)
    assert run(f"--render=wav,{formats}") == (2, {})
    assert f"pip install 'music_vae[{extra}]'" in capsys.readouterr().err


def test_too_many_pieces_for_a_picture_are_refused():
    with pytest.raises(UserError, match="10000 pieces are too many for one picture; at most"):
        rendering.prepare(["png"], shape=(100, 100))
    assert rendering.prepare(["wav"], shape=(100, 100)).formats == ("wav",)


def test_another_soundfont_sounds_different(melodies, tmp_path):
    path = tmp_path / "sine.sf2"
    path.write_bytes(soundfont([(54, 1)], loop=(1000, 41000)))
    contents = []
    for name, flags in (("default", []), ("sine", [f"--soundfont={path}"])):
        flags = [f"--run_dir={melodies}", f"--output_dir={tmp_path / name}", *flags]
        assert generate.main([*flags, "--seed=1", "--num_outputs=1", "--render=wav"]) == 0
        (made,) = (tmp_path / name).glob("*.wav")
        contents.append(made.read_bytes())
    assert len(contents[0]) == len(contents[1])
    assert contents[0] != contents[1]


def test_a_file_that_cannot_be_drawn_leaves_no_half(run, monkeypatch):
    def fail(figure):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plotting, "svg", fail)
    code, found = run("--num_outputs=1", "--render=wav,svg")
    assert code == 2
    assert set(found) == {"mid", "wav"}
