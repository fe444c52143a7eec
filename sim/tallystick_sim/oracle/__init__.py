"""The oracle: what must hold, worked out from callers' answers and the bytes on disks alone.

It shares no code with the engine: it reads frames by their documented layout, keeps its own books of stock
and of orders, and knows the rules from the design and not from the code that it judges.
"""
