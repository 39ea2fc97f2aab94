"""Pictures of networks and of what was measured on them, as matplotlib figures, and as SVG for a page.

`to_svg` makes of any of them the text of an `<svg>` element in the page's own colours, light or dark.
"""

from sparsewire.analysis.draw.distributions import distributions, weight_distributions
from sparsewire.analysis.draw.heat_maps import heat
from sparsewire.analysis.draw.inputs import input_connectivity
from sparsewire.analysis.draw.lines import curves
from sparsewire.analysis.draw.networks import network
from sparsewire.analysis.draw.palette import css_variables
from sparsewire.analysis.draw.relations import relation
from sparsewire.analysis.draw.svg import to_svg
from sparsewire.analysis.draw.windows import window_maps

__all__ = [
    "css_variables",
    "curves",
    "distributions",
    "heat",
    "input_connectivity",
    "network",
    "relation",
    "to_svg",
    "weight_distributions",
    "window_maps",
]
