"""Builds ONNX graphs node by node.

A value in a graph is represented by its name, a string. Weights are kept in the outermost graph,
where the bodies of loops can use them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from music_vae.export.quantization import check_float16, quantized

OPSET = 13
"""Version of ONNX's operations, of December 2020: the oldest that has all of those used here."""

IR_VERSION = 7  # version of the file format, which came with that opset

Shape = Sequence[int | str]
"""Sizes of a tensor's axes: numbers, and names of sizes that may vary."""


class Tensor(NamedTuple):
    """The type and shape of an input or output of a graph.

    >>> Tensor("float32", ("B", 128)).shape  # any number of rows of 128 numbers
    ('B', 128)

    Attributes:
      dtype: NumPy's name of the type.
      shape: Sizes of the axes; a name stands for a size that may vary.
    """

    dtype: str
    shape: tuple[int | str, ...]


class Graph:
    """A graph of ONNX nodes, or the body of a loop in one.

    >>> graph = Graph("doubles its input")
    >>> x = graph.input("x", ("B", 3))
    >>> graph.output("y", graph.op("Add", x, x), ("B", 3))
    >>> [node.op_type for node in graph.model("1.0").graph.node]
    ['Add', 'Identity']

    Attributes:
      inputs: Its inputs by name.
      outputs: Its outputs by name.
    """

    def __init__(self, title: str, parent: Graph | None = None) -> None:
        """Begins an empty graph.

        Args:
          title: Short description of the computation, which the file keeps.
          parent: The graph that contains the loop, if this is a loop's body.
        """
        self.inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}
        self._title = title
        self._root: Graph = self if parent is None else parent._root
        self._numbers: Iterator[int] = itertools.count() if parent is None else parent._numbers
        self._nodes: list[Any] = []
        self._arrays: dict[str, np.ndarray] = {}

    def input(self, name: str, shape: Shape, dtype: str = "float32") -> str:
        """Adds an input and returns its name."""
        self.inputs[name] = Tensor(dtype, tuple(shape))
        return name

    def output(self, name: str, value: str, shape: Shape, dtype: str = "float32") -> None:
        """Makes a value an output of the graph."""
        from onnx import helper

        self.outputs[name] = Tensor(dtype, tuple(shape))
        self._nodes.append(helper.make_node("Identity", [value], [name]))

    def array(self, array: Any) -> str:
        """Adds a constant; floating-point numbers become float32, other types stay as they are."""
        array = np.asarray(array)
        kind = np.float32 if array.dtype.kind == "f" else array.dtype
        name = self._name("array")
        self._root._arrays[name] = np.ascontiguousarray(array, kind).reshape(array.shape)
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node of an ONNX operation that has one output, and returns that."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """Adds a node with `count` outputs and returns them.

        An empty name among `inputs` stands for an optional input that is left out.
        """
        from onnx import helper

        outputs = [self._name(kind) for _ in range(count)]
        self._nodes.append(helper.make_node(kind, list(inputs), outputs, **attributes))
        return outputs

    def split(self, value: str, sizes: Sequence[int], axis: int = -1) -> list[str]:
        """Splits a value into parts of these sizes along an axis."""
        if len(sizes) == 1:
            return [value]
        return self.ops("Split", len(sizes), value, self.array(np.array(sizes)), axis=axis)

    def concat(self, values: Sequence[str], axis: int = -1) -> str:
        """Concatenates values along an axis."""
        return values[0] if len(values) == 1 else self.op("Concat", *values, axis=axis)

    def reshape(self, value: str, *shape: int) -> str:
        """Reshapes a value; 0 keeps the size of an axis, and -1 stands for what is left."""
        return self.op("Reshape", value, self.array(np.array(shape)))

    def squeeze(self, value: str, axis: int) -> str:
        """Removes an axis of size 1 from a value."""
        return self.op("Squeeze", value, self.array(np.array([axis])))

    def unsqueeze(self, value: str, axis: int) -> str:
        """Adds an axis of size 1 to a value."""
        return self.op("Unsqueeze", value, self.array(np.array([axis])))

    def filled(self, number: float, *sizes: int | str) -> str:
        """Returns a float32 value filled with one number; sizes may be numbers or values `[1]`."""
        shape = [n if isinstance(n, str) else self.array(np.array([n])) for n in sizes]
        return self.op("Expand", self.array(np.float32(number)), self.concat(shape, axis=0))

    def rows(self, value: str) -> str:
        """Returns the size of a value's first axis, `[1]`."""
        return self.op("Gather", self.op("Shape", value), self.array(np.array([0])))

    def to_float(self, value: str) -> str:
        """Casts a value to float32."""
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
          step: Adds the nodes of one turn to a body, given the carried values and the turn's
            slices; returns the values that are carried to the next turn, and those collected.
          carried: The carried values of the first turn, with their shapes.
          scanned: Values of which each turn is given one slice.
          collected: Shapes of the values that each turn collects.
          axes: The axis along which each of `scanned` is sliced; by default axis 1.

        Returns:
          The values that the last turn carried on, and the collected ones stacked along axis 1.
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

    def _proto(self, quantize: str | None = None) -> Any:
        from onnx import helper, numpy_helper

        restored: list[Any] = []
        stored: dict[str, np.ndarray] = {}
        for name, array in self._arrays.items():
            if quantize is not None and _is_kernel(array):
                restored += _restoring(name, array, quantize, stored)
            else:
                stored[name] = array
        arrays = [numpy_helper.from_array(array, name) for name, array in stored.items()]
        ends = [
            [_value_info(name, tensor) for name, tensor in tensors.items()]
            for tensors in (self.inputs, self.outputs)
        ]
        return helper.make_graph([*restored, *self._nodes], self._title, *ends, arrays)

    def model(self, producer_version: str, quantize: str | None = None) -> Any:
        """Returns the graph as an ONNX model, a protocol buffer that can be written to a file.

        Args:
          producer_version: Version of this package.
          quantize: Type to store the kernels of layers in, one of `quantization.TYPES`; None:
            float32. The graph restores them, which a runtime does once, when it loads the file.

        Raises:
          UserError: If numbers are too large for float16.
        """
        from onnx import helper

        return helper.make_model(
            self._proto(quantize),
            producer_name="music_vae",
            producer_version=producer_version,
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )


def _is_kernel(array: np.ndarray) -> bool:
    """Returns True for the matrix of a layer, as against its biases and other constants."""
    return array.dtype == np.float32 and array.ndim > 1 and min(array.shape[-2:]) > 1


def _restoring(
    name: str, array: np.ndarray, quantize: str, stored: dict[str, np.ndarray]
) -> list[Any]:
    """Adds an array in fewer bits to `stored`; returns the nodes that give it its name again."""
    from onnx import TensorProto, helper

    kept = f"{name}_{quantize}"
    if quantize == "float16":
        check_float16("a weight", array)
        stored[kept] = array.astype(np.float16)
        return [helper.make_node("Cast", [kept], [name], to=TensorProto.FLOAT)]
    stored[kept], scale, least = quantized(array, quantize)
    stored |= {
        f"{name}_scale": np.array([scale], np.float32),
        f"{name}_min": np.array([least], np.float32),
    }
    return [
        helper.make_node("Cast", [kept], [f"{name}_steps"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}_steps", f"{name}_scale"], [f"{name}_scaled"]),
        helper.make_node("Add", [f"{name}_scaled", f"{name}_min"], [name]),
    ]


def _value_info(name: str, tensor: Tensor) -> Any:
    from onnx import helper

    kind = helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
    return helper.make_tensor_value_info(name, kind, tensor.shape or None)
