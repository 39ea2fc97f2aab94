"""Draws one network, for the dashboard, which starts this as `python -m` and reads an SVG file from its output."""

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsewire.errors import RequestError, SparsewireError, StoreError
from sparsewire.lab.storage.artefacts import Artefact, read_arrays

if TYPE_CHECKING:
    import numpy as np

    from sparsewire.structure.graphs import NetGraph

_BLOCK = re.compile(r"(rows|columns|values)_(\d{1,4})_(\d{1,4})")
_MOST_NEURONS = 200_000
_LINES = 1_500


def graph_of(arrays: "dict[str, np.ndarray[Any, Any]]") -> "NetGraph":
    """The network that a trial kept: `sizes`, and for each connected pair of layers rows, columns and values.

    Args:
        arrays: "sizes" and, for layers i and j, "rows_<i>_<j>" (neurons of layer j), "columns_<i>_<j>" (neurons of
            layer i) and "values_<i>_<j>", one entry an edge.

    Raises:
        RequestError: an array is missing or does not fit.

    Example:
        >>> import numpy as np
        >>> graph_of({"sizes": np.array([2, 1]), "rows_0_1": np.array([0]), "columns_0_1": np.array([1]),
        ...           "values_0_1": np.array([0.5])})
        NetGraph(2-1, 1 edges, density 0.5)
    """
    import numpy as np
    from scipy.sparse import coo_array

    from sparsewire.structure.graphs import NetGraph

    if "sizes" not in arrays or arrays["sizes"].ndim != 1 or not 1 < arrays["sizes"].size <= 1_000:
        raise RequestError("network: expected an array 'sizes' with the number of neurons of each layer")
    sizes = tuple(int(size) for size in arrays["sizes"])
    if min(sizes) < 1 or sum(sizes) > _MOST_NEURONS:
        raise RequestError(f"network: found layers of {sizes} neurons, expected 1 to {_MOST_NEURONS:,} in all")
    pairs = sorted({(int(found[2]), int(found[3])) for name in arrays if (found := _BLOCK.fullmatch(name))})
    blocks = {}
    for source, target in pairs:
        try:
            rows, columns, values = (arrays[f"{part}_{source}_{target}"] for part in ("rows", "columns", "values"))
            shape = (sizes[target], sizes[source])
            indices = (rows.astype(np.int64), columns.astype(np.int64))
            blocks[source, target] = coo_array((values.astype(np.float64), indices), shape=shape).tocsr()
        except (KeyError, IndexError, ValueError, TypeError, OverflowError) as cause:
            raise RequestError(f"network: the arrays of layers {source} and {target} do not fit: {cause}") from None
    return NetGraph(sizes, blocks)


def picture(arrays: "dict[str, np.ndarray[Any, Any]]") -> str:
    """The network as the text of an SVG file, in the house's colours, light and dark.

    Raises:
        RequestError: the arrays are no network, or matplotlib is missing.
    """
    from sparsewire.analysis import draw

    graph = graph_of(arrays)
    side = round(graph.sizes[0] ** 0.5)
    is_image = side >= 8 and side * side == graph.sizes[0]
    text = draw.to_svg(draw.network(graph, lines=_LINES, image_shape=(side, side) if is_image else None))
    style = (
        f":root {{ {draw.css_variables('light')} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {draw.css_variables('dark')} }} }}"
    )
    begin = text.index(">") + 1
    return f"{text[:begin]}<style>{style}</style>{text[begin:]}"


def _arrays(path: Path, sha256: str) -> "dict[str, np.ndarray[Any, Any]]":
    if sha256 != "-":
        return read_arrays(Artefact(path, sha256))
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return dict(load(path.read_bytes()))
    except (OSError, SafetensorError, ValueError, KeyError) as cause:
        raise StoreError(f"the network cannot be read now: {cause}") from cause


def main(path: str, sha256: str) -> int:
    """Writes the picture to the standard output; the exit status says whose fault it is that there is none."""
    with contextlib.suppress(OSError):
        os.nice(10)  # whoever trains goes first
    try:
        sys.stdout.write(picture(_arrays(Path(path), sha256)))
    except SparsewireError as error:
        print(str(error).splitlines()[0], file=sys.stderr)
        return 2 if isinstance(error, RequestError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
