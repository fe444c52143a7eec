"""One region whose server is killed in the middle of the sale: acknowledged means durable."""
