"""What a dissector found in a packet becomes a SIP message, or none; whatever anybody sent."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uclab.capture.sip import FIELDS, Flow, SipMessage, sip_message

AT = Flow(1, 1.0, "10.0.0.1", 40000, "203.0.113.9", 5096)
GOOD = {
    "request_line": ["REGISTER sip:ucaas.test SIP/2.0"],
    "cseq_seq": ["7"],
    "cseq_method": ["REGISTER"],
    "call_id": ["a@b"],
    "from_user": ["1001"],
    "to_user": ["1001"],
}


def message(**fields: list[str]) -> SipMessage | None:
    return sip_message({**GOOD, **fields}, AT)


@pytest.mark.req("C9.1")
def test_a_request_and_its_answer_are_read() -> None:
    request = message()
    assert request is not None
    assert (request.method, request.status, request.cseq) == ("REGISTER", None, "7 REGISTER")
    answer = message(request_line=[], status_line=["SIP/2.0 200 OK"])
    assert answer is not None
    assert (answer.method, answer.status) == ("REGISTER", 200)


@pytest.mark.parametrize(
    ("contacts", "header", "expected"),
    [
        (["<sip:1001@10.0.0.1>;expires=300"], [], 300),
        (["<sip:1001@10.0.0.1>;expires=300", "<sip:1001@10.0.0.2>; Expires = 20"], ["60"], 300),
        (["<sip:1001@10.0.0.1>"], ["0"], 0),
        ([], [], None),
        (["<sip:1001@10.0.0.1>;expires=never"], ["soon"], None),
    ],
)
def test_how_long_a_registration_lasts_is_read(
    contacts: list[str], header: list[str], expected: int | None
) -> None:
    found = message(contact=contacts, expires=header)
    assert found is not None
    assert found.expires_s == expected


@pytest.mark.req("C9.1")
@pytest.mark.parametrize(
    "fields",
    [
        {"request_line": ["hello"]},
        {"request_line": [], "status_line": []},
        {"request_line": [], "status_line": ["SIP/2.0 "]},
        {"request_line": [], "status_line": ["SIP/2.0 999 no such class"]},
        {"request_line": [], "status_line": ["SIP/2.0 ²00 OK"]},
        {"cseq_seq": []},
        {"cseq_method": [" "]},
        {"cseq_seq": ["١"]},
    ],
)
def test_what_makes_no_sense_is_no_message(fields: dict[str, list[str]]) -> None:
    assert message(**fields) is None


WORDS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "SIP/2.0",
            "SIP/2.0 200",
            "audio 1 RTP/SAVP",
            "audio 99999 x y",
            "crypto:1 A inline:",
            "crypto:² b c",
        ]
    ),
    st.sampled_from([value[0] for value in GOOD.values()]),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.dictionaries(st.sampled_from(FIELDS), st.lists(WORDS, max_size=3), max_size=len(FIELDS)))
def test_no_fields_make_it_fail(fields: dict[str, list[str]]) -> None:
    found = sip_message(fields, AT)
    if found is not None:
        assert found.method
        assert found.status is None or 100 <= found.status <= 699
        assert found.media is None or 0 <= found.media.port <= 65535
