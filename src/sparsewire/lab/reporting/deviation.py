"""Numbers beside numbers as small pictures: a claim beside what was published, a difference beside none at all."""

import math

from sparsewire.lab.reporting.comparison import Comparison, ComparisonTable
from sparsewire.lab.reporting.findings import Claim

WIDTH, HEIGHT = 92.0, 18.0
_REACH = 2.2  # tolerances to each side
_EDGE = 5.0


def deviation_svg(claim: Claim) -> str:
    """An inline SVG: a band for the tolerance, a line for the published number, a dot a seed, one for the mean.

    A mean that lies further away than about two tolerances stands at the edge as an arrowhead. Colours come from the
    page's style sheet. The text is empty where there are no numbers to compare.

    Example:
        >>> deviation_svg(Claim("a", None, (1.0,)))
        ''
        >>> deviation_svg(Claim("a", 1.0, (1.1,), tolerance=0.2)).count("<circle")
        1
    """
    if claim.difference is None or claim.published is None:
        return ""
    offsets = [value - claim.published for value in claim.ours]
    if not all(map(math.isfinite, offsets)):
        return ""
    reach = _REACH * claim.allowed or 1.25 * max(map(abs, offsets)) or 1.0
    middle = HEIGHT / 2
    parts = [_band(claim, reach), f'<path class="published" d="M{_x(0.0, reach):.1f} 2V{HEIGHT - 2:.1f}"/>']
    if claim.interval is not None:
        low, high = (min(max(end - claim.published, -reach), reach) for end in claim.interval)
        parts.append(f'<path class="interval" d="M{_x(low, reach):.1f} {middle}H{_x(high, reach):.1f}"/>')
    if len(offsets) > 1:
        near = [offset for offset in offsets if abs(offset) <= reach]
        parts += [f'<circle class="seed" cx="{_x(offset, reach):.1f}" cy="{middle}" r="1.9"/>' for offset in near]
    if abs(claim.difference) <= reach:
        x = _x(claim.difference, reach)
        parts.append(f'<circle class="mean" cx="{x:.1f}" cy="{middle}" r="3.4"/>')
    else:
        tip, back = (WIDTH - 1, WIDTH - 8) if claim.difference > 0 else (1.0, 8.0)
        parts.append(f'<path class="mean" d="M{tip:.1f} {middle}L{back:.1f} {middle - 4}V{middle + 4}Z"/>')
    return _svg(parts)


def reaches(table: ComparisonTable) -> dict[str, float]:
    """Metric → how far from 0 its differences and their intervals reach, so that one scale holds for all rows."""
    found: dict[str, float] = {}
    for one in table.comparisons:
        ends = [abs(end) for end in (one.difference or 0.0, *(one.interval or ())) if math.isfinite(end)]
        found[one.metric] = max(ends, default=0.0) if one.metric not in found else max(found[one.metric], *ends)
    return found


def interval_svg(comparison: Comparison, reach: float) -> str:
    """An inline SVG of a difference: a line at 0, the interval as a bar, a dot for the difference itself.

    Args:
        comparison: what to draw.
        reach: how far from 0 the picture goes to either side, ≥ 0, see `reaches`.

    Example:
        >>> from sparsewire.lab.reporting.comparison import Group
        >>> one = Comparison("x", Group("a", (1.0, 2.0)), Group("b", (3.0, 5.0)), "independent", interval=(-1.0, 6.0))
        >>> interval_svg(one, 6.0).count("<path"), interval_svg(one, 6.0).count("<circle")
        (2, 1)
    """
    if comparison.difference is None or not math.isfinite(comparison.difference):
        return ""
    scale, middle = reach or 1.0, HEIGHT / 2
    parts = [f'<path class="published" d="M{WIDTH / 2:.1f} 2V{HEIGHT - 2:.1f}"/>']
    if comparison.interval is not None:
        low, high = (_x(end, scale) for end in comparison.interval)
        ends = f"M{low:.1f} {middle - 3}V{middle + 3}M{high:.1f} {middle - 3}V{middle + 3}"
        parts.append(f'<path class="interval" d="M{low:.1f} {middle}H{high:.1f}{ends}"/>')
    x = _x(comparison.difference, scale)
    parts.append(f'<circle class="mean" cx="{x:.1f}" cy="{middle}" r="3.4"/>')
    return _svg(parts)


def _svg(parts: list[str]) -> str:
    size = f'viewBox="0 0 {WIDTH:g} {HEIGHT:g}" width="{WIDTH:g}" height="{HEIGHT:g}"'
    return f'<svg class="deviation" {size} aria-hidden="true" focusable="false">{"".join(parts)}</svg>'


def _band(claim: Claim, reach: float) -> str:
    left = 0.0 if claim.kind == "at_most" else _x(-claim.allowed, reach)
    right = WIDTH if claim.kind == "at_least" else _x(claim.allowed, reach)
    return f'<rect class="band" x="{left:.1f}" y="3" width="{max(right - left, 0):.1f}" height="{HEIGHT - 6:g}"/>'


def _x(offset: float, reach: float) -> float:
    return WIDTH / 2 + (WIDTH / 2 - _EDGE) * offset / reach
