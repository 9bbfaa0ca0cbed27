"""Asterisk 22 (Debian 14's, an image of its own: `ci/asterisk-image.sh`) as registrar and far end of the load
agent: TLS only, digest, SRTP by SDES."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from tests.integration.endpoints_sandbox import SandboxNode
from uclab.plan.schema.plan import Account
from uclab.runtime.readiness import wait_until

ROOT = Path(os.environ.get("UCLAB_STATE", "/var/lib/uclab")) / "images/asterisk/rootfs"
TONE, BUSY = "600", "601"
"""Extensions: one that listens and sends a tone, one that is busy; others are the accounts'."""
FILES = {
    "asterisk.conf": """\
[directories]
astetcdir => /lab
astdbdir => /lab
astkeydir => /lab
astspooldir => /lab/spool
astrundir => /lab/run
astlogdir => /lab/log
[options]
verbose = 3
""",
    "modules.conf": """\
[modules]
autoload=yes
noload=chan_iax2.so
noload=chan_unistim.so
noload=chan_ooh323.so
noload=chan_websocket.so
""",
    "logger.conf": "[logfiles]\nconsole => notice,warning,error,verbose\n",
    "rtp.conf": "[general]\nrtpstart=30000\nrtpend=30998\n",
    "extensions.conf": """\
[lab]
exten => 600,1,Answer()
 same => n,MixMonitor(/lab/mixed.wav,r(/lab/heard.wav))
 same => n,Playtones({hz})
 same => n,Wait(60)
exten => 601,1,Busy(10)
exten => _1XXX,1,Dial(PJSIP/${{EXTEN}},20)
 same => n,Hangup(${{HANGUPCAUSE}})
""",
    "pjsip.conf": """\
[tls]
type=transport
protocol=tls
bind={address}:{port}
cert_file=/lab/pbx.pem
priv_key_file=/lab/pbx.pem
method=tlsv1_2
""",
}
ACCOUNT = """
[{user}]
type=endpoint
transport=tls
context=lab
disallow=all
allow=ulaw
media_encryption=sdes
direct_media=no
moh_passthrough=yes
auth={user}
aors={user}
[{user}]
type=auth
auth_type=userpass
username={user}
password={password}
[{user}]
type=aor
max_contacts=1
"""


class Asterisk:
    """One, running in a node; `heard` is what its extension heard."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process, inside: Sequence[str]) -> None:
        self.heard = folder / "heard.wav"
        self._process = process
        self._inside = inside

    @classmethod
    def furnish(
        cls, folder: Path, address: str, port: int, certificate: Path, accounts: Sequence[Account], hz: int
    ) -> None:
        """Its folder: settings, the certificate with its key, the accounts and the tone of its extension."""
        for name in ("spool", "run", "log"):
            (folder / name).mkdir(parents=True)
        for name, text in FILES.items():
            filled = text.format(address=address, port=port, hz=hz) if "{" in text else text
            (folder / name).write_text(filled)
        with (folder / "pjsip.conf").open("a") as file:
            for account in accounts:
                file.write(ACCOUNT.format(user=account.user, password=account.password))
        (folder / "pbx.pem").write_bytes(certificate.read_bytes())

    @classmethod
    async def start(cls, node: SandboxNode, folder: Path, deadline_s: float = 30.0) -> Asterisk:
        """Started and ready for calls."""
        inside = (
            *("bwrap", "--die-with-parent", "--ro-bind", str(ROOT), "/", "--dev", "/dev", "--proc", "/proc"),
            *("--tmpfs", "/tmp", "--tmpfs", "/run", "--bind", str(folder), "/lab"),
        )
        command = [*inside, "asterisk", "-C", "/lab/asterisk.conf", "-f"]
        process = await node.spawn(command, name="asterisk", log=folder / "asterisk.log", root="host")
        asterisk = cls(folder, process, inside)

        async def booted() -> bool | None:
            return True if "fully booted" in await asterisk.ask("core waitfullybooted") else None

        await wait_until(booted, what="Asterisk", deadline_s=deadline_s, every_s=0.1)
        return asterisk

    async def ask(self, command: str) -> str:
        """What its console says to a command."""
        process = await asyncio.create_subprocess_exec(
            *(*self._inside, "asterisk", "-C", "/lab/asterisk.conf", "-rx", command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return output.decode(errors="replace")
