"""Several regions, one of which is cut off in the middle of the sale: all go on selling, nobody oversells."""
