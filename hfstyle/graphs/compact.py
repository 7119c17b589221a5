"""A graph made small: what is constant is computed once, and weights that float16 holds exactly are stored in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np

__all__ = ["save_compact"]

_LEAST_HALVED: Final = 256  # numbers in a tensor: below, the cast is longer than what it saves


def save_compact(graph: Any, file: Path) -> None:
    """Write a graph for any machine. onnxruntime computes in float32 all the same: it casts weights back as it loads.

    Args:
        graph: a `torch.onnx.ONNXProgram`, not optimised; it is changed.
        file: replaced.

    Raises:
        OSError: it cannot be written.
    """
    import onnx
    import onnxruntime
    from onnxscript.optimizer import fold_constants, remove_unused_nodes

    fold_constants(graph.model)  # sequences of tensors, which browsers lack, become tensors
    remove_unused_nodes(graph.model)
    raw = file.with_name(f"{file.name}.raw")
    try:
        graph.save(raw, external_data=False)
        options = onnxruntime.SessionOptions()
        level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC  # of what is true everywhere
        options.graph_optimization_level = level
        options.optimized_model_filepath = str(file)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(str(raw), options, providers=["CPUExecutionProvider"])
    finally:
        raw.unlink(missing_ok=True)
    model = onnx.load(file)
    used = {node.domain for node in model.graph.node}
    for domain in [each for each in model.opset_import if each.domain not in used]:
        model.opset_import.remove(domain)
    _simplify(model.graph)
    _halve(model.graph)
    onnx.save(model, file)


def _simplify(graph: Any) -> None:
    """A square as a product, which takes half the time of a power; axes that come one after the other as one step."""
    from onnx import numpy_helper

    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    uses = Counter(name for node in graph.node for name in node.input)
    stepwise: dict[str, tuple[Any, list[int]]] = {}  # by result: what adds axes, and which
    for node in list(graph.node):
        if node.op_type not in ("Pow", "Unsqueeze") or node.input[1] not in constants:
            continue
        second = constants[node.input[1]].flatten().tolist()
        if node.op_type == "Pow":
            if second == [2]:
                node.op_type, node.input[1] = "Mul", node.input[0]
            continue
        before, axes = stepwise.get(node.input[0], (None, []))
        if before is not None and uses[node.input[0]] == 1 and max(axes) < min(second):
            second = axes + second
            name = f"axes.{'.'.join(map(str, second))}"
            if name not in constants:
                constants[name] = np.array(second)
                graph.initializer.append(numpy_helper.from_array(constants[name], name))
            node.input[0], node.input[1] = before.input[0], name
            graph.node.remove(before)
        if min(second) >= 0:
            stepwise[node.output[0]] = (node, second)
    used = {name for node in graph.node for name in node.input}
    for tensor in [each for each in graph.initializer if each.name not in used]:
        graph.initializer.remove(tensor)


def _halve(graph: Any) -> None:
    from onnx import TensorProto, helper, numpy_helper

    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < _LEAST_HALVED:
            continue
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(half, f"{name}.half"))
        cast = helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT)
        graph.node.insert(0, cast)
