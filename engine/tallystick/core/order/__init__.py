"""The order: its facts, its decisions, and the status that folds from them."""
