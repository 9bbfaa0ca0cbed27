"""The busy hour: people at desks call now and then, agents all the time, some phones only stand there."""

from campaigns import people


class DeskPhone(people.DeskPhone):
    """Six of ten."""

    weight = 6


class ContactCentreAgent(people.ContactCentreAgent):
    """One of ten."""

    weight = 1


class RegisteredOnly(people.RegisteredOnly):
    """Three of ten."""

    weight = 3
