"""What users of the SDK hold in their hands: plain, typed, immutable values.

They mirror the messages of the contract, one module for each of its files, and know nothing of protobuf.
Money is in integers of the order's minor unit (cents), times are timezone-aware UTC datetimes, durations are
timedeltas. An enum's member UNKNOWN stands for a word that this version of the SDK has not learnt.
"""
