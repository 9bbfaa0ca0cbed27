"""A campaign's telephone network in one process: every number answers, and what was met is on record."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

os.environ.setdefault("LOCUST_SKIP_MONKEY_PATCH", "1")  # other tests of this process want sockets as they are

from campaigns import answer_call
from campaigns.worker_context import Place
from cloud_core.authority import Certificates
from endpoints_emu.load import process
from endpoints_emu.load.agent import UserAgent, speaker_of
from endpoints_emu.load.failure import CallFailed
from endpoints_emu.load.measures import RegistrationAttempt
from endpoints_emu.load.transport import Server
from tests.unit.load.conftest import Loopback
from uclab.plan.load.record import LoadUser, Pool, Registrar, TrunkEnd
from uclab.plan.schema.telephony import Account, RegistrationTiming

pytestmark = pytest.mark.req("D11", "C3", "C4")
CONTROLLER, NETWORK = "sbc.example.test", "other.example.test"
NUMBERS = ("+4930555301", "+4930555302")


def pool(folder: Path, certificates: Certificates, *, outside: bool) -> Pool:
    """Of a generator in the telephone network with two numbers, or of one at a site with two users."""
    own = certificates.issued["misnamed"]
    names = NUMBERS if outside else ("700001", "700002")
    end = TrunkEnd(
        NETWORK,
        0,
        Registrar(CONTROLLER, "127.0.0.1", 1),
        (CONTROLLER,),
        str(own.certificate),
        str(own.key),
    )
    return Pool(
        generator="here",
        domain="example.test",
        registrars=(Registrar(CONTROLLER, "127.0.0.1", 1),),
        ca_file=str(certificates.trusted),
        dscp_signalling=26,
        dscp_media=46,
        registration=RegistrationTiming(4, 6, 2, 1, 8, 10),
        users=tuple(LoadUser(Account(name, "example.test", "", name), "127.0.0.1", 600) for name in names),
        colleagues=("700001", "700002"),
        outside=(),
        records=str(folder / "here"),
        direct=("+49305552700001", "700002"),
        trunk=end if outside else None,
    )


@pytest.fixture
def made(tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes places; the process's collector stays as it is."""
    monkeypatch.setattr(process, "prepare", lambda: None)
    monkeypatch.setattr(answer_call, "RINGS_S", (0.05, 0.1))
    places: list[Place] = []

    def make(*, outside: bool) -> Place:
        places.append(Place(pool(tmp_path, certificates, outside=outside)))
        return places[-1]

    yield make
    for one in places:
        one.stack.close()


def records(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"here.{name}.jsonl").read_text().splitlines()]


def controller(loopback: Loopback, at: Place) -> UserAgent:
    """Somebody at the session controller who can call the telephone network."""
    issued = loopback.certificates.issued["good"]
    assert at.outside is not None
    server = Server(
        *(NETWORK, "127.0.0.1", at.outside.port, "tls", loopback.certificates.trusted),
        certificate=issued.certificate,
        key=issued.key,
    )
    return loopback.agent("alice", server)


@pytest.mark.req("C9.1")
def test_every_number_answers_and_its_side_of_the_call_is_kept(
    loopback: Loopback, made: Any, tmp_path: Path
) -> None:
    here = made(outside=True)
    for number in NUMBERS:
        call = controller(loopback, here).call(number)
        gevent.sleep(0.3)
        call.hang_up()
        assert call.figures().speakers == (speaker_of(number),)
    gevent.sleep(0.1)
    legs = records(tmp_path, "legs")
    assert [(leg["user"], leg["kind"], leg["role"], leg["heard"]) for leg in legs] == [
        (number, "pstn", "callee", True) for number in NUMBERS
    ]
    with pytest.raises(CallFailed, match="404"):
        controller(loopback, here).call("+4930555309")


def test_numbers_are_called_from_in_turn_and_callers_are_counted(made: Any, tmp_path: Path) -> None:
    # given two numbers, when three callers begin and one has left before the last
    here = made(outside=True)
    callers = [here.take() for _ in range(3)]
    assert [one.account.user for one in callers] == [*NUMBERS, NUMBERS[0]]
    here.note_caller(callers[0])
    here.note_caller(callers[1])
    here.forget_caller()
    here.note_caller(callers[2])
    # then what counts is how many there were at once
    assert [one["present"] for one in records(tmp_path, "callers")] == [1, 2, 2]
    # and nobody of them is somebody who can be dialled by extension
    assert here.present == []
    assert here.direct == {"700001": "+49305552700001", "700002": "700002"}


def test_a_site_knows_who_is_played_there(made: Any) -> None:
    here = made(outside=False)
    assert here.outside is None
    one = here.take()
    assert here.present == ["700001"]
    here.give_back(one)
    assert here.present == []
    everybody = [here.take() for _ in range(2)]
    assert here.present == ["700001", "700002"]
    # and whether they have tried to register, which is not waited for without end
    waiting = gevent.spawn(here.wait_until_tried, 2.0)
    here.note_registration(everybody[0], RegistrationAttempt(200, 0.1, 0.2))
    gevent.sleep(0.01)
    assert not waiting.ready()
    assert here.wait_until_tried(0.01) is False
    here.note_registration(everybody[1], RegistrationAttempt(503, 0.1, 0.2, "no"))
    assert waiting.get(timeout=1) is True
