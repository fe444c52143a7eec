"""`regions`: what several regions cost each other, and what their faults do, on real processes and links.

`roads` are the relays between them, `cluster` the nodes; each figure is a module of its own that answers
findings; `run` puts them together.
"""
