"""Each key of topology, policy and profile does something: another value changes plan, capacity or check."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.key_changes import WORLDS, KeyPath, Schema, World, keys_of, refuses_all_others
from uclab.kinds.cloud_service import on_request

pytestmark = pytest.mark.req("D7")

FIRST = {
    "peering": "cloudconnect-simplex-ott", "sd_wan": "sd-wan", "carriers": "sdn-circuits",
    "groups": "enterprise-hq",
    "radio": "wifi-office", "access_points": "wifi-office", "wifi_up": "wifi-office",
    "home_router": "soho-all-in-one", "exchanges": "internet-exchange", "line_watch": "smb-dual-wan",
    "mpls_tc": "mpls-branch",
}  # fmt: skip
"""Where a key is tried first: only where nothing comes of it there, elsewhere."""
OF_PACKAGES = ("cloud", "services")
"""What nobody can ask for unless a package brings it: tests/unit/test_cloud_service_kinds.py."""
PARTS = sorted({(kind, key[:1]) for kind in ("topology", "policy", "profile") for key, _ in keys_of(kind)})


def of_packages(key: KeyPath) -> bool:
    return key[: len(OF_PACKAGES)] == OF_PACKAGES and not on_request()


@pytest.fixture(scope="module")
def worlds() -> dict[str, World]:
    return {}


@pytest.mark.parametrize(("kind", "part"), PARTS, ids=lambda one: one if isinstance(one, str) else one[0])
def test_another_value_makes_a_difference(
    kind: str, part: KeyPath, worlds: dict[str, World], tmp_path_factory: pytest.TempPathFactory
) -> None:
    def has_effect(key: KeyPath, schema: Schema) -> bool:
        if refuses_all_others(schema):
            return True
        first = [FIRST[name] for name in key if name in FIRST]
        for name in dict.fromkeys([*first, *WORLDS]):
            if name not in worlds:
                worlds[name] = World(name, tmp_path_factory.mktemp(name))
            if worlds[name].effect(kind, key, schema):
                return True
        return False

    # given every key of that part of the file, enumerated from the model, that can be given here
    keys = [(key, schema) for key, schema in keys_of(kind) if key[:1] == part and not of_packages(key)]
    assert keys
    # when each in turn gets other values that it may have, then something comes of it
    dead = [".".join(key) for key, schema in keys if not has_effect(key, schema)]
    assert dead == [], f"without effect: give them one, or take them out of the model of {kind}"


def test_a_key_that_nothing_reads_would_be_found(tmp_path: Path) -> None:
    # given a key that the policy's model does not know, and so nothing can read
    office = World("small-office", tmp_path)
    # then no value of it makes a difference
    assert not office.effect("policy", ("x-notes",), {"type": "string"})
