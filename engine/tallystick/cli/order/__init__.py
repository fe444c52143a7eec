"""`tally order`: one module for reading, one for placing, one for each way to change an order."""
