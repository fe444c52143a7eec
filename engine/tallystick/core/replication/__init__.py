"""The protocol between nodes, as state machines without a network: messages in, effects out.

`messages` is what nodes say; `effects` what a machine wants done; `holdback` keeps frames until their causes
are here; `link` is what one peer has and is being sent; `replicator` puts them together. gRPC, the
simulator's network and a test's hands drive the same machines.
"""
