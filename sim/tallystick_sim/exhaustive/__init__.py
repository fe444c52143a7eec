"""The engine's own code, walked through every interleaving of a small world, breadth first."""
