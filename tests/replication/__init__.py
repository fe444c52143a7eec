"""Several real nodes: they join, agree, share tokens, and outlive cuts and crashes."""
