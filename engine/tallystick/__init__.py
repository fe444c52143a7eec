"""Tallystick: a geo-distributed order engine that never oversells."""
