"""What if: an operator's question, from its file to the report and the picture."""
