"""Kinds that another package may add to: what each is, declared in one place."""
