"""A copy of a run for others: no secret of the run is in it, and its report is."""

from __future__ import annotations

import html
import json
import os
from pathlib import Path
from typing import Any

import pytest

from uclab.access.private_files import FolderRefused
from uclab.api import plan_of
from uclab.cli.main import main
from uclab.plan.schema.codec import plan_from_json, plan_to_json
from uclab.report.share import secrets_of, share

SDES = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n"
KEY_LOG = f"CLIENT_RANDOM {'0a' * 32} {'1b' * 48}\nCLIENT_TRAFFIC_SECRET_0 {'2c' * 32} {'3d' * 32}\n"


def passwords(plan: Any) -> list[str]:
    """Every value of a field that is called `password`."""
    if isinstance(plan, dict):
        own = [plan["password"]] if "password" in plan else []
        return own + [one for value in plan.values() for one in passwords(value)]
    return [one for item in plan for one in passwords(item)] if isinstance(plan, list) else []


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory that has secrets everywhere, also where none belong."""
    folder = tmp_path / "run"
    text = plan_to_json(plan_of("small-office"))
    secret = passwords(json.loads(text))[0]
    files = {
        "plan.json": text,
        "plan.applied.json": text,
        "calls.json": json.dumps([{"id": "c1", "error": f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 {SDES}"}]),
        "events.jsonl": json.dumps({"source": "desk1", "detail": f"auth_pass={secret}"}) + "\n",
        "results.json": '{"verdict": "pass"}',
        "report.html": f"<p>verdict</p><!-- {secret} {PRIVATE_KEY} {KEY_LOG} -->",
        "lines/edge.json": '{"lost": 1}',
        "captures/edge.pcapng": "packets",
        "keys/tls.keylog": KEY_LOG,
        "pki/pstn.ucaas.test.key": PRIVATE_KEY,
        "endpoints/desk1/accounts": f"<sip:101>;auth_pass={secret}",
        "endpoints/desk1/c1.wav": "what was heard",
        "services/kamailio/kamailio.cfg": secret,
        "notes.txt": "somebody's",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_no_secret_of_the_run_is_in_its_copy(run: Path, tmp_path: Path) -> None:
    # given all secrets of its plan, and what stands for them elsewhere
    plan = json.loads((run / "plan.json").read_text())
    wanted = {*passwords(plan), *secrets_of(plan), SDES, "MIGHAgEAMBMGByqGSM49", "1b" * 48, "3d" * 32}
    assert len(set(passwords(plan))) > 2
    # when the run is shared, with packets too
    share(run, tmp_path / "copy", captures=True)
    # then none is found in any file
    text = "\n".join(contents(tmp_path / "copy").values())
    assert [secret for secret in wanted if secret in text] == []
    assert "what was heard" not in text


def test_the_copy_has_reports_and_records_alone(run: Path, tmp_path: Path) -> None:
    shared = share(run, tmp_path / "copy")
    records = {"plan.json", "plan.applied.json", "calls.json", "events.jsonl", "results.json", "report.html"}
    assert set(contents(tmp_path / "copy")) == {*records, "lines/edge.json"} == set(shared.files)
    assert shared.left_out == ("captures", "endpoints", "keys", "notes.txt", "pki", "services")


def test_the_copys_plan_is_whole_but_for_its_secrets(run: Path, tmp_path: Path) -> None:
    share(run, tmp_path / "copy")
    plan = plan_from_json((tmp_path / "copy" / "plan.json").read_text())
    assert {endpoint.account.password for endpoint in plan.endpoints} == {"withheld"}
    assert plan.links == plan_of("small-office").links


def test_others_may_read_the_copy_and_not_the_run(run: Path, tmp_path: Path) -> None:
    share(run, tmp_path / "copy")
    for path in (tmp_path / "copy", *(tmp_path / "copy").rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)


@pytest.mark.parametrize("name", ["results.json", "lines/edge.json", "plan.json"])
def test_no_link_in_a_run_is_followed(run: Path, tmp_path: Path, name: str) -> None:
    # given a run from somebody who would like to read another file
    (tmp_path / "shadow").write_text("root:hunter2")
    (run / name).unlink()
    (run / name).symlink_to(tmp_path / "shadow")
    # then it is refused by name
    with pytest.raises(FolderRefused, match=name):
        share(run, tmp_path / "copy")
    assert "hunter2" not in "".join(contents(tmp_path / "copy").values())


def test_a_fifo_in_a_files_place_is_refused_at_once(run: Path, tmp_path: Path) -> None:
    (run / "results.json").unlink()
    os.mkfifo(run / "results.json")
    with pytest.raises(FolderRefused, match=r"results\.json` is no ordinary file"):
        share(run, tmp_path / "copy")


@pytest.mark.parametrize("out", ["run", "file", "nothing/../run"])
def test_a_used_place_is_refused_with_2(
    run: Path, tmp_path: Path, out: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    before = contents(run)
    monkeypatch.setattr("sys.argv", ["uclab", "share", str(run), "-o", str(tmp_path / out)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert contents(run) == before


@pytest.mark.parametrize("text", ["hello", 'she said "no" & left <now>, Zoë', "a longer text without marks"])
def test_what_people_wrote_to_each_other_is_theirs(run: Path, tmp_path: Path, text: str) -> None:
    # given a message in the records, in what its recipient reported, in a finding and in the page
    message = {"id": "m-1", "sender": "desk1", "recipient": "desk2", "text": text, "sent_at": 1.0}
    (run / "messages.json").write_text(json.dumps([message]))
    told = {"time": 2.0, "source": "desk2", "kind": "message-received", "detail": text}
    (run / "events.jsonl").write_text(json.dumps(told) + "\n")
    if len(text) > 8:
        (run / "results.json").write_text(json.dumps({"observed": f"more than once: {text}"}))
        (run / "report.html").write_text(f"<p>{html.escape(text)}</p>")
    # when the run is shared, then it is nowhere
    share(run, tmp_path / "copy")
    for name, content in contents(tmp_path / "copy").items():
        for form in (text, json.dumps(text)[1:-1], html.escape(text)):
            assert form not in content, name
