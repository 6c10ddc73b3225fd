"""Makes the variable names of published checkpoints; no other module knows them.

A name is a path. The functions here return the path of a part, given the path of the part that
contains it. The path of a decoder may be empty, and otherwise ends with a slash.
"""

import re

ENCODER = "encoder"
MU = "encoder/mu"
SIGMA = "encoder/sigma"
CORE_DECODER = "core_decoder/"
DIRECTIONS = ("fw", "bw")

_KERNEL, _BIAS = "kernel", "bias"
_NADE_ENCODER, _NADE_DECODER = "w_enc", "w_dec_t"

# Variables of published checkpoints that are no weights: Adam's slots and counters, the step, and
# leftovers of training with cuDNN.
_NO_WEIGHT = re.compile(
    r"(.*/)?(Adam|Adam_\d+|beta[12]_power(_\d+)?|global_step)|.*opaque_kernel.*"
)


def is_weight(name: str) -> bool:
    """Returns True for a variable of a model, and False for one of its training.

    >>> is_weight("encoder/mu/kernel"), is_weight("encoder/mu/kernel/Adam_1")
    (True, False)
    """
    return not _NO_WEIGHT.fullmatch(name)


def kernel(layer: str) -> str:
    """Returns the name of the kernel of a dense layer or an LSTM cell.

    >>> kernel(MU)
    'encoder/mu/kernel'
    """
    return f"{layer}/{_KERNEL}"


def bias(layer: str) -> str:
    """Returns the name of the bias of a dense layer or an LSTM cell.

    >>> bias(MU)
    'encoder/mu/bias'
    """
    return f"{layer}/{_BIAS}"


# -- LSTM layers ----------------------------------------------------------------------------------


def lstm_stack(scope: str) -> str:
    """Returns the path of the LSTM layers of a forward encoder or of a decoder.

    >>> lstm_stack("decoder")
    'decoder/multi_rnn_cell'
    """
    return f"{scope}/multi_rnn_cell"


def bidirectional_stack(scope: str, index: int, direction: str) -> str:
    """Returns the path of one direction of a bidirectional layer, which is a stack of one layer.

    >>> bidirectional_stack("encoder", 0, "fw")
    'encoder/cell_0/bidirectional_rnn/fw/multi_rnn_cell'

    Args:
      scope: Path of the encoder.
      index: Number of the layer, from the bottom up.
      direction: One of `DIRECTIONS`.
    """
    return lstm_stack(f"{layer(scope, index)}/bidirectional_rnn/{direction}")


def layer(stack: str, index: int) -> str:
    """Returns the path of a layer of a stack; that of a conductor counts as one, too.

    >>> layer("decoder/multi_rnn_cell", 1)
    'decoder/multi_rnn_cell/cell_1'
    """
    return f"{stack}/cell_{index}"


def input_projection(layer: str) -> str:
    """Returns the path of the linear projection of a residual layer's input; it contains the cell.

    >>> input_projection("decoder/multi_rnn_cell/cell_0")
    'decoder/multi_rnn_cell/cell_0/input_projection_wrapper'
    """
    return f"{layer}/input_projection_wrapper"


def lstm_cell(scope: str) -> str:
    """Returns the path of the cell of a layer, or of the projection in a layer.

    >>> kernel(lstm_cell(layer(lstm_stack("decoder"), 0)))
    'decoder/multi_rnn_cell/cell_0/lstm_cell/kernel'
    """
    return f"{scope}/lstm_cell"


# -- Encoders and decoders ------------------------------------------------------------------------


def encoder_level(encoder: str, number: int) -> str:
    """Returns the path of a level of a hierarchical encoder, from the bottom up.

    >>> encoder_level(ENCODER, 1)
    'encoder/hierarchical_level_1'
    """
    return f"{encoder}/hierarchical_level_{number}"


def conductor(level: int) -> str:
    """Returns the path of the conductor of a level of a hierarchical decoder, from the top down.

    >>> conductor(0)
    'decoder/hierarchical_level_0'
    """
    return f"decoder/hierarchical_level_{level}"


def conductor_state(conductor: str) -> str:
    """Returns the path of the layer that makes a conductor's initial state.

    >>> conductor_state(conductor(0))
    'decoder/hierarchical_level_0/initial_state'
    """
    return f"{conductor}/initial_state"


def split_core(scope: str, number: int) -> str:
    """Returns the path of the decoder of one of several outputs.

    >>> split_core(CORE_DECODER, 2)  # the drums of a trio
    'core_decoder/core_decoder_2/'
    """
    return f"{scope}core_decoder_{number}/"


def control_preprocessing(scope: str) -> str:
    """Returns the path of the bidirectional layers that preprocess a decoder's controls.

    >>> control_preprocessing(CORE_DECODER)
    'core_decoder/control_preprocessing'
    """
    return f"{scope}control_preprocessing"


def flat_decoder(scope: str) -> str:
    """Returns the path of a flat decoder, which contains the parts below.

    >>> flat_decoder(""), flat_decoder(CORE_DECODER)
    ('decoder', 'core_decoder/decoder')
    """
    return f"{scope}decoder"


def decoder_state(decoder: str) -> str:
    """Returns the path of the layer that makes a flat decoder's initial state from z.

    >>> decoder_state("decoder")
    'decoder/z_to_initial_state'
    """
    return f"{decoder}/z_to_initial_state"


def output_projection(decoder: str) -> str:
    """Returns the path of the layer that makes the parameters of the output distribution.

    >>> output_projection("decoder")
    'decoder/output_projection'
    """
    return f"{decoder}/output_projection"


def nade_encoder(decoder: str) -> str:
    """Returns the name of NADE's weights from values to hidden units.

    >>> nade_encoder("decoder")
    'decoder/nade/w_enc'
    """
    return f"{decoder}/nade/{_NADE_ENCODER}"


def nade_decoder(decoder: str) -> str:
    """Returns the name of NADE's weights from hidden units to logits.

    >>> nade_decoder("decoder")
    'decoder/nade/w_dec_t'
    """
    return f"{decoder}/nade/{_NADE_DECODER}"
