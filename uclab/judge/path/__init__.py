"""Packets from tap to tap, and where they went wrong."""
