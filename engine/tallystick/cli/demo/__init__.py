"""`tally demo`: a flash sale in which something breaks, live, and the audit of every promise afterwards.

`regions`: three regions, one of which is cut off; `crash`: one region whose server is killed.

Pure: `story` (who buys what, by the seed), `books` (what the shoppers were told), `audit` (what every
verdict looks at), and in both demos the story, books, verdict and report of their own. The shell: `command`,
`play`, `sale`, `cluster`, `till`, `screen`.
"""
