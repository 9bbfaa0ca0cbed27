"""Cloud services that a topology asks for, by the phone book of a package of somebody else (tests/plugin)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest

from tests.unit.command_line import uclab as plain
from uclab.kinds.cloud_service import CLOUD_SERVICES, needed_images, on_request

pytestmark = pytest.mark.req("D4", "D7")

PROJECT = Path(__file__).parents[2]
PLUGIN = PROJECT / "tests" / "plugin"
PSTN = '  pstn: {numbers: ["+493055501001"]}\n'
BOOK = "{name: book, service: phone-book, settings: {title: Office}}"
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def uclab(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command where the other package is as an installer leaves it: modules and entry points."""
    site = tmp_path_factory.mktemp("site")
    (site / "wall_phone").symlink_to(PLUGIN / "wall_phone")
    points = ConfigParser(delimiters=("=",))
    points.read_dict(tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]["entry-points"])
    info = site / "uclab_wall_phone-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: uclab-wall-phone\nVersion: 0.1\n")
    with (info / "entry_points.txt").open("w") as file:
        points.write(file)

    def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from uclab.cli.main import main; main()", *arguments],
            env={**os.environ, "PYTHONPATH": f"{site}:{PROJECT}"},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def asking(folder: Path, *servers: str, prefix: str = "198.18.10.0/24") -> str:
    """`small-office` with these servers, as a file in `folder`."""
    office = (PROJECT / "topologies" / "small-office.yaml").read_text()
    assert PSTN in office
    asked = "".join(f"    - {server}\n" for server in servers)
    text = office.replace(PSTN, f"{PSTN}  services:\n{asked}").replace("198.18.10.0/24", prefix)
    (folder / "asking.yaml").write_text(text)
    return "asking.yaml"


def planned(uclab: Command, folder: Path, *servers: str) -> dict[str, Any]:
    """The plan of an office with these servers."""
    done = uclab("plan", asking(folder, *servers), "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    plan: dict[str, Any] = json.loads(done.stdout)
    return plan


def test_a_server_has_node_name_address_certificate_and_what_its_service_asks(
    uclab: Command, tmp_path: Path
) -> None:
    plan = planned(uclab, tmp_path, BOOK)
    (server,) = plan["cloud_servers"]
    assert server["host_name"] == "book.ucaas.test"
    assert server["settings"] == [["title", '"Office"']]
    node = next(node for node in plan["nodes"] if node["name"] == "book")
    assert node["site"] == "fra1"
    assert node["interfaces"][0]["addresses"] == [f"{server['address']}/24"]
    assert any("book" in (link["a"]["device"], link["b"]["device"]) for link in plan["links"])
    records = {(one["name"], one["type"]): one["value"] for one in plan["name_servers"][0]["records"]}
    assert records["book.ucaas.test", "A"] == server["address"]
    # what its own planning adds
    assert records["_phone-book._tcp.ucaas.test", "SRV"] == "0 0 8443 book.ucaas.test"
    shown = next(one for one in plan["certificates"] if one["name"] == server["certificate"])
    assert shown["dns_names"] == ["book.ucaas.test"]
    firewall = next(node for node in plan["nodes"] if node["kind"] == "firewall")["nftables"]
    assert "ip daddr @cloud tcp dport 8443 ct state new,established" in firewall


def test_what_stood_before_stands_as_before(uclab: Command, tmp_path: Path) -> None:
    # the addresses of all others are the same, so captures and configurations of before still fit
    plan, without = planned(uclab, tmp_path, BOOK), json.loads(plain("plan", "small-office", "--json").stdout)
    addresses = [
        {node["name"]: [i["addresses"] for i in node["interfaces"]] for node in one["nodes"]}
        for one in (plan, without)
    ]
    addresses[0].pop("book")
    assert addresses[0] == addresses[1]


@pytest.mark.parametrize(
    ("server", "message"),
    [
        (
            "{name: book, service: phone-bok}",
            "cloud.services[book].service: found `phone-bok`; allowed: `phone-book`",
        ),
        (
            "{name: book, service: phone-book, datacentre: fra2}",
            "cloud.services[book].datacentre: there is no data centre `fra2`; allowed: `fra1`",
        ),
        (
            "{name: book, service: phone-book, settings: {titel: Office}}",
            "cloud.services[book].settings: unknown key `titel`; known here: `title`",
        ),
        (
            "{name: book, service: phone-book, settings: {title: 3}}",
            "cloud.services[book].settings.title: found `3`, which is a number; allowed: one line of text",
        ),
        ("{name: desk1, service: phone-book}", "device name `desk1` is given already"),
    ],
)
def test_a_mistake_is_named_where_it_stands(
    uclab: Command, tmp_path: Path, server: str, message: str
) -> None:
    done = uclab("check", asking(tmp_path, server), folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr + done.stdout, done.stderr + done.stdout


def test_a_data_centre_has_room_for_its_servers(uclab: Command, tmp_path: Path) -> None:
    books = [f"{{name: book{n}, service: phone-book}}" for n in range(3)]
    done = uclab("check", asking(tmp_path, *books, prefix="198.18.10.0/29"), folder=tmp_path)
    assert done.returncode == 2
    assert "too small for a data centre with 3 further servers; allowed: /28 or larger" in done.stderr
    assert (
        uclab("check", asking(tmp_path, *books[:2], prefix="198.18.10.0/29"), folder=tmp_path).returncode == 0
    )


def test_without_a_package_that_brings_one_none_can_be_asked_for(tmp_path: Path) -> None:
    done = plain("check", str(tmp_path / asking(tmp_path, BOOK)))
    assert done.returncode == 2
    assert "found `phone-book`; no package that is installed brings a cloud service" in done.stderr


def test_every_cloud_has_the_services_of_the_lab() -> None:
    assert set(needed_images()) == {"dns", "kamailio", "rtpengine", "pstn"}
    assert not on_request()
    for service in CLOUD_SERVICES.values():
        assert (service.image_folder / "Containerfile").is_file()
        assert callable(service.load_starter())
