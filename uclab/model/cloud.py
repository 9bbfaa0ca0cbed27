"""The cloud of a topology: regions, data centres, the telephone network, servers of further services."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from uclab.kinds.cloud_service import CloudServiceName
from uclab.model.domain import Domain
from uclab.model.schema_types import (
    Name,
    Network,
    StrictModel,
    says,
)

E164 = Annotated[
    str,
    StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$"),
    says('a telephone number in quotes, `+` and 7 to 15 digits, such as `"+493055501001"` (E.164)'),
]
"""Telephone number in international form (ITU-T E.164)."""


MOST_MEMBERS = 100
"""Of a group for messages."""


class Datacentre(StrictModel):
    """A data centre of the cloud (C6)."""

    name: Name
    prefix: Network
    """Public prefix of its servers, /29 or larger; from 198.18.0.0/15 or 203.0.113.0/24."""


class Region(StrictModel):
    """A region of the cloud (C6)."""

    name: Name
    datacentres: tuple[Datacentre, ...] = Field(min_length=1)


class Pstn(StrictModel):
    """The telephone network behind the cloud (C3, C4)."""

    numbers: tuple[E164, ...] = Field(min_length=1)
    """Telephone numbers that answer there, in quotes."""


class RequestedServer(StrictModel):
    """A server of the cloud for a service that not every cloud has."""

    name: Name
    service: CloudServiceName
    """What it is: one of those that packages on this machine bring."""
    datacentre: Name | None = None
    """Data centre where it stands; the cloud's first where absent."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """What the service can be told."""


class MessageGroup(StrictModel):
    """Endpoints that are written to as one (C1)."""

    name: Name
    number: int = Field(ge=100, le=99999)
    """Extension that text messages to all of them go to."""
    members: tuple[Name, ...] = Field(min_length=2, max_length=MOST_MEMBERS)
    """Endpoints that get each message to the group, but those of their own."""


class Cloud(StrictModel):
    """The telephony cloud that answers the calls (C1 to C10)."""

    domain: Domain
    """Domain of all accounts and servers."""
    regions: tuple[Region, ...] = Field(min_length=1)
    pstn: Pstn
    groups: tuple[MessageGroup, ...] = ()
    """Groups for text messages."""
    services: tuple[RequestedServer, ...] = ()
    """Servers of further services, such as a package of your own may add."""
