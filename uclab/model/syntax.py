"""What a YAML parser's complaint means to the person who wrote the file."""

from __future__ import annotations

import yaml

from uclab.model.diagnostic import Diagnostic, shown

_MEANING: tuple[
    tuple[str, str, str], ...
] = (  # in the words of libyaml, and of PyYAML where it was built without
    (
        "cannot start any token",
        "a character that YAML reserves",
        "put the value into quotes",
    ),
    ("found a tab character", "a tab", "indent with spaces"),
    (
        "mapping values are not allowed",
        "a `: ` where no key can be",
        "check the indentation, or put the value into quotes",
    ),
    ("could not find expected ':'", "text without `:`", "`key: value`"),
    (
        "expected ',' or ']'",
        "a list that is not closed",
        "close it with `]`, entries separated by `,`",
    ),
    (
        "expected ',' or '}'",
        "a mapping that is not closed",
        "close it with `}`, pairs separated by `,`",
    ),
    (
        "did not find expected key",
        "indentation that fits no line above",
        "indent entries of one list or mapping alike",
    ),
    (
        "did not find expected '-' indicator",
        "indentation that fits no line above",
        "indent entries of one list or mapping alike",
    ),
    (
        "expected <block end>",
        "indentation that fits no line above",
        "indent entries of one list or mapping alike",
    ),
    ("did not find expected node content", "a value is missing", "`key: value`"),
    ("found unexpected end of stream", "a quote that is not closed", "close it with the same quote"),
    ("found unexpected document indicator", "a quote that is not closed", "close it with the same quote"),
    ("found unknown escape character", "an unknown `\\` escape", "use single quotes, or write `\\\\`"),
    (
        "block sequence entries are not allowed",
        "a `- ` where no list can be",
        "begin the list on a line of its own",
    ),
    ("exceeded max depth", "nesting too deep", "a topology needs 6 levels"),
    ("undefined tag handle", "a tag", "values are written without tags"),
)


def syntax_mistake(error: yaml.YAMLError, file: str, text: str) -> Diagnostic:
    """The one mistake of a file that is not YAML, at the line where it shows."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return Diagnostic(file, 0, 0, "", "is not YAML", "see docs/topology.md")
    # What was opened and never closed is fixed where it was opened: there the context points.
    problem = str(error.problem or error.context or "not understood")
    mark = error.problem_mark or error.context_mark
    opened = any(
        phrase in problem
        for phrase in ("expected ',' or", "end of stream", "document indicator", "expected ':'")
    )
    if opened and error.context_mark is not None:
        mark = error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
    lines = text.split("\n")
    content = lines[line - 1] if 0 < line <= len(lines) else ""
    if "cannot start any token" in problem and content[column - 1 : column] == "\t":
        return Diagnostic(file, line, column, "", f"a tab in {shown(content.strip())}", "indent with spaces")
    for phrase, found, allowed in _MEANING:
        if phrase in problem:
            return Diagnostic(file, line, column, "", f"{found} in {shown(content.strip())}", allowed)
    return Diagnostic(
        file,
        line,
        column,
        "",
        f"not YAML ({problem})",
        "`key: value`, lists with `- `, indentation by spaces",
    )
