"""Small squares whose colour shows a number: the input image of a network, flat or as a plane seen from the side."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsewire.analysis.draw.palette import EMPTY, RAMP, ramp_step
from sparsewire.errors import RequestError

Corner = tuple[float, float]

FIRST_STEP = 1  # the very first of the ramp is hard to tell from an empty cell


def check_image_shape(image_shape: tuple[int, int], inputs: int, argument: str = "image_shape") -> None:
    """Raises a RequestError unless an image of that shape has as many pixels as the network has inputs."""
    if len(image_shape) != 2 or min(image_shape) < 1 or math.prod(image_shape) != inputs:
        raise RequestError(
            f"{argument}: found {tuple(image_shape)}, expected (height, width) with {inputs:,} pixels in all, "
            "one for each input of the network"
        )


def pixel_centres(image_shape: tuple[int, int], origin: Corner, across: Corner, down: Corner) -> NDArray[np.float64]:
    """Where the pixels lie: (pixels, 2) points, row by row.

    Args:
        image_shape: height and width in pixels.
        origin: the image's upper left corner.
        across: the step from one pixel to its right neighbour.
        down: the step to the neighbour below.
    """
    rows, columns = np.indices(image_shape).reshape(2, -1) + 0.5
    centres: NDArray[np.float64] = np.outer(columns, across) + np.outer(rows, down) + origin
    return centres


def draw_pixels(
    axes: Any,
    values: NDArray[np.float64],
    centres: NDArray[np.float64],
    across: Corner,
    down: Corner,
    scale: tuple[float, float],
) -> None:
    """Draws one parallelogram a pixel, coloured by the ramp; a zero is an empty cell, which is off the scale.

    All pixels of one colour are one path: 784 pixels cost some 30 kB as SVG instead of 200.
    """
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    a, d = np.asarray(across) * 0.46, np.asarray(down) * 0.46  # 0.5 would close the gap between neighbours
    corners = np.stack([-a - d, a - d, a + d, -a + d, -a - d])
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    steps = np.array([-1 if value == 0 else ramp_step(value, *scale, first=FIRST_STEP) for value in values])
    for step in np.unique(steps):
        places = centres[steps == step]
        vertices = (places[:, None, :] + corners).reshape(-1, 2)
        colour = EMPTY if step < 0 else RAMP[step]
        axes.add_patch(PathPatch(Path(vertices, codes * len(places)), facecolor=str(colour), linewidth=0))
