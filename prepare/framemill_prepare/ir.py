"""OpenVINO IR: FP16 weights, and what framemill reads of a model beside them."""
import errno
import pathlib
import shutil

from .errors import PrepareError

TIGHT_BYTES = 32_000_000  # with less left, a file that cannot be written means a full disk


def save_openvino(source, target, metadata):
    """OpenVINO IR with weights in FP16. The plugin computes as the device does: on a CPU in FP32, on a GPU in FP16."""
    import openvino
    model = openvino.Core().read_model(str(source))
    save_ir(model, target, metadata, is_half=True)


def save_ir(model, target, metadata, is_half):
    """Writes .xml and .bin with what framemill reads of a model, and proves that they can be read again. Raises OSError where the disk is full: OpenVINO itself only speaks of a stream."""
    import openvino
    target = pathlib.Path(target)
    for key, value in metadata.items():
        model.set_rt_info(value, ["model_info", key])
    try:
        openvino.save_model(model, str(target), compress_to_fp16=is_half)
        openvino.Core().read_model(str(target))
    except RuntimeError as problem:
        if shutil.disk_usage(target.parent).free < TIGHT_BYTES:
            raise OSError(errno.ENOSPC, "No space left on device", str(target)) from problem
        raise PrepareError(f"{target.name}: OpenVINO cannot write it: {str(problem).strip().splitlines()[0]}") from problem
