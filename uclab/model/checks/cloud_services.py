"""Servers of further services of the cloud: where they stand, and what they are told."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from uclab.kinds.cloud_service import on_request
from uclab.model.checks.lines import datacentres
from uclab.model.diagnostic import Diagnostic, closest, listed, shown
from uclab.model.schema_types import StrictModel
from uclab.model.schema_validation import mistakes_in
from uclab.model.yaml_location import YamlLocation


class NoSettings(StrictModel):
    """Of a service that cannot be told anything."""


def check(top: YamlLocation) -> Iterator[Diagnostic]:
    """Each stands in a data centre that there is, and its settings are those of its service."""
    known, services = datacentres(top), on_request()
    for server in top["cloud"]["services"]:
        place = server["datacentre"].text
        if place is not None and place not in known:
            yield server["datacentre"].mistake(
                f"there is no data centre {shown(place)}", f"allowed: {listed(known)}", closest(place, known)
            )
        service = services.get(server["service"].text or "")
        if service is not None and (server["settings"].given or service.settings is not None):
            settings: type[BaseModel] = service.settings or NoSettings
            yield from mistakes_in(server["settings"], settings)
