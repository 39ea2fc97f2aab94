"""What makes the charts of a page move: plotly.js, packed into the page once, and the few lines that start it."""

import base64
import gzip
import hashlib
import importlib
import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from sparsewire.lab.reporting.chart_figures import figures
from sparsewire.lab.reporting.charts import Chart


@dataclass(frozen=True)
class Scripts:
    """What a page with charts holds besides their data.

    Args:
        packed: plotly.js, compressed by gzip, in letters; the page's starter unpacks it.
        starter: the script that does so and draws the charts.
        policy: the directive of the content security policy that lets these two scripts run and no other.
    """

    packed: str
    starter: str
    policy: str


def scripts() -> Scripts | None:
    """plotly.js and its starter, ready for a page; None where plotly is not installed.

    The page grows by 2.0 MB: the 4.8 MB that the Python package ships, compressed, because every browser since 2023 can
    unpack it. Older ones keep the pictures that stand still.
    """
    try:
        library: str = importlib.import_module("plotly.offline").get_plotlyjs()
    except ImportError:
        return None
    starter = files("sparsewire.lab.reporting").joinpath("templates", "charts.js").read_text(encoding="utf-8")
    # without a date inside, so that one report gives one page
    packed = base64.b64encode(gzip.compress(library.encode(), 9, mtime=0)).decode()
    return Scripts(packed, starter, f"script-src {_digest(starter)} {_digest(library)}")


def chart_data(chart: Chart) -> str:
    r"""What the starter draws the chart from, as JSON that cannot end the script element around it.

    Example:
        >>> from sparsewire.lab.reporting.charts import Series
        >>> "</script" in chart_data(Chart("", "", "</script>", "", (Series("a", (1,), (2,)),)))
        False
    """
    return embedded(figures(chart))


def embedded(value: Any) -> str:
    r"""JSON for the inside of a script element, in ASCII alone, without a character that HTML reads.

    Example:
        >>> embedded("</script>\u2028&")
        '"\\u003c/script\\u003e\\u2028\\u0026"'
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
