"""Sends text messages between phones (C1) and records what their senders experienced."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from endpoints_emu.phone import Phone, PhoneError
from uclab.lab.call_records import write_records
from uclab.lab.client import MessageOrder
from uclab.lab.errors import Refused
from uclab.plan.schema.plan import MessageGroup
from uclab.records.run import MessageRecord

FILE = "messages.json"
ANSWER_DEADLINE_S = 10.0


class Messages:
    """All messages of a lab. They are in its folder's `messages.json`, as far as they were answered."""

    def __init__(
        self, phones: Mapping[str, Phone], run_dir: Path, groups: Sequence[MessageGroup] = ()
    ) -> None:
        self._phones = phones
        self._groups = {group.name: group for group in groups}
        self._file = run_dir / FILE
        self._ids: set[str] = set()
        self._records: list[MessageRecord] = []

    async def send(self, order: MessageOrder) -> list[MessageRecord]:
        """Send them and return their records; one that is refused or not answered is a record, not an error.
        Raises `Refused` for parties there are not."""
        sender, target = self._phone(order.sender), self._address(order.recipient)
        if order.sender == order.recipient:
            raise Refused(f"`{order.sender}` cannot write to itself; there are: {self._known()}")
        if order.id in self._ids:
            raise Refused(f"messages `{order.id}` have been sent already; each order has an id of its own")
        self._ids.add(order.id)
        sent = []
        began = time.monotonic()
        for number, name in enumerate(order.asked.ids, start=1):
            await asyncio.sleep(max(0.0, began + (number - 1) * order.every_s - time.monotonic()))
            sent.append(await _send(sender, order.recipient, target, name, order.text_of(number)))
            self._records.append(sent[-1])
            write_records(self._file, self._records)
        return sent

    def _phone(self, name: str) -> Phone:
        phone = self._phones.get(name)
        if phone is None or not phone.endpoint.registers:
            raise Refused(f"no endpoint `{name}` that has messages; there are: {self._known()}")
        return phone

    def _address(self, name: str) -> str:
        """The extension of an endpoint or a group."""
        group = self._groups.get(name)
        return group.user if group is not None else self._phone(name).endpoint.account.user

    def _known(self) -> str:
        phones = (name for name, phone in self._phones.items() if phone.endpoint.registers)
        return ", ".join(sorted((*phones, *self._groups)))


async def _send(sender: Phone, recipient: str, target: str, name: str, text: str) -> MessageRecord:
    record = MessageRecord(name, sender.name, recipient, text, time.time())
    try:
        answer = await sender.send_message(target, text, ANSWER_DEADLINE_S)
    except PhoneError as error:
        return replace(record, error=str(error))
    return replace(record, answered_at=time.time(), status=answer.status, call_id=answer.call_id)
