"""The same seed gives the same files, whatever process, batch size, hash seed or threads."""

import os
import subprocess
import sys

import pytest

from support.paths import ROOT, TUNES

_COMMANDS = {
    "samples": ("--config=cat-mel_2bar_mini", "--num_outputs=5", "--constraint=own"),
    "paths": (
        *("--config=cat-mel_2bar_mini", "--mode=interpolate", "--num_outputs=4", "--render=svg"),
        f"--input_midi={ROOT}/examples/two_bars/durangs_hornpipe.mid",
        f"--input_midi={ROOT}/examples/two_bars/fishers_hornpipe.mid",
    ),
    "drums": ("--config=cat-drums_2bar_mini_lokl", "--num_outputs=5", "--temperature=1.3"),
}
_PROCESSES = (
    ({"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}, "--max_batch_size=64"),
    ({"PYTHONHASHSEED": "7", "OPENBLAS_NUM_THREADS": "4"}, "--max_batch_size=2"),
)


def _contents(folder):
    """The contents of files, in the order of their names, which have the time in them."""
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def _run(module, arguments, variables):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    subprocess.run(
        [sys.executable, "-m", module, *arguments], env=environment, check=True, capture_output=True
    )


@pytest.mark.parametrize("name", _COMMANDS)
def test_generated_files(tmp_path, name):
    found = []
    for number, (variables, batch) in enumerate(_PROCESSES):
        folder = tmp_path / str(number)
        arguments = (*_COMMANDS[name], batch, "--seed=5", f"--output_dir={folder}")
        _run("music_vae.generate", arguments, variables)
        found.append(_contents(folder))
    assert len(found[0]) >= 4
    assert found[0] == found[1]


def test_converted_files(tmp_path):
    found = []
    for number, (variables, _) in enumerate(_PROCESSES):
        output = tmp_path / f"{number}.tfrecord"
        arguments = (
            f"--input_dir={TUNES}",
            f"--output_file={output}",
            f"--num_workers={number + 1}",
        )
        _run("music_vae.commands.convert_dir_to_note_sequences", arguments, variables)
        found.append(output.read_bytes())
    assert found[0] == found[1]
