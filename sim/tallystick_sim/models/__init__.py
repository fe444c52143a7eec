"""Explicit-state models: a rule is searched through every interleaving before the engine gets it."""
