"""Names and shapes of a model's weights, from its config alone; and which config weights are of.

No model is built, which for a full-size config takes a second and half a gigabyte. The names are
the published ones; `legacy_weights` gives the variables of a model under the same names.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from music_vae.configs import CONFIG_MAP, Config
from music_vae.errors import UserError
from music_vae.specs import (
    EncoderSpec,
    FlatDecoderSpec,
    HierarchicalDecoderSpec,
    HierarchicalEncoderSpec,
    HParams,
    LstmEncoderSpec,
    NadeHeadSpec,
    SplitDecoderSpec,
)

Shapes = Mapping[str, tuple[int, ...]]
_Named = Iterator[tuple[str, tuple[int, ...]]]

# In published checkpoints beside the weights: Adam's slots and counters, the step, and what is left
# of training with cuDNN.
_NO_WEIGHT = re.compile(
    r"(.*/)?(Adam|Adam_\d+|beta[12]_power(_\d+)?|global_step)|.*opaque_kernel.*"
)


def is_weight(name: str) -> bool:
    """Whether a variable of a checkpoint is a model's, and not the optimizer's or left over."""
    return not _NO_WEIGHT.fullmatch(name)


def weight_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """The shape of every weight of the model that `config` describes, by its published name."""
    converter, hparams = config.data_converter, config.hparams
    named: dict[str, tuple[int, ...]] = {}
    if hparams.latent_size:
        width = converter.input_depth + converter.control_depth
        named |= _encoder("encoder", config.encoder, width, hparams)
        embedding = _embedding_size(config.encoder, hparams)
        named |= _layer("encoder/mu", embedding, hparams.latent_size)
        named |= _layer("encoder/sigma", embedding, hparams.latent_size)
    spec, z_size = config.decoder, hparams.latent_size
    scope = ""
    if isinstance(spec, HierarchicalDecoderSpec):
        named |= _conductors(spec, config)
        spec, z_size, scope = spec.core, hparams.dec_rnn_size[-1], "core_decoder/"
    depths = {"z_size": z_size, "control_depth": converter.control_depth}
    if isinstance(spec, SplitDecoderSpec):
        for number, (core, depth) in enumerate(zip(spec.cores, spec.depths, strict=True)):
            named |= _flat_decoder(f"{scope}core_decoder_{number}/", core, hparams, depth, **depths)
    else:
        named |= _flat_decoder(scope, spec, hparams, converter.output_depth, **depths)
    return named


def _encoder(scope: str, spec: EncoderSpec, width: int, hparams: HParams) -> _Named:
    if isinstance(spec, HierarchicalEncoderSpec):
        for number in range(len(spec.level_lengths)):
            yield from _encoder(f"{scope}/hierarchical_level_{number}", spec.core, width, hparams)
            width = _embedding_size(spec.core, hparams)
    elif isinstance(spec, LstmEncoderSpec):
        cells = f"{scope}/multi_rnn_cell"
        yield from _stack(cells, width, hparams.enc_rnn_size, hparams.residual_encoder)
    else:
        yield from _bidirectional(scope, width, hparams.enc_rnn_size, hparams.residual_encoder)


def _embedding_size(spec: EncoderSpec, hparams: HParams) -> int:
    if isinstance(spec, HierarchicalEncoderSpec):
        spec = spec.core
    return hparams.enc_rnn_size[-1] * (1 if isinstance(spec, LstmEncoderSpec) else 2)


def _conductors(spec: HierarchicalDecoderSpec, config: Config) -> _Named:
    hparams, levels = config.hparams, len(spec.level_lengths) - 1
    sizes, own = hparams.dec_rnn_size, hparams.latent_size
    for level in range(levels):
        width = 1  # of the zeros that a conductor reads when it reads nothing back
        if level in spec.autoregressive_levels:
            width = own + _feedback_size(spec, hparams, last=level == levels - 1)
        scope = f"decoder/hierarchical_level_{level}"
        yield from _layer(f"{scope}/initial_state", own, 2 * sum(sizes))
        yield from _stack(scope, width, sizes, hparams.residual_decoder)
        own = sizes[-1]
    if spec.reencoder is not None:
        width = config.data_converter.output_depth
        if not isinstance(config.encoder, HierarchicalEncoderSpec):
            # One of its own, which has no top level.
            for number in range(levels):
                level_scope = f"encoder/hierarchical_level_{number}"
                yield from _encoder(level_scope, spec.reencoder.core, width, hparams)
                width = _embedding_size(spec.reencoder, hparams)


def _feedback_size(spec: HierarchicalDecoderSpec, hparams: HParams, *, last: bool) -> int:
    """Width of what a conductor reads back: an embedding, or the state of what is below it."""
    if spec.reencoder is not None:
        return _embedding_size(spec.reencoder, hparams)
    parts = len(spec.core.cores) if last and isinstance(spec.core, SplitDecoderSpec) else 1
    return parts * 2 * sum(hparams.dec_rnn_size)


def _flat_decoder(
    scope: str,
    spec: FlatDecoderSpec,
    hparams: HParams,
    depth: int,
    *,
    z_size: int,
    control_depth: int,
) -> _Named:
    sizes, residual = hparams.dec_rnn_size, hparams.residual_decoder
    if spec.preprocess_controls:
        control_sizes = hparams.control_preprocessing_rnn_size
        yield from _bidirectional(
            f"{scope}control_preprocessing", control_depth, control_sizes, residual
        )
        control_depth = 2 * control_sizes[-1]
    scope, parameters = f"{scope}decoder", depth
    if isinstance(spec.head, NadeHeadSpec):
        hidden = hparams.nade_num_hidden
        yield f"{scope}/nade/w_enc", (depth, 1, hidden)
        yield f"{scope}/nade/w_dec_t", (depth, hidden, 1)
        parameters += hidden
    yield from _layer(f"{scope}/z_to_initial_state", z_size, 2 * sum(sizes))
    yield from _stack(f"{scope}/multi_rnn_cell", depth + z_size + control_depth, sizes, residual)
    yield from _layer(f"{scope}/output_projection", sizes[-1], parameters)


def _stack(scope: str, width: int, sizes: Sequence[int], residual: bool) -> _Named:
    for index, units in enumerate(sizes):
        projects = residual and (index == 0 or width != units)
        yield from _lstm(f"{scope}/cell_{index}", width, units, projects)
        width = units


def _bidirectional(scope: str, width: int, sizes: Sequence[int], residual: bool) -> _Named:
    for index, units in enumerate(sizes):
        for direction in ("fw", "bw"):
            cell = f"{scope}/cell_{index}/bidirectional_rnn/{direction}/multi_rnn_cell/cell_0"
            yield from _lstm(cell, width, units, residual)
        width = 2 * units


def _lstm(scope: str, width: int, units: int, projects: bool) -> _Named:
    if projects:
        scope = f"{scope}/input_projection_wrapper"
        yield from _layer(scope, width, units)
        width = units
    yield from _layer(f"{scope}/lstm_cell", width + units, 4 * units)


def _layer(scope: str, width: int, units: int) -> _Named:
    yield f"{scope}/kernel", (width, units)
    yield f"{scope}/bias", (units,)


# -- The other way round --------------------------------------------------------------------------


class Fit(NamedTuple):
    """A config that has just these weights.

    Attributes:
      config: Its name.
      hparams: The overrides it needs, as on the command line; empty if none.
    """

    config: str
    hparams: str


def fitting_configs(shapes: Shapes) -> list[Fit]:
    """The published configs whose weights have these names and shapes.

    Those that have them as they are; or, if there are none, those that have them with other sizes,
    which are read off the shapes.
    """
    weights = {name: tuple(shape) for name, shape in shapes.items() if is_weight(name)}
    # A number by itself is no weight, and has no size to be read off.
    sizes = _sizes({name: shape for name, shape in weights.items() if shape})
    fits = []
    for config in CONFIG_MAP.values():
        changes = {
            name: value for name, value in sizes.items() if config.hparams.values()[name] != value
        }
        try:
            changed = config.replace(hparams=config.hparams.replace(**changes))
        except UserError:  # no size at all
            continue
        if weight_shapes(changed) == weights:
            fits.append(Fit(config.name, _overrides(changes)))
    return [fit for fit in fits if not fit.hparams] or fits


def describe_fits(shapes: Shapes) -> str:
    """Which configs fit, as the end of a sentence on weights that do not fit another."""
    fits = fitting_configs(shapes)
    if not fits:
        return "it fits no published config, with any sizes"
    by_overrides: dict[str, list[str]] = {}
    for fit in fits:
        by_overrides.setdefault(fit.hparams, []).append(f"--config={fit.config}")
    alternatives = [
        " or ".join(names) + (f" with --hparams={overrides}" if overrides else "")
        for overrides, names in by_overrides.items()
    ]
    return f"it fits {'; or '.join(alternatives)}"


def _sizes(shapes: Shapes) -> dict[str, Any]:
    """The hyper-parameters that can be read off the weights of a checkpoint."""
    sizes: dict[str, Any] = {}
    if "encoder/mu/bias" in shapes:
        sizes["z_size"] = shapes["encoder/mu/bias"][0]
    if units := _units(shapes, r"encoder/(hierarchical_level_0/)?(multi_rnn_cell/)?"):
        sizes["enc_rnn_size"] = units
    if units := _units(shapes, r"(core_decoder/)?(core_decoder_0/)?decoder/multi_rnn_cell/"):
        sizes["dec_rnn_size"] = units
    hidden = [shape[-1] for name, shape in shapes.items() if name.endswith("/nade/w_enc")]
    if hidden:
        sizes["nade_num_hidden"] = hidden[0]
    projected = [name for name in shapes if "/input_projection_wrapper/" in name]
    sizes["residual_encoder"] = any(name.startswith("encoder/") for name in projected)
    sizes["residual_decoder"] = any(not name.startswith("encoder/") for name in projected)
    return sizes


def _units(shapes: Shapes, scope: str) -> tuple[int, ...]:
    """Units of the LSTM cells in a scope, from the bottom up; forward ones where there are two."""
    pattern = re.compile(
        rf"{scope}cell_(?P<index>\d+)/(bidirectional_rnn/fw/multi_rnn_cell/cell_0/)?"
        "(input_projection_wrapper/)?lstm_cell/bias"
    )
    found = {
        int(match["index"]): shape[0] // 4
        for name, shape in shapes.items()
        if (match := pattern.fullmatch(name))
    }
    return tuple(found[index] for index in sorted(found))


def _overrides(changes: Mapping[str, Any]) -> str:
    def text(value: Any) -> str:
        if isinstance(value, tuple):
            return f"[{','.join(map(str, value))}]"
        return str(value).lower() if isinstance(value, bool) else str(value)

    return ",".join(f"{name}={text(value)}" for name, value in changes.items())
