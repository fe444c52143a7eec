"""`tally import-orders`: feeds the invoices of a real shop to a node, and audits what became of them.

Pure, and tested without a server: `rows` (the file's text to rows), `mapping` (rows to orders, cancellations
and what is neither), `stocking` (what to receive beforehand), `ledger` (which orders a cancellation hits),
`money`, `audit`, `summary`. The shell around them: `command`, `source`, `session`, `flow`.
"""
