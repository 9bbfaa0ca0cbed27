"""JSON Schemas of what users write, for editors: `python -m uclab.model.schema [topology|profile|policy]`.

A schema knows single values; what spans several is checked on loading (`uclab check`).
"""

from __future__ import annotations

import json
import sys

from pydantic import BaseModel

from uclab.model.policy import PolicyProfile
from uclab.model.profile import LinkProfile
from uclab.model.schema_validation import FREE
from uclab.model.topology import Topology

MODELS: dict[str, type[BaseModel]] = {"topology": Topology, "profile": LinkProfile, "policy": PolicyProfile}


def schema_text(kind: str) -> str:
    """The schema of a kind of file, as JSON; KeyError if there is no such kind."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | MODELS[kind].model_json_schema()
    schema["patternProperties"] = {f"^{FREE}": {}}  # the writer's own, at the top alone
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["topology"]
    if len(wanted) > 1 or wanted[0] not in MODELS:
        sys.exit(f"usage: python -m uclab.model.schema [{'|'.join(MODELS)}]")
    sys.stdout.write(schema_text(wanted[0]))
