"""Desk phone and PSTN peer: baresip 1.1.0 (Debian 13) from the device image, controlled over its `ctrl_tcp`
module."""
