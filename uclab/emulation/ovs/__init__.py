"""Open vSwitch, and which datapath this machine has."""
