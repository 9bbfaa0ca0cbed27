"""The recorder for baresip is compiled once, and says what is wrong where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from endpoints_emu.baresip import recorder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_it_is_compiled_once() -> None:
    first = recorder.module()
    made = first.stat().st_mtime_ns
    assert first.read_bytes()[:4] == b"\x7fELF"
    assert recorder.module() == first
    assert recorder.module().stat().st_mtime_ns == made


def test_another_source_is_another_module(tmp_path: Path) -> None:
    source = tmp_path / "other.c"
    source.write_text("int other;\n")
    assert recorder.module(source) != recorder.module()


def test_a_mistake_in_the_source_is_shown(tmp_path: Path) -> None:
    source = tmp_path / "wrong.c"
    source.write_text("int other\n")
    with pytest.raises(recorder.NotCompiled, match=r"wrong\.c.*expected"):
        recorder.module(source)
    assert not list((tmp_path / "uclab").iterdir())


def test_without_a_compiler_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(recorder.NotCompiled, match="install the Debian package gcc"):
        recorder.module()
