"""linphone 5.3 (Debian 13's `linphonec`, from the device image) as a far end: a console program, told on its
stdin what to do, saying in its output what happens."""

from __future__ import annotations

import os
import re
from pathlib import Path

from endpoints_emu import audio
from endpoints_emu.phone import CallFailed
from tests.integration.endpoints_sandbox import DNS_ADDRESS, SandboxNode
from uclab.runtime.readiness import wait_until

SETTINGS = """\
[sip]
sip_port=-1
sip_tcp_port=-1
sip_tls_port=-1
root_ca=/lab/ca.pem
verify_server_certs=1
verify_server_cn=1
media_encryption=srtp
media_encryption_mandatory=1
use_ipv6=0
default_proxy=0
[rtp]
srtp_crypto_suites=AES_CM_128_HMAC_SHA1_80
[proxy_0]
reg_proxy=<sip:{server};transport=tls>
reg_route=<sip:{server};transport=tls;lr>
reg_identity=sip:{user}@ucaas.test
reg_expires=270
reg_sendregister=1
publish=0
[audio_codec_0]
mime=PCMU
rate=8000
channels=1
enabled=1
[audio_codec_1]
mime=PCMA
rate=8000
channels=1
enabled=1
"""
PROMPT = "linphonec> "
LONGEST_CALL_S = 60.0
"""For so long it has a tone to play."""


class Linphone:
    """One console, registered; implements `load_agent_far_ends.FarEnd`."""

    declines = 603
    busy = "error"
    in_clear = 0

    def __init__(self, folder: Path, commands: int) -> None:
        self._folder = folder
        self._commands = commands
        self._log = folder / "linphone.log"
        self._read = 0
        """How much of its output has been seen."""

    @classmethod
    def furnish(cls, folder: Path, ca_file: Path, server: str, user: str, hz: int) -> None:
        """What it finds in its folder: settings for `server` (host and port), whom it trusts, its tone."""
        (folder / ".local/share/linphone").mkdir(parents=True)  # without its data bases it does not begin
        (folder / "ca.pem").write_bytes(ca_file.read_bytes())
        (folder / "linphonerc").write_text(SETTINGS.format(server=server, user=user))
        audio.write_wav(folder / "tone.wav", audio.tone(hz, LONGEST_CALL_S))

    @classmethod
    async def start(cls, node: SandboxNode, folder: Path) -> Linphone:
        """Started and registered, its voice and its ear in files."""
        # it takes a network without a default route for one that is down
        await node.command("ip", "route", "add", "default", "via", DNS_ADDRESS)
        reading, writing = os.pipe()
        phone = cls(folder, writing)
        try:
            await node.spawn(
                ["linphonec", "-c", "/lab/linphonerc"],
                name="linphone",
                log=phone._log,
                writable={"/lab": folder},
                env={"HOME": "/lab"},
                stdin=reading,
            )
        finally:
            os.close(reading)
        await phone._until(PROMPT)
        await wait_until(phone._registered, what="linphone: registration", deadline_s=10.0, every_s=0.2)
        for command in ("soundcard use files", "play /lab/tone.wav", "record /lab/heard.wav"):
            await phone._tell(command)
        return phone

    async def call(self, user: str) -> None:
        await self._tell(f"call sip:{user}@ucaas.test")
        found = await self._until("Media streams established|Call .* (?:error|failed|ended).*")
        if not found.startswith("Media"):
            raise CallFailed(f"linphone: {found}")

    async def rings(self) -> None:
        await self._until("Receiving new incoming call")

    async def answer(self) -> None:
        await self._tell("answer")
        await self._until("Media streams established")

    async def hold(self) -> None:
        await self._tell("pause")
        await self._until("is now paused")

    async def resume(self) -> None:
        await self._tell("resume")
        await self._until("Media streams established")

    async def hang_up(self) -> None:
        await self._tell("terminate")

    async def ended(self) -> None:
        await self._until("Call .* ended")

    def heard(self, hz: int) -> bool:
        return audio.listen(self._folder / "heard.wav", hz).heard

    async def stop(self) -> None:
        """Nothing: the sandbox ends its processes; its own way out ends in an assertion."""
        os.close(self._commands)

    async def _tell(self, command: str) -> None:
        """Give a command, and wait until it is ready for another: what comes sooner is lost on it."""
        prompts = self._said().count(PROMPT)
        os.write(self._commands, f"{command}\n".encode())

        async def done() -> bool | None:
            return self._said().count(PROMPT) > prompts or None

        await wait_until(done, what=f"linphone: {command}", deadline_s=5.0)

    async def _registered(self) -> bool | None:
        await self._tell("status register")
        return "registered, identity" in self._said() or None

    def _said(self) -> str:
        return self._log.read_text(errors="replace")

    async def _until(self, pattern: str) -> str:
        """What it says next that fits."""

        async def said() -> str | None:
            found = re.compile(pattern).search(self._said(), self._read)
            if found is None:
                return None
            self._read = found.end()
            return found[0]

        return await wait_until(said, what=f"linphone: {pattern!r}", deadline_s=10.0)
