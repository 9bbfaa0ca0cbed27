"""From a topology to addresses, names, hosts, queues and taps."""
