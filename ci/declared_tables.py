"""Writes the tables of the documentation that say what is declared in code: endpoint kinds, cloud services,
kinds of carriers, findings, faults.

    .venv/bin/python ci/declared_tables.py            # all pages
    .venv/bin/python ci/declared_tables.py --check    # exit status 1 where one is out of date

A table stands between `<!-- NAME: ... -->` and `<!-- end of NAME -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from uclab.judge.check import in_order
from uclab.kinds.carrier_kind import CARRIER_KINDS
from uclab.kinds.cloud_service import CLOUD_SERVICES
from uclab.kinds.endpoint_kind import ENDPOINT_KINDS
from uclab.plan.faults.catalogue import FAULTS

DOCS = Path(__file__).parents[1] / "docs"


def endpoint_kinds() -> str:
    """What `kind` of an endpoint may be."""
    rows = [
        (
            f"`{kind.name}`",
            kind.what,
            f"{kind.vlan} VLAN",
            "yes" if kind.pc_port else "no",
            ", ".join(kind.user_agents),
            ", ".join(kind.requirements),
        )
        for kind in ENDPOINT_KINDS.values()
    ]
    return table(("kind", "what it is", "stands in", "PC port", "played by", "shows"), rows)


def cloud_services() -> str:
    """What runs in the cloud."""
    rows = [
        (
            f"`{one.name}`",
            one.what,
            f"`{one.image.replace(':', '/')}`",
            "where `cloud.services` asks for it" if one.on_request else "in every cloud",
            ", ".join(one.requirements),
        )
        for one in CLOUD_SERVICES.values()
    ]
    return table(("service", "what it is", "Containerfile in", "where", "shows"), rows)


def carrier_kinds() -> str:
    """What `kind` of a carrier may be."""
    rows = [
        (f"`{one.name}`", one.title, one.what, ", ".join(one.requirements)) for one in CARRIER_KINDS.values()
    ]
    return table(("kind", "what it is", "a circuit has", "shows"), rows)


def findings() -> str:
    """What is checked."""
    rows = [
        (f"`{one.id}`", one.holds, ", ".join(one.requirements))
        for check in in_order()
        for one in check.findings
    ]
    return table(("finding", "holds when", "shows"), rows)


def faults() -> str:
    """What can be wrong on purpose."""
    rows = [
        (
            f"`{fault.name}`",
            fault.summary,
            ", ".join(f"`{name}`" for name in fault.breaks),
            f"`{fault.blames}`" if fault.blames else "-",
            f"`{fault.topology}`",
        )
        for fault in sorted(FAULTS.values(), key=lambda fault: fault.topology != "small-office")
    ]
    return table(("fault", "what is wrong", "what must fail", "who is blamed", "on"), rows)


TABLES: dict[str, tuple[str, Callable[[], str]]] = {
    "endpoint-kinds": ("topology.md", endpoint_kinds),
    "cloud-services": ("cloud.md", cloud_services),
    "carrier-kinds": ("carriers.md", carrier_kinds),
    "findings": ("judging.md", findings),
    "faults": ("faults.md", faults),
}
"""By name: the page, and what makes the table."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def renewed(page: str, name: str, made: str) -> str:
    """The page with that table as it is now. Raises `ValueError` where the page has no place for it."""
    place = re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    if not place.search(page):
        raise ValueError(f"no place for the table of {name}")
    return place.sub(lambda match: match[1] + made + match[2], page)


def outdated() -> dict[Path, str]:
    """The pages that are not as they should be, with what they should say."""
    pages: dict[Path, str] = {}
    for name, (file, make) in TABLES.items():
        path = DOCS / file
        pages[path] = renewed(pages.get(path, path.read_text()), name, make())
    return {path: text for path, text in pages.items() if text != path.read_text()}


def main(arguments: Sequence[str]) -> int:
    """Write them, or say which are out of date."""
    pages = outdated()
    for path, text in pages.items():
        if "--check" in arguments:
            print(f"{path.name} is out of date: .venv/bin/python ci/declared_tables.py", file=sys.stderr)
        else:
            path.write_text(text)
    return 1 if pages and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
