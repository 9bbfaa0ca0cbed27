"""What tests and benchmarks both build and look at: made-up runs, fabrics, switches, nodes, processes."""
