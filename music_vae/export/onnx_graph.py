"""ONNX graphs that grow node by node.

A value is its name. Weights lie in the outermost graph, where the bodies of loops see them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

OPSET = 13
"""Of December 2020: the oldest with all that is used, for old runtimes."""

IR_VERSION = 7  # of the file, the one that came with that opset

Shape = Sequence[int | str]
"""Numbers, and names of sizes that may vary."""


class Tensor(NamedTuple):
    """An input or output of a graph: its type, and its shape with the names of what varies."""

    dtype: str
    shape: tuple[int | str, ...]


class Graph:
    """A graph of nodes, or the body of a loop in one.

    Attributes:
      inputs: Its inputs by name.
      outputs: Its outputs by name.
    """

    def __init__(self, title: str, parent: Graph | None = None) -> None:
        """Args:
        title: What it computes.
        parent: The graph in which it is the body of a loop.
        """
        self.inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}
        self._title = title
        self._root: Graph = self if parent is None else parent._root
        self._numbers: Iterator[int] = itertools.count() if parent is None else parent._numbers
        self._nodes: list[Any] = []
        self._arrays: dict[str, np.ndarray] = {}

    def input(self, name: str, shape: Shape, dtype: str = "float32") -> str:
        """Adds an input."""
        self.inputs[name] = Tensor(dtype, tuple(shape))
        return name

    def output(self, name: str, value: str, shape: Shape, dtype: str = "float32") -> None:
        """Makes a value an output."""
        from onnx import helper

        self.outputs[name] = Tensor(dtype, tuple(shape))
        self._nodes.append(helper.make_node("Identity", [value], [name]))

    def array(self, array: Any) -> str:
        """A constant: float32 numbers as they are, whole ones as int64."""
        array = np.asarray(array)
        kind = np.float32 if array.dtype.kind == "f" else array.dtype
        name = self._name("array")
        self._root._arrays[name] = np.ascontiguousarray(array, kind).reshape(array.shape)
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node with one output."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """Adds a node with `count` outputs; an empty name is an input that is left out."""
        from onnx import helper

        outputs = [self._name(kind) for _ in range(count)]
        self._nodes.append(helper.make_node(kind, list(inputs), outputs, **attributes))
        return outputs

    def split(self, value: str, sizes: Sequence[int], axis: int = -1) -> list[str]:
        """Parts of these sizes of a value, along an axis."""
        if len(sizes) == 1:
            return [value]
        return self.ops("Split", len(sizes), value, self.array(np.array(sizes)), axis=axis)

    def concat(self, values: Sequence[str], axis: int = -1) -> str:
        """Values side by side, along an axis."""
        return values[0] if len(values) == 1 else self.op("Concat", *values, axis=axis)

    def reshape(self, value: str, *shape: int) -> str:
        """A value in another shape: 0 for a size as it was, -1 for what is left."""
        return self.op("Reshape", value, self.array(np.array(shape)))

    def squeeze(self, value: str, axis: int) -> str:
        """A value without an axis of size 1."""
        return self.op("Squeeze", value, self.array(np.array([axis])))

    def unsqueeze(self, value: str, axis: int) -> str:
        """A value with one more axis of size 1."""
        return self.op("Unsqueeze", value, self.array(np.array([axis])))

    def filled(self, number: float, *sizes: int | str) -> str:
        """A float32 value of this shape with one number everywhere; sizes may be values `[1]`."""
        shape = [n if isinstance(n, str) else self.array(np.array([n])) for n in sizes]
        return self.op("Expand", self.array(np.float32(number)), self.concat(shape, axis=0))

    def rows(self, value: str) -> str:
        """The size of a value's first axis, `[1]`."""
        return self.op("Gather", self.op("Shape", value), self.array(np.array([0])))

    def to_float(self, value: str) -> str:
        """A value as float32."""
        from onnx import TensorProto

        return self.op("Cast", value, to=TensorProto.FLOAT)

    def scan(
        self,
        step: Callable[[Graph, list[str], list[str]], tuple[list[str], list[str]]],
        carried: Sequence[tuple[str, Shape]],
        scanned: Sequence[str],
        collected: Sequence[Shape],
        *,
        axes: Sequence[int] | None = None,
    ) -> tuple[list[str], list[str]]:
        """Adds a loop over the slices of float32 values.

        Args:
          step: Adds one turn to a body, of what is carried and the slices of now; returns what is
            carried on, and what is collected.
          carried: What the first turn is given, and its shapes.
          scanned: Values that are looked at slice by slice.
          collected: The shapes of what a turn gives to be collected.
          axes: Along which axis each; along axis 1 by default.

        Returns:
          What the last turn carried on, and what was collected, stacked along axis 1.
        """
        body = Graph("step", self)
        before = [body.input(self._name("carried"), shape) for _, shape in carried]
        now = [body.input(self._name("slice"), ()) for _ in scanned]
        after, given = step(body, before, now)
        shapes = [*(shape for _, shape in carried), *collected]
        for value, shape in zip([*after, *given], shapes, strict=True):
            body.output(self._name("result"), value, shape)
        results = self.ops(
            "Scan",
            len(shapes),
            *(value for value, _ in carried),
            *scanned,
            body=body._proto(),
            num_scan_inputs=len(scanned),
            scan_input_axes=list(axes or [1] * len(scanned)),
            scan_output_axes=[1] * len(collected),
        )
        return results[: len(after)], results[len(after) :]

    def _name(self, kind: str) -> str:
        return f"{kind.lower()}_{next(self._numbers)}"

    def _proto(self) -> Any:
        from onnx import helper, numpy_helper

        arrays = [numpy_helper.from_array(array, name) for name, array in self._arrays.items()]
        ends = [
            [_value_info(name, tensor) for name, tensor in tensors.items()]
            for tensors in (self.inputs, self.outputs)
        ]
        return helper.make_graph(self._nodes, self._title, *ends, arrays)

    def model(self, producer_version: str) -> Any:
        """The graph as a model."""
        from onnx import helper

        return helper.make_model(
            self._proto(),
            producer_name="music_vae",
            producer_version=producer_version,
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )


def _value_info(name: str, tensor: Tensor) -> Any:
    from onnx import helper

    kind = helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
    return helper.make_tensor_value_info(name, kind, tensor.shape or None)
