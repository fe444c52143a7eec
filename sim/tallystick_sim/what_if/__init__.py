"""What if: an operator's question, played by the real engine in virtual time, policy beside policy."""
