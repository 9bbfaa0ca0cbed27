"""The busy hour: people at desks call now and then, agents all the time, somebody calls in from outside, some
phones only stand there."""

from campaigns import people


class DeskPhone(people.DeskPhone):
    """Five of ten."""

    weight = 5


class ContactCentreAgent(people.ContactCentreAgent):
    """One of ten."""

    weight = 1


class PstnCaller(people.PstnCaller):
    """One of ten, where the topology has a telephone network."""

    weight = 1


class RegisteredOnly(people.RegisteredOnly):
    """Three of ten."""

    weight = 3
