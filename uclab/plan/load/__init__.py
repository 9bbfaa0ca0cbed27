"""Campaigns: who places calls from where, and what their generators read."""
