"""A cloud service: the phone book that wall phones show, by HTTPS at a port of its own."""

from dataclasses import replace

from uclab.kinds.cloud_service import CloudService, declare
from uclab.model.schema_types import StrictModel, Title
from uclab.plan.schema.plan import CloudServer, DnsRecord, Plan

PORT = 8443


class Settings(StrictModel):
    """What a topology may say of it."""

    title: Title = "Phone book"
    """Stands above the numbers."""


def with_service_record(plan: Plan, server: CloudServer) -> Plan:
    """Phones find it by an SRV record (RFC 2782)."""
    domain = plan.session_controllers[0].domain
    record = DnsRecord(f"_phone-book._tcp.{domain}", "SRV", f"0 0 {PORT} {server.host_name}")
    servers = tuple(replace(one, records=(*one.records, record)) for one in plan.name_servers)
    return replace(plan, name_servers=servers)


declare(
    CloudService(
        name="phone-book",
        title="phone book",
        what="the names and numbers of all endpoints, as a page over HTTPS",
        requirements=("D4",),
        starter="wall_phone.phone_book_server:phone_books",
        image="wall_phone:images/phone-book",
        tcp_ports=(PORT,),
        settings=Settings,
        planning="wall_phone.phone_book:with_service_record",
    )
)
