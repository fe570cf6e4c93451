"""Every format of a report by its name on the command line; each formatter returns a string."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import table
from .html import format_html
from .junit import format_junit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .background import Background

FORMATS: dict[str, Callable[[Sequence[table.Row], Background], str]] = {
    **table.FORMATS,
    "html": format_html,
    "junit": format_junit,
}
"""Name on the command line -> formatter."""
