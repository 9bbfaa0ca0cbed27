"""Loading right topologies, profiles and policies."""

from __future__ import annotations

import shutil
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from pydantic import ValidationError

from uclab.model.load import check, load_topology, reference_directory, reference_topologies
from uclab.model.profile import LinkProfile


@pytest.mark.req("D7")
@pytest.mark.parametrize("name", sorted(reference_topologies()))
def test_reference_topology_has_no_errors_and_its_own_name(name: str) -> None:
    loaded = load_topology(name)
    assert loaded.topology.topology == name
    assert loaded.source == reference_directory() / f"{name}.yaml"


@pytest.mark.req("D7", "D8", "L1", "L2", "L4.1")
def test_enterprise_hq_is_what_it_says() -> None:
    loaded = load_topology("enterprise-hq")
    (site,) = loaded.topology.sites
    assert [s.role for s in site.switches].count("access") == 4
    assert [v.id for v in site.vlans if v.role == "voice"] == [110]
    assert site.vlans[0].subnet == IPv4Network("10.10.110.0/24")
    assert {e.kind for e in site.endpoints} == {"desk-phone", "softclient"}
    assert loaded.profiles["business-internet-10"].up.rate_kbps == 10_000
    assert loaded.policy.policy == loaded.topology.policy == "ucaas"


def test_name_and_path_of_a_reference_are_the_same_topology() -> None:
    by_path = load_topology(reference_directory() / "small-office.yaml")
    assert by_path == load_topology("small-office")


def test_topology_elsewhere_finds_the_reference_profiles_and_its_own_first(tmp_path: Path) -> None:
    # given a copy of a topology, beside it a line of the same name but its own rate, and one given by path
    text = (reference_directory() / "small-office.yaml").read_text()
    line = (reference_directory() / "profiles" / "business-internet-2.yaml").read_text()
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "business-internet-2.yaml").write_text(
        line.replace("rate_kbps: 2000", "rate_kbps: 3000")
    )
    (tmp_path / "fibre.yaml").write_text(line.replace("business-internet-2", "fibre", 1))
    second = "\n      - {name: wan2, to: isp1, profile: ./fibre.yaml}\n    endpoints:"
    (tmp_path / "mine.yaml").write_text(text.replace("\n    endpoints:", second))
    # when it is loaded
    loaded = load_topology(tmp_path / "mine.yaml")
    # then its own line is taken, the policy is the reference's
    assert loaded.profiles["business-internet-2"].up.rate_kbps == 3000
    assert loaded.profiles["./fibre.yaml"].profile == "fibre"
    assert loaded.policy.policy == "ucaas"


def test_what_was_loaded_cannot_be_changed() -> None:
    loaded = load_topology("small-office")
    with pytest.raises(ValidationError, match="frozen"):
        loaded.topology.title = "another"  # type: ignore[misc]


def test_aliases_with_an_end_are_right(tmp_path: Path) -> None:
    text = (reference_directory() / "small-office.yaml").read_text()
    text = text.replace("ports: 8, poe_watts: 65", "ports: &eight 8, poe_watts: 65").replace(
        "uplinks: [sw1]", "uplinks: &up [sw1]"
    )
    (tmp_path / "mine.yaml").write_text(text)
    assert check(tmp_path / "mine.yaml") == ()


def test_windows_line_ends_and_byte_order_mark_are_right(tmp_path: Path) -> None:
    text = (reference_directory() / "small-office.yaml").read_text()
    (tmp_path / "mine.yaml").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert check(tmp_path / "mine.yaml") == ()


@pytest.mark.req("W1")
@pytest.mark.parametrize(
    "profile", sorted(p.stem for p in (reference_directory() / "profiles").glob("*.yaml"))
)
def test_shipped_link_profile_can_be_used_and_says_its_source(tmp_path: Path, profile: str) -> None:
    text = (reference_directory() / "small-office.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text.replace("profile: business-internet-2", f"profile: {profile}"))
    line = load_topology(tmp_path / "mine.yaml").profiles[profile]
    assert isinstance(line, LinkProfile)
    assert line.source


@pytest.mark.parametrize("role", ["core", "distribution", "access"])
def test_site_with_a_single_switch_may_give_it_any_role(tmp_path: Path, role: str) -> None:
    text = (reference_directory() / "small-office.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text.replace("role: access", f"role: {role}"))
    assert check(tmp_path / "mine.yaml") == ()


def test_large_topology_is_checked_in_a_moment(tmp_path: Path) -> None:
    # given 200 access switches with 2,000 phones; far more than a lab carries
    head, _, tail = (reference_directory() / "enterprise-hq.yaml").read_text().partition("    firewall:")
    tail, _, _ = tail.partition("    endpoints:")
    switches = "".join(
        f"      - {{name: a{n}, role: access, uplinks: [dist1, dist2], poe_watts: 370}}\n" for n in range(200)
    )
    phones = "".join(
        f"      - {{name: p{n}, kind: desk-phone, port: a{n % 200}/{1 + n // 200}, number: {10000 + n}}}\n"
        for n in range(2000)
    )
    head = head.replace("10.10.110.0/24", "10.10.64.0/20").replace("desk1, desk2, soft1", "p0, p1")
    path = tmp_path / "large.yaml"
    path.write_text(f"{head}{switches}    firewall:{tail}    endpoints:\n{phones}")
    # when, then
    assert check(path) == ()


def test_installed_package_without_checkout_brings_its_own_references(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given the package in a folder of its own, topologies inside it
    shutil.copytree(reference_directory(), tmp_path / "uclab" / "topologies")
    monkeypatch.setattr("uclab.model.load.resources.files", lambda _: tmp_path / "uclab")
    # when, then
    assert reference_directory() == tmp_path / "uclab" / "topologies"
    assert load_topology("small-office").topology.topology == "small-office"


def office_with(folder: Path, *changes: tuple[str, str], policy: tuple[str, str] | None = None) -> Path:
    """The small office with other text in it, and in its policy."""
    text = (reference_directory() / "small-office.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    if policy is not None:
        (folder / "policies").mkdir()
        said = (reference_directory() / "policies" / "ucaas.yaml").read_text()
        assert policy[0] in said
        (folder / "policies" / "ucaas.yaml").write_text(said.replace(*policy))
    (folder / "mine.yaml").write_text(text)
    return folder / "mine.yaml"


@pytest.mark.req("D7")
def test_a_writers_own_keys_at_the_top_hold_anchors_and_mean_nothing(tmp_path: Path) -> None:
    # given a file with a key of its writer's own, whose parts are used elsewhere
    path = office_with(
        tmp_path,
        ("cloud:\n", "x-defaults: {ports: &eight 8, title: 1}\nx-note: by hand\ncloud:\n"),
        ("ports: 8, poe_watts: 65", "ports: *eight, poe_watts: 65"),
    )
    # when it is loaded, then it is the same topology as without
    assert load_topology(path).topology == load_topology("small-office").topology


@pytest.mark.req("L1", "C8")
def test_a_phone_among_pcs_is_allowed_and_warned_of(tmp_path: Path) -> None:
    path = office_with(tmp_path, ("number: 201, pc: pc1", "number: 201, pc: pc1, vlan: data"))
    (warning,) = load_topology(path).warnings
    assert str(warning).startswith(f"{path}:32: sites[office].endpoints[desk1].vlan: phone `desk1` is in the")
    assert "its marks are not trusted" in warning.found
    assert load_topology("small-office").warnings == ()


@pytest.mark.req("C8", "N2")
def test_voice_without_a_queue_is_allowed_and_warned_of(tmp_path: Path) -> None:
    path = office_with(tmp_path, policy=("name: voice, dscps: [EF]", "name: voice, dscps: [CS5]"))
    (warning,) = load_topology(path).warnings
    assert warning.path == "media.dscp"
    lines = (tmp_path / "policies" / "ucaas.yaml").read_text().splitlines()
    bulk = next(number for number, line in enumerate(lines, 1) if "name: default, guaranteed" in line)
    assert (
        f"`EF` of voice is in no queue of its own, it shares queue `default` (line {bulk})" in warning.found
    )


@pytest.mark.parametrize("domain", [f"{'a' * 63}.test", "0-9.x.test", ".".join(["ab"] * 68 + ["test"])])
def test_domains_up_to_the_limits_of_dns_are_right(tmp_path: Path, domain: str) -> None:
    assert check(office_with(tmp_path, ("domain: ucaas.test", f"domain: {domain}"))) == ()
