"""Cables and lines: delay, jitter, loss, rate."""
