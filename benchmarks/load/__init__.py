"""The load generator: a process of its own, so that it takes nothing from the server but its core."""
