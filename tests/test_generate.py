"""`music_vae_generate` on a tiny run: files, names, seeds, tempo, and every wrong flag."""

import re
import subprocess
import sys

import pretty_midi
import pytest

from music_vae import generate
from music_vae.music import notes_io
from support import paths
from support.paths import TUNES

GOLDEN = paths.GOLDEN / "models" / "cat-mel_2bar_small" / "model.ckpt"


@pytest.fixture
def command(tiny_run, tmp_path):
    def run(*flags):
        return generate.main([f"--run_dir={tiny_run}", f"--output_dir={tmp_path}", *flags])

    return run


@pytest.fixture(scope="module")
def windows(tmp_path_factory, tiny_config):
    """Two MIDI files of one window each."""
    converter, folder = tiny_config.data_converter, tmp_path_factory.mktemp("windows")
    (tune,) = notes_io.read_music_file(TUNES / "soldiers_joy.mid")
    paths = [folder / "a.mid", folder / "b.mid"]
    for piece, path in zip(
        converter.from_tensors(converter.to_tensors(tune).outputs[:2]), paths, strict=True
    ):
        notes_io.write_midi(piece, path)
    return paths


def test_samples_are_written_under_the_originals_names_with_their_seed(command, tmp_path, capsys):
    assert command("--num_outputs=3", "--seed=1") == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    pattern = r"cat-mel_2bar_small_sample_\d{4}-\d\d-\d\d_\d{6}_seed1-00[012]-of-003\.mid"
    assert len(names) == 3
    assert all(re.fullmatch(pattern, name) for name in names)
    assert capsys.readouterr().out.split() == [str(tmp_path / name) for name in names]


def test_a_seed_repeats_the_files(command, tmp_path):
    for folder in ("one", "two"):
        assert command("--num_outputs=2", "--seed=4", f"--output_dir={tmp_path / folder}") == 0
    one, two = (sorted((tmp_path / f).iterdir()) for f in ("one", "two"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_either_engine_writes_the_same_files(command, tmp_path):
    contents = []
    for engine in ("numpy", "tensorflow"):
        folder = tmp_path / engine
        flags = ("--num_outputs=3", "--seed=5", f"--engine={engine}", f"--output_dir={folder}")
        assert command(*flags) == 0
        contents.append([path.read_bytes() for path in sorted(folder.iterdir())])
    assert contents[0] == contents[1]


HEAVY = (
    "bokeh IPython keras librosa matplotlib numba pandas scipy sklearn tensorflow "
    "tensorflow_probability music_vae.render.rendering"
)


@pytest.mark.parametrize("mode", ["sample", "interpolate"])
def test_music_is_made_without_anything_heavy(tiny_run, tmp_path, windows, mode):
    flags = [f"--run_dir={tiny_run}", f"--output_dir={tmp_path}", f"--mode={mode}", "--qpm=90"]
    flags += ["--seed=1"]
    if mode == "interpolate":
        flags += [f"--input_midi_{n}={path}" for n, path in enumerate(windows, start=1)]
    code = (
        f"import sys; from music_vae.generate import main; code = main({flags!r}); "
        f"print(code, [name for name in {HEAVY.split()} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "0 []"
    said = [line.partition(" INFO ")[2] for line in result.stderr.splitlines()]
    heard = [f"{path}: bars 1-2 of track " for path in windows] if mode == "interpolate" else []
    assert len(said) == len(heard)
    assert all(line.startswith(start) for line, start in zip(said, heard, strict=True))
    assert len(list(tmp_path.glob("*.mid"))) == 5


def test_an_interpolation_has_as_many_pieces_as_were_asked_for(command, tmp_path, windows):
    flags = [f"--input_midi_{n}={path}" for n, path in enumerate(windows, start=1)]
    assert command("--mode=interpolate", "--num_outputs=4", *flags) == 0
    assert len(list(tmp_path.glob("cat-mel_2bar_small_interpolate_*-of-004.mid"))) == 4


def test_the_tempo_of_the_result_can_be_chosen(command, tmp_path):
    assert command("--num_outputs=1", "--seed=1", "--qpm=60") == 0
    (path,) = tmp_path.iterdir()
    midi = pretty_midi.PrettyMIDI(str(path))
    assert midi.get_tempo_changes()[1].tolist() == pytest.approx([60.0])
    starts = {round(note.start / 0.25, 3) for i in midi.instruments for note in i.notes}
    assert starts
    assert all(start == int(start) for start in starts)  # sixteenths at 60 last a quarter second


def test_an_input_of_several_windows_is_cut_up_for_the_user_to_choose(
    command, tmp_path, capsys, windows
):
    tune = TUNES / "soldiers_joy.mid"
    flags = [f"--input_midi_1={tune}", f"--input_midi_2={windows[0]}", "--mode=interpolate"]
    assert command(*flags) == 2
    output = capsys.readouterr()
    assert output.err.splitlines()[-1].endswith(
        "it holds 8 windows for cat-mel_2bar_small, and one is needed; choose one for each input, "
        "as in --window=1,1"
    )
    extracts = sorted(tmp_path.glob("cat-mel_2bar_small_input1-extractions_*-of-008.mid"))
    assert output.out.splitlines() == [
        f"{number}: bars {2 * number}-{2 * number + 1}  {path}"
        for number, path in enumerate(extracts, start=1)
    ]
    assert command("--mode=interpolate", f"--input_midi_1={extracts[0]}", flags[1]) == 0
    assert command(*flags, "--window=3,1") == 0


def test_an_input_that_cannot_be_encoded_says_why(command, tmp_path, capsys, windows):
    tune = TUNES / "maple-leaf-rag.mid"
    flags = [f"--input_midi_1={tune}", f"--input_midi_2={windows[0]}"]
    assert command("--mode=interpolate", *flags) == 2
    message = "it is in 2/4, and cat-mel_2bar_small takes music in 4/4"
    assert capsys.readouterr().err.splitlines()[-1].endswith(message)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--checkpoint_file=x"], "give --run_dir or --checkpoint_file, one of the two"),
        (["--run_dir="], "give --config with the name of a model that comes with music_vae"),
        (["--run_dir=nowhere"], "--run_dir=nowhere is not a directory"),
        (["--run_dir=", "--checkpoint_file=x"], "there is no checkpoint 'x'"),
        (["--run_dir=", f"--checkpoint_file={GOLDEN}"], "--checkpoint_file needs --config"),
        (["--run_dir=", "--checkpoint_file=hierdec-mel16bar"], "did you mean hierdec-mel_16bar?"),
        (
            ["--run_dir=", "--checkpoint_file=groovae_4bar", "--config=groovae_2bar_humanize"],
            "trained with the config groovae_4bar, not --config=groovae_2bar_humanize",
        ),
        (["--config=cat-mel_2bar_big"], "trained with the config cat-mel_2bar_small"),
        (
            ["--hparams=max_seq_len=64"],
            "windows of 2 bars, which are 32 steps, but with max_seq_len=64 it makes 64 "
            "steps (4 bars); set max_seq_len=32, or take a config with windows of 4 bars",
        ),
        (["--mode=interpolate"], "--input_midi_1 is required"),
        (
            ["--mode=interpolate", "--input_midi_1=a", "--input_midi_2=b", "--num_outputs=1"],
            "two ends",
        ),
        (["--mode=interpolate", "--input_midi_1=a.mid", "--input_midi_2=b.mid"], "a.mid"),
        (["--qpm=0"], "flag --qpm=0: expected a number from 3.58 to 1000"),
        (["--qpm=3"], "flag --qpm=3: expected a number from 3.58 to 1000"),
        (["--temperature=-1"], "--temperature"),
        (["--num_outputs=0"], "--num_outputs"),
        (["--engine=jax"], "--engine"),
        (["--output_dir=/dev/null"], "is not a directory"),
        (["--no_such_flag"], "no_such_flag"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(command, tmp_path, capsys, flags, message):
    assert command(*flags) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_file_of_another_config_is_refused(tiny_run, tmp_path, capsys):
    prefix = tmp_path / "model.ckpt"
    for path in (tiny_run / "train").glob("model.ckpt-3.*"):
        (tmp_path / path.name.replace("-3", "", 1)).write_bytes(path.read_bytes())
    flags = [f"--checkpoint_file={prefix}", "--config=cat-drums_2bar_small", "--hparams=z_size=4"]
    assert generate.main([*flags, f"--output_dir={tmp_path / 'music'}"]) == 2
    assert "is a checkpoint of another config" in capsys.readouterr().err
    assert not (tmp_path / "music").exists()


def test_an_input_may_begin_with_a_tilde(command, tmp_path, windows, monkeypatch):
    monkeypatch.chdir(windows[0].parent)
    (windows[0].parent / "~draft.mid").write_bytes(windows[0].read_bytes())
    assert command("--mode=similar", "--num_outputs=1", "--input_midi=~draft.mid") == 0
    assert len(list(tmp_path.iterdir())) == 1
