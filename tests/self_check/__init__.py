"""The judge tries itself: evidence of clean runs is changed by rules, and the verdicts are held against them."""
