"""INT8 by NNCF: for OpenVINO as IR, for ONNX Runtime and TensorRT as ONNX with QuantizeLinear and DequantizeLinear. The head stays float in both."""
import contextlib
import logging
import os

import numpy as np
import onnx
from onnx import numpy_helper

from .float_head import attention_nodes, head_nodes
from .ir import save_ir
from .rectangle import image_input
from .sources import evenly

OPENVINO_CONVOLUTION = "/WithoutBiases"
QUANTISABLE = ("Conv", "ConvTranspose", "Gemm", "MatMul")
QDQ_PICTURES_MAX = 96  # ONNX Runtime gathers its ranges more slowly


def _nncf():
    import nncf  # takes seconds
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf


@contextlib.contextmanager
def _quiet():
    """Without NNCF's own bars, which know nothing of ours."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield


def _scope(nncf, names, known=None):
    """What stays float. names: of nodes; known: names of OpenVINO's operations, which splits a convolution from its bias and leaves the node's name to the bias."""
    if known is not None:
        names = {name for node in names for name in (node, node + OPENVINO_CONVOLUTION) if name in known}
    return nncf.IgnoredScope(names=sorted(names), validate=False)


def _kept_float(model, size, is_attention_float):
    return set(head_nodes(model, size)) | set(attention_nodes(model) if is_attention_float else [])


def _without_bias_correction(nncf):
    """It fits biases to the means of few frames, and made scores and boxes worse on all that was tried (decision 15)."""
    return nncf.AdvancedQuantizationParameters(disable_bias_correction=True)


def _named(network):
    return {operation.get_friendly_name() for operation in network.get_ops()}


def _network(source, model, kept):
    """The graph as NNCF should see it: Swish as one operation, biases as constants. As OpenVINO's reader leaves an ONNX file, NNCF takes a SiLU
    for three operations and rounds between them, three times as often, and knows no bias. Where what is kept float cannot be found by its
    name in it, as it was read. kept: names of nodes."""
    import openvino
    fused = openvino.convert_model(str(source))
    known = _named(fused)
    computed = [node.name for node in model.graph.node if node.name in kept and node.op_type in QUANTISABLE]
    if all(name in known or name + OPENVINO_CONVOLUTION in known for name in computed):
        return fused
    return openvino.Core().read_model(str(source))


def quantize_openvino(source, model, size, inputs, target, metadata, is_attention_float=False):
    """source: the FP32 ONNX file; model: the same loaded; inputs: a sequence of [1, 3, h, w]. Activations may be asymmetric: SiLU wastes half of a symmetric range."""
    nncf = _nncf()
    kept = _kept_float(model, size, is_attention_float)
    network = _network(source, model, kept)
    with _quiet():
        quantized = nncf.quantize(network, nncf.Dataset(inputs), preset=nncf.QuantizationPreset.MIXED, subset_size=len(inputs),
                                  ignored_scope=_scope(nncf, kept, _named(network)),
                                  advanced_parameters=_without_bias_correction(nncf))
    save_ir(quantized, target, metadata, is_half=False)


def few_of(inputs):
    """As many as ONNX Runtime gathers ranges of: evenly, since diversity.choose() has the outliers first and the common last."""
    return [inputs[i] for i in evenly(range(len(inputs)), QDQ_PICTURES_MAX)]


def quantize_qdq(model, size, inputs, is_attention_float=False):
    """An ONNX model in QDQ form: per-channel weights, symmetric signed activations, as TensorRT takes them."""
    nncf = _nncf()
    name = image_input(model).name
    picked = few_of(inputs)
    kept = _kept_float(model, size, is_attention_float)
    with _quiet():
        quantized = nncf.quantize(model, nncf.Dataset(picked, lambda picture: {name: picture}), preset=nncf.QuantizationPreset.PERFORMANCE,
                                  subset_size=len(picked), ignored_scope=_scope(nncf, kept), advanced_parameters=_without_bias_correction(nncf))
    make_signed(quantized)
    del quantized.metadata_props[:]
    quantized.metadata_props.extend(model.metadata_props)
    return quantized


def make_signed(model):
    """Unsigned activations from 0 on become signed ones of twice the step: TensorRT knows signed INT8 alone."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    changed = {}
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or len(node.input) < 3:
            continue
        zero = constants.get(node.input[2])
        if zero is None or zero.data_type != onnx.TensorProto.UINT8 or numpy_helper.to_array(zero).any():
            continue
        scale = numpy_helper.to_array(constants[node.input[1]]).astype(np.float32)
        for index, value in ((1, scale * np.float32(255 / 127)), (2, np.zeros_like(numpy_helper.to_array(zero), np.int8))):
            name = f"{node.input[index]}_signed"
            if name not in changed:
                changed[name] = numpy_helper.from_array(np.asarray(value), name)
                model.graph.initializer.append(changed[name])
            node.input[index] = name
    del model.graph.value_info[:]  # it still declares them unsigned
    used = {name for node in model.graph.node for name in node.input}
    for tensor in [t for t in model.graph.initializer if t.name not in used]:
        model.graph.initializer.remove(tensor)
