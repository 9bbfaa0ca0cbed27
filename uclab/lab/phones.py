"""The phones of a lab: its sites' endpoints, and the telephone network's side of each trunk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from cloud_core.authority import Certificates
from cloud_core.services import RunningCloud
from endpoints_emu.factory import make_phone, make_trunk_phone
from endpoints_emu.phone import Phone, PhoneEventKind, RegistrationFailed
from uclab.lab.lab_runtime import LabRuntime
from uclab.lab.restarts import Restarts
from uclab.plan.schema.plan import Plan
from uclab.runtime.logs import last_lines
from uclab.runtime.node import NodeRuntime

REGISTER_S = 20.0


class Phones:
    """Starts them, follows them, and starts one again that has died."""

    def __init__(
        self,
        plan: Plan,
        run_dir: Path,
        parts: LabRuntime,
        restarts: Restarts,
    ) -> None:
        self._plan = plan
        self._run_dir = run_dir
        self._parts = parts
        self._events = restarts.events
        self._watch = restarts.watch
        self._restarts = restarts

    async def start_all(self, cloud: RunningCloud, certificates: Certificates) -> None:
        """Start every phone and register it, side by side. Raises `NotReady` or `PhoneError`."""
        for name, make in self._makers(cloud, certificates):
            self._take(make())
            self._restarts.offer("phone", name, partial(self._start_again, make))
        total = len(self._parts.phones)
        done = 0

        async def ready(phone: Phone) -> None:
            nonlocal done
            await self._start(phone)
            done += 1
            self._events.progress("phones", done, total)

        async with asyncio.TaskGroup() as group:
            for phone in self._parts.phones.values():
                group.create_task(ready(phone))
        registering = sum(endpoint.registers for endpoint in self._plan.endpoints)
        self._events.add("lab", "registered", f"{len(self._parts.registered)} of {registering} endpoints")

    def _take(self, phone: Phone) -> None:
        phone.auto_answer = True
        self._parts.phones[phone.name] = phone
        following = asyncio.get_running_loop().create_task(self._follow(phone))
        self._parts.tasks.append(following)

    async def _start(self, phone: Phone) -> None:
        await phone.start()
        if phone.endpoint.registers:
            with suppress(RegistrationFailed):
                await phone.register(REGISTER_S)
                self._parts.registered.add(phone.name)

    async def _start_again(self, make: Callable[[], Phone]) -> None:
        """As somebody who plugs it out and in: it knows nothing of its calls any more."""
        phone = make()
        await self._parts.phones[phone.name].stop()
        self._take(phone)
        await self._start(phone)

    def _makers(
        self, cloud: RunningCloud, certificates: Certificates
    ) -> Iterator[tuple[str, Callable[[], Phone]]]:
        """Who makes every phone of the sites, and the telephone network's side of each trunk in its
        container, by its name."""
        trusted = certificates.trusted
        for endpoint in self._plan.endpoints:
            runtime, folder = self._runtimes[endpoint.node], self._folder_of(endpoint.name)
            yield endpoint.name, partial(make_phone, endpoint, runtime, folder, trusted)
        for peer in self._plan.pstn_peers:
            own = certificates.issued[peer.certificate].combined
            folder = self._folder_of(peer.endpoint.name)
            make = partial(make_trunk_phone, peer, cloud.pstn[peer.name], folder, trusted, own)
            yield peer.endpoint.name, make

    def _folder_of(self, endpoint: str) -> Path:
        folder = self._run_dir / "endpoints" / endpoint
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    async def _follow(self, phone: Phone) -> None:
        """A phone's events are the lab's; a phone that died is reported as every dead process is."""
        async for event in phone.events.follow():
            record = event.record()
            if event.kind is not PhoneEventKind.DIED:
                self._events.take(record)
                continue
            if self._parts.phones[phone.name] is not phone:
                return  # it has been replaced
            logs = sorted(self._folder_of(phone.name).glob("*.log"))
            endings = "\n".join(f"last lines of {log.name}:\n{last_lines(log)}" for log in logs)
            self._watch.died(phone.name, f"{record.detail}; {endings}")

    @property
    def _runtimes(self) -> Mapping[str, NodeRuntime]:
        return self._parts.runtimes
