"""A plan as tables that a reviewer reads, one file for each concern.

A list of things is a table, a row each; what a thing has several of is a table of its own, whose first column
says of what. A column in which all rows agree is said once above the table. Rulesets stand as nftables reads
them, once for all nodes that have the same; the path of an endpoint is a line. Nothing is left out but lists
of the plan that have nothing in them: a new one changes no file of plans without it.
"""

from __future__ import annotations

import textwrap
from collections import defaultdict
from typing import Any

from uclab.plan.schema.codec import from_data
from uclab.plan.schema.flows import SwitchFlow, words

WIDTH, WIDEST = 110, 180
"""Columns of a text, and of a table; what would be wider stands as records."""
CONCERNS = {
    "nodes": "addresses",
    "nodes.interfaces": "addresses",
    "nodes.routes": "addresses",
    "vlans": "addresses",
    "nodes.translations": "addresses",
    "nodes.routing": "routing",
    "nodes.ospf": "routing",
    "nodes.learned": "routing",
    "nodes.queues": "lines",
    "nodes.impairments": "lines",
    "schedules": "lines",
    "line_watches": "lines",
    "switches": "lan",
    "links": "lan",
    "fabrics": "lan",
    "firewalls": "lan",
    "airs": "lan",
    "taps": "taps",
    "endpoints": "telephony",
    "session_controllers": "telephony",
    "pstn_peers": "telephony",
    "name_servers": "telephony",
    "certificates": "telephony",
    "policy": "policy",
}
"""Table -> file; the longest beginning of its name counts. Everything else: `other`."""
Row = dict[str, str]


def by_concern(plan: dict[str, Any]) -> dict[str, str]:
    """File -> text, of a plan as data."""
    for fabric in plan["fabrics"]:  # they repeat switches, VLANs and policy of the plan: their names will do
        fabric["switches"] = [switch["name"] for switch in fabric["switches"]]
        fabric["vlans"] = [vlan["id"] for vlan in fabric["vlans"]]
        fabric["policy"] = fabric["policy"]["name"]
    for switch in plan["switches"]:
        switch["flows"] = [words(from_data(SwitchFlow, flow)) for flow in switch["flows"]]
    files: dict[str, list[str]] = defaultdict(list)
    rulesets: dict[str, list[str]] = defaultdict(list)
    firewalls: list[dict[str, Any]] = []
    for node in plan["nodes"]:
        rulesets[node.pop("nftables") or ""].append(node["name"])
        rulesets[node.pop("interface_rules") or ""].append(node["name"])
        if rules := node.pop("firewall"):
            firewalls.append({"name": node["name"], **(rules if isinstance(rules, dict) else {"is": rules})})
    files["rules.nft"] = [f"# {', '.join(nodes)}\n{text}" for text, nodes in rulesets.items() if text]
    files["paths.txt"] = [_path(path) for path in plan.pop("paths")]
    tables: dict[str, list[Row]] = defaultdict(list)
    facts: Row = {}
    for key, value in ({**plan, "firewalls": firewalls}).items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for thing in value:
                _add(tables, key, thing, "")
        elif key == "policy":
            _add(tables, key, value, "")
        elif value != []:
            _spread(tables, key, facts, key, value, "")
    files["other.txt"].append("".join(f"{key}: {value}\n" for key, value in facts.items()))
    for name, rows in tables.items():
        files[f"{_concern(name)}.txt"].append(_table(name, rows))
    return {name: "\n".join(texts) for name, texts in files.items() if texts}


def _concern(table: str) -> str:
    fitting = [known for known in CONCERNS if f"{table}.".startswith(f"{known}.")]
    return CONCERNS[max(fitting, key=len)] if fitting else "other"


def _path(path: dict[str, Any]) -> str:
    hops = [_hop(hop) for hop in path["hops"]]
    more = {key: value for key, value in path.items() if key not in ("endpoint", "hops") and value}
    line = " ".join([f"{path['endpoint']}:", *hops, *(f"{key}={value}" for key, value in more.items())])
    return textwrap.fill(line, WIDTH, subsequent_indent="    ", break_on_hyphens=False) + "\n"


def _hop(hop: dict[str, Any]) -> str:
    """`tap/VLAN`, with the label or service tag around it, where there is one."""
    tags = [str(hop["vlan"])] if hop["vlan"] is not None else []
    others = [
        f"{key}={value}" for key, value in hop.items() if key not in ("tap", "vlan") and value is not None
    ]
    return "/".join([hop["tap"], *tags, *others])


def _add(tables: dict[str, list[Row]], table: str, thing: dict[str, Any], of: str) -> None:
    """A row for the thing, and rows of other tables for what it has several of."""
    row: Row = {"of": of} if of else {}
    own = str(next((thing[key] for key in ("name", "label", "interface", "number") if thing.get(key)), ""))
    place = f"{of}/{own}" if of and own else own or of
    tables[table].append(row)
    for key, value in thing.items():
        _spread(tables, table, row, key, value, place)


def _spread(tables: dict[str, list[Row]], table: str, row: Row, key: str, value: Any, place: str) -> None:
    if isinstance(value, dict):
        for inner, its in value.items():
            _spread(tables, table, row, f"{key}.{inner}", its, place)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for thing in value:
            _add(tables, f"{table}.{key}", thing, place)
    elif isinstance(value, list):
        row[key] = " ".join(map(_word, value))
    else:
        row[key] = _word(value)


def _word(value: Any) -> str:
    if isinstance(value, list):
        return "/".join(map(_word, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _table(name: str, rows: list[Row]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    values = {column: [row.get(column, "") for row in rows] for column in columns}
    common = {c: v[0] for c, v in values.items() if len(rows) > 1 and len(set(v)) == 1}
    shown = [column for column in columns if column not in common]
    lines = [f"== {name}"]
    said = ", ".join(f"{column} {value}" for column, value in common.items() if value)
    if said:
        lines += textwrap.wrap(f"all: {said}", WIDTH, subsequent_indent="    ", break_on_hyphens=False)
    if sum(max(map(len, values[c])) for c in shown) > WIDEST:
        return "\n".join([*lines, *(_record(row, common) for row in rows)]) + "\n"
    widths = {c: max(len(c), *(len(value) for value in values[c])) for c in shown}
    lines.append("  ".join(column.ljust(widths[column]) for column in shown).rstrip())
    for at in range(len(rows)):
        lines.append("  ".join((values[c][at] or "-").ljust(widths[c]) for c in shown).rstrip())
    return "\n".join(lines) + "\n"


def _record(row: Row, common: Row) -> str:
    first, *rest = ((key, value) for key, value in row.items() if key not in common and value)
    text = f"{first[1]}: " + ", ".join(f"{key} {value}" for key, value in rest)
    return textwrap.fill(
        text, WIDTH, subsequent_indent="    ", break_on_hyphens=False, break_long_words=False
    )
