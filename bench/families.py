"""What both sides read, by the name of one metric that each shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Family:
    """One thing that is read.

    Args:
        name: what it is.
        ours: one of Quaywatch's metrics of it, as it stands on the page.
        theirs: one of the exporters'.
        differs: where one side does more, or otherwise, than the other.
    """

    name: str
    ours: str
    theirs: str
    differs: str = ""


FAMILIES: Final = (
    Family(
        "locks",
        "postgresql_lock_waiting",
        "pg_locks_count",
        "Quaywatch: who waits behind whom; exporter: counts by database and mode, zeros included",
    ),
    Family("activity, connections", "postgresql_connection_used", "pg_stat_activity_count"),
    Family("replication", "postgresql_recovery", "pg_replication_is_replica"),
    Family("replication slots", "postgresql_replication_slot_active", "pg_replication_slot_slot_is_active"),
    Family(
        "WAL", "postgresql_wal_directory_size_bytes", "pg_wal_size_bytes", "Quaywatch: records and full buffers too"
    ),
    Family("archiver", "postgresql_archiver_failing", "pg_stat_archiver_failed_count"),
    Family("checkpoints", "postgresql_checkpoint_count_total", "pg_stat_bgwriter_checkpoints_timed_total"),
    Family("databases", "postgresql_transaction_commits_total", "pg_stat_database_xact_commit"),
    Family(
        "sizes of databases",
        "postgresql_database_size_estimate_bytes",
        "pg_database_size_bytes",
        "Quaywatch: from the catalogue, on the visit; exporter: from the file system, one statement each",
    ),
    Family("wraparound", "postgresql_wraparound_utilization_ratio", "pg_database_wraparound_age_datfrozenxid_seconds"),
    Family(
        "tables of every tenant",
        "postgresql_table_rows_dead",
        "pg_stat_user_tables_n_dead_tup",
        "Quaywatch: the leading five and the rest as one; exporter: 21 series of each table",
    ),
    Family("Redis", "redis_memory_used_bytes", "redis_memory_used_bytes"),
)
