"""The simulator: its checkers, its runs, and what they have found."""
