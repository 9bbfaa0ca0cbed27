"""Two lines in order of preference: traffic moves to the second when the first is cut, and back when it is
healed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.labs import UclabCommand

pytestmark = [pytest.mark.root, pytest.mark.req("V2", "W9")]

CLOUD = "198.18.20.1"
"""The cloud's router in the topology's data centre."""


@pytest.fixture(scope="module")
def uclab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UclabCommand]:
    """The command with `smb-dual-wan` up under the name `dual`."""
    command = UclabCommand(tmp_path_factory.mktemp("dual"))
    command("up", "smb-dual-wan", "--name", "dual", "--out", str(command.folder / "dual"))
    yield command
    command("down", "--name", "dual", status=None)


def counted(uclab: UclabCommand, line: str) -> int:
    """Packets that the router sent by a line so far (`/proc/net/dev`: the tenth figure)."""
    table = uclab("exec", "--name", "dual", "edge", "cat", "/proc/net/dev").stdout
    [row] = [row for row in table.splitlines() if row.strip().startswith(f"{line}:")]
    return int(row.partition(":")[2].split()[9])


def ask_the_cloud(uclab: UclabCommand) -> tuple[int, int]:
    """Ping the cloud 20 times from a PC, all of which must come back; the packets that each line took."""
    before = counted(uclab, "wan1"), counted(uclab, "wan2")
    uclab("exec", "--name", "dual", "pc1", "ping", "-c", "20", "-i", "0.05", "-W", "2", CLOUD)
    return counted(uclab, "wan1") - before[0], counted(uclab, "wan2") - before[1]


def test_the_second_line_carries_all_only_while_the_first_is_cut(uclab: UclabCommand) -> None:
    # given both lines up, then the preferred one carries what leaves
    first, second = ask_the_cloud(uclab)
    assert first >= 20 > second
    # when the preferred line is cut, then the other carries it
    uclab("fail", "--name", "dual", "edge-isp1")
    first, second = ask_the_cloud(uclab)
    assert first == 0
    assert second >= 20
    # when it is healed, then it is preferred again
    uclab("heal", "--name", "dual", "edge-isp1")
    first, second = ask_the_cloud(uclab)
    assert first >= 20 > second
