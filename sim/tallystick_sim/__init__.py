"""A deterministic simulator of a Tallystick cluster."""
