"""The spectral gap of a graph: how far its largest eigenvalue is from the next, and so how fast it mixes."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sparsewire.analysis.topology.neighbours import Neighbours, neighbours_of
from sparsewire.errors import UnknownNameError
from sparsewire.structure.graphs import NetGraph

if TYPE_CHECKING:
    import networkx as nx

MATRICES = ("random_walk", "laplacian", "adjacency")
_DENSE = 400  # nodes up to which all eigenvalues are computed
_BEYOND = 1e-4  # how far above all eigenvalues the search begins where they lie close together


def spectral_gap(graph: "NetGraph | nx.Graph", matrix: str = "random_walk") -> float:
    """The difference of the two largest eigenvalues of a graph without its directions.

        "random_walk":  D^-½ A D^-½, the largest is 1: the gap is the second smallest of the normalised Laplacian
        "laplacian":    A - D, the largest is 0: the gap is the algebraic connectivity (Fiedler 1973)
        "adjacency":    A

    of neighbours A (1 where two nodes are) and degrees D. The first two are 0 where and only where the graph is not
    connected; a graph of one node has gap 0. Computed to about 1e-10, of more than 400 nodes by Lanczos' method for
    sparse matrices.

    Args:
        graph: a NetGraph or a networkx graph.
        matrix: which.

    Raises:
        RequestError: the graph is none or cannot be put in layers (see `NetGraph.from_networkx`).
        UnknownNameError: there is no such matrix.

    Example:
        >>> import networkx as nx
        >>> [round(spectral_gap(nx.complete_graph(4), matrix), 6) for matrix in MATRICES]
        [1.333333, 4.0, 4.0]

    Reference:
        Chung (1997), "Spectral graph theory", sections 1.2 and 1.5.
    """
    if not isinstance(matrix, str) or matrix not in MATRICES:
        raise UnknownNameError("matrix", str(matrix), MATRICES)
    joined = neighbours_of(graph)
    number = int(joined.components.max()) + 1
    if matrix != "adjacency":
        return 0.0 if number > 1 or joined.nodes == 1 else _gap(*_largest(*_matrix_of(joined, matrix)))
    # Lanczos' method finds an eigenvalue once, however many components share it.
    found = [np.zeros(1)] * (joined.nodes == 1)
    order = np.argsort(joined.components, kind="stable")
    for part in np.split(order, np.cumsum(np.bincount(joined.components))[:-1]):
        found.append(_largest(joined.matrix[part][:, part], float(joined.degrees[part].max())))
    return _gap(*np.sort(np.concatenate(found))[-2:])


def _matrix_of(joined: Neighbours, matrix: str) -> tuple[Any, float]:
    """The matrix of a connected graph, and its largest eigenvalue."""
    degrees = joined.degrees.astype(np.float64)
    if matrix == "laplacian":
        return joined.matrix - sparse.diags_array(degrees), 0.0
    root = sparse.diags_array(degrees**-0.5)
    return root @ joined.matrix @ root, 1.0


def _largest(matrix: Any, bound: float) -> NDArray[np.float64]:
    """The two largest eigenvalues of a symmetric matrix that has none above the bound; of one node its only one."""
    count = matrix.shape[0]
    if count <= _DENSE:
        all_: NDArray[np.float64] = np.linalg.eigvalsh(matrix.toarray())
        return all_[-2:]
    start = np.cos(np.arange(count))  # any that leans to no eigenvector; always the same
    try:
        return np.asarray(
            sparse.linalg.eigsh(matrix, 2, which="LA", v0=start, ncv=40, maxiter=100, return_eigenvectors=False)
        )
    except sparse.linalg.ArpackNoConvergence:  # as in a long grid; such a matrix is factorised in little memory
        near = bound + _BEYOND
        return np.asarray(
            sparse.linalg.eigsh(matrix.tocsc(), 2, sigma=near, which="LM", v0=start, return_eigenvectors=False)
        )


def _gap(one: float, other: float) -> float:
    return abs(float(other) - float(one))
