"""`tally demo`: a flash sale, a server that is killed in the middle of it, and the audit of the promises.

Pure: `story` (who buys what, by the seed), `books` (what the shoppers were told), `verdict` (the
promises held against what the server says). The shell: `command`, `sale`, `screen`.
"""
