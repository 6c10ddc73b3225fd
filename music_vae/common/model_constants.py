"""Defines numbers in a model's equations, for every part that computes them."""

FORGET_BIAS = 1.0
"""Number added to an LSTM's forget gate; its bias does not contain it."""

MIN_TEMPERATURE = 1e-6
"""Smallest temperature that is computed with; float32 can hold logits divided by it."""

NADE_LOG_FLOOR = 1e-6
"""Number added to a probability of NADE before its logarithm, as in published models."""

HIT_LOG_FLOOR = 1e-7
"""Number added to a probability of a groove's hit before its logarithm."""

LEAST_SPREAD = 0.005
"""Smallest scale of a velocity's or an offset's distribution: less than MIDI tells apart."""

LEAST_TAIL = 1e-5
"""Probability of what lies further out than any velocity or offset that is drawn."""
