"""Real phones register over TLS with a registrar that they verify, and say why where they do not."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from endpoints_emu.factory import make_phone
from endpoints_emu.phone import Phone, PhoneEventKind, Refusal, RegistrationFailed
from tests.integration.cloud_plan import TIMING
from tests.integration.endpoints_authority import Authority
from tests.integration.endpoints_sandbox import Sandbox, SandboxNode
from uclab.plan.schema.plan import Account, Endpoint
from uclab.runtime.readiness import wait_until

pytestmark = pytest.mark.root

REGISTRAR = "sip.ucaas.test"
PORT = 5096


@dataclass
class Scene:
    """A registrar, and room for phones."""

    sandbox: Sandbox
    folder: Path
    trusted: Authority
    foreign: Authority
    server: SandboxNode

    async def serve(self, certificate: Path) -> None:
        """Start the registrar with that certificate; it knows the account 1001."""
        await self.server.spawn(
            [
                *(sys.executable, str(Path(__file__).with_name("endpoints_registrar.py"))),
                *(str(certificate), str(PORT), "1001", "secret", "ucaas.test"),
            ],
            name="registrar",
            log=self.folder / "registrar.log",
            root="host",
        )

        async def listening() -> bool | None:
            _, writer = await self.server.connect_tcp(self.server.address, PORT)
            writer.close()
            return True

        await wait_until(listening, what="the registrar", deadline_s=10)

    async def phone(self, number: int = 1, **more: object) -> Phone:
        """A phone on a device of its own, started."""
        name = f"phone{number}"
        node = await self.sandbox.node(name, f"10.99.0.{10 + number}")
        values: dict[str, object] = {
            "name": name,
            "kind": "desk-phone",
            "driver": "baresip",
            "node": name,
            "account": Account("1001", "ucaas.test", "secret", "Phone"),
            "registrar": REGISTRAR,
            "registrar_port": PORT,
            "transport": "tls",
            "tone_hz": 440,
            "registration": TIMING,
        }
        endpoint = Endpoint(**(values | more))  # type: ignore[arg-type]
        folder = self.folder / name
        folder.mkdir()
        phone = make_phone(endpoint, node, folder, self.trusted.file)
        await phone.start()
        return phone


@asynccontextmanager
async def scene_in(folder: Path) -> AsyncIterator[Scene]:
    names = {REGISTRAR: "10.99.0.1", "other.test": "10.99.0.1"}
    async with Sandbox(folder, names) as sandbox:
        server = await sandbox.node("registrar", "10.99.0.1")
        yield Scene(sandbox, folder, Authority("trusted", folder), Authority("foreign", folder), server)


@pytest.mark.req("C1.1", "C9.1", "E1.1", "E7", "V6")
async def test_a_phone_registers_with_a_server_whose_name_it_verified(tmp_path: Path) -> None:
    # given a registrar with a certificate of its name, found by DNS
    async with scene_in(tmp_path) as scene:
        await scene.serve(scene.trusted.issue(REGISTRAR))
        phone = await scene.phone()
        # when the phone registers
        event = await phone.register()
        # then it is registered, and it takes its registration back at its end
        assert event.kind is PhoneEventKind.REGISTERED
        await phone.stop()
        assert (tmp_path / "registrar.log").read_text().count("REGISTER sip:ucaas.test") >= 3


@pytest.mark.req("C9.1")
@pytest.mark.parametrize("issuer", ["foreign", "trusted"])
async def test_a_foreign_certificate_or_one_of_another_name_is_refused_and_named(
    issuer: str, tmp_path: Path
) -> None:
    # given a registrar with the right name by a foreign authority, or with a wrong name by the trusted one
    async with scene_in(tmp_path) as scene:
        certificate = (
            scene.foreign.issue(REGISTRAR) if issuer == "foreign" else scene.trusted.issue("other.test")
        )
        await scene.serve(certificate)
        phone = await scene.phone()
        # when the phone registers
        with pytest.raises(
            RegistrationFailed, match=r"phone1: .*sip\.ucaas\.test.*tls-certificate-refused"
        ) as error:
            await phone.register()
        # then it did not, said why, and sent nothing of its account
        assert error.value.refusal is Refusal.CERTIFICATE
        assert phone.events.history[-1].record().kind == "tls-refused"
        assert "REGISTER" not in (tmp_path / "registrar.log").read_text()
        await phone.stop()


async def test_a_phone_for_a_drill_trusts_anybody(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        await scene.serve(scene.foreign.issue("other.test"))
        phone = await scene.phone(verify_server=False)
        assert (await phone.register()).kind is PhoneEventKind.REGISTERED
        await phone.stop()


async def test_wrong_credentials_are_told_from_everything_else(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        await scene.serve(scene.trusted.issue(REGISTRAR))
        phone = await scene.phone(account=Account("1001", "ucaas.test", "wrong", "Phone"))
        with pytest.raises(RegistrationFailed, match="403 Forbidden") as error:
            await phone.register()
        assert error.value.refusal is Refusal.CREDENTIALS
        await phone.stop()


@pytest.mark.parametrize(
    ("registrar", "refusal"), [(REGISTRAR, Refusal.UNREACHABLE), ("nowhere.test", Refusal.NAME)]
)
async def test_nobody_there_and_no_such_name_are_told_apart(
    registrar: str, refusal: Refusal, tmp_path: Path
) -> None:
    async with scene_in(tmp_path) as scene:
        phone = await scene.phone(registrar=registrar)
        with pytest.raises(RegistrationFailed) as error:
            await phone.register()
        assert error.value.refusal is refusal
        await phone.stop()


async def test_a_server_that_does_not_answer_is_a_time_out(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        await scene.server.command("nft", "add table inet mute")
        await scene.server.command(
            "nft", "add chain inet mute input { type filter hook input priority 0; policy drop; }"
        )
        phone = await scene.phone()
        with pytest.raises(RegistrationFailed, match="no answer") as error:
            await phone.register(2.0)
        assert error.value.refusal is Refusal.TIMEOUT
        await phone.stop()


async def test_a_phone_that_dies_is_reported_by_name(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        phone = await scene.phone()
        for process in scene.sandbox.nodes[-1].processes:
            process.kill()
        event = await phone.events.first({PhoneEventKind.DIED}, deadline_s=2)
        assert event.endpoint == "phone1"
        await phone.stop()


@pytest.mark.req("E1.1")
async def test_eight_desk_phones_are_up_and_registered_within_seconds(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        await scene.serve(scene.trusted.issue(REGISTRAR))
        began = time.monotonic()
        phones = [await scene.phone(number) for number in range(1, 9)]
        await asyncio.gather(*(phone.register() for phone in phones))
        assert time.monotonic() - began < 10
        await asyncio.gather(*(phone.stop() for phone in phones))
