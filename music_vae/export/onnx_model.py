"""Writes a model as ONNX files, for apps and plug-ins. Needs the package `onnx`, not TensorFlow.

    encoder.onnx         a window of music -> mu, sigma
    decoder.onnx         z, noise, temperature -> music
    decoder_start.onnx   z -> context and first state of every segment
    decoder_step.onnx    one step: the step before, state, noise, temperature -> step, state
    decoder_controls.onnx  all controls -> those that each step reads, if the decoder has layers
                         that read them in both directions
    constraint.onnx      standard normal numbers, wanted attributes -> z, if there is a constraint
    model.json           the config, all inputs and outputs, and the meaning of their numbers

A model without a hierarchy has one segment. `decoder.onnx` is all that is needed to make music; the
others are for programs that play while they decode.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from music_vae.common import files
from music_vae.common import weight_names as names
from music_vae.common.errors import UserError
from music_vae.common.plans import HierarchicalDecoderPlan
from music_vae.configs import Config
from music_vae.engine.numpy_engine import NumpyEngine
from music_vae.engine.weights import Weights
from music_vae.export import onnx_layers as layers
from music_vae.export.onnx_decoder import Decoder
from music_vae.export.onnx_graph import Graph
from music_vae.export.onnx_manifest import CONSTRAINT, Ends, check_music, manifest
from music_vae.latent.constraints import Constraint

ENCODER, DECODER = "encoder.onnx", "decoder.onnx"
START, STEP = "decoder_start.onnx", "decoder_step.onnx"
CONTROLS = "decoder_controls.onnx"
MANIFEST = "model.json"

_EXACT = "float16"
"""Type in which the files of constraints store their numbers, which fewer bits would change."""

_MAX_BYTES = 2**31 - 2**20  # limit of a protocol buffer, less some for all but the weights


def require_onnx() -> None:
    """Raises `UserError` if the package `onnx` is not installed.

    >>> require_onnx()  # it is
    """
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise UserError("ONNX files need onnx: pip install 'music_vae[onnx]'") from error


def check(config: Config) -> None:
    """Raises `UserError`, with the reason, for a config whose models these files cannot carry.

    >>> from music_vae.configs import get_config
    >>> check(get_config("cat-mel_2bar_mini", "z_size=0"))
    Traceback (most recent call last):
    music_vae.common.errors.UserError: ... cannot be exported to ONNX: it has no latent vector
    """
    check_music(config.data_converter)
    reason = _obstacle(config)
    if reason is not None:
        raise UserError(f"{config.name} cannot be exported to ONNX: {reason}")


def _obstacle(config: Config) -> str | None:
    """Returns why a config's decoder cannot be exported; None if it can."""
    decoder = config.model_spec.decoder
    if not config.hparams.latent_size:
        return "it has no latent vector"
    if isinstance(decoder, HierarchicalDecoderPlan) and decoder.reads_back:
        return (
            "its conductors read back what became of their segments, and decoder_start.onnx must "
            "know all segments before the first is decoded"
        )
    return None


def write(
    config: Config,
    weights: Mapping[str, np.ndarray],
    output_dir: str | Path,
    *,
    source: str = "the weights",
    quantize: str | None = None,
    fitted_prior: bool = False,
    attributes: bool = False,
    constraint: Constraint | None = None,
) -> list[Path]:
    """Writes a model into a folder, which is made; returns the paths of the files.

    >>> import tempfile
    >>> from music_vae.configs import get_config
    >>> config = get_config("groovae_4bar_mini", "z_size=2,enc_rnn_size=[2],dec_rnn_size=[2,2]")
    >>> weights = {name: np.zeros(shape, np.float32)
    ...            for name, shape in config.model_spec.weight_shapes.items()}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(*sorted(path.name for path in write(config, weights, folder)))
    decoder.onnx decoder_start.onnx decoder_step.onnx encoder.onnx model.json

    Args:
      config: Config of the model.
      weights: Arrays by published name.
      output_dir: Folder to write to.
      source: Name of the place that the weights come from, for messages.
      quantize: Type that the kernels of layers are stored in; see `Graph.model`.
      fitted_prior: True if `prior_files.write` writes a prior beside them.
      attributes: True if `attribute_files.write` writes attribute vectors beside them.
      constraint: A latent constraint of the model, which becomes one of the files.

    Raises:
      UserError: If `onnx` is not installed, the files cannot carry such a model, or the weights do
        not fit the config.
    """
    from music_vae import __version__

    require_onnx()
    check(config)
    NumpyEngine(config, weights, source=source)  # says what does not fit
    _check_size(weights)
    folder = files.expand(output_dir)
    ends = {}
    for name, build in _graphs(config, weights, constraint).items():
        graph = build()
        stored = _EXACT if quantize and name == CONSTRAINT else quantize
        with files.atomic_path(folder / name) as temporary:
            temporary.write_bytes(graph.model(__version__, stored).SerializeToString())
        ends[name] = Ends(graph.inputs, graph.outputs)
    described = manifest(
        config, ends, fitted_prior=fitted_prior, attributes=attributes, constraint=constraint
    )
    text = json.dumps(described, indent=2, ensure_ascii=False)
    files.write_text(folder / MANIFEST, f"{text}\n")
    return [folder / name for name in (*ends, MANIFEST)]


def _graphs(
    config: Config, weights: Mapping[str, np.ndarray], constraint: Constraint | None
) -> dict[str, Callable[[], Graph]]:
    """Returns, by file name, the functions that build the graphs."""
    taken = Weights(weights)
    plan = config.model_spec.decoder
    decoder = Decoder(
        plan,
        taken,
        steps=config.hparams.max_seq_len,
        end_token=config.data_converter.end_token,
    )
    return {
        ENCODER: lambda: _encoder(config, taken),
        DECODER: decoder.whole,
        START: decoder.start,
        STEP: decoder.step,
        **({CONTROLS: decoder.controls} if plan.reads_controls_first else {}),
        **({CONSTRAINT: lambda: _constraint(constraint)} if constraint else {}),
    }


def _check_size(weights: Mapping[str, np.ndarray]) -> None:
    """Raises `UserError` if a file would be larger than its format allows."""
    bytes_by_part = Counter({"encoder": 0, "decoder": 0})
    for name, array in weights.items():
        part = "encoder" if name.startswith(f"{names.ENCODER}/") else "decoder"
        bytes_by_part[part] += array.size * np.dtype(np.float32).itemsize
    part, most = bytes_by_part.most_common(1)[0]
    if most > _MAX_BYTES:
        raise UserError(
            f"the {part} has {most / 1e9:.1f} GB of weights; an ONNX file can have 2 GB"
        )


def _encoder(config: Config, weights: Weights) -> Graph:
    """Builds the graph from a window of music to mu and sigma."""
    converter, spec = config.data_converter, config.model_spec
    assert spec.encoder is not None
    assert spec.posterior is not None
    graph = Graph("encoder")
    x = graph.input("inputs", ("B", "T", converter.input_depth))
    if converter.control_depth:
        x = graph.concat([x, graph.input("controls", ("B", "T", converter.control_depth))])
    lengths = graph.input("lengths", ("B", *converter.length_shape), "int32")
    embedding = layers.encode(
        graph,
        weights,
        spec.encoder,
        x,
        lengths,
        input_size=converter.input_depth + converter.control_depth,
        by_segment=bool(converter.length_shape),
    )
    mu, sigma = (
        layers.dense(graph, weights, plan, embedding)
        for plan in (spec.posterior.mu, spec.posterior.sigma)
    )
    graph.output("mu", mu, ("B", config.hparams.latent_size))
    graph.output("sigma", graph.op("Softplus", sigma), ("B", config.hparams.latent_size))
    return graph


def _constraint(constraint: Constraint) -> Graph:
    """Builds the graph from standard normal numbers to z: see `Constraint.apply`."""
    graph = Graph("constraint")
    z_size = constraint.z_size
    normal = x = graph.input("normal", ("B", z_size))
    if constraint.attributes:
        x = graph.concat([normal, graph.input("wanted", ("B", len(constraint.attributes)))])
    for number, layer in enumerate(constraint.layers):
        kernel, bias = (graph.array(array) for array in layer)
        x = graph.op("Relu", x) if number else x
        x = graph.op("Add", graph.op("MatMul", x, kernel), bias)
    target, gate = graph.split(x, [z_size, z_size])
    share = graph.op("Sigmoid", gate)
    kept = graph.op("Sub", graph.array(np.float32(1)), share)
    z = graph.op("Add", graph.op("Mul", kept, normal), graph.op("Mul", share, target))
    graph.output("z", z, ("B", z_size))
    return graph
