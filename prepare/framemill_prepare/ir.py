"""OpenVINO IR: FP16 weights, and what framemill reads of a model beside them."""
import pathlib


def save_openvino(source, target, metadata):
    """OpenVINO IR with weights in FP16. The plugin computes as the device does: on a CPU in FP32, on a GPU in FP16."""
    import openvino
    model = openvino.Core().read_model(str(source))
    save_ir(model, target, metadata, is_half=True)


def save_ir(model, target, metadata, is_half):
    """Writes .xml and .bin with what framemill reads of a model, and proves that they can be read again (a full disk cuts them off in silence)."""
    import openvino
    for key, value in metadata.items():
        model.set_rt_info(value, ["model_info", key])
    openvino.save_model(model, str(target), compress_to_fp16=is_half)
    weights = pathlib.Path(target).with_suffix(".bin")
    if not weights.is_file() or weights.stat().st_size == 0:
        raise OSError(28, "No space left on device", str(weights))
    openvino.Core().read_model(str(target))
