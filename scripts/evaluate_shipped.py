"""Prints the table of docs/models.md: every shipped model on the test split of its own music.

    python scripts/evaluate_shipped.py --corpora=corpora

Needs the corpora (`make corpora`). Figures are those of `music_vae_evaluate --config=NAME`.
"""

import argparse
import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

from music_vae.commands import evaluate
from music_vae.weights import shipped

MAKEFILE = Path(__file__).parent.parent / "Makefile"


def corpora_of(name: str) -> list[str]:
    """The corpora of a model's recipe in the Makefile."""
    recipes = MAKEFILE.read_text().replace("\\\n", "")
    for targets, music in re.findall(r"^(train-[^:]*): MUSIC := (.*)$", recipes, re.MULTILINE):
        if f"train-{name}" in targets.split():
            return music.split()
    raise SystemExit(f"{MAKEFILE} has no recipe for {name}")


def figures_of(name: str, corpora: Path) -> dict[str, Any]:
    """What `music_vae_evaluate --json` prints."""
    test, train = (
        ",".join(str(corpora / music / f"{split}.tfrecord") for music in corpora_of(name))
        for split in ("test", "train")
    )
    printed = io.StringIO()
    flags = [f"--config={name}", f"--examples_path={test}", f"--train_examples_path={train}"]
    with contextlib.redirect_stdout(printed):
        if evaluate.main([*flags, "--json"]):
            raise SystemExit(f"{name} was not evaluated")
    return json.loads(printed.getvalue())


def row(name: str, figures: dict[str, Any]) -> str:
    """A line of the table."""
    size = sum(path.stat().st_size for path in shipped.folder(name).rglob("*") if path.is_file())
    cells = [
        f"`{name}`",
        f"{size / 1e6:.1f}",
        f"{figures['accuracy_teacher_forced']:.3f}",
        f"{figures['accuracy_sampled']:.3f}",
        f"{figures['shuffled_z']['accuracy_teacher_forced']:.3f}",
        f"{figures['kl_bits']:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", type=Path, required=True, help="where make corpora put them")
    arguments = parser.parse_args()
    print("| config | MB | teacher-forced | sampled | shuffled z | KL, bits |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in shipped.names():
        print(row(name, figures_of(name, arguments.corpora)), flush=True)


if __name__ == "__main__":
    main()
