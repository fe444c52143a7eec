"""Simulated clusters: the real drivers and protocol, on networks, disks and clocks that fail as told."""
