"""What programs of a node need of the machine: processes, readiness, logs."""
