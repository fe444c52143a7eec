"""What tests share: laws, generators, and the independent models that results are compared with."""
