"""The variable names of published checkpoints: the one place that knows them.

A name is a path. The functions here make the path of a part from the path of what contains it; a
decoder's path may be empty, and otherwise ends with a slash.
"""

import re

ENCODER = "encoder"
MU = "encoder/mu"
SIGMA = "encoder/sigma"
CORE_DECODER = "core_decoder/"
DIRECTIONS = ("fw", "bw")

_KERNEL, _BIAS = "kernel", "bias"
_NADE_ENCODER, _NADE_DECODER = "w_enc", "w_dec_t"

# In published checkpoints beside the weights: Adam's slots and counters, the step, and what is left
# of training with cuDNN.
_NO_WEIGHT = re.compile(
    r"(.*/)?(Adam|Adam_\d+|beta[12]_power(_\d+)?|global_step)|.*opaque_kernel.*"
)


def is_weight(name: str) -> bool:
    """Whether a variable of a checkpoint is a model's, and not the optimizer's or left over."""
    return not _NO_WEIGHT.fullmatch(name)


def kernel(layer: str) -> str:
    """The kernel of a dense layer or an LSTM cell."""
    return f"{layer}/{_KERNEL}"


def bias(layer: str) -> str:
    """The bias of a dense layer or an LSTM cell."""
    return f"{layer}/{_BIAS}"


# -- LSTM layers ----------------------------------------------------------------------------------


def lstm_stack(scope: str) -> str:
    """The LSTM layers of a forward encoder or of a decoder."""
    return f"{scope}/multi_rnn_cell"


def bidirectional_stack(scope: str, index: int, direction: str) -> str:
    """One direction (see `DIRECTIONS`) of a bidirectional layer: a stack of a single layer."""
    return lstm_stack(f"{layer(scope, index)}/bidirectional_rnn/{direction}")


def layer(stack: str, index: int) -> str:
    """A layer of a stack, which may also be a conductor's."""
    return f"{stack}/cell_{index}"


def input_projection(layer: str) -> str:
    """The linear projection of a residual layer's input; it contains the cell."""
    return f"{layer}/input_projection_wrapper"


def lstm_cell(scope: str) -> str:
    """The cell of a layer, or of the projection in it."""
    return f"{scope}/lstm_cell"


# -- Encoders and decoders ------------------------------------------------------------------------


def encoder_level(encoder: str, number: int) -> str:
    """One level of a hierarchical encoder, from the bottom up."""
    return f"{encoder}/hierarchical_level_{number}"


def conductor(level: int) -> str:
    """The conductor of one level of a hierarchical decoder, from the top down."""
    return f"decoder/hierarchical_level_{level}"


def conductor_state(conductor: str) -> str:
    """The layer that makes its initial state."""
    return f"{conductor}/initial_state"


def split_core(scope: str, number: int) -> str:
    """The decoder of one of several outputs."""
    return f"{scope}core_decoder_{number}/"


def control_preprocessing(scope: str) -> str:
    """The bidirectional layers that read a decoder's controls first."""
    return f"{scope}control_preprocessing"


def flat_decoder(scope: str) -> str:
    """The path of the parts below."""
    return f"{scope}decoder"


def decoder_state(decoder: str) -> str:
    """The layer that makes a flat decoder's initial state from z."""
    return f"{decoder}/z_to_initial_state"


def output_projection(decoder: str) -> str:
    """The layer that makes the distribution's parameters from a flat decoder's output."""
    return f"{decoder}/output_projection"


def nade_encoder(decoder: str) -> str:
    """NADE's weights from values to hidden units."""
    return f"{decoder}/nade/{_NADE_ENCODER}"


def nade_decoder(decoder: str) -> str:
    """NADE's weights from hidden units to logits."""
    return f"{decoder}/nade/{_NADE_DECODER}"
