"""Smaller weights: float16 in storage or in products, and int8 products with one scale a row of activations.

In none of them does a row depend on its batch.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from export.builder import RUNTIME
from export.signal_tower import FOURIER
from training.model import SleepLM

PRECISIONS = ("fp32", "fp16", "mixed", "int8")
WEIGHT_LEVELS = 63
"""Weights are kept in -63..63: two products of such a weight with an unsigned byte fit into the 16 bits that
processors without VNNI add them up in, so that every machine gives the same sums."""
ROW_LEVELS, ROW_ZERO = 127, 128  # activations are bytes around 128
_MIN_STORED = 1024  # bytes; smaller weights stay as they are
_MIN_SCALE = 1e-12  # for columns of zeros
_MIN_PEAK = _MIN_SCALE * ROW_LEVELS  # for rows of zeros


def rounded(model: SleepLM) -> SleepLM:
    """Give a copy of a network whose weights are rounded to float16 and computed with in float32."""
    copy = deepcopy(model)
    for parameter in copy.parameters():
        parameter.data = parameter.data.half().float()
    return copy.eval()


def store_half(model: ir.Model) -> None:
    """Store a graph's float32 weights as float16, cast back where the session loads them.

    Nothing changes in what the graph computes: only arrays that float16 holds exactly are stored so, which are all
    weights that come from `rounded`, but not the tables and products made of them.
    """
    graph = model.graph
    first = graph.node(0)
    for value in list(graph.initializers.values()):
        tensor = value.const_value
        if tensor is None or tensor.dtype != ir.DataType.FLOAT or tensor.nbytes < _MIN_STORED:
            continue
        array = tensor.numpy()
        stored = array.astype(np.float16)
        if not np.array_equal(stored.astype(np.float32), array):
            continue
        half = _initializer(graph, f"{value.name}_half", stored)
        cast = ir.node("Cast", [half], {"to": ir.DataType.FLOAT})
        graph.insert_before(first, cast)
        _replace(value, cast.outputs[0])
        del graph.initializers[str(value.name)]


def quantize(model: ir.Model) -> None:
    """Turn the products with constant weights into int8 products.

    Each row of activations has its own scale, found when it comes; each output column of weights has one. Biases,
    norms, softmax, the products inside attention and the spectra, whose small powers count, stay in float32.
    """
    _replace_products(model, _quantize_rows, _int8_product)


def mix(model: ir.Model) -> None:
    """Turn the products with constant weights into float16 ones, as the tensor cores of GPUs compute them.

    Biases, norms, softmax, the products inside attention, their caches and the spectra stay in float32. A CPU without
    float16 computes the same products in float32, of the same rounded numbers.
    """
    _replace_products(model, _half_rows, _half_product)


LOWERED: Mapping[str, Callable[[ir.Model], None]] = {"int8": quantize, "mixed": mix}
"""What turns a graph into one of lower precision, whose effect on stages and captions is measured."""

_Rows = tuple[ir.Value, ...]


def _replace_products(
    model: ir.Model,
    prepare: Callable[[ir.Graph, ir.Node, ir.Value], _Rows],
    product: Callable[[ir.Graph, ir.Node, _Rows, NDArray[np.float32]], ir.Value],
) -> None:
    """Replace the products with constant weights; rows that enter several products are prepared once."""
    graph = model.graph
    rows: dict[ir.Value, _Rows] = {}
    for node in list(graph):
        weights = _weights(node)
        if weights is None or node.inputs[0] is None:
            continue
        rows_in = node.inputs[0]
        if rows_in not in rows:
            rows[rows_in] = prepare(graph, node, rows_in)
        made = product(graph, node, rows[rows_in], weights)
        bias = node.inputs[2] if len(node.inputs) > 2 else None
        if bias is not None:
            made = _before(graph, node, "Add", [made, bias])
        _replace(node.outputs[0], made)
        graph.remove(node, safe=True)
    used = {value for node in graph for value in node.inputs}
    for name, value in list(graph.initializers.items()):
        if value not in used and value not in graph.outputs:
            del graph.initializers[name]


def _weights(node: ir.Node) -> NDArray[np.float32] | None:
    """Give the constant weights `[in, out]` of a product, None where there are none."""
    if node.op_type not in ("MatMul", "Gemm") or node.inputs[1] is None or not node.inputs[1].is_initializer():
        return None
    name, tensor = str(node.inputs[1].name), node.inputs[1].const_value
    if tensor is None or tensor.dtype != ir.DataType.FLOAT or tensor.shape.rank() != 2 or name.startswith(FOURIER):
        return None
    array: NDArray[np.float32] = tensor.numpy()
    transposed = node.op_type == "Gemm" and node.attributes.get_int("transB", False)
    return array.T if transposed else array


def _half_rows(graph: ir.Graph, node: ir.Node, rows: ir.Value) -> _Rows:
    """Give the activations in float16."""
    return (_before(graph, node, "Cast", [rows], {"to": ir.DataType.FLOAT16}),)


def _half_product(graph: ir.Graph, node: ir.Node, rows: _Rows, weights: NDArray[np.float32]) -> ir.Value:
    name = str(node.inputs[1].name) if node.inputs[1] is not None else ""
    if f"{name}_half" not in graph.initializers:
        _initializer(graph, f"{name}_half", weights.astype(np.float16))
    made = _before(graph, node, "MatMul", [rows[0], graph.initializers[f"{name}_half"]])
    return _before(graph, node, "Cast", [made], {"to": ir.DataType.FLOAT})


def _quantize_rows(graph: ir.Graph, node: ir.Node, rows: ir.Value) -> _Rows:
    """Give the activations as bytes around 128, and the scale of each row."""
    axis = _constant(graph, "last_axis", np.array([-1], np.int64))
    highest = _before(graph, node, "ReduceMax", [rows, axis], {"keepdims": 1})
    lowest = _before(graph, node, "Neg", [_before(graph, node, "ReduceMin", [rows, axis], {"keepdims": 1})])
    peak = _before(graph, node, "Max", [highest, lowest, _constant(graph, "min_peak", np.float32(_MIN_PEAK))])
    scale = _before(graph, node, "Mul", [peak, _constant(graph, "row_step", np.float32(1 / ROW_LEVELS))])
    scales = _before(graph, node, "Squeeze", [scale, axis])
    zero = ir.tensor(np.array([ROW_ZERO], np.uint8))
    zeros = _before(graph, node, "ConstantOfShape", [_before(graph, node, "Shape", [scales])], {"value": zero})
    return _before(graph, node, "QuantizeLinear", [rows, scales, zeros], {"axis": 0}), scale


def _int8_product(graph: ir.Graph, node: ir.Node, rows: _Rows, weights: NDArray[np.float32]) -> ir.Value:
    name = str(node.inputs[1].name) if node.inputs[1] is not None else ""
    scale = np.maximum(np.abs(weights).max(axis=0) / WEIGHT_LEVELS, _MIN_SCALE).astype(np.float32)
    if f"{name}_int8" not in graph.initializers:
        _initializer(graph, f"{name}_int8", np.round(weights / scale).astype(np.int8))
        _initializer(graph, f"{name}_scale", scale)
    stored, column = graph.initializers[f"{name}_int8"], graph.initializers[f"{name}_scale"]
    zero = _constant(graph, "row_zero_byte", np.array(ROW_ZERO, np.uint8))
    one = _constant(graph, "one", np.float32(1))  # the rows' own scales differ, and come after
    values = _before(graph, node, "MatMulIntegerToFloat", [rows[0], stored, one, column, zero], domain=RUNTIME)
    return _before(graph, node, "Mul", [values, rows[1]])


def _before(
    graph: ir.Graph,
    node: ir.Node,
    operation: str,
    inputs: list[ir.Value],
    attributes: Mapping[str, int | ir.TensorProtocol] | None = None,
    domain: str = "",
) -> ir.Value:
    """Insert an operation before a node and give its output."""
    new = ir.node(operation, inputs, attributes, domain=domain)
    if domain:
        graph.opset_imports[domain] = 1
    graph.insert_before(node, new)
    return new.outputs[0]


def _constant(graph: ir.Graph, name: str, value: np.generic | NDArray[np.generic]) -> ir.Value:
    return graph.initializers[name] if name in graph.initializers else _initializer(graph, name, np.asarray(value))


def _initializer(graph: ir.Graph, name: str, array: NDArray[np.generic]) -> ir.Value:
    value = ir.val(name, const_value=ir.tensor(array, name=name))
    graph.register_initializer(value)
    return value


def _replace(old: ir.Value, new: ir.Value) -> None:
    """Use `new` wherever `old` was used; a graph's output keeps its name, type and shape."""
    new.shape, new.type, name = old.shape, old.type, old.name
    output = old.is_graph_output()
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    if output:
        old.name, new.name = f"{name}_replaced", name
