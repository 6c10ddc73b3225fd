"""Keeps a share of a corpus back, piece by piece, so that a model can be judged on other music."""

import dataclasses
import functools
import hashlib
import math
from collections import Counter
from collections.abc import Iterator

from music_vae.common import checks
from music_vae.common.errors import UserError
from music_vae.dataset.sources import Record, Source


@dataclasses.dataclass(frozen=True)
class Part:
    """One of the two parts of a source: the pieces that are held out, or all others.

    A piece is a record. Which are held out depends on their contents alone, so that both parts are
    the same in every run, whatever the order of the records, and equal pieces are in one part.

    >>> import tempfile
    >>> from music_vae.dataset.sources import TFRecords
    >>> from music_vae.dataset.tfrecord import write_records
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_records(f"{folder}/a.tfrecord", [b"one", b"two", b"three", b"four", b"five"])
    ...     source = TFRecords(f"{folder}/a.tfrecord")
    ...     parts = [Part(source, 0.2, held_out=held_out) for held_out in (False, True)]
    ...     [[record.data for record in part.records()] for part in parts]
    [[b'one', b'two', b'three', b'five'], [b'four']]

    Attributes:
      source: The source of all records.
      share: Share of the records that are held out, from 0.001 to 0.9; at least one is.
      held_out: True for those, False for the others.

    Raises:
      UserError: If the share is not one of these.
    """

    source: Source
    share: float
    held_out: bool

    def __post_init__(self) -> None:
        checks.check_numbers(self, checks.HELD_OUT, "share")

    def __str__(self) -> str:
        return f"{self.share:.0%} of {self.source}" if self.held_out else str(self.source)

    def records(self, skipped: Counter[str] | None = None) -> Iterator[Record]:
        """Yields the records of the part; counts in `skipped` those that the source leaves out.

        Raises:
          UserError: If there are too few records for two parts.
        """
        last = self._last
        for record in self.source.records(skipped):
            if (_digest(record) <= last) == self.held_out:
                yield record

    def fingerprint(self) -> str:
        """Returns a digest of the data of all records, of both parts, and of which part it is."""
        named = f"{self.source.fingerprint()} {self.share!r} {self.held_out}"
        return hashlib.sha256(named.encode()).hexdigest()

    @functools.cached_property
    def _last(self) -> bytes:
        """The largest digest of a record that is held out."""
        digests = sorted({_digest(record) for record in self.source.records()})
        count = math.ceil(self.share * len(digests))
        if not 0 < count < len(digests):
            raise UserError(
                f"{self.source} holds {len(digests)} different pieces, too few to hold out a share "
                f"of {self.share:g} and to keep some to train on"
            )
        return digests[count - 1]


def _digest(record: Record) -> bytes:
    return hashlib.sha256(record.data).digest()
