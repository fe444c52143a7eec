"""The pure core: no clock, no random, no I/O. Everything of the world comes in as an argument."""
