"""The engine, its opening, and node processes that are killed."""
