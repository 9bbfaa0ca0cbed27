"""Output of all verbs: no text in it, wherever it comes from, can command the terminal."""

from __future__ import annotations

from collections.abc import Iterable

import rich.console
import typer
from rich.console import ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment

from uclab.model.visible import visible


class Console(rich.console.Console):
    """rich's console, which alone may use control sequences: those of texts are shown as escapes."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As of `rich.console.Console`."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def say(words: str, *, err: bool = False) -> None:
    """A line, on standard output or standard error."""
    typer.echo(visible(words), err=err)


def plain(words: object) -> str:
    """Somebody's text for where rich looks for `[markup]`."""
    return escape(str(words))
