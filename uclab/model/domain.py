"""A domain as the cloud has one: a name of DNS (RFC 1035 section 2.3.4, RFC 1123 section 2.1)."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_LABEL, MAX_NAME = 63, 253
"""Characters of a label, and of a whole name as it is written (RFC 1035 section 2.3.4)."""
LONGEST_HOST = len("sip-") + 12 + len(".")
"""What the lab puts in front: the session controller of a data centre, `sip-<data centre>.`."""
MAX_URI = 255
"""Characters of a SIP URI that user agents take: `PJSIP_MAX_URL_SIZE` (pjsip/sip_config.h) less its end;
baresip 1.1.0 refuses calls to longer ones."""
_LONGEST_URI = "sip:+123456789012345@pstn.:65535;transport=tls"
"""A telephone number (E.164) at the trunk, but for the domain."""
MAX_DOMAIN = min(MAX_NAME - LONGEST_HOST, MAX_URI - len(_LONGEST_URI))
_WORDS = "a domain under `.test`, such as `ucaas.test`"
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


def _domain(value: object) -> str:
    if not isinstance(value, str):
        raise _wrong(f"allowed: {_WORDS}")
    labels = value.split(".")
    if labels[-1] != "test" or len(labels) < 2:
        raise _wrong(f"allowed: {_WORDS}")
    if len(value) > MAX_DOMAIN:
        raise _wrong(
            f"{len(value)} characters are too many: at most {MAX_DOMAIN}, so that a number's SIP URI has no "
            f"more than {MAX_URI}"
        )
    for label in labels:
        if len(label) > MAX_LABEL:
            raise _wrong(
                f"a label of {len(label)} characters is too long: at most {MAX_LABEL} between two dots"
            )
        if odd := re.search(r"[^a-z0-9-]", label):
            instead = "lower case" if odd[0].isalpha() and odd[0].isascii() else "a hyphen"
            raise _wrong(
                f"`{shown_character(odd[0])}` is not allowed in a name of DNS: use {instead}; "
                "allowed are small letters, digits and hyphens"
            )
        if not _LABEL.fullmatch(label):
            raise _wrong("a label begins and ends with a letter or digit, and there is none between two dots")
    return value


def shown_character(character: str) -> str:
    """A character of a file as a message shows it."""
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _wrong(words: str) -> PydanticCustomError:
    return PydanticCustomError("domain", "{words}", {"words": words})


Domain = Annotated[
    str,
    PlainValidator(_domain),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": MAX_DOMAIN,
            "pattern": r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+test$",
            "patternErrorMessage": _WORDS,
        }
    ),
]
"""A domain under `.test` (RFC 6761) that leaves room for the names of its hosts."""
