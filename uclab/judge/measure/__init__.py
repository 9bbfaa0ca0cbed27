"""From packets to flows, streams and figures."""
