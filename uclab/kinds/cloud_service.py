"""What a cloud service is: all that topology, plan, lab, set-up and documentation need to know of it.

Each is declared in a module of its own (entry points `uclab.cloud_services`). Those that no cloud can do
without are in every plan; the others are where a topology asks for them (`cloud.services`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from uclab.declarations import Declarations


@dataclass(frozen=True)
class CloudService:
    """A program of the cloud in a container of its own."""

    name: str
    title: str
    """One of it in a sentence: `media relay`."""
    what: str
    """For people, as Markdown."""
    requirements: tuple[str, ...]
    starter: str
    """`module:function`, which makes the services (`cloud_core.service.Service`) of a plan; loaded by the lab
    alone."""
    image: str
    """`package:folder` of its Containerfile; the image has the folder's name."""
    on_request: bool = True
    """Whether a topology asks for it; the others are in every cloud."""
    tcp_ports: tuple[int, ...] = ()
    """Where phones and PCs reach it, beside HTTPS: ports that firewalls of sites let through to the cloud."""
    settings: type[BaseModel] | None = None
    """Keys of `settings` in a topology; none where absent."""
    planning: str | None = None
    """`module:function` from the plan and a server's record (`CloudServer`) to the plan with all that it
    needs beside node, address, name and certificate; pure."""

    @property
    def image_name(self) -> str:
        """Name of its image among those of the lab."""
        return self.image.rpartition(":")[2].rpartition("/")[2]

    @property
    def image_folder(self) -> Path:
        """Where its Containerfile is."""
        package, _, folder = self.image.partition(":")
        return Path(str(resources.files(package))) / folder

    def load_starter(self) -> Any:
        """The function that makes its services."""
        return EntryPoint(self.name, self.starter, CLOUD_SERVICES.group).load()

    def load_planning(self) -> Any:
        """The function that completes the plan; None where nothing is to be completed."""
        if self.planning is None:
            return None
        return EntryPoint(self.name, self.planning, CLOUD_SERVICES.group).load()


CLOUD_SERVICES: Declarations[CloudService] = Declarations("uclab.cloud_services", "cloud service")
"""All services by name."""


def declare(service: CloudService) -> None:
    """Put a service on the list."""
    CLOUD_SERVICES.declare(service.name, service)


def on_request() -> dict[str, CloudService]:
    """The services that a topology may ask for, by name."""
    return {name: service for name, service in CLOUD_SERVICES.items() if service.on_request}


def service_ports(names: Iterable[str]) -> tuple[int, ...]:
    """TCP ports, beside HTTPS, of all services of these names."""
    known = (CLOUD_SERVICES[name] for name in names)
    return tuple(sorted({port for service in known for port in service.tcp_ports}))


def needed_images(names: Iterable[str] = ()) -> tuple[str, ...]:
    """The images that every cloud needs, and those of the services of these names."""
    wanted = set(names)
    return tuple(
        service.image_name
        for service in CLOUD_SERVICES.values()
        if not service.on_request or service.name in wanted
    )


class CloudServiceName(str):
    """A name of a service that a topology may ask for, for pydantic's models."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Any of the declared names, and the error of a `Literal` for all else."""
        names = list(on_request())
        return (
            core_schema.literal_schema(names)
            if names
            else core_schema.no_info_after_validator_function(_no_service, core_schema.str_schema())
        )


def _no_service(name: str) -> str:
    raise PydanticCustomError("cloud_service", "no package that is installed brings a cloud service")
