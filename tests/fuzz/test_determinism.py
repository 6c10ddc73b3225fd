"""The same seed gives the same files, whatever process, batch size, hash seed or threads."""

import os
import subprocess
import sys

from support.paths import ROOT, TUNES

_SAMPLES = ("--config=cat-mel_2bar_mini", "--num_outputs=5", "--constraint=own")
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


def test_generated_files(tmp_path):
    found = []
    for number, (variables, batch) in enumerate(_PROCESSES):
        folder = tmp_path / str(number)
        arguments = (*_SAMPLES, batch, "--seed=5", f"--output_dir={folder}")
        _run("music_vae.generate", arguments, variables)
        found.append(_contents(folder))
    assert len(found[0]) == 5
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
