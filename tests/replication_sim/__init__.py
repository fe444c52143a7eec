"""Simulated clusters: the real drivers and protocol, on a network, disks and clocks that fail as they are told."""
