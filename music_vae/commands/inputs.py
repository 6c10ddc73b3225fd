"""Reads the music that a model is given: a window of each file, all windows, or a whole groove.

What was heard of a file, and what was left out or changed of it, is said in one line of the log.
"""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from music_vae.commands import piece_files
from music_vae.commands.generate_request import InputFile
from music_vae.common import files
from music_vae.common.errors import NoExtractedExamplesError, UserError, naming
from music_vae.common.texts import printable
from music_vae.music import bar_lines, hearing, notes_io, remarks
from music_vae.music.heard_windows import Window, bars_text, on_ends
from music_vae.music.hearing import Hearing, Part
from music_vae.music.tempo_map import TempoMap

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

    from music_vae.configs import Config

_log = logging.getLogger(__name__)


class SeveralWindowsError(UserError):
    """The error for files that hold several windows, of which none was chosen.

    >>> SeveralWindowsError("it holds 2 windows", ["1: bars 1-2", "2: bars 3-4"]).listing
    ('1: bars 1-2', '2: bars 3-4')

    Attributes:
      listing: A line for each window, with the number by which it is chosen.
    """

    def __init__(self, message: str, listing: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.listing = tuple(listing)


def read_windows(
    config: "Config",
    inputs: Sequence[InputFile],
    output_dir: Path,
    stamp: str,
    chosen: Sequence[int | None] = (),
) -> list[Window]:
    """Reads a window of music for a model of `config` from each file, and logs what was heard.

    >>> from music_vae.configs import get_config
    >>> config = get_config("cat-mel_2bar_mini")
    >>> tune = InputFile("input_midi", "input1", Path("examples/tunes/soldiers_joy.mid"))
    >>> (window,) = read_windows(config, [tune], Path("music"), stamp="now", chosen=[3])
    >>> window.bars, window.qpm
    ('bars 6-7', 120.0)

    Args:
      config: The config of the model.
      inputs: The files.
      output_dir: Folder for the windows of a file that holds several.
      stamp: Text that makes the names of these windows unique, such as the time.
      chosen: Number of the window of each file, from 1 on; None or nothing: there is only one.

    Raises:
      SeveralWindowsError: If files hold several windows and none was chosen; they are then written
        to `output_dir`.
      UserError: If files hold no window, or not the one that was chosen.
    """
    windows: list[Window] = []
    errors: list[UserError] = []
    listing: list[str] = []
    for given, number in zip(inputs, chosen or [None] * len(inputs), strict=True):
        try:
            with naming(given.argument, given.path):
                windows.append(_window(config, given, output_dir, stamp, number, len(inputs)))
        except UserError as error:
            errors.append(error)
            listing += getattr(error, "listing", ())
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise SeveralWindowsError("; ".join(map(str, errors)), listing)
    return windows


def read_all_windows(config: "Config", given: InputFile) -> "tuple[list[Window], TempoMap | None]":
    """Reads all windows of the melody, or of the drums, in a file, and logs what was heard.

    The first is that of a pick-up, if there is one. If the tempo of the piece changes, all windows
    are at one tempo, and the tempos are returned, too.

    >>> from music_vae.configs import get_config
    >>> tune = InputFile("input_midi", "input1", Path("examples/tunes/soldiers_joy.mid"))
    >>> windows, tempo_map = read_all_windows(get_config("cat-mel_2bar_mini"), tune)
    >>> len(windows), tempo_map
    (9, None)

    Raises:
      UserError: If there is none, or places of windows in the piece are not known.
    """
    with naming(given.argument, given.path):
        heard, left_out = _hear(config, given)
        part, tempo_map = heard.main, heard.tempo_map
        windows = list(hearing.each_window(part))
        if tempo_map is None:
            raise UserError(
                f"{config.name} has no windows that follow each other; choose one with `window=1`"
            )
    _say(given, config, heard, part, windows, left_out, are_joined=True)
    windows = [_of_part(window, part) for window in windows]
    return windows, None if tempo_map.is_steady else tempo_map


def _read(config: "Config", given: InputFile) -> "tuple[NoteSequence, list[str]]":
    """Returns the piece in a file as a model takes it, and a clause on other tracks, if any."""
    piece, lost = piece_files.read_piece(config, given)
    return piece, [f"{remarks.counted(lost, 'note')} of other tracks left out"] if lost else []


def _hear(config: "Config", given: InputFile) -> tuple[Hearing, list[str]]:
    """Returns what a model hears of a file, and clauses on what it does not; names no argument."""
    piece, left_out = _read(config, given)
    converter = config.data_converter.for_inference()
    try:
        heard = hearing.hear(piece, converter)
    except NoExtractedExamplesError as error:
        raise UserError(remarks.sentence(str(error), config.name, converter)) from error
    return heard, left_out


def _say(
    given: InputFile,
    config: "Config",
    heard: Hearing,
    part: Part,
    windows: Sequence[Window],
    left_out: Sequence[str] = (),
    *,
    are_joined: bool = False,
) -> None:
    """Logs the windows of a part that a model takes, and what is left out or changed."""
    bars = windows[0].bars
    if len(windows) > 1 and windows[0].first_bar is not None:
        first, last = windows[0].first_bar, windows[-1].first_bar or 0
        length = last + (windows[-1].num_bars or 1) - max(0, first)
        bars = bars_text(max(0, first), length)
    of = part.text or ("the drums" if config.data_converter.has_hits else "")
    clauses = [f"{bars or 'all'} of {of}" if of else bars]
    others = [other.title for other in heard.parts if other is not part]
    if others:
        noun = "track" if len(others) == 1 else "tracks"
        clauses.append(f"{noun} {remarks.listed(others)} left out")
    is_first = len(windows) == 1 and windows[0] is part.windows[0]
    if is_first and part.pickup is not None:
        clauses.append(f"{part.pickup.bars} left out")
    if is_first and len(part.windows) > 1 and _are_same(part.windows):
        clauses.append("the rest repeats them")
    clauses += [*left_out, *part.remarks]
    clauses += dict.fromkeys(clause for window in windows for clause in window.remarks)
    converter = config.data_converter.for_inference()
    clauses += on_ends(windows, converter, last=part.windows[-1], are_joined=are_joined)
    clauses += heard.remarks
    if len(windows) == 1 and windows[0].has_tempo_changes:
        clauses.append(f"tempo kept at {windows[0].qpm:g}")
    _log.info("%s: %s", given.path, "; ".join(filter(None, clauses)))


def read_groove(config: "Config", given: InputFile, *, keeps_hits: bool) -> "NoteSequence":
    """Reads a groove of any length from a file, and logs what was heard of it.

    >>> from music_vae.configs import get_config
    >>> config = get_config("groovae_2bar_humanize_mini")
    >>> tune = InputFile("input_midi", "input1", Path("examples/tunes/soldiers_joy.mid"))
    >>> read_groove(config, tune, keeps_hits=True)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `input_midi=examples/tunes/soldiers_joy.mid`: it has no ...

    Args:
      config: The config of a model of grooves.
      given: The file.
      keeps_hits: True if the hits of the groove are in the result as they are.

    Raises:
      UserError: As for `read_piece`, and for a metre that is not the model's.
    """
    piece, left_out = _read(config, given)
    converter = config.data_converter.for_inference()
    last_s = max(note.start_time for note in piece.notes)
    with naming(given.argument, given.path):
        _check_metres(piece, last_s, config)
    last = TempoMap.of(piece).quarter_at(last_s)
    num_bars = bar_lines.bars_begun(last, converter.quarters_per_bar)
    clauses = [f"{bars_text(0, num_bars)} of the drums", *left_out]
    if not keeps_hits:
        pitches = [note.pitch for note in piece.notes]
        clauses += remarks.on_kit(pitches, converter.kit, are_taps=converter.reads_taps)
    _log.info("%s: %s", given.path, "; ".join(clauses))
    return piece


def _check_metres(piece: "NoteSequence", last_s: float, config: "Config") -> None:
    """Raises `UserError` for a groove that is not in the metre of a model from first to last."""
    converter = config.data_converter.for_inference()
    metres = sorted(piece.time_signatures, key=lambda metre: metre.time)
    metres = [metre for metre in metres if metre.time <= last_s]
    for metre in metres:
        if 4 * metre.numerator == converter.quarters_per_bar * metre.denominator:
            continue
        reason = f"time signature {metre.numerator}/{metre.denominator}"
        sentence = remarks.sentence(reason, config.name, converter)
        if metre.time > 0:
            quarter = TempoMap.of(piece).quarter_at(metre.time)
            bar = bar_lines.bars_begun(quarter, converter.quarters_per_bar)
            sentence = f"from bar {bar} on {sentence}"
        elif len({(other.numerator, other.denominator) for other in metres}) > 1:
            sentence = sentence.replace("it is in", "it begins in", 1)
        else:
            raise UserError(sentence)
        raise UserError(f"{sentence}; `window=1` takes a part of it")


def _window(
    config: "Config",
    given: InputFile,
    output_dir: Path,
    stamp: str,
    number: int | None,
    num_inputs: int,
) -> Window:
    """Reads a window of one of so many files; see `read_windows`."""
    heard, left_out = _hear(config, given)
    part, found = heard.main, heard.windows
    if number is None and _are_same(part.windows):
        window = part.windows[0]
    elif number is None:
        listing = _listing(config, given, heard, output_dir, stamp)
        raise SeveralWindowsError(
            _how_to_choose(config, given, heard, num_inputs, listing), listing
        )
    elif number > len(found):
        raise UserError(f"it holds {_counted(len(found))}; there is no `window={number}`")
    else:
        part, window = found[number - 1]
    _say(given, config, heard, part, [window], left_out)
    return _of_part(window, part)


def _of_part(window: Window, part: Part) -> Window:
    """Returns a window that tells which track it is of."""
    return dataclasses.replace(window, track=part.name, program=part.program)


def _are_same(windows: Sequence[Window]) -> bool:
    """Returns True if windows hold the same music, as a loop has it that is repeated."""
    return len({(w.qpm, w.tensors.outputs[0].tobytes()) for w in windows}) == 1


def _counted(number: int) -> str:
    return remarks.counted(number, "window")


def _listing(
    config: "Config", given: InputFile, heard: Hearing, output_dir: Path, stamp: str
) -> list[str]:
    """Writes the windows of a file that holds several, to be heard; returns a line for each."""
    found = heard.windows
    wanted = f"{config.name}_{given.label}-extractions_{stamp}"
    with files.free_name(output_dir, wanted) as name:
        paths = piece_files.named(output_dir, name, len(found), grid=None)
        piece_files.write([notes_of(window, config) for _, window in found], paths)
    listing = []
    for number, ((part, window), path) in enumerate(zip(found, paths, strict=True), start=1):
        track = part.name or f"track {part.number}"
        of = f" of {printable(track)}" if part.name or len(heard.parts) > 1 else ""
        where = f"{window.bars}{of}" if window.bars else "a window"
        listing.append(f"{number}: {where}  {path}")
    return listing


def _how_to_choose(
    config: "Config", given: InputFile, heard: Hearing, num_inputs: int, listing: Sequence[str]
) -> str:
    """Returns a message that says how to choose a window of a file that holds several."""
    message = f"it holds {_counted(len(listing))} for {config.name}, and one is needed; choose one"
    if given.argument == "control_midi":
        return f"{message}, as in `control_midi={listing[0].rpartition('  ')[2]}`"
    if num_inputs > 1:
        return f"{message} for each input, as in `window={','.join('1' * num_inputs)}`"
    everything = ", or all with `window=all`" if heard.tempo_map is not None else ""
    return f"{message}, as in `window=1`{everything}"


def notes_of(window: Window, config: "Config") -> "NoteSequence":
    """Returns the notes of a window as a model of `config` takes them, at the window's tempo.

    >>> from music_vae.configs import get_config
    >>> config = get_config("cat-mel_2bar_mini")
    >>> tune = InputFile("input_midi", "input1", Path("examples/two_bars/durangs_hornpipe.mid"))
    >>> (window,) = read_windows(config, [tune], Path("music"), stamp="now")
    >>> [note.pitch for note in notes_of(window, config).notes][:4]
    [69, 73, 76, 73]
    """
    converter, tensors = config.data_converter.for_inference(), window.tensors
    controls = tensors.controls if converter.control_depth else None
    (piece,) = bar_lines.decoded(converter, tensors.outputs, controls)
    return notes_io.with_tempo(piece_files.moved(piece, -window.semitones), window.qpm)
