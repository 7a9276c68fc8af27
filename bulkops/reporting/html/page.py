"""The page: story and figures in a template whose every text is escaped, with a policy that forbids all network."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from bulkops.reporting.html.figures import figures
from bulkops.reporting.html.story import tell
from bulkops.reporting.meter import Tally
from bulkops.reporting.text import safe_text

if TYPE_CHECKING:
    from bulkops.reporting.html.story import Known

LONGEST_TEXT = 2_000
_PARTS = re.compile(r"(?<=[._])")


def page(known: Known) -> str:
    """Return the report as an HTML document that loads nothing and runs nothing."""
    tally = Tally()
    for run in known.runs:
        tally.add(run.total())
    return rendered("page.html", story=tell(known, tally), figures=list(figures(known.runs, tally)))


def rendered(template: str, **values: object) -> str:
    """Return a template of ours, filled, as an HTML document that loads nothing and runs nothing."""
    folder = files(__package__)
    style = folder.joinpath("page.css").read_text("utf-8")
    environment = Environment(
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["breakable"] = _breakable
    return environment.get_template(template).render(
        style=Markup(style),  # noqa: S704 - a file of ours
        style_digest=_digest(style),
        **values,
    )


def _shown(value: object) -> object:
    """Make a text fit to be shown: control characters visible, no line longer than a page."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, bool) or value is None:
        raise TypeError(f"{value!r} is nothing to show")
    if isinstance(value, int):
        return f"{value:,}"
    return safe_text(value, LONGEST_TEXT) if isinstance(value, str) else value


def _breakable(text: object) -> Markup:
    """Let a name be broken behind its dots and low lines, where the page is narrow."""
    return Markup("<wbr>").join(escape(part) for part in _PARTS.split(str(_shown(text))))


def _digest(style: str) -> str:
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
