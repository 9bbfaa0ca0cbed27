"""podman's command lines, and what is told of a container that ends."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_core.container_process import start_process
from cloud_core.containers import ContainerSpec, Mount, Podman, has_hybrid_cgroups, limits
from cloud_core.node import ContainerRuntime
from testbed.nodes import FakeNode
from testbed.process_tree import stat_fields
from uclab.runtime.node import NodeRuntime, ProgramRoot
from uclab.runtime.readiness import wait_until

SPEC = ContainerSpec(
    name="dns",
    image="localhost/uclab/dns:latest",
    arguments=("-d",),
    namespace=Path("/run/netns/dns"),
    log=Path("/nowhere/output.log"),
    mounts=(
        Mount(Path("/run/lab/unbound.conf"), "/lab/unbound.conf"),
        Mount(Path("/k"), "/keys", writable=True),
    ),
    environment=(("LANG", "C"),),
    capabilities=("NET_BIND_SERVICE",),
)


class Recorder:
    """Records commands and runs `sh` in their place."""

    def __init__(self, script: str = "exit 0") -> None:
        self.commands: list[list[str]] = []
        self._script = script

    async def __call__(self, argv: Sequence[str], log: int) -> asyncio.subprocess.Process:
        self.commands.append(list(argv))
        return await start_process(["sh", "-c", self._script], log)


def run_command(spec: ContainerSpec = SPEC, *, hybrid_cgroups: bool = False) -> list[str]:
    return Podman(Path("/run/c"), hybrid_cgroups=hybrid_cgroups).run_command(
        spec, Path("/run/c/dns.pid"), Path("/run/c/dns.conmon")
    )


def test_container_gets_only_the_rights_that_it_was_given() -> None:
    command = run_command()
    assert "--cap-drop=all" in command
    assert [part for part in command if part.startswith("--cap-add")] == ["--cap-add=NET_BIND_SERVICE"]
    for option in (
        "--user=10000:10000",
        "--read-only",
        "--security-opt=no-new-privileges",
        "--cgroups=disabled",
    ):
        assert option in command
    assert command[-2:] == ["localhost/uclab/dns:latest", "-d"]


def test_container_joins_the_nodes_namespace_and_pulls_nothing() -> None:
    command = run_command()
    assert "--network=ns:/run/netns/dns" in command
    assert "--pull=never" in command


def test_only_named_files_are_seen_and_only_marked_ones_writable() -> None:
    assert [part for part in run_command() if part.startswith("--volume")] == [
        "--volume=/dev/null:/etc/resolv.conf:ro",
        "--volume=/run/lab/unbound.conf:/lab/unbound.conf:ro",
        "--volume=/k:/keys:rw",
    ]


def test_container_never_asks_the_machines_name_servers() -> None:
    assert "--volume=/dev/null:/etc/resolv.conf:ro" in run_command(replace(SPEC, nameservers=()))
    asked = run_command(replace(SPEC, nameservers=("198.18.0.53",)))
    assert "--dns=198.18.0.53" in asked
    assert not [word for word in asked if "resolv.conf" in word]


def test_podmans_state_is_the_labs_own_and_images_are_the_machines() -> None:
    command = run_command()
    assert command[command.index("--root") + 1] == "/run/c/storage"
    assert command[command.index("--runroot") + 1] == "/run/c/run"
    assert "additionalimagestore=/var/lib/containers/storage" in command


@pytest.mark.req("D3")
def test_state_of_the_runtime_is_the_labs_too() -> None:
    # crun's own folder, /run/crun, would keep one for every container of a lab that was killed
    command = run_command()
    assert command[command.index("--runtime-flag") + 1] == "root=/run/c/crun"


def test_podmans_locks_end_with_the_lab(tmp_path: Path) -> None:
    # given a lab's podman, when it starts a container
    spec = ContainerSpec(name="x", image="i", arguments=(), namespace=Path("/n"), log=tmp_path / "x.log")
    recorder = Recorder()

    async def start() -> None:
        await (await Podman(tmp_path / "state", runner=recorder).run(spec)).process.wait()

    asyncio.run(start())
    # then its locks are files of the lab's own state: those in shared memory outlive a lab that is killed
    (command,) = recorder.commands
    (settings,) = [part.partition("=")[2] for part in command if part.startswith("CONTAINERS_CONF=")]
    assert Path(settings).read_text() == '[engine]\nlock_type = "file"\n'
    assert command[command.index("--tmpdir") + 1] == str(tmp_path / "state" / "tmp")


@pytest.mark.parametrize(("hybrid", "first"), [(True, "unshare"), (False, "env")])
def test_cgroups_are_hidden_only_where_crun_would_refuse_them(hybrid: bool, first: str) -> None:
    assert run_command(hybrid_cgroups=hybrid)[0] == first


def test_both_cgroup_versions_side_by_side_are_recognized(tmp_path: Path) -> None:
    (tmp_path / "unified").mkdir()
    assert has_hybrid_cgroups(tmp_path)
    (tmp_path / "cgroup.controllers").touch()
    assert not has_hybrid_cgroups(tmp_path)


async def test_last_words_of_a_container_are_in_its_log(tmp_path: Path) -> None:
    # Given a container that says why it ends
    spec = ContainerSpec(
        name="x", image="i", arguments=(), namespace=Path("/n"), log=tmp_path / "a" / "x.log"
    )
    podman = Podman(tmp_path / "state", runner=Recorder("echo bad configuration >&2; exit 3"))
    # When it runs
    container = await podman.run(spec)
    # Then its status and its words are there
    assert await container.process.wait() == 3
    assert spec.log.read_text() == "bad configuration\n"


async def test_container_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    # Given a container whose first process, known by its pid file, does not end when asked
    pid_file = tmp_path / "state" / "x.pid"
    spec = ContainerSpec(name="x", image="i", arguments=(), namespace=Path("/n"), log=tmp_path / "x.log")
    script = f"trap '' TERM; echo $$ > {pid_file}; while :; do sleep 0.02; done"
    container = await Podman(tmp_path / "state", runner=Recorder(script)).run(spec)

    async def begun() -> bool | None:
        return bool(pid_file.read_text().strip()) or None

    await wait_until(begun, what="its process", deadline_s=5)
    # When it is stopped, then it ends all the same
    assert await container.stop(grace_s=0.1) == -9


def number_in(file: Path) -> int | None:
    """The process id that a file holds, once it does."""
    return int(file.read_text() or 0) or None


@pytest.mark.req("D3")
async def test_container_ends_with_its_conmon(tmp_path: Path) -> None:
    # given a container whose podman, conmon and program live, each known by its file
    state = tmp_path / "state"
    spec = ContainerSpec(name="x", image="i", arguments=(), namespace=Path("/n"), log=tmp_path / "x.log")
    script = (
        f"sleep 60 & echo $! > {state}/x.pid; sleep 60 & echo $! > {state}/x.conmon; "
        "while :; do sleep 0.02; done"
    )
    container = await Podman(state, runner=Recorder(script)).run(spec)

    async def begun() -> int | None:
        return number_in(state / "x.conmon")

    conmon = await wait_until(begun, what="its conmon", deadline_s=5)
    program = number_in(state / "x.pid")
    # when conmon is killed, and podman goes on waiting, as it does
    os.kill(conmon, signal.SIGKILL)
    # then the container ends all the same, says why, and its program with it
    async with asyncio.timeout(20):
        assert await container.process.wait() == -9
    assert getattr(container.process, "end_reason", None) == (
        "its conmon was killed, and the program ended with it"
    )

    assert program is not None

    async def gone() -> bool | None:
        fields = stat_fields(program)
        return fields is None or fields[0] == "Z" or None

    await wait_until(gone, what="the program's end", deadline_s=5)


async def test_program_spawned_on_a_cloud_node_runs_in_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a node of the cloud
    monkeypatch.setattr(os, "chown", lambda *_, **__: None)  # needs no root here
    recorder = Recorder()
    node: NodeRuntime = ContainerRuntime(
        FakeNode("pstn"), Podman(tmp_path / "state", runner=recorder), "localhost/uclab/pstn:latest"
    )
    folder = tmp_path / "pstn"
    folder.mkdir()
    # When a driver starts its program there
    process = await node.spawn(
        ["/usr/bin/baresip", "-f", "/lab"], name="pstn", log=tmp_path / "log", writable={"/lab": folder}
    )
    await process.wait()
    # Then podman starts it in the node's namespace, with the folder
    (command,) = recorder.commands
    assert command[-4:] == ["--entrypoint=/usr/bin/baresip", "localhost/uclab/pstn:latest", "-f", "/lab"]
    assert {"--network=ns:/run/netns/pstn", f"--volume={folder}:/lab:rw", "--dns=198.18.0.53"} <= set(command)


@pytest.mark.parametrize("root", ["host"])
async def test_programs_of_the_host_do_not_run_on_a_cloud_node(tmp_path: Path, root: ProgramRoot) -> None:
    node = ContainerRuntime(FakeNode("pstn"), Podman(tmp_path, runner=Recorder()), "i")
    with pytest.raises(ValueError, match="pstn: containers run programs of their image only"):
        await node.spawn(["x"], name="x", log=tmp_path / "log", root=root)


@pytest.mark.parametrize(
    ("processes", "given"),
    [((96365, 96365), "32768:32768"), ((500, 700), "500:700"), ((-1, -1), "32768:32768")],
)
def test_a_container_may_have_no_more_processes_than_podman_leaves_itself(
    monkeypatch: pytest.MonkeyPatch, processes: tuple[int, int], given: str
) -> None:
    of = {resource.RLIMIT_NOFILE: (1024, 20000), resource.RLIMIT_NPROC: processes}
    monkeypatch.setattr(resource, "getrlimit", of.__getitem__)
    assert limits() == ["--ulimit=nofile=1024:20000", f"--ulimit=nproc={given}"]
