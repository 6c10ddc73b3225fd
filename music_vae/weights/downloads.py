"""Downloads files in a way that survives broken connections.

What has arrived is kept beside the target as `NAME.part`, with a note in `NAME.part.json` of which
file it is a part of. The next attempt asks the server for the rest of that very file (RFC 9110,
section 14); if the file has changed, or the server cannot send a part, the download starts over.
The target appears only when it is whole.
"""

import dataclasses
import json
import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import requests
import urllib3
from tqdm import tqdm

from music_vae import __version__
from music_vae.common import files, locks, progress
from music_vae.common.errors import UserError
from music_vae.common.json_values import MALFORMED

MAX_BYTES = 8 * 2**30
RETRY_DELAYS_S = (1.0, 2.0, 4.0)

_TIMEOUTS_S = (10.0, 30.0)  # to connect, and for the next bytes
_CHUNK = 2**18
_PROGRESS_BYTES = 2**20  # an attempt that brought so much does not count towards the retries
_NOT_THERE = (403, 404, 410)  # Google's storage answers 403 where there is no such file
_LENGTH = re.compile(r"[0-9]{1,18}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18})")
_LEADS_NOWHERE = {
    requests.exceptions.InvalidSchema: "the server sends on to what is no http:// or https://",
    requests.exceptions.TooManyRedirects: "the server sends on from address to address",
    requests.exceptions.SSLError: "the server's certificate cannot be trusted",
    requests.exceptions.InvalidURL: "it is, or leads to, no address of a server",
}
"""Errors that another attempt would meet, too, with what they mean."""

_log = logging.getLogger(__name__)


class NotThereError(UserError):
    """Raised when the server has no such file.

    >>> raise NotThereError("https://example.org/model.tar is not there (status 404)")
    Traceback (most recent call last):
    music_vae.weights.downloads.NotThereError:
    https://example.org/model.tar is not there (status 404)
    """


class _BrokenOffError(Exception):
    """Raised when an attempt ended before the file did."""


@dataclasses.dataclass(frozen=True)
class _Source:
    """The file on the server that a part belongs to.

    Attributes:
      url: Address of the file.
      total: Size of the whole file in bytes; None if the server did not tell.
      validator: The server's mark of this version of the file; None if it gave none.
    """

    url: str
    total: int | None
    validator: str | None


def download(url: str, target: Path, *, check: Callable[[Path], None] | None = None) -> None:
    """Downloads `url` to `target`, unless `target` exists.

    Several processes may download the same file at once: one does it and the others wait. A
    progress bar is shown on a terminal.

    >>> import http.server, tempfile, threading
    >>> handler = http.server.SimpleHTTPRequestHandler  # serves the current folder
    >>> with (
    ...     http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
    ...     tempfile.TemporaryDirectory() as folder,
    ... ):
    ...     threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    ...     url = f"http://127.0.0.1:{server.server_port}/examples/tunes/soldiers_joy.mid"
    ...     download(url, Path(folder) / "tune.mid")
    ...     server.shutdown()
    ...     (Path(folder) / "tune.mid").read_bytes()[:4]
    b'MThd'

    Args:
      url: Address of the file, which begins with `http://` or `https://`.
      target: Path of the file to write.
      check: Function that is called with the whole file before it gets its name. A `UserError` that
        it raises is passed on, and the file is deleted.

    Raises:
      NotThereError: If the server has no such file.
      UserError: If the server does not answer, answers with another error, or keeps breaking off.
    """
    if not url.startswith(("http://", "https://")):
        raise UserError(f"{url!r} is no address to download from; expected http:// or https://")
    waiting = f"another process is downloading {target.name}; waiting for it"
    with locks.held(target.with_name(f".{target.name}.lock"), waiting=waiting):
        if target.exists():
            return
        part = target.with_name(f"{target.name}.part")
        _download_whole(url, part)
        _note(part).unlink(missing_ok=True)
        try:
            if check is not None:
                check(part)
        except UserError as error:
            part.unlink()
            raise UserError(f"what came from {url} is of no use: {error}") from error
        os.replace(part, target)


def _download_whole(url: str, part: Path) -> None:
    """Downloads `url` to `part` completely, in as many attempts as it takes."""
    failures = 0
    while True:
        before = _size(part)
        try:
            return _attempt(url, part)
        except tuple(_LEADS_NOWHERE) as error:
            raise UserError(f"{url} cannot be downloaded: {_reason(error)}") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, _BrokenOffError) as error:
            reason = _reason(error)
        failures = 0 if _size(part) - before >= _PROGRESS_BYTES else failures + 1
        if failures > len(RETRY_DELAYS_S):
            kept = _size(part)
            advice = f"; {kept:,} bytes are kept, try again to get the rest" if kept else ""
            raise UserError(f"{url} cannot be downloaded: {reason}{advice}")
        delay = RETRY_DELAYS_S[max(failures - 1, 0)]
        _log.info("the download broke off (%s); trying again in %g s", reason, delay)
        time.sleep(delay)


def _attempt(url: str, part: Path) -> None:
    """Makes one request, for what `part` lacks."""
    source, start = _read_source(part), _size(part)
    if source is None or source.url != url:
        source, start = None, 0
    elif source.total is not None and start >= source.total:
        if start == source.total:
            return
        source, start = None, 0
    # A download that is compressed for the way could not be resumed.
    headers = {"Accept-Encoding": "identity", "User-Agent": f"music_vae/{__version__}"}
    if source is not None and start:
        headers["Range"] = f"bytes={start}-"
        if source.validator:
            headers["If-Range"] = source.validator
    with _get(url, headers) as response:
        if response.status_code in _NOT_THERE:
            raise NotThereError(f"{url} is not there (status {response.status_code})")
        if response.status_code == 416 or response.status_code >= 500:
            if response.status_code == 416:  # the file is shorter now than the part of it
                part.unlink(missing_ok=True)
            raise _BrokenOffError(f"status {response.status_code}")
        if response.status_code == 206:
            source = _checked_range(response, source, start, part)
        elif response.status_code == 200:
            source, start = _source(url, response), 0
        else:
            raise UserError(f"{url} cannot be downloaded: status {response.status_code}")
        if source.total is not None and source.total > MAX_BYTES:
            raise UserError(
                f"{url} has {source.total:,} bytes; a checkpoint has at most {MAX_BYTES:,}"
            )
        _receive(response, part, source, start)


def _get(url: str, headers: dict[str, str]) -> requests.Response:
    """Asks a server for a file, and returns its answer, whose content is not read yet."""
    try:
        return requests.get(url, headers=headers, stream=True, timeout=_TIMEOUTS_S)
    except requests.RequestException:
        raise
    except ValueError as error:  # requests does not catch what it cannot read of a redirect
        raise requests.exceptions.InvalidURL(str(error)) from error


def _receive(response: requests.Response, part: Path, source: _Source, start: int) -> None:
    """Writes a response to `part` from `start` on, and checks the length of the file."""
    if not start:
        part.unlink(missing_ok=True)
        files.write_text(_note(part), json.dumps(dataclasses.asdict(source)))
        size = "" if source.total is None else f" ({source.total / 1e6:.1f} MB)"
        _log.info("downloading %s%s", source.url, size)
    bar = tqdm(
        total=source.total,
        initial=start,
        unit="B",
        unit_scale=True,
        desc=part.stem,
        disable=not progress.show_progress(),
    )
    received = start
    with bar, part.open("ab") as output:
        for chunk in response.raw.stream(_CHUNK, decode_content=False):
            received += len(chunk)
            if received > MAX_BYTES:
                part.unlink()  # it has no end, so that the rest would be of no use either
                _note(part).unlink(missing_ok=True)
                raise UserError(f"{source.url} has more than {MAX_BYTES:,} bytes")
            output.write(chunk)
            bar.update(len(chunk))
    if source.total is not None and received != source.total:
        raise _BrokenOffError(f"{received:,} of {source.total:,} bytes came")


def _checked_range(
    response: requests.Response, source: _Source | None, start: int, part: Path
) -> _Source:
    """Returns the source if the response is the rest of it from `start` on."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if source is None or match is None or int(match[1]) != start:
        part.unlink(missing_ok=True)
        raise _BrokenOffError("the server gave another part than it was asked for")
    new = _Source(source.url, int(match[2]), _validator(response))
    # What either side does not tell cannot be compared.
    changed = source.total not in (None, new.total)
    changed |= None not in (source.validator, new.validator) and source.validator != new.validator
    if changed:
        part.unlink(missing_ok=True)
        raise _BrokenOffError("the file has changed on the server")
    return dataclasses.replace(source, total=new.total)


def _source(url: str, response: requests.Response) -> _Source:
    """Returns the source that the headers of a whole response describe."""
    length = _LENGTH.fullmatch(response.headers.get("Content-Length", ""))
    return _Source(url, int(length[0]) if length else None, _validator(response))


def _validator(response: requests.Response) -> str | None:
    """Returns the server's mark of this version of the file, or None.

    A weak mark does not promise the same bytes, and is not used.
    """
    mark = response.headers.get("ETag", "")
    if not mark or mark.startswith("W/"):
        mark = response.headers.get("Last-Modified", "")
    return mark or None


def _read_source(part: Path) -> _Source | None:
    """Returns the source noted beside a part, or None without a note that can be read."""
    try:
        source = _Source(**json.loads(_note(part).read_text(encoding="utf-8")))
    except (FileNotFoundError, *MALFORMED):
        return None
    is_total = source.total is None or (type(source.total) is int and source.total >= 0)
    is_mark = source.validator is None or (
        isinstance(source.validator, str) and source.validator.isprintable()
    )
    return source if is_total and is_mark else None


def _note(part: Path) -> Path:
    """Returns the path of the note beside a part."""
    return part.with_name(f"{part.name}.json")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: Exception) -> str:
    """Describes an error in a few words; the libraries' own messages are long and nested."""
    if isinstance(error, _BrokenOffError):
        return str(error)
    for kind, meaning in _LEADS_NOWHERE.items():
        if isinstance(error, kind):
            return meaning
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return "the server does not answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the server"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "the connection was lost"
    return str(error)
