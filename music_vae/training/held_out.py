"""Remembers what share of its music a run holds out, so that it goes on without it.

RUN_DIR/train/holdout.json   {"share": 0.1}; there is no such file if none is held out
"""

import json
import logging
from pathlib import Path
from typing import Any

from music_vae.common import checks, files
from music_vae.common.errors import UserError
from music_vae.common.json_values import MALFORMED

FILE = "holdout.json"

_log = logging.getLogger(__name__)


def keep(train_dir: Path, share: float) -> None:
    """Writes the share that a new run holds out.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     keep(Path(folder), 0.1)
    ...     share_of(Path(folder), None)
    0.1

    Args:
      train_dir: Folder of the checkpoints of the run.
      share: Share of the pieces.
    """
    files.write_text(train_dir / FILE, json.dumps({"share": share}) + "\n")


def share_of(train_dir: Path, asked: float | None) -> float | None:
    """Returns the share that a run which goes on holds out: what it has held out so far.

    >>> share_of(Path("a_run_from_before"), None)  # None
    >>> share_of(Path("a_run_from_before"), 0.1)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `holdout=0.1`: this run was trained on all pieces so far

    Args:
      train_dir: Folder of the checkpoints of the run.
      asked: Share that is asked for; None: that of the run, whichever it is.

    Raises:
      UserError: If another share is asked for, with which the run would be validated on music that
        it was trained on.
    """
    before = _read(train_dir / FILE)
    if asked is None and before is not None:
        _log.info("the run goes on holding out a share of %g of the pieces", before)
    elif asked != before:
        kept = "all pieces" if before is None else f"all but a share of {before:g} of the pieces"
        raise UserError(
            f"`holdout={asked:g}`: this run was trained on {kept} so far",
            hint="start a new run in another folder",
        )
    return before


def _read(path: Path) -> float | None:
    try:
        share: Any = json.loads(path.read_text(encoding="utf-8"))["share"]
        if share in checks.HELD_OUT:
            return share
    except FileNotFoundError:
        return None
    except MALFORMED:
        pass
    raise UserError(f"{path} does not say what share of the pieces is held out")
