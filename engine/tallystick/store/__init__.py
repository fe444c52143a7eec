"""Durable state: the port, its two backends (LMDB, memory), and the checkpointing `Store` on top."""
