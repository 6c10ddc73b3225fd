"""TensorBoard events, read back."""

import tensorflow as tf


def scalars(folder):
    """All TensorBoard scalars in `folder`: {name: {step: value}}."""
    found = {}
    for path in sorted(folder.glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
    return found
