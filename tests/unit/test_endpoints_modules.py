"""The lab's modules for baresip are compiled once, and say what is wrong where they cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from endpoints_emu.baresip import modules
from endpoints_emu.baresip.configuration import MODULES


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("name", MODULES)
def test_each_is_compiled_once(name: str) -> None:
    source = modules.source_of(name)
    first = modules.compiled(source)
    made = first.stat().st_mtime_ns
    assert first.read_bytes()[:4] == b"\x7fELF"
    assert modules.compiled(source) == first
    assert modules.compiled(source).stat().st_mtime_ns == made


def test_another_source_is_another_module(tmp_path: Path) -> None:
    source = tmp_path / "other.c"
    source.write_text("int other;\n")
    assert modules.compiled(source) != modules.compiled(modules.source_of("recorder"))


def test_with_another_header_it_is_another_module(tmp_path: Path) -> None:
    source, header = tmp_path / "other.c", tmp_path / "other.h"
    source.write_text('#include "other.h"\nint other = OTHER;\n')
    made = []
    for number in (1, 2):
        header.write_text(f"#define OTHER {number}\n")
        made.append(modules.compiled(source))
    assert made[0] != made[1]


def test_an_error_in_the_source_is_shown(tmp_path: Path) -> None:
    source = tmp_path / "wrong.c"
    source.write_text("int other\n")
    with pytest.raises(modules.NotCompiled, match=r"wrong\.c.*expected"):
        modules.compiled(source)
    assert not list((tmp_path / "uclab").iterdir())


def test_without_a_compiler_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(modules.NotCompiled, match="install the Debian package gcc"):
        modules.compiled(modules.source_of("recorder"))
