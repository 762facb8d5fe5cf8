"""Which nodes of a graph have to stay float, so that INT8 does not harm the boxes and scores."""
from .graph_walk import Walk
from .rectangle import image_input

STRIDES = (4, 8, 16, 32, 64)


def name_nodes(model):
    """Gives each node a name of its own; quantisers speak of nodes by name."""
    taken = set()
    for i, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{i}"
        taken.add(node.name)


def head_nodes(model, size):
    """Names of the nodes from the last convolutions of each level to the outputs: the prediction itself, and what decodes it.

    A side of 300 pixels and a score of .01 share no scale of 255 steps; that is how published INT8 models come to detect nothing. size: (width, height) of the input.
    """
    walk = Walk(model, {image_input(model).name: (1, 3, size[1], size[0])})
    maps = {(size[1] // stride, size[0] // stride) for stride in STRIDES}
    makers = {name: node for node in model.graph.node for name in node.output}
    found, waiting = [], [makers[output.name] for output in model.graph.output if output.name in makers]
    seen = set()
    while waiting:
        node = waiting.pop()
        if node.name in seen:
            continue
        seen.add(node.name)
        found.append(node.name)
        shape = walk.shapes.get(node.output[0]) or ()
        if node.op_type == "Conv" and len(shape) == 4 and tuple(shape[2:]) in maps:
            continue
        waiting.extend(makers[name] for name in node.input if name in makers)
    return sorted(found)


def attention_nodes(model):
    """Names of the nodes of attention: the products around each Softmax, and what lies between."""
    makers = {name: node for node in model.graph.node for name in node.output}
    users = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    names = set()
    for softmax in (node for node in model.graph.node if node.op_type == "Softmax"):
        before = _nearest_product(softmax, lambda node: [makers[name] for name in node.input if name in makers])
        after = _nearest_product(softmax, lambda node: [user for name in node.output for user in users.get(name, [])])
        if before and after:
            names.update([softmax.name, *before, *after])
    return sorted(names)


def _nearest_product(node, neighbours):
    """The way from a node to the nearest MatMul, without the node; empty where there is none within 4 steps."""
    ways = [[]]
    ends = [node]
    for _ in range(4):
        longer, nodes = [], []
        for way, end in zip(ways, ends):
            for near in neighbours(end):
                if near.op_type == "MatMul":
                    return [*way, near.name]
                if near.op_type in ("Mul", "Div", "Add", "Transpose", "Reshape", "Cast"):
                    longer.append([*way, near.name])
                    nodes.append(near)
        ways, ends = longer, nodes
    return []
