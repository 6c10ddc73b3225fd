"""Every piece can be made again from what its MIDI file says."""

import re
import shlex
import shutil
from pathlib import Path

import mido
import pytest

import music_vae
from music_vae import generate
from music_vae.commands import provenance
from music_vae.commands.choices import ModelChoice, Sampling
from music_vae.commands.generate_request import Request


def text_of(path):
    """The text events of a file, of which there is one."""
    (event,) = [e for track in mido.MidiFile(path).tracks for e in track if e.type == "text"]
    data = event.text.encode("latin1")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return event.text


def made_again(path, folder):
    """The pieces that the command in a file makes, in the current folder."""
    said, command = text_of(path).split(": ", 1)
    assert re.fullmatch(rf"music_vae {re.escape(music_vae.__version__)}, piece \d+ of \d+", said)
    program, *arguments = shlex.split(command)
    assert program == "music_vae_generate"
    assert generate.main([*arguments, f"--output_dir={folder}"]) == 0
    return sorted(folder.iterdir())


@pytest.fixture
def here(tmp_path, monkeypatch, windows):
    """The current folder, which holds two pieces under odd names."""
    for path, name in zip(windows, ("a piece.mid", "l'été.mid"), strict=False):
        shutil.copy(path, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


A, B = "--input_midi=a piece.mid", "--input_midi=l'été.mid"


@pytest.mark.parametrize(
    "flags",
    [
        ["--temperature=0.73", "--num_outputs=9"],
        ["--mode=interpolate", A, B, "--qpm=93.5"],
        ["--mode=interpolate", A, B, "--num_outputs=3", "--join"],
        ["--mode=interpolate", "--input_midi_1=a piece.mid", "--input_midi_2=l'été.mid"],
        ["--mode=interpolate", A, B, A, B, "--grid=2x3", "--temperature=1"],
        ["--mode=similar", A, "--similarity=0.35", "--prior=normal"],
        ["--mode=reconstruct", A, "--num_outputs=2", "--temperature=1.5"],
        ["--mode=attribute", "--attribute=note_density=+1.5,c_diatonic=-1", "--num_outputs=3"],
        ["--mode=attribute", "--attribute=note_density=+1.5", A],
        ["--constraint=own", "--attribute=note_density=high", "--temperature=0.2"],
    ],
    ids=lambda flags: " ".join(flags)[:40],
)
@pytest.mark.parametrize("seed", [None, 2**63 - 1])
def test_a_piece_is_made_again_from_its_file(here, flags, seed):
    flags = ["--config=cat-mel_2bar_mini", *flags]
    flags += [] if seed is None else [f"--seed={seed}"]
    assert generate.main([*flags, f"--output_dir={here / 'out'}", "--max_batch_size=3"]) == 0
    paths = sorted((here / "out").iterdir())
    again = made_again(paths[-1], here / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]
    for number, path in enumerate(paths, start=1):
        assert f"piece {number} of {len(paths)}: " in text_of(path)
    names = [re.sub(r"\d{4}-\d\d-\d\d_\d{6}", "", path.name) for path in (*paths, *again)]
    assert names[: len(paths)] == names[len(paths) :]  # with the same seed


@pytest.mark.parametrize(
    "flags",
    [
        ["--hits=both", "--amount=0.25", "--velocity_amount=0.75"],
        ["--hits=input", "--timing_amount=0.0", "--num_outputs=2"],
        [],
    ],
)
def test_grooves_are_made_again_from_their_files(here, random_run, flags):
    shutil.copytree(random_run("groovae_2bar_humanize"), here / "my run")
    assert generate.main(["--run_dir=my run", "--num_outputs=1", "--output_dir=beat"]) == 0
    (beat,) = (here / "beat").iterdir()
    flags = [f"--input_midi={beat.relative_to(here)}", "--mode=reconstruct", *flags]
    assert generate.main(["--run_dir=my run", *flags, "--output_dir=out"]) == 0
    paths = sorted((here / "out").iterdir())
    again = made_again(paths[0], here / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]


def test_a_file_does_not_say_where_other_files_lie(tmp_path):
    model = ModelChoice(run_dir="/home/ada/secret/run")
    tunes = (Path("~/private/a.mid"), Path("near/b.mid"), Path("/home/ada/c, d.mid"))
    request = Request(
        model, tmp_path, "interpolate", input_midi=tunes, sampling=Sampling(seed=1), grid=None
    )
    config = ModelChoice(config="cat-mel_2bar_mini").read_config()
    _, command = provenance.text(request, config, 1, 5).split(": ")
    assert shlex.split(command) == [
        *("music_vae_generate", "--config=cat-mel_2bar_mini", "--mode=interpolate"),
        *("--num_outputs=5", "--seed=1", "--temperature=1.0", "--run_dir=run"),
        *("--input_midi=a.mid", "--input_midi=near/b.mid", "--input_midi=c, d.mid"),
    ]


def test_what_does_not_print_is_escaped(here):
    flags = ["--config=cat-mel_2bar_mini", "--mode=reconstruct", "--output_dir=out"]
    shutil.copy("a piece.mid", "a\n🎹.mid")
    assert generate.main([*flags, "--input_midi=a\n🎹.mid"]) == 0
    (path,) = (here / "out").iterdir()
    assert text_of(path).endswith("'--input_midi=a\\n🎹.mid'")


@pytest.mark.parametrize("name", ["Mein Stück – Übung (2).mid", "メロディ.mid", "Baß.mid"])
def test_a_piece_of_a_file_of_any_name_can_be_made_again(here, name):
    flags = ["--config=cat-mel_2bar_mini", "--mode=reconstruct", "--output_dir=out", "--seed=5"]
    shutil.copy("a piece.mid", name)
    assert generate.main([*flags, f"--input_midi={name}"]) == 0
    (path,) = (here / "out").iterdir()
    (again,) = made_again(path, here / "again")
    assert again.read_bytes() == path.read_bytes()


def test_the_seed_that_chance_chose_is_said_at_the_end_and_one_that_was_given_is_not(here, caplog):
    caplog.set_level("INFO", "music_vae")
    flags = ["--config=cat-mel_2bar_mini", "--num_outputs=1", "--output_dir=out"]
    assert generate.main(flags) == 0
    (path,) = (here / "out").iterdir()
    seed = re.search(r"_seed(\d+)-", path.name)[1]
    expected = f"the seed was {seed}; --seed={seed} makes the same music again"
    assert caplog.messages[-1] == expected
    caplog.clear()
    assert generate.main([*flags, "--seed=3"]) == 0
    assert not any("seed" in message for message in caplog.messages)
