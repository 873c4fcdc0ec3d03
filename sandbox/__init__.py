"""A real production in miniature on one machine: what the demo, the tests and the fault lab all use."""
