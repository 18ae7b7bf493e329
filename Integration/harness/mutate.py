"""Hostile values for a JSON document: what stands in place of a good value, and where."""

import copy

#: A value of the wrong type, by the type that belongs there.
WRONG = {
    str: [17, True, [], {}],
    int: ["1", [], {}, True, 1.5],
    bool: ["true", 1, [], {}],
    list: ["x", 1, {}, True],
    dict: ["x", 1, [], True],
}

#: Values of the right type and of no sense.
EXTREME = {
    str: ["", "x" * 70000, "\u0000", "a\nb", "../../../../etc", "\u202e\u2028", "%s%n", "\U0010ffff", "/" * 5000],
    int: [-1, 0, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -2**63, -2**63 - 1, 10**40],
    bool: [None],
    list: [None, [None], [[]], [{}]],
    dict: [None, {"": ""}, {"unknown": {"deep": [1]}}],
}


def paths(node, at=()):
    """Every place in the document as (path, value), the root excepted."""
    if at:
        yield at, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from paths(value, (*at, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from paths(value, (*at, index))


def pointer(path):
    """The JSON pointer of a path (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def replaced(document, path, value):
    """A copy with another value at `path`."""
    result = copy.deepcopy(document)
    node = result
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return result


def removed(document, path):
    """A copy without what is at `path`."""
    result = copy.deepcopy(document)
    node = result
    for part in path[:-1]:
        node = node[part]
    del node[path[-1]]
    return result
