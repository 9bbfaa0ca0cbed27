"""What can go wrong with an endpoint; each message begins with its name."""

from __future__ import annotations

from endpoints_emu.events import Refusal


class PhoneError(Exception):
    """Something that an endpoint could not do; the message begins with the endpoint's name."""


class PhoneDied(PhoneError):
    """The endpoint's process ended, or its control connection broke, unasked."""


class CommandRefused(PhoneError):
    """The user agent refused a command; the message carries its answer."""


class CallFailed(PhoneError):
    """A call, hold, resume or transfer failed."""


class RegistrationFailed(PhoneError):
    """The endpoint is not registered; `refusal` says on which ground."""

    def __init__(self, message: str, refusal: Refusal) -> None:
        super().__init__(message)
        self.refusal = refusal
