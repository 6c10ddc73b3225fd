"""Names the flags that have no effect on what a command is asked to do, in one table.

A flag that was given and changes nothing is a misunderstanding, but no mistake: a line says so, and
the command goes on. Flags that would change what is asked for are refused by the requests.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from absl import flags


class Condition(NamedTuple):
    """A condition on the flags and arguments of a command, under which some flags are idle.

    >>> evaluating = with_value("mode", "eval")
    >>> evaluating.text
    '--mode=eval'

    Attributes:
      text: The condition as it is written on the command line.
      holds: Function of the flags and of the arguments that tells if it holds.
      negated: True if the text is of what was left out.
    """

    text: str
    holds: Callable[[flags.FlagValues, Sequence[str]], bool]
    negated: bool = False


def with_command(name: str) -> Condition:
    """Returns the condition that the first argument of a command is a certain one.

    >>> with_command("compute").holds(flags.FlagValues(), ["compute"])
    True
    """
    return Condition(name, lambda _, arguments: list(arguments[:1]) == [name])


def with_value(flag: str, value: object) -> Condition:
    """Returns the condition that a flag has a value, given or by default.

    >>> values = flags.FlagValues()
    >>> _ = flags.DEFINE_string("mode", "train", "What to do.", flag_values=values)
    >>> _ = values(["my_command"])
    >>> with_value("mode", "train").holds(values, [])
    True
    """
    text = (
        f"--{flag}={value}" if not isinstance(value, bool) else f"--{'' if value else 'no'}{flag}"
    )
    return Condition(text, lambda values, _: values[flag].value == value)


def without(flag: str) -> Condition:
    """Returns the condition that a flag was not given, or is empty or false.

    >>> without("interpolation").text, without("interpolation").negated
    ('--interpolation', True)
    """
    return Condition(f"--{flag}", lambda values, _: not values[flag].value, negated=True)


def given(flag: str) -> Condition:
    """Returns the condition that a flag was given, and is neither empty nor false.

    >>> given("interpolation").text
    '--interpolation'
    """
    return Condition(f"--{flag}", lambda values, _: bool(values[flag].value))


def both(first: Condition, second: Condition) -> Condition:
    """Returns the condition that two hold; its text is that of the first.

    >>> both(with_command("map"), without("picture")).text
    'map'
    """
    return first._replace(
        holds=lambda values, rest: first.holds(values, rest) and second.holds(values, rest)
    )


_SAMPLES = ("num_samples", "temperature")
_MUSIC = ("examples_path", "num_examples", "max_damaged")

TABLE: Mapping[str, Sequence[tuple[Condition, Sequence[str]]]] = {
    "music_vae_generate": [(with_value("mode", "sample"), ["input_midi_1", "input_midi_2"])],
    "music_vae_evaluate": [
        (given("interpolation"), ["num_examples", "num_samples", "engine", "prior"]),
        (without("interpolation"), ["interpolation_pairs"]),
        (
            both(with_value("num_samples", 0), without("interpolation")),
            ["temperature", "train_examples_path"],
        ),
    ],
    "music_vae_attributes": [
        (with_command("compute"), [*_SAMPLES, "vectors", "json", "attribute", "picture"]),
        (with_command("evaluate"), [*_MUSIC, "output", "attribute"]),
        (with_command("map"), [*_SAMPLES, "vectors", "json", "output"]),
    ],
    "music_vae_prior": [
        (with_command("fit"), ["prior", "json"]),
        (with_command("evaluate"), ["output", "components"]),
    ],
    "music_vae_constrain": [
        (with_command("train"), [*_SAMPLES, "constraint", "json"]),
        (
            with_command("evaluate"),
            ["output", "num_steps", "hidden", "distance_weight", "learning_rate"],
        ),
        (without("examples_path"), ["num_examples", "max_damaged"]),
    ],
    "music_vae_train": [
        (
            with_value("mode", "eval"),
            [
                *("num_steps", "seed", "checkpoints_to_keep", "keep_checkpoint_every_n_hours"),
                *("validation_path", "validate_every", "patience"),
                *("strategy", "jit", "cudnn", "mixed_precision", "checkpoint_base_url"),
            ],
        ),
        (with_value("mode", "train"), ["eval_num_batches", "eval_dir_suffix", "eval_once"]),
        (both(without("validation_path"), without("holdout")), ["validate_every"]),
        (without("warm_start"), ["checkpoint_base_url"]),
    ],
    "music_vae_checkpoints": [
        (with_command("list"), ["config", "format", "checkpoint_base_url"]),
        (with_command("download"), ["config", "format"]),
        (with_command("info"), ["format"]),
    ],
    "music_vae_preprocess": [
        (
            with_value("enable_filtering", False),
            [
                *("max_total_time", "max_num_notes", "min_velocities", "min_metric_positions"),
                *("is_drum", "drums_only"),
            ],
        ),
    ],
    "convert_dir_to_note_sequences": [(given("pipeline_options"), ["num_workers"])],
}
"""For each command: the flags that have no effect under a condition. A command that is not here has
none, or refuses them."""


def lines(program: str, values: flags.FlagValues, arguments: Sequence[str]) -> Iterator[str]:
    """Yields a line for each flag that was given and has no effect.

    >>> values = flags.FlagValues()
    >>> for name in ("config", "format", "checkpoint_base_url"):
    ...     _ = flags.DEFINE_string(name, None, "A flag.", flag_values=values)
    >>> _ = values(["music_vae_checkpoints", "--format=tf1"])
    >>> list(lines("music_vae_checkpoints", values, ["info", "model.ckpt"]))
    ['--format has no effect with info']

    Args:
      program: Name of the command.
      values: Its flags.
      arguments: Its arguments.
    """
    said: set[str] = set()
    for condition, names in TABLE.get(program, ()):
        for name in names:
            idle = name not in said and values[name].present and condition.holds(values, arguments)
            if idle:
                said.add(name)
                preposition = "without" if condition.negated else "with"
                yield f"--{name} has no effect {preposition} {condition.text}"
