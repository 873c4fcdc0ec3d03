"""The exporters: one file for each thing that is read, one row here for each file."""

from __future__ import annotations

from typing import Any

from quaywatch.contract import Exporter

from .backup_restore_tests import EXPORTER as BACKUP_RESTORE_TESTS
from .backup_sets import EXPORTER as BACKUP_SETS
from .http_check import EXPORTER as HTTP_CHECK
from .odoo_api_keys import EXPORTER as ODOO_API_KEYS
from .odoo_cron import EXPORTER as ODOO_CRON
from .odoo_edi import EXPORTER as ODOO_EDI
from .odoo_mail import EXPORTER as ODOO_MAIL
from .odoo_modules import EXPORTER as ODOO_MODULES
from .odoo_orders import EXPORTER as ODOO_ORDERS
from .odoo_pickings import EXPORTER as ODOO_PICKINGS
from .odoo_queue import EXPORTER as ODOO_QUEUE
from .odoo_queue_channels import EXPORTER as ODOO_QUEUE_CHANNELS
from .odoo_rpc_business import EXPORTER as ODOO_RPC_BUSINESS
from .odoo_rpc_crons import EXPORTER as ODOO_RPC_CRONS
from .odoo_rpc_messages import EXPORTER as ODOO_RPC_MESSAGES
from .odoo_rpc_modules import EXPORTER as ODOO_RPC_MODULES
from .odoo_rpc_queue import EXPORTER as ODOO_RPC_QUEUE
from .odoo_sessions import EXPORTER as ODOO_SESSIONS
from .odoo_sms import EXPORTER as ODOO_SMS
from .odoo_web import EXPORTER as ODOO_WEB
from .postgres_activity import EXPORTER as POSTGRES_ACTIVITY
from .postgres_archive_backlog import EXPORTER as POSTGRES_ARCHIVE_BACKLOG
from .postgres_archiver import EXPORTER as POSTGRES_ARCHIVER
from .postgres_checkpoints import EXPORTER as POSTGRES_CHECKPOINTS
from .postgres_databases import EXPORTER as POSTGRES_DATABASES
from .postgres_heartbeat import EXPORTER as POSTGRES_HEARTBEAT
from .postgres_horizon import EXPORTER as POSTGRES_HORIZON
from .postgres_indexes import EXPORTER as POSTGRES_INDEXES
from .postgres_locks import EXPORTER as POSTGRES_LOCKS
from .postgres_replication import EXPORTER as POSTGRES_REPLICATION
from .postgres_sizes import EXPORTER as POSTGRES_SIZES
from .postgres_statements import EXPORTER as POSTGRES_STATEMENTS
from .postgres_tables import EXPORTER as POSTGRES_TABLES
from .postgres_temp import EXPORTER as POSTGRES_TEMP
from .postgres_vacuum import EXPORTER as POSTGRES_VACUUM
from .postgres_wal import EXPORTER as POSTGRES_WAL
from .postgres_wal_directory import EXPORTER as POSTGRES_WAL_DIRECTORY
from .postgres_wraparound import EXPORTER as POSTGRES_WRAPAROUND
from .redis_cluster import EXPORTER as REDIS_CLUSTER
from .redis_keyspace import EXPORTER as REDIS_KEYSPACE
from .redis_latency import EXPORTER as REDIS_LATENCY
from .redis_memory import EXPORTER as REDIS_MEMORY
from .redis_persistence import EXPORTER as REDIS_PERSISTENCE
from .redis_queues import EXPORTER as REDIS_QUEUES
from .redis_replication import EXPORTER as REDIS_REPLICATION
from .redis_sentinel import EXPORTER as REDIS_SENTINEL
from .redis_slowlog import EXPORTER as REDIS_SLOWLOG
from .redis_stats import EXPORTER as REDIS_STATS
from .tls_expiry import EXPORTER as TLS_EXPIRY
from .traefik_edge import EXPORTER as TRAEFIK_EDGE

EXPORTERS: tuple[Exporter[Any, Any, Any], ...] = (
    POSTGRES_LOCKS,
    POSTGRES_REPLICATION,
    POSTGRES_HEARTBEAT,
    POSTGRES_ACTIVITY,
    POSTGRES_HORIZON,
    POSTGRES_DATABASES,
    POSTGRES_WRAPAROUND,
    POSTGRES_ARCHIVER,
    POSTGRES_ARCHIVE_BACKLOG,
    POSTGRES_WAL,
    POSTGRES_WAL_DIRECTORY,
    POSTGRES_CHECKPOINTS,
    POSTGRES_TEMP,
    POSTGRES_VACUUM,
    POSTGRES_SIZES,
    POSTGRES_TABLES,
    POSTGRES_INDEXES,
    POSTGRES_STATEMENTS,
    REDIS_MEMORY,
    REDIS_STATS,
    REDIS_LATENCY,
    REDIS_SLOWLOG,
    REDIS_PERSISTENCE,
    REDIS_REPLICATION,
    REDIS_KEYSPACE,
    REDIS_QUEUES,
    REDIS_SENTINEL,
    REDIS_CLUSTER,
    ODOO_QUEUE,
    ODOO_QUEUE_CHANNELS,
    ODOO_CRON,
    ODOO_MAIL,
    ODOO_SMS,
    ODOO_EDI,
    ODOO_ORDERS,
    ODOO_PICKINGS,
    ODOO_MODULES,
    ODOO_SESSIONS,
    ODOO_WEB,
    ODOO_API_KEYS,
    ODOO_RPC_QUEUE,
    ODOO_RPC_BUSINESS,
    ODOO_RPC_MODULES,
    ODOO_RPC_CRONS,
    ODOO_RPC_MESSAGES,
    TRAEFIK_EDGE,
    TLS_EXPIRY,
    HTTP_CHECK,
    BACKUP_SETS,
    BACKUP_RESTORE_TESTS,
)
"""Every exporter that comes in the box."""
