"""Stock: the bounded counter and what is done with it."""
