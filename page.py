"""The look that all pages share: skeleton, colours, figures, numbers as text.

A page is one HTML file that needs nothing else: pictures are data URIs, there is no script. Its
text comes from datasets and is not trusted: templates escape it, and figures are `<img>`s, in which
browsers run nothing. Templates extend `page.html` and use its macros.
"""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# By name: the colour on light and on dark ground. Text keeps a contrast of 4.5 with its ground.
PALETTE = {
    "ink": ("#1d2733", "#e4e9ef"),
    "soft": ("#5f6b7a", "#9aa6b5"),
    "line": ("#e2e6ec", "#2d3744"),
    "paper": ("#ffffff", "#181f28"),
    "wash": ("#f5f7fa", "#10151c"),
    "good": ("#0b7a75", "#3dbab2"),
    "base": ("#b4562b", "#e58d61"),
    "gold": ("#d9a441", "#d9a442"),
}
INK, SOFT, LINE = (PALETTE[name][0] for name in ("ink", "soft", "line"))
GOOD, BASE, GOLD = (PALETTE[name][0] for name in ("good", "base", "gold"))

_SVG_STYLE = {
    "svg.hashsalt": "serlds",  # the same picture gives the same text
    "svg.fonttype": "none",  # text stays text: smaller, sharper
    "text.parse_math": False,  # a field's name may hold a $
    "font.sans-serif": ["DejaVu Sans"],
    "text.color": INK,
}


def render(template: Path, **values: Any) -> str:
    """The page that a template makes of `values`; text among them is escaped.

    Raises:
      jinja2.UndefinedError: the template uses a value that is not given.
    """
    import jinja2

    folders = [template.parent, Path(__file__).parent]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["palette"] = PALETTE
    return environment.get_template(template.name).render(**values)


def data_uri(kind: str, content: bytes) -> str:
    """Content as an address that holds it, e.g. of kind `image/jpeg`."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@contextlib.contextmanager
def drawing(rows: int, columns: int, height_in: float) -> Iterator[Drawing]:
    """A matplotlib figure of a page's width in the style of the pages, to draw on inside.

    Args:
      rows: of axes.
      columns: of axes.
      height_in: its height in inches; the width is 10.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_SVG_STYLE):
        figure = Figure(figsize=(10, height_in), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
        for ax in axes.flat:
            _style(ax)
        yield Drawing(figure, axes)


class Drawing:
    """A figure to draw on.

    Attributes:
      axes: of matplotlib, (rows, columns).
    """

    def __init__(self, figure: Figure, axes: np.ndarray) -> None:
        self._figure = figure
        self.axes = axes

    def data_uri(self) -> str:
        """The figure as the address of an SVG whose colours follow the reader's light or dark."""
        buffer = io.StringIO()
        self._figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        text = buffer.getvalue()
        text = text[text.index("<svg") :]
        for name, (light, _) in PALETTE.items():
            text = text.replace(light, f"var(--{name})")
        head, end_of_tag, body = text.partition(">")
        text = f"{head}{end_of_tag}<style>{_colour_rules()}</style>{body}"
        return data_uri("image/svg+xml", text.encode())


def count(number: float) -> str:
    """A whole number with thousands apart: `12,345`."""
    return f"{number:,.0f}"


def counted(number: int, noun: str) -> str:
    """A number of things: `1 episode`, `1,200 episodes`."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def figure_text(number: float) -> str:
    """A measured number with four digits: `0.01235`, `1.234e+07`."""
    return f"{number:.4g}".replace("-", "\N{MINUS SIGN}", 1) if number < 0 else f"{number:.4g}"


def share(part: float) -> str:
    """A share of 1 in per cent: `83 %`."""
    return f"{100 * part:.0f} %"


def size(num_bytes: int) -> str:
    """A file's size in decimal units: `6.9 MB`."""
    value, units = float(num_bytes), ("B", "kB", "MB", "GB", "TB")
    for unit in units[:-1]:
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} {units[-1]}"


def duration(seconds: float) -> str:
    """A span of time in the unit that fits it: `41 s`, `12.3 min`, `5.2 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _style(ax: Any) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(LINE)
    ax.grid(color=LINE, lw=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(colors=SOFT, length=0)
    ax.xaxis.label.set_color(SOFT)
    ax.yaxis.label.set_color(SOFT)
    ax.title.set_color(INK)


def _colour_rules() -> str:
    light, dark = (
        "".join(f"--{name}:{colours[shade]};" for name, colours in PALETTE.items())
        for shade in (0, 1)
    )
    return f":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
