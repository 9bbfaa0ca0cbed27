"""A lab for cloud telephony roll-outs, judged packet by packet."""

__version__ = "0.1.0"
