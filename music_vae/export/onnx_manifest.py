"""Describes ONNX files in `model.json`: all that a program must know to use them, as plain data.

That is the sizes of the model, the inputs and outputs of each file, the meaning of the numbers of a
step, and how the files work together.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from music_vae.common.constants import MAX_MIDI_VELOCITY
from music_vae.configs import Config, config_to_json
from music_vae.export import attribute_files, constraint_files, prior_files, representations
from music_vae.export.onnx_graph import OPSET, Tensor
from music_vae.latent.constraints import Constraint
from music_vae.music.converters.base import Converter
from music_vae.music.converters.controls import CHORD_CLASSES, KEY_CLASSES
from music_vae.music.converters.drums import DrumsConverter
from music_vae.music.converters.groove import GrooveConverter
from music_vae.music.converters.melody import FIRST_PITCH, NO_EVENT, NOTE_OFF, OneHotMelodyConverter
from music_vae.music.converters.performance import MultiInstrumentPerformanceConverter
from music_vae.music.converters.performance_events import PROGRAMS
from music_vae.music.converters.trio import PARTS, TrioConverter

FORMAT_VERSION = 1
"""Version of the format of `model.json`."""

CONSTRAINT = "constraint.onnx"
"""Name of the file of a model's latent constraint."""


class Ends(NamedTuple):
    """The inputs and outputs of an ONNX file by name.

    >>> Ends(inputs={"z": Tensor("float32", ("B", 128))}, outputs={}).inputs["z"].dtype
    'float32'
    """

    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]


def manifest(
    config: Config,
    ends: Mapping[str, Ends],
    *,
    fitted_prior: bool = False,
    attributes: bool = False,
    constraint: Constraint | None = None,
) -> dict[str, Any]:
    """Returns the content of `model.json` for a model whose files have these inputs and outputs.

    >>> from music_vae.configs import get_config
    >>> described = manifest(get_config("cat-mel_2bar_mini"), {})
    >>> described["sizes"]["steps"], described["outputs"][0]["labels"]["first_pitch"]
    (32, 21)
    """
    converter, hparams = config.data_converter.for_inference(), config.hparams
    rows = _rows(converter)
    decoder = config.model_spec.decoder
    segments = decoder.num_segments
    return {
        "format": "music_vae.onnx",
        "format_version": FORMAT_VERSION,
        "opset": OPSET,
        "files": {
            name: {
                "inputs": {key: _described(tensor) for key, tensor in end.inputs.items()},
                "outputs": {key: _described(tensor) for key, tensor in end.outputs.items()},
            }
            for name, end in ends.items()
        },
        "sizes": {
            "z": hparams.latent_size,
            "steps": hparams.max_seq_len,
            "segments": segments,
            "steps_of_a_segment": hparams.max_seq_len // segments,
            "steps_per_quarter": converter.steps_per_quarter,
            "end_token": converter.end_token,
        },
        "inputs": rows.inputs(converter),
        "controls": rows.controls(converter),
        "outputs": rows.outputs(converter),
        "prior": prior_files.PRIOR_FILE if fitted_prior else "normal",
        "attributes": attribute_files.ATTRIBUTES_FILE if attributes else None,
        "constraint": constraint_files.describe(constraint) if constraint else None,
        "use": _use(
            segments,
            bool(converter.control_depth),
            controls_first=decoder.reads_controls_first,
            fitted_prior=fitted_prior,
            attributes=attributes,
            constraint=constraint,
        ),
        "example": _example(config, constraint),
        **config_to_json(config),
    }


def check_music(converter: Converter) -> None:
    """Raises `UserError` for a representation of music that `model.json` cannot describe.

    >>> check_music(DrumsConverter())  # can be described
    """
    _rows(converter)


def _described(tensor: Tensor) -> dict[str, Any]:
    return {"dtype": tensor.dtype, "shape": list(tensor.shape)}


def _use(
    segments: int,
    has_controls: bool,
    *,
    controls_first: bool,
    fitted_prior: bool,
    attributes: bool,
    constraint: Constraint | None,
) -> dict[str, Any]:
    """Explains in sentences how the files are used."""
    controls = ", controls" if has_controls else ""
    step_controls = ", controls[:, t]" if has_controls else ""
    first = []
    if controls_first:
        first, step_controls = ["read = decoder_controls.onnx(controls)"], ", read[:, t]"
    drawn = "z of standard normal numbers is"
    if fitted_prior:
        drawn = f"z that is drawn as {prior_files.PRIOR_FILE} says is"
    moved = {
        "attributes": (
            f"{attribute_files.ATTRIBUTES_FILE} has a vector for each attribute; z + amount * "
            "vector has more of it, z - amount * vector less"
        )
    }
    return {
        "shapes": "B: examples side by side; T: steps, at most sizes.steps; a step is a row",
        "encode": (
            f"encoder.onnx(inputs{controls}, lengths) gives mu and sigma. lengths: the valid "
            "steps; rows after them are zeros. z = mu + sigma * e with e standard normal, or mu "
            "itself"
        ),
        "sample": (
            f"{drawn} music the model invents; between two z, by spherical interpolation, it is "
            "music on the way from one to the other"
        ),
        **(moved if attributes else {}),
        **({"constraint": _use_of(constraint)} if constraint else {}),
        "decode": (
            f"decoder.onnx(z, noise{controls}, temperature) gives samples, ready to be played"
        ),
        "noise": (
            "numbers uniform in [0, 1), all the chance there is: the same noise gives the same "
            "music"
        ),
        "temperature": "0, with noise of 0.5, gives the likeliest music, 1 what was learnt",
        "step_by_step": [
            *first,
            "contexts, states = decoder_start.onnx(z)",
            "previous = zeros",
            f"for each segment s from 0 to {segments - 1}: state = states[:, s], then for each "
            "step t of it:",
            "    previous, parameters, state = decoder_step.onnx(previous, contexts[:, s], state, "
            f"noise[:, t], temperature{step_controls}), and play previous",
            "where there is sizes.end_token, a step with it is the last of its segment; the next "
            "segment begins with it as previous",
        ],
        "parameters": (
            "of decoder_step.onnx: the logits of classes, or of yes and no; of grooves, of hits, "
            "then velocities before sigmoid and offsets before tanh. For those who choose for "
            "themselves and give their choice as the next previous"
        ),
    }


def _use_of(constraint: Constraint) -> str:
    """Explains in a sentence how a constraint is used."""
    if not constraint.attributes:
        return f"{CONSTRAINT}(normal), with standard normal numbers, gives z that is like music"
    return (
        f"{CONSTRAINT}(normal, wanted), with standard normal numbers and, for each of "
        "constraint.attributes, the number that constraint.labels has for the wanted side, gives "
        "z of such music; with any for all, it is only more like music. high is from threshold on"
    )


def _example(config: Config, constraint: Constraint | None) -> list[str]:
    """Returns lines of Python that make a piece with `decoder.onnx`."""
    hparams, depth = config.hparams, config.data_converter.control_depth
    steps, noise = hparams.max_seq_len, config.model_spec.decoder.noise_size
    controls = [f"controls = np.zeros((1, {steps}, {depth}), np.float32)"] if depth else []
    given = ['"z": z', '"noise": noise', '"temperature": np.float32([0.5])']
    given += ['"controls": controls'] * bool(depth)
    return [
        "import numpy as np, onnxruntime",
        "rng = np.random.default_rng(1)",
        f"z = rng.standard_normal((1, {hparams.latent_size}), np.float32)",
        *(_constraining(constraint) if constraint else []),
        f"noise = rng.random((1, {steps}, {noise}), np.float32)",
        *controls,
        'decoder = onnxruntime.InferenceSession("decoder.onnx")',
        f'samples = decoder.run(["samples"], {{{", ".join(given)}}})[0]',
    ]


def _constraining(constraint: Constraint) -> list[str]:
    """Returns the lines of the example that move z to the first side of the first attribute."""
    wanted, given = [], '"normal": z'
    if constraint.attributes:
        name, _, sides = constraint.attributes[0]
        labels = constraint.wanted({name: sides[0]} if sides else {})
        asked = f"{name}={sides[0]}" if sides else "any"
        wanted = [f"wanted = np.float32([{labels.astype(int).tolist()}])  # {asked}"]
        given += ', "wanted": wanted'
    return [
        *wanted,
        f'constraint = onnxruntime.InferenceSession("{CONSTRAINT}")',
        f'z = constraint.run(["z"], {{{given}}})[0]',
    ]


# -- The meaning of the numbers of a step ---------------------------------------------------------

Parts = list[dict[str, Any]]


def _part(start: int, depth: int, kind: str, **meaning: Any) -> dict[str, Any]:
    return {"start": start, "depth": depth, "kind": kind, **meaning}


def _melody(converter: OneHotMelodyConverter, start: int) -> dict[str, Any]:
    labels: dict[str, Any] = {
        "no_event": NO_EVENT,
        "note_off": NOTE_OFF,
        "first_note_on": FIRST_PITCH,
        "first_pitch": converter.min_pitch,
        "last_pitch": converter.max_pitch,
        "meaning": (
            "no_event: what sounds goes on; note_off: it ends; first_note_on + n: the note "
            "first_pitch + n begins, and the one before ends"
        ),
    }
    if converter.end_token is not None:
        labels["end"] = converter.end_token
    return _part(start, converter.output_depth, "one_hot", labels=labels)


def _melodies(converter: OneHotMelodyConverter) -> Parts:
    return [_melody(converter, 0)]


def _drums(converter: DrumsConverter, start: int) -> dict[str, Any]:
    labels: dict[str, Any] = {
        "meaning": "bit n of the label: class n is hit",
        "pitch_classes": [list(pitches) for pitches in converter.pitch_classes],
    }
    if converter.end_token is not None:
        labels["end"] = converter.end_token
    return _part(start, converter.output_depth, "one_hot", labels=labels)


def _roll(converter: DrumsConverter) -> Parts:
    count = converter.num_classes
    classes = [list(pitches) for pitches in converter.pitch_classes]
    parts = [_part(0, count, "yes_or_no", name="hits", pitch_classes=classes)]
    if converter.add_end_token:
        parts.append(_part(count, 1, "yes_or_no", name="end"))
    return parts


def _groove(converter: GrooveConverter) -> Parts:
    drums = 1 if converter.split_instruments else converter.num_drums
    widths = (
        ("hits", "yes_or_no", 1, "1: the class is hit"),
        (
            "velocities",
            "numbers",
            converter.num_velocity_bins or 1,
            f"MIDI velocity / {MAX_MIDI_VELOCITY}, of what is hit",
        ),
        (
            "offsets",
            "numbers",
            converter.num_offset_bins or 1,
            "how early, in half steps; negative: late",
        ),
    )
    parts, start = [], 0
    for name, kind, bins, meaning in widths:
        kind = kind if bins == 1 else "one_hot"
        parts.append(_part(start, drums * bins, kind, name=name, meaning=meaning))
        start += drums * bins
    parts[0]["pitch_classes"] = [list(pitches) for pitches in converter.pitch_classes]
    return parts


def _performance(converter: MultiInstrumentPerformanceConverter) -> Parts:
    words = converter.vocabulary
    labels = {
        "first_note_on": 0,
        "first_note_off": words.num_pitches,
        "first_pitch": words.min_pitch,
        "first_time_shift": words.first_shift,
        "first_velocity": words.first_velocity,
        "velocity_bins": words.num_velocity_bins,
        "first_program": words.first_program,
        "programs": PROGRAMS,
        "drums": words.drums,
        "end": converter.end_token,
        "meaning": (
            "a segment is a track: its program (or drums), events, end; a time shift of n + 1 "
            "steps is first_time_shift + n"
        ),
    }
    return [_part(0, converter.output_depth, "one_hot", labels=labels)]


def _drum_inputs(converter: DrumsConverter) -> Parts:
    if not converter.roll_input:
        return _drum_outputs(converter)
    nothing = _part(converter.input_depth - 1, 1, "yes_or_no", name="nothing is hit")
    return [*_roll(converter), nothing]


def _drum_outputs(converter: DrumsConverter) -> Parts:
    return _roll(converter) if converter.roll_output else [_drums(converter, 0)]


def _trio(converter: TrioConverter) -> Parts:
    line, drums = converter.melody_converter, converter.drums_converter
    parts = [_melody(line, 0), _melody(line, line.output_depth)]
    parts.append(_drums(drums, len(parts) * line.output_depth))
    return [{**part, "name": name} for part, name in zip(parts, PARTS, strict=True)]


def _groove_inputs(converter: GrooveConverter) -> Parts:
    lacks = []
    if converter.humanize:
        lacks.append("velocities and offsets are 0")
    if converter.tapify:
        lacks.append("all hits are those of class 3, the loudest at each step")
    if converter.fixed_velocities:
        lacks.append("velocities are 0")
    if converter.add_instruments:
        lacks.append(f"classes {list(converter.add_instruments)} are left out")
    return [{**part, "except": lacks} for part in _groove(converter)]


def _groove_controls(converter: GrooveConverter) -> Parts:
    parts, start = [], 0
    drums = 1 if converter.split_instruments else converter.num_drums
    if converter.inputs_as_controls:
        parts = [{**part, "name": f"input {part['name']}"} for part in _groove_inputs(converter)]
        start = converter.input_depth
    if converter.hits_as_controls:
        parts.append(_part(start, drums, "yes_or_no", name="hits", meaning="what is hit"))
        start += drums
    if converter.split_instruments:
        parts.append(_part(start, converter.num_drums, "one_hot", name="whose turn it is"))
    return parts


def _harmony(converter: Converter) -> Parts:
    parts, start = [], 0
    if converter.conditioning.chords:
        meaning = (
            "0: no chord; 1 + root: major, 13 + root: minor, 25 + root: augmented, "
            "37 + root: diminished; the root from C = 0 up"
        )
        parts.append(_part(0, CHORD_CLASSES, "one_hot", name="chord", meaning=meaning))
        start = CHORD_CLASSES
    if converter.conditioning.key:
        parts.append(_part(start, KEY_CLASSES, "one_hot", name="key", meaning="from C = 0 up"))
    return parts


# -- The table of representations -----------------------------------------------------------------


def _none(converter: Converter) -> Parts:
    del converter
    return []


class _Rows(NamedTuple):
    """Functions that describe the parts of a row for a converter.

    Attributes:
      outputs: Describes the rows that the decoder gives.
      inputs: Describes the rows that the encoder reads.
      controls: Describes the rows of controls.
    """

    outputs: Callable[[Any], Parts]
    inputs: Callable[[Any], Parts]
    controls: Callable[[Any], Parts]


_REPRESENTATIONS: dict[type[Converter], _Rows] = {
    OneHotMelodyConverter: _Rows(_melodies, _melodies, _harmony),
    DrumsConverter: _Rows(_drum_outputs, _drum_inputs, _none),
    TrioConverter: _Rows(_trio, _trio, _none),
    GrooveConverter: _Rows(_groove, _groove_inputs, _groove_controls),
    MultiInstrumentPerformanceConverter: _Rows(_performance, _performance, _harmony),
}


def _rows(converter: Converter) -> _Rows:
    return representations.find(_REPRESENTATIONS, converter, "ONNX files")
