"""Numbers of a model's equations, the same for everything that computes one."""

FORGET_BIAS = 1.0
"""Added to an LSTM's forget gate; its bias does not contain it."""

MIN_TEMPERATURE = 1e-6
"""Below this a temperature of zero is meant: float32 still holds logits divided by it."""

NADE_LOG_FLOOR = 1e-6
"""Added to a probability before its logarithm, as the published models were trained."""

HIT_LOG_FLOOR = 1e-7
"""The same for the hits of grooves."""
