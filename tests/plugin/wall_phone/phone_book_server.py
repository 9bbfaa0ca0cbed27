"""Starts phone books (loaded by the lab alone)."""

import asyncio
import html
import ssl

from cloud_core.containers import SERVICE_ID, ContainerSpec, Mount
from cloud_core.rendering import write_configuration
from cloud_core.service import CloudRun, Service, image
from uclab.plan.schema.plan import CloudServer, Plan
from uclab.runtime.node import NodeRuntime

from .phone_book import PORT


def phone_books(run: CloudRun) -> list[Service]:
    """All of the plan's."""
    return [_phone_book(run, server) for server in run.servers("phone-book")]


def _phone_book(run: CloudRun, server: CloudServer) -> Service:
    node, folder = run.runtimes[server.node], run.run_dir / "services" / server.name
    page = write_configuration(folder / "book.html", _page(run.plan, server), group=SERVICE_ID)
    issued = run.certificates.issued[server.certificate]
    spec = ContainerSpec(
        name=server.name,
        image=image("phone-book"),
        arguments=(server.address, str(PORT), "/pki/certificate.pem", "/pki/key.pem"),
        namespace=node.namespace_path,
        log=folder / "output.log",
        mounts=(
            Mount(page, "/book/index.html"),
            Mount(issued.certificate, "/pki/certificate.pem"),
            Mount(issued.key, "/pki/key.pem"),
        ),
    )
    return Service(spec, server.node, lambda: _answers(node, server), f"a page over HTTPS on port {PORT}")


def _page(plan: Plan, server: CloudServer) -> str:
    rows = "".join(
        f"<li>{html.escape(one.account.display)}: {html.escape(one.account.user)}</li>\n"
        for one in plan.endpoints
    )
    return f"<h1>{html.escape(server.setting('title'))}</h1>\n<ul>\n{rows}</ul>\n"


async def _answers(node: NodeRuntime, server: CloudServer) -> str | None:
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    async with asyncio.timeout(2):
        reader, writer = await node.connect_tcp(server.address, PORT)
        try:
            await writer.start_tls(trusting, server_hostname=server.host_name)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            status = await reader.readline()
            return status.decode().strip() if b" 200 " in status else None
        finally:
            writer.close()
