"""Lines that change: timetables, recordings, conditions (W4, W7, W8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args

from pydantic import ValidationError

from uclab.model import radio
from uclab.model.conditions import MEANING, Conditions, Radio, RadioKind, metres
from uclab.model.diagnostic import Diagnostic, listed, shown
from uclab.model.link_degradation import LOWEST_ELEVATION_DEG
from uclab.model.profile import LinkProfile
from uclab.model.yaml_location import YamlLocation

_CHANGES = ("outage", "rate_pct", "more_delay_ms", "more_jitter_ms", "more_loss_pct")


def check_profile(top: YamlLocation) -> Iterator[Diagnostic]:
    """A profile's timetable makes sense in itself; its radio has what its kind needs; its conditions fit."""
    yield from _timetable(top["timetable"])
    if top["timetable"].given and top["trace"].given:
        yield top["trace"].mistake(
            "the line's changes are given twice", "give `timetable` or `trace`, or two profiles"
        )
    if top["trace_loop"].given and not top["trace"].given:
        yield top["trace_loop"].mistake("there is no recording to loop", "give `trace`, too")
    yield from _radio(top["radio"])
    line = _as_radio(top["radio"])
    if line is not None or not top["radio"].given:
        yield from conditions_of(top["conditions"], line, top["profile"].text or "this profile")


def check_connections(top: YamlLocation, profiles: Mapping[str, LinkProfile]) -> Iterator[Diagnostic]:
    """Conditions of connections mean something to the profiles that they use; what is compressed is there."""
    for site in top["sites"]:
        for line in site["connections"]:
            profile = profiles.get(line["profile"].text or "")
            if profile is None:
                continue
            yield from conditions_of(line["conditions"], profile.radio, profile.profile)
            if not line["compress"].given:
                continue
            if profile.timetable is None:
                yield line["compress"].mistake(
                    f"{shown(profile.profile)} has no timetable to compress",
                    "leave it out, or choose a profile with a `timetable`",
                )
            elif (compress := line["compress"].amount) and profile.timetable.repeat_s:
                longest = max((p.seconds for p in profile.timetable.periods if not p.every_s), default=0.0)
                if longest > profile.timetable.repeat_s / compress:
                    yield line["compress"].mistake(
                        f"{compress:g} times faster {shown(profile.profile)} repeats its timetable after "
                        f"{profile.timetable.repeat_s / compress:g} s, a period lasts {longest:g} s",
                        f"allowed: 1 to {int(profile.timetable.repeat_s / longest)}",
                    )


def _timetable(table: YamlLocation) -> Iterator[Diagnostic]:
    repeat, compress = table["repeat_s"].amount, table["compress"].amount or 1.0
    for period in table["periods"]:
        at, seconds, every = (period[key].amount for key in ("at_s", "seconds", "every_s"))
        if period.whole and not any(period[key].value for key in _CHANGES):
            yield period.mistake("this period changes nothing", f"give one of {listed(_CHANGES)}")
        if period["outage"].value is True and period["more_loss_pct"].given:
            yield period["more_loss_pct"].mistake("an outage loses everything", "give one of the two")
        if seconds is None:
            continue
        if every is not None and seconds >= every:
            yield period["seconds"].mistake(
                f"a period of {seconds:g} s that comes every {every:g} s never ends",
                f"allowed: less than {every:g}",
            )
        if repeat is None or every is not None:
            continue
        if at is not None and at >= repeat:
            yield period["at_s"].mistake(
                f"begins at {at:g} s, the timetable repeats after {repeat:g} s", f"allowed: below {repeat:g}"
            )
        if seconds > repeat / compress:
            faster = f" / {compress:g}" if compress != 1 else ""
            yield period["seconds"].mistake(
                f"lasts {seconds:g} s, the timetable repeats after {repeat:g}{faster} s",
                f"allowed: at most {repeat / compress:g}",
            )


def _radio(line: YamlLocation) -> Iterator[Diagnostic]:
    kind = line["kind"].text
    if not line.whole or kind not in get_args(RadioKind):
        return
    needs = {"satellite": ("frequency_ghz", "altitude_km"), "wifi": ("frequency_ghz",)}.get(kind or "", ())
    for key in needs:
        if not line[key].given:
            yield line.mistake(f"key `{key}` is missing", f"a {shown(kind)} radio needs it")
    if line["altitude_km"].given and kind != "satellite":
        yield line["altitude_km"].mistake(f"a {shown(kind)} radio has no orbit", "leave it out")


def _as_radio(line: YamlLocation) -> Radio | None:
    try:
        return Radio.model_validate(line.value) if line.given else None
    except ValidationError:
        return None


def conditions_of(conditions: YamlLocation, line: Radio | None, profile: str) -> Iterator[Diagnostic]:
    """Conditions against the radio that they are for."""
    if not conditions.given or not isinstance(conditions.value, dict):
        return
    if line is None:
        yield conditions.mistake(
            f"{shown(profile)} is no radio: it has no conditions",
            "leave them out, or give the profile a `radio`",
        )
        return
    for key in (key for key in conditions.value if key in Conditions.model_fields):
        if key not in MEANING[line.kind]:
            yield conditions[key].mistake(
                f"{shown(key)} means nothing to a line of kind {shown(line.kind)}",
                f"conditions of that kind: {listed(MEANING[line.kind])}",
            )
    distance = conditions["distance"]
    if line.kind != "satellite" or line.altitude_km is None or not distance.text:
        return
    if distance.path in distance.document.wrong or (length := metres(distance.text)) is None:
        return
    farthest = radio.slant_km(line.altitude_km, LOWEST_ELEVATION_DEG)
    if not line.altitude_km <= length / 1000 <= farthest:
        yield distance.mistake(
            f"a satellite {line.altitude_km:g} km high is not {length / 1000:g} km away",
            f"allowed: {line.altitude_km:g} km (above) to {int(farthest)} km "
            f"({LOWEST_ELEVATION_DEG:g} degrees above the horizon)",
        )
