"""How Quaywatch speaks to what it watches: a deadline on every round trip, and one border where errors are mapped.

One driver for each kind of target, each an implementation of its Protocol in `quaywatch.contract`. A driver opens no
connection before its first call, keeps at most one for cluster-wide reads, starts no task and no thread of its own, and
raises nothing but `quaywatch.errors`.
"""
