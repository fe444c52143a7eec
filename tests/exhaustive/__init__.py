"""Walking every interleaving of small worlds by the engine's own code."""
