"""Configuration of the daemons: templates beside each service, readable as the daemon's own file."""

from __future__ import annotations

import os
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,
)


def render(template: str, **values: object) -> str:
    """The text of `template` (`kamailio/kamailio.cfg.j2`) with `values`; unknown names are errors."""
    return TEMPLATES.get_template(template).render(**values)


def write_configuration(path: Path, text: str, *, group: int) -> Path:
    """Write a daemon's file; readable by root and by the service's group (it may hold digest secrets)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.chown(path, -1, group)
    path.chmod(0o640)
    return path
