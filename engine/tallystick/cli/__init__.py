"""`tally`, the command line: it runs a node, and talks to nodes through the SDK alone."""
