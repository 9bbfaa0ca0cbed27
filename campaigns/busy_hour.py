"""The busy hour: people at desks call now and then, agents all the time, somebody calls in from outside, some
phones only stand there."""

from campaigns import user_classes


class DeskPhone(user_classes.DeskPhone):
    """Five of ten."""

    weight = 5


class ContactCentreAgent(user_classes.ContactCentreAgent):
    """One of ten."""

    weight = 1


class PstnCaller(user_classes.PstnCaller):
    """One of ten, where the topology has a telephone network."""

    weight = 1


class RegisteredOnly(user_classes.RegisteredOnly):
    """Three of ten."""

    weight = 3
