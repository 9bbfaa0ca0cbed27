"""Output of all verbs: no text in it, wherever it comes from, can command the terminal."""

from __future__ import annotations

import os
import sys
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

    def on_broken_pipe(self) -> None:
        """Who reads the output has seen enough: the rest is printed to nobody, and the exit status stays the
        verdict's. (rich's own would be 1, as if a verdict had failed.)"""
        self.quiet = True
        print_to_nobody()


WIDTH_IN_FILES = 150
"""Columns where output goes to a file or a CI log, which has no width of its own."""


def wide_console(*, highlight: bool = True) -> Console:
    """A console for tables: as wide as the terminal, and wide enough for any table in a file."""
    console = Console(soft_wrap=True, highlight=highlight)
    if not console.is_terminal:
        console.width = WIDTH_IN_FILES
    return console


def print_to_nobody() -> None:
    """From now on standard output goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def say(message: str, *, err: bool = False) -> None:
    """A line, on standard output or standard error. Whether anybody reads it decides nothing."""
    try:
        typer.echo(visible(message), err=err)
    except BrokenPipeError:
        print_to_nobody()


def plain(content: object) -> str:
    """Somebody's text for where rich looks for `[markup]`."""
    return escape(str(content))
