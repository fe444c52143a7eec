"""`tally`, from single words to whole sessions with real nodes."""
