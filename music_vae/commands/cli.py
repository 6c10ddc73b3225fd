"""Defines `Command`, which all commands are: flags, `--help`, logging, and mistakes in one line.

Each command owns a `FlagValues`, so that several can be imported into one process. Nothing heavy is
imported here: a command parses its flags first and imports TensorFlow or note_seq after.
"""

import contextlib
import copy
import dataclasses
import json
import logging
import math
import os
import re
import signal
import sys
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from absl import flags

from music_vae.commands import idle_flags
from music_vae.common import checks, files, interrupts
from music_vae.common.errors import EXIT_OK, EXIT_USER_ERROR, UserError
from music_vae.common.hparams import HParams
from music_vae.common.texts import printable

_Subcommand = TypeVar("_Subcommand")

EXIT_SIGNAL = 128  # as shells have it: plus the number of the signal, 130 for Ctrl-C

_ARGUMENT = re.compile(r"`(\w+)(=[^`]*)?`")
_log = logging.getLogger(__name__)
_NO_MEMORY = re.compile(r"failed to map segment|[Cc]annot allocate memory")  # of the loader
_REPEATED = ";\n    repeat this option to specify a list of values"  # which absl adds
_WIDTH = 94  # of a help text, beside its indent
_LOG_LEVELS = ("DEBUG", "INFO", "WARN", "ERROR", "FATAL")


def new_flags() -> flags.FlagValues:
    """Returns a set with the flags that every command has: `--log`, `--help` and `--helpfull`.

    >>> values = new_flags()
    >>> _ = flags.DEFINE_integer("bars", 2, "Length of the music.", flag_values=values)
    >>> values(["my_command", "--bars=4"])
    ['my_command']
    >>> values.bars, values.log
    (4, 'INFO')
    """
    values = flags.FlagValues()
    flags.DEFINE_enum(
        "log", "INFO", _LOG_LEVELS, "How much is logged to stderr.", flag_values=values
    )
    flags.DEFINE_boolean(
        "help", False, "Show this help.", short_name="h", flag_values=values, allow_override=True
    )
    flags.DEFINE_boolean(
        "helpfull", False, "Show all flags.", flag_values=values, allow_override=True
    )
    return values


def define_choice_or_boolean(
    name: str,
    default: str,
    choices: Mapping[str, str],
    help_text: str,
    *,
    values: flags.FlagValues,
) -> None:
    """Defines a flag that takes one of several words, and also what a boolean flag takes.

    Such a flag was a boolean in the original's commands, whose users shall not have to change them.

    >>> values, words = new_flags(), {"memory": "memory", "none": "none", "false": "none"}
    >>> define_choice_or_boolean("cache", "memory", words, "Place of examples.", values=values)
    >>> values(["my_command", "--nocache"])
    ['my_command']
    >>> values.cache
    'none'

    Args:
      name: Name of the flag.
      default: Value of the flag if it is not given, one of the words.
      choices: For each text that may be given, the word that it stands for; `--name` gives the text
        `true`, and `--noname` gives `false`.
      help_text: Help of the flag.
      values: Flags to which it is added.
    """
    words = list(dict.fromkeys(choices.values()))
    flag = flags.Flag(
        _ChoiceParser(choices),
        flags.ArgumentSerializer(),
        name,
        default,
        f"<{'|'.join(words)}>: {help_text}",
        boolean=True,
    )
    flags.DEFINE_flag(flag, values)


def define_number(
    name: str,
    default: float | None,
    help_text: str,
    allowed: checks.Range,
    *,
    values: flags.FlagValues,
) -> None:
    """Defines a flag that is a finite number of a range.

    >>> values = new_flags()
    >>> define_number("bars", 2, "Length of the music.", checks.Range(1, 16), values=values)
    >>> values(["my_command", "--bars=17"])
    Traceback (most recent call last):
    absl.flags._exceptions.IllegalFlagValueError: flag --bars=17: expected a whole
    number from 1 to 16

    Args:
      name: Name of the flag.
      default: Value of the flag if it is not given.
      help_text: Help of the flag.
      allowed: The range, which the field that takes the value has, too.
      values: Flags to which it is added.
    """
    parser = _WholeNumberParser(allowed) if allowed.whole else _NumberParser(allowed)
    flags.DEFINE(parser, name, default, help_text, values, flags.ArgumentSerializer())


def _parsed(
    argument: Any, convert: Callable[[Any], float], allowed: checks.Range
) -> Any:  # of the type that `convert` returns
    """Returns the number that a text is; raises `ValueError` unless it is one of a range."""
    try:
        number = convert(argument)
    except ValueError:
        number = math.nan
    if number not in allowed:
        raise ValueError(f"expected {allowed}")
    return number


class _NumberParser(flags.FloatParser):
    """Parser of a number of a range; absl's takes NaN for one of every range."""

    def __init__(self, allowed: checks.Range) -> None:
        super().__init__(allowed.least, allowed.most)
        self._allowed = allowed

    def parse(self, argument: Any) -> float:
        return _parsed(argument, self.convert, self._allowed)


class _WholeNumberParser(flags.IntegerParser):
    """Parser of a whole number of a range."""

    def __init__(self, allowed: checks.Range) -> None:
        super().__init__(int(allowed.least), int(allowed.most))
        self._allowed = allowed

    def parse(self, argument: Any) -> int:
        return _parsed(argument, self.convert, self._allowed)


class _ChoiceParser(flags.ArgumentParser):
    """Parser of a flag that takes several texts for each of some words."""

    def __init__(self, choices: Mapping[str, str]) -> None:
        self._choices = dict(choices)
        self.enum_values = list(dict.fromkeys(choices.values()))

    def parse(self, argument: Any) -> str:
        word = self._choices.get(str(argument).lower())
        if word is None:
            raise ValueError(f"value should be one of <{'|'.join(self._choices)}>")
        return word

    def flag_type(self) -> str:
        return "string"


def help_text(
    program: str,
    usage: str,
    values: flags.FlagValues,
    *,
    sections: Mapping[str, Sequence[str]] | None = None,
    hidden: Collection[str] = (),
) -> str:
    """Returns the text of `--help`: what the command does, then flags with their defaults.

    >>> print(help_text("my_command", "Makes music.", new_flags()))
    Makes music.
    <BLANKLINE>
    Flags of my_command:
      --log=<DEBUG|INFO|WARN|ERROR|FATAL>
          How much is logged to stderr. (default: 'INFO')

    Args:
      program: Name of the program.
      usage: Description of what it does.
      values: Its flags.
      sections: Names of the flags that are shown, by the title of a section; None: all flags, in
        the order of the alphabet.
      hidden: Names of flags that are left out.
    """
    lines = [usage.strip(), "", f"Flags of {program}:"]
    for title, names in (sections or {}).items():
        lines += ["", f" {title}", *(line for name in names for line in _flag_help(values[name]))]
    if not sections:
        shown = sorted(set(values) - {"help", "helpfull", *hidden})
        lines += [
            line for name in shown if name == values[name].name for line in _flag_help(values[name])
        ]
    if sections or hidden:
        lines += ["", f"All flags: {program} --helpfull"]
    return "\n".join(lines)


def _flag_help(flag: flags.Flag) -> list[str]:
    """Returns the lines of `--help` for a flag."""
    default = f" (default: {flag.default_as_str})" if flag.default not in (None, []) else ""
    choices = getattr(flag.parser, "enum_values", None)
    value = "|".join(choices) if choices else flag.flag_type().removeprefix("multi ")
    text = flag.help.partition(">: ")[2] if choices else flag.help.removesuffix(_REPEATED)
    is_switch = flag.boolean and not choices
    shown = f"--[no]{flag.name}" if is_switch else f"--{flag.name}=<{value}>"
    words = textwrap.wrap(f"{text}{default}", _WIDTH, break_long_words=False)
    return [f"  {shown}", *(f"      {line}" for line in words)]


@dataclasses.dataclass(frozen=True)
class Command:
    """A program of the command line: its name, its flags, and the function that does the work.

    >>> values = new_flags()
    >>> _ = flags.DEFINE_integer("bars", 2, "Length of the music.", flag_values=values)
    >>> command = Command("my_command", "Counts.", values, lambda given: print(4 * given.bars))
    >>> command.main(["--bars=3"])
    12
    0
    >>> command.main(["--bars=three"])  # says on stderr what is wrong
    2

    Attributes:
      program: Name of the program.
      usage: First part of `--help`: a description, with examples.
      flags: Flags of the program, made by `new_flags`.
      body: Function that does the work. It is called with the flags and, if the command takes
        arguments, a list of them. The number it returns, if any, is the exit code.
      takes_arguments: True if the program takes arguments besides flags.
      sections: Names of the flags that `--help` shows, by the title of a section; None: all.
      hidden: Names of flags that only `--helpfull` shows, as they have no use any more.
    """

    program: str
    usage: str
    flags: flags.FlagValues
    body: Callable[..., int | None]
    takes_arguments: bool = False
    sections: Mapping[str, Sequence[str]] | None = None
    hidden: Collection[str] = ()

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Runs the command and returns its exit code.

        The code is 0, the one that `body` returns, or 2 with one line on stderr for a `UserError`,
        a wrong flag, a file that the system refuses, or too little memory. A signal that ends the
        command, as Ctrl-C, is one line, too, and 128 plus its number. Other exceptions are bugs and
        pass through with their traceback.

        Args:
          argv: The arguments, without the program's name; None: those of the process.
        """
        # The engine multiplies small matrices, for which several threads cost more than they give.
        # NumPy reads this variable when it is imported, so it has to be set before.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        arguments = list(sys.argv[1:] if argv is None else argv)
        self.flags.set_gnu_getopt(self.takes_arguments)  # flags may then stand behind arguments
        # A copy, so that what one call was given does not stay for the next.
        values = copy.deepcopy(self.flags)
        try:
            with interrupts.raised(), _printable_output():
                return self._run(values, arguments)
        except (UserError, flags.Error) as error:
            print(f"{self.program}: {error_text(error, values)}", file=sys.stderr)
            return EXIT_USER_ERROR
        except OSError as error:  # a full disk, no permission, a file where a folder should be
            where = f": {error.filename}" if error.filename else ""
            reason = _escaped(f"{error.strerror or error}{where}")
            print(f"{self.program}: {reason}", file=sys.stderr)
            _drop_output_that_is_refused()
            return EXIT_USER_ERROR
        except (MemoryError, ImportError) as error:
            if isinstance(error, ImportError) and not _NO_MEMORY.search(str(error)):
                raise
            print(f"{self.program}: {_escaped(memory_text(error))}", file=sys.stderr)
            return EXIT_USER_ERROR
        except interrupts.Terminated as error:
            print(f"{self.program}: terminated", file=sys.stderr)
            return EXIT_SIGNAL + error.number
        except KeyboardInterrupt:
            print(f"{self.program}: interrupted", file=sys.stderr)
            return EXIT_SIGNAL + signal.SIGINT

    def console_entry_point(self) -> NoReturn:
        """Runs the command with the arguments of the process, then exits; the console script."""
        sys.exit(self.main())

    def _run(self, values: flags.FlagValues, arguments: Sequence[str]) -> int:
        """Parses the arguments into `values`, does the work, and returns the exit code."""
        rest = values([self.program, *arguments])[1:]
        if values.helpfull:
            print(help_text(self.program, self.usage, values))
            return EXIT_OK
        if values.help:
            sections, hidden = self.sections, self.hidden
            print(help_text(self.program, self.usage, values, sections=sections, hidden=hidden))
            return EXIT_OK
        if rest and not self.takes_arguments:
            raise UserError(f"unexpected argument {rest[0]!r}; flags are written --name=value")
        _set_up_logging(values.log)
        for line in idle_flags.lines(self.program, values, rest):
            _log.warning("%s", line)
        return (self.body(values, rest) if self.takes_arguments else self.body(values)) or EXIT_OK


@contextlib.contextmanager
def _printable_output() -> Iterator[None]:
    """Has stdout escape what its encoding lacks, so that to print a path never ends a command.

    At the end of the block all output has left, or an `OSError` says why it cannot.
    """
    stream = sys.stdout
    if getattr(stream, "errors", None) != "strict" or not hasattr(stream, "reconfigure"):
        yield
        return
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
        stream.flush()
    finally:
        with contextlib.suppress(OSError):  # it flushes, too
            stream.reconfigure(errors="strict")


def _drop_output_that_is_refused() -> None:
    """Empties stdout if it goes to a full disk, as Python would try again when it exits."""
    try:
        sys.stdout.flush()
    except OSError:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


def error_text(error: Exception, values: flags.FlagValues) -> str:
    """Returns the line that a command prints of an error, which names the command's flags.

    The library does not know who calls it and names arguments, as in `` `seed` `` or
    `` `batch_size=32` ``. This shows them as `--seed` if there is such a flag, and as
    `--hparams=batch_size=32` if it is a hyper-parameter. A message may quote a file, so characters
    by which it could control a terminal are escaped.

    >>> error_text(UserError("`log=LOUD` is too much", hint="see `volume`"), new_flags())
    '--log=LOUD is too much; see `volume`'
    >>> print(error_text(UserError("the title is \\x1b[31mred"), new_flags()))
    the title is \\x1b[31mred
    """

    def as_flag(match: re.Match[str]) -> str:
        name, value = match[1], match[2] or ""
        if name in values:
            return f"--{name}{value}"
        if name in HParams.__dataclass_fields__:
            return f"--hparams={name}{value}" if "hparams" in values else f"{name}{value}"
        return match[0]

    hint = getattr(error, "hint", "")
    text = " ".join(f"{error}{'; ' if hint else ''}{hint}".split())
    return _escaped(_ARGUMENT.sub(as_flag, text))


def memory_text(error: MemoryError | ImportError) -> str:
    """Returns the line that a command prints when the memory does not suffice.

    >>> memory_text(MemoryError("Unable to allocate 64.0 GiB for an array"))
    'there is not enough memory: Unable to allocate 64.0 GiB for an array'
    >>> memory_text(MemoryError())
    'there is not enough memory'
    """
    reason = " ".join(str(error).splitlines()[-1:])  # NumPy's say much before
    return f"there is not enough memory{': ' if reason else ''}{reason}"


def _escaped(text: str) -> str:
    """Returns a text as `printable` does, in which line breaks and tabs stay."""
    return printable(text, keep="\n\t")


class _EscapingFormatter(logging.Formatter):
    """Formats a line of the log without characters by which it could control a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return _escaped(super().format(record))


def require(values: flags.FlagValues, *names: str) -> None:
    """Raises `UserError` for the first of these flags that was not given.

    >>> values = new_flags()
    >>> _ = flags.DEFINE_string("output", None, "The file to write.", flag_values=values)
    >>> _ = values(["my_command"])
    >>> require(values, "log", "output")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: --output is required: The file to write.
    """
    for name in names:
        if values[name].value in (None, ""):
            raise UserError(f"--{name} is required: {values[name].help}")


def subcommand(
    program: str, commands: Mapping[str, _Subcommand], arguments: Sequence[str]
) -> _Subcommand:
    """Returns the command that the only argument of a program names.

    >>> commands = {"train": "trains it", "evaluate": "evaluates it"}
    >>> subcommand("my_command", commands, ["evaluate"])
    'evaluates it'
    >>> subcommand("my_command", commands, ["play"])
    Traceback (most recent call last):
    music_vae.common.errors.UserError: cannot read 'play'; give train or evaluate; see my_command
    --help

    Args:
      program: Name of the program.
      commands: Its commands by name.
      arguments: The arguments that were given.

    Raises:
      UserError: If there is no such command, or not exactly one argument.
    """
    if len(arguments) != 1 or arguments[0] not in commands:
        given = f"cannot read {' '.join(arguments)!r}; " if arguments else ""
        *others, last = commands
        raise UserError(f"{given}give {', '.join(others)} or {last}; see {program} --help")
    return commands[arguments[0]]


def json_text(metrics: Mapping[str, Any]) -> str:
    """Returns metrics as JSON, with null for NaN and infinity, which JSON does not know.

    >>> print(json_text({"config": "cat-mel_2bar_mini", "kl_bits": float("nan")}))
    {
      "config": "cat-mel_2bar_mini",
      "kl_bits": null
    }
    """
    return json.dumps(_without_nan(metrics), indent=2)


def _without_nan(value: Any) -> Any:
    """Returns nested metrics with None in place of NaN and infinity."""
    if isinstance(value, dict):
        return {name: _without_nan(part) for name, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def expand(path: str) -> Path:
    """Returns the path that a flag gives, with `~` expanded.

    >>> expand("~/music") == Path.home() / "music"
    True
    """
    return files.expand(path)


def listed_paths(texts: Sequence[str], flag: str) -> list[Path]:
    """Returns the files of a flag that may be given several times, each time with one or more.

    >>> [str(path) for path in listed_paths(["a.mid,b.mid", "c.mid"], "input_midi")]
    ['a.mid', 'b.mid', 'c.mid']
    >>> listed_paths(["a.mid,"], "input_midi")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: --input_midi has an empty name; expected a file

    Args:
      texts: The values of the flag: a file, or several with commas between.
      flag: Name of the flag.

    Raises:
      UserError: If the name of a file is empty.
    """
    names: list[str] = []
    for text in texts:
        # A comma may belong to the name of a file.
        whole = not text or expand(text).is_file()
        names += [text] if whole else text.split(",")
    if not all(name.strip() for name in names):
        raise UserError(f"--{flag} has an empty name; expected a file")
    return [expand(name.strip()) for name in names]


def _set_up_logging(level: str) -> None:
    """Sends logs to stderr: those of this package from `level` up, others from warnings up."""
    names = {"WARN": "WARNING", "FATAL": "CRITICAL"}
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_EscapingFormatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("music_vae").setLevel(names.get(level, level))
