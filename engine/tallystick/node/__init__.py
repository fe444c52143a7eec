"""The node: the driver around the core, its timers and its opening."""
