"""How fast Tallystick is, what it costs, and how that compares: `python -m benchmarks --help`."""
