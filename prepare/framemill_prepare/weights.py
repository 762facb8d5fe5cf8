"""The files of an ONNX model: the graph, and the weights that some exporters put beside it."""
import pathlib

import onnx

from .journal import file_hash, hash_of


def tensors(graph):
    """All that the graph and those inside of it hold."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from [attribute.t, *attribute.tensors]
            for inner in [attribute.g, *attribute.graphs]:
                yield from tensors(inner)


def weight_files(path):
    """Paths of the files beside `path` that the graph names; those that are there. None where it is no ONNX model."""
    try:
        model = onnx.load(path, load_external_data=False)
    except OSError:
        raise
    except Exception:  # whoever loads it says what is wrong
        return []
    names = {entry.value for tensor in tensors(model.graph) for entry in tensor.external_data if entry.key == "location"}
    return [file for file in (pathlib.Path(path).parent / name for name in sorted(names)) if file.is_file()]


def model_hash(path):
    """Of everything that the model computes with."""
    return hash_of([file_hash(file) for file in [path, *weight_files(path)]])
