"""Other systems that do the same work, each tuned as its experts would and driven by its own client in C."""
