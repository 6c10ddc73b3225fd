"""Checks that the original restores our exports, and computes with them what we do.

    python benchmarks/export_check.py --original_python=ENV/bin/python

For each config, a run with random weights is exported by `music_vae.export.tf1`, the original
restores it with `tf.train.Saver`, and both compute on the same batch. See README.md here for the
original's environment.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import processes
from processes import HERE

_TOLERANCE = 1e-4  # of a difference, relative to the largest value

# Teacher forcing: the original would otherwise evaluate on samples of its own.
_COMMON = "batch_size=3,sampling_schedule=constant,sampling_rate=0"
_SMALL = "z_size=12,enc_rnn_size=[{encoder}],dec_rnn_size=[{decoder}]"
_FLAT = _SMALL.format(encoder="24", decoder="20,16")
_DEEP = _SMALL.format(encoder="24,20", decoder="20,16")

CASES = {
    "cat-mel_2bar_small": "",  # in its full size
    "cat-mel_2bar_med_chords": _FLAT,
    "nade-drums_2bar_full": _FLAT + ",nade_num_hidden=16",
    "groovae_2bar_humanize": _FLAT,
    "flat-trio_16bar": _DEEP,
    "hierdec-mel_16bar": _DEEP,
    "hierdec-trio_16bar": _DEEP,
    "hier-multiperf_vel_1bar_med": _FLAT,
}


def differences(
    ours: Mapping[str, np.ndarray], original: Mapping[str, np.ndarray]
) -> dict[str, tuple[float, float]]:
    """Largest difference of each value, and the largest size of ours; where both are of a step."""
    valid = _valid(ours["lengths"], ours["logits"].shape[1])
    found = {}
    for name in ("mu", "sigma", "loss", "logits"):
        mine, theirs = np.asarray(ours[name]), original[name]
        if name == "logits":
            mine, theirs = mine[valid], theirs[valid]
        found[name] = (float(np.abs(mine - theirs).max()), float(np.abs(mine).max()))
    return found


def _valid(lengths: np.ndarray, steps: int) -> np.ndarray:
    """`[B, T]`: which steps count, of segments side by side or of whole examples."""
    lengths = lengths.reshape(len(lengths), -1)
    segment_steps = steps // lengths.shape[1]
    return (np.arange(segment_steps) < lengths[..., None]).reshape(len(lengths), -1)


def check(config: str, hparams: str, original_python: str, work_dir: Path) -> str:
    """A row of the table; raises `RuntimeError` where the two disagree."""
    prefix = str(work_dir / config)
    arguments = (config, ",".join(filter(None, [hparams, _COMMON])), prefix)
    ours_file, original_file = f"{prefix}-ours.npz", f"{prefix}-original.npz"
    processes.run([sys.executable, str(HERE / "ours.py"), "export", *arguments, ours_file])
    processes.run(processes.original(original_python, "compute", *arguments, original_file))
    ours, original = np.load(ours_file), np.load(original_file)
    found = differences(ours, original)
    cells = "".join(f"{difference:>10.1e}" for difference, _ in found.values())
    row = f"{config:<30}{cells}{found['logits'][1]:>10.1f}{int(original['global_step']):>8}"
    far = [name for name, (by, size) in found.items() if not by <= _TOLERANCE * max(size, 1.0)]
    if far or original["global_step"] != ours["global_step"]:
        raise RuntimeError(f"{row}\n{', '.join(far) or 'global_step'} of {config} differ")
    return row


def main() -> None:
    """Checks one config after the other and prints a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--original_python", required=True, help="Python with magenta 2.1.4, see README.md"
    )
    parser.add_argument(
        "--configs", default=",".join(CASES), help="comma-separated (default: %(default)s)"
    )
    parser.add_argument("--hparams", help="for all configs (default: small sizes for most)")
    options = parser.parse_args()
    print(f"{'':<30}{'largest difference of':>40}{'largest':>10}{'':>8}")
    print(
        f"{'config':<30}{'mu':>10}{'sigma':>10}{'loss':>10}{'logits':>10}{'logit':>10}{'step':>8}"
    )
    with tempfile.TemporaryDirectory(prefix="export-") as work_dir:
        for config in options.configs.split(","):
            hparams = CASES.get(config, _FLAT) if options.hparams is None else options.hparams
            print(check(config, hparams, options.original_python, Path(work_dir)), flush=True)


if __name__ == "__main__":
    main()
