"""A graph under construction: inputs, weights, operations and outputs, added one after the other."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from torch import Tensor, nn

OPSET = 20
IR_VERSION = 10
RUNTIME = "com.microsoft"
"""Domain of ONNX Runtime's own operations."""
_TYPES = {"float32": ir.DataType.FLOAT, "int64": ir.DataType.INT64, "int8": ir.DataType.INT8}

Dim = int | str
"""A length, or the name of an axis that varies."""


class GraphBuilder:
    """An ONNX graph that grows operation by operation.

    Parameters
    ----------
    name
        Name of the graph.
    network
        Its parameters and buffers are the weights, by their names; they are referred to, not copied.
    """

    def __init__(self, name: str, network: nn.Module) -> None:
        self._graph = ir.Graph([], [], nodes=[], opset_imports={"": OPSET}, name=name)
        self._tensors: Mapping[str, Tensor] = dict(network.named_parameters()) | dict(network.named_buffers())
        self._constants: dict[tuple[str, tuple[int, ...], bytes], ir.Value] = {}

    def input(self, name: str, shape: Sequence[Dim], kind: str = "float32") -> ir.Value:
        """Declare an input of the graph; `kind` is `float32`, `int64` or `int8`."""
        value = ir.val(name, dtype=_TYPES[kind], shape=list(shape))
        self._graph.inputs.append(value)
        return value

    def output(self, name: str, value: ir.Value, shape: Sequence[Dim], kind: str = "float32") -> None:
        """Declare a value to be an output of the graph; `kind` as of an input."""
        value.name, value.shape, value.dtype = name, ir.Shape(list(shape)), _TYPES[kind]
        self._graph.outputs.append(value)

    def array(self, name: str) -> NDArray[np.float32]:
        """Give a weight of the network as numbers."""
        found: NDArray[np.float32] = self._tensors[name].detach().numpy()
        return found

    def has(self, name: str) -> bool:
        """Say whether the network has a weight of this name."""
        return name in self._tensors

    def weight(self, name: str) -> ir.Value:
        """Give a weight of the network under its own name."""
        return self.stored(name, self.array(name)) if name not in self._graph.initializers else self._known(name)

    def halved(self, name: str, array: NDArray[np.float32]) -> ir.Value:
        """Give a named array, stored in half precision where that holds it exactly; float32 either way."""
        half = array.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), array):
            return self.stored(name, array)
        return self.op("Cast", self.stored(f"{name}.half", half), to=int(ir.DataType.FLOAT))

    def stored(self, name: str, array: NDArray[np.generic]) -> ir.Value:
        """Give a named array that is part of the graph, such as weights in another order."""
        if name in self._graph.initializers:
            return self._known(name)
        value = ir.val(name, const_value=ir.tensor(array, name=name))
        self._graph.register_initializer(value)
        return value

    def constant(self, value: float | Sequence[int] | NDArray[np.generic]) -> ir.Value:
        """Give a small constant: a float32 number, a list of int64, or an array as it is; equal ones are one."""
        if isinstance(value, float):
            array: NDArray[np.generic] = np.array(value, np.float32)
        else:
            array = value if isinstance(value, np.ndarray) else np.array(value, np.int64)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.stored(f"constant_{len(self._constants)}", array)
        return self._constants[key]

    def op(self, kind: str, *inputs: ir.Value, **attributes: int | float | list[int]) -> ir.Value:
        """Add an operation and give its output."""
        node = ir.node(kind, list(inputs), attributes)
        self._graph.append(node)
        return node.outputs[0]

    def runtime_op(
        self, kind: str, inputs: Sequence[ir.Value | None], attributes: Mapping[str, int | str], outputs: int
    ) -> tuple[ir.Value, ...]:
        """Add an operation that ONNX Runtime alone has, None for inputs that are left out, and give its outputs."""
        self._graph.opset_imports[RUNTIME] = 1
        node = ir.node(kind, list(inputs), attributes, domain=RUNTIME, num_outputs=outputs)
        self._graph.append(node)
        return tuple(node.outputs)

    def halves(self, value: ir.Value, axis: int) -> tuple[ir.Value, ir.Value]:
        """Split an axis into two equal parts."""
        node = ir.node("Split", [value], {"axis": axis, "num_outputs": 2}, num_outputs=2)
        self._graph.append(node)
        return node.outputs[0], node.outputs[1]

    def reshape(self, value: ir.Value, shape: Sequence[int] | ir.Value) -> ir.Value:
        """Reshape to lengths, of which 0 keeps an axis and -1 takes what is left, or to a computed shape."""
        return self.op("Reshape", value, shape if isinstance(shape, ir.Value) else self.constant(shape))

    def model(self) -> ir.Model:
        """Give the finished model."""
        return ir.Model(self._graph, ir_version=IR_VERSION, producer_name="sleepcli")

    def _known(self, name: str) -> ir.Value:
        return self._graph.initializers[name]
