"""The gRPC shell: thin servicers, one table of errors."""
