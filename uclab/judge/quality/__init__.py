"""Loss, delay, jitter and MOS against the policy's limits."""
