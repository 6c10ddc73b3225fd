"""What all commands share: flags, `--help`, log level, and a user's mistake as one line.

Each command owns a `FlagValues`, so that several can be imported into one process. Nothing heavy is
imported here: a command parses its flags first and imports TensorFlow or note_seq after.
"""

import copy
import dataclasses
import json
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from absl import flags

from music_vae.common.errors import EXIT_OK, EXIT_USER_ERROR, UserError
from music_vae.common.hparams import HParams

_Subcommand = TypeVar("_Subcommand")

EXIT_INTERRUPTED = 130  # as shells have it: 128, and 2 for the signal

_ARGUMENT = re.compile(r"`(\w+)(=[^`]*)?`")
_LOG_LEVELS = ("DEBUG", "INFO", "WARN", "ERROR", "FATAL")


def new_flags() -> flags.FlagValues:
    """An empty set of flags with what every command has: `--log` and `--help`."""
    values = flags.FlagValues()
    flags.DEFINE_enum(
        "log", "INFO", _LOG_LEVELS, "How much is logged to stderr.", flag_values=values
    )
    flags.DEFINE_boolean(
        "help", False, "Show this help.", short_name="h", flag_values=values, allow_override=True
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
    """A flag that was a boolean once: takes words, and what a boolean flag takes.

    Args:
      name: The flag.
      default: One of the words.
      choices: What each input stands for; `true` and `false` are those of `--name`, `--noname`.
      help_text: Its help.
      values: Where it is defined.
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


class _ChoiceParser(flags.ArgumentParser):
    """The words that inputs stand for."""

    def __init__(self, choices: Mapping[str, str]) -> None:
        self._choices = dict(choices)
        self.enum_values = list(dict.fromkeys(choices.values()))

    def parse(self, argument: Any) -> str:
        found = self._choices.get(str(argument).lower())
        if found is None:
            raise ValueError(f"value should be one of <{'|'.join(self._choices)}>")
        return found

    def flag_type(self) -> str:
        return "string"


def help_text(program: str, usage: str, values: flags.FlagValues) -> str:
    """The text of `--help`: what the command does, then every flag with its default."""
    lines = [usage.strip(), "", f"Flags of {program}:"]
    for name in sorted(values):
        flag = values[name]
        if name != flag.name or name == "help":
            continue
        default = "" if flag.default is None else f" (default: {flag.default_as_str})"
        choices = getattr(flag.parser, "enum_values", None)
        value = "|".join(choices) if choices else flag.flag_type()
        text = flag.help.partition(">: ")[2] if choices else flag.help
        shown = f"--[no]{name}" if flag.boolean and not choices else f"--{name}=<{value}>"
        lines += [f"  {shown}", f"      {text}{default}"]
    return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class Command:
    """A program: what it is called, what it takes, and what it does.

    Attributes:
      program: Its name.
      usage: The first part of `--help`: what it does, with examples.
      flags: What it takes.
      body: Does it; is called with the flags and, if the command takes arguments, a list of them.
        What it returns, if anything, is the exit code.
      takes_arguments: Whether there is more to give than flags.
    """

    program: str
    usage: str
    flags: flags.FlagValues
    body: Callable[..., int | None]
    takes_arguments: bool = False

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Runs the command with `argv` (without the program's name; default: the process's).

        Returns the exit code: 0, what `body` returns, or 2 with one line on stderr for a
        `UserError`, a wrong flag, or a file that the system refuses. Other exceptions are bugs and
        pass through with their traceback.
        """
        # Threads of NumPy's products wait for each other, which costs more than they give: the
        # engine takes small ones. It has to be said before NumPy is imported.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        arguments = list(sys.argv[1:] if argv is None else argv)
        self.flags.set_gnu_getopt(self.takes_arguments)  # flags may then stand behind arguments
        # A copy, so that what one call was given does not stay for the next.
        values = copy.deepcopy(self.flags)
        try:
            return self._run(values, arguments)
        except (UserError, flags.Error) as error:
            print(f"{self.program}: {error_text(error, values)}", file=sys.stderr)
            return EXIT_USER_ERROR
        except OSError as error:  # a full disk, no permission, a file where a folder should be
            where = f": {error.filename}" if error.filename else ""
            print(f"{self.program}: {error.strerror or error}{where}", file=sys.stderr)
            return EXIT_USER_ERROR
        except KeyboardInterrupt:
            print(f"{self.program}: interrupted", file=sys.stderr)
            return EXIT_INTERRUPTED

    def console_entry_point(self) -> NoReturn:
        """The console script: runs the command with the process's arguments, and exits."""
        sys.exit(self.main())

    def _run(self, values: flags.FlagValues, arguments: Sequence[str]) -> int:
        """Parses the arguments into `values`; does what they ask for."""
        rest = values([self.program, *arguments])[1:]
        if values.help:
            print(help_text(self.program, self.usage, values))
            return EXIT_OK
        if rest and not self.takes_arguments:
            raise UserError(f"unexpected argument {rest[0]!r}; flags are written --name=value")
        _set_up_logging(values.log)
        return (self.body(values, rest) if self.takes_arguments else self.body(values)) or EXIT_OK


def error_text(error: Exception, values: flags.FlagValues) -> str:
    """What a command prints of an error: one line that names this command's flags.

    The library names arguments, as in `` `seed` `` or `` `batch_size=32` ``, for it does not know
    who calls it: a flag of that name is shown as `--seed`, a hyper-parameter as
    `--hparams=batch_size=32`.
    """

    def as_flag(found: re.Match[str]) -> str:
        name, value = found[1], found[2] or ""
        if name in values:
            return f"--{name}{value}"
        if name in HParams.__dataclass_fields__ and "hparams" in values:
            return f"--hparams={name}{value}"
        return found[0]

    hint = getattr(error, "hint", "")
    text = " ".join(f"{error}{'; ' if hint else ''}{hint}".split())
    return _ARGUMENT.sub(as_flag, text)


def require(values: flags.FlagValues, *names: str) -> None:
    """Raises `UserError` for the first of these flags that was not given."""
    for name in names:
        if values[name].value in (None, ""):
            raise UserError(f"--{name} is required: {values[name].help}")


def subcommand(
    program: str, commands: Mapping[str, _Subcommand], arguments: Sequence[str]
) -> _Subcommand:
    """The one of several commands that a program's only argument names.

    Raises:
      UserError: If there is no such command, or not one argument.
    """
    if len(arguments) != 1 or arguments[0] not in commands:
        given = f"cannot read {' '.join(arguments)!r}; " if arguments else ""
        *others, last = commands
        raise UserError(f"{given}give {', '.join(others)} or {last}; see {program} --help")
    return commands[arguments[0]]


def json_text(figures: Mapping[str, Any]) -> str:
    """Figures as JSON, with null for what is not a number, which JSON does not know."""
    return json.dumps(_without_nan(figures), indent=2)


def _without_nan(value: Any) -> Any:
    """The same figures with None for what is not a number, which JSON does not know."""
    if isinstance(value, dict):
        return {name: _without_nan(part) for name, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def expand(path: str) -> Path:
    """A path from a flag, with `~` expanded."""
    return Path(path).expanduser()


def listed_paths(texts: Sequence[str], flag: str) -> list[Path]:
    """The files of a flag that takes several, each time one or some with commas between.

    Raises:
      UserError: If one has no name.
    """
    found: list[str] = []
    for text in texts:
        # A comma may belong to the name of a file.
        whole = not text or expand(text).is_file()
        found += [text] if whole else text.split(",")
    if not all(name.strip() for name in found):
        raise UserError(f"--{flag} has an empty name; expected a file")
    return [expand(name.strip()) for name in found]


def _set_up_logging(level: str) -> None:
    """Logs of this package to stderr at `level`; those of libraries from warnings up."""
    names = {"WARN": "WARNING", "FATAL": "CRITICAL"}
    logging.basicConfig(
        stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )
    logging.getLogger("music_vae").setLevel(names.get(level, level))
