"""The judge tries itself: evidence of clean runs is changed by rules, and verdicts are held against them."""
