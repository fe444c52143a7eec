"""The public contract: code generated from proto/tallystick/v1 by `make proto`, and nothing else."""
