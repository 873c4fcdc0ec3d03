"""What the watching role may read of an Odoo database: columns without content, as its administrator would grant."""

from .parts.postgres import Postgres, sql

COLUMNS = {
    "queue_job": (
        "id uuid graph_uuid user_id company_id name model_name method_name state priority channel"
        " channel_method_name job_function_id identity_key retry max_retries eta date_created date_enqueued"
        " date_started date_done date_cancelled exec_time worker_pid exc_name"
    ),
    "queue_job_channel": "id complete_name",
    "ir_cron": (
        "id cron_name active nextcall lastcall priority interval_number interval_type failure_count first_failure_date"
    ),
    "ir_cron_trigger": "id cron_id call_at",
    "ir_cron_progress": "id cron_id create_date timed_out_counter",
    "mail_mail": "id state create_date failure_reason failure_type",
    "sms_sms": "id state create_date failure_type error_code",
    "sale_order": "id name state date_order company_id warehouse_id partner_id client_order_ref create_date",
    "sale_order_line": "id order_id product_id product_uom_qty display_type",
    "product_product": "id product_tmpl_id",
    "product_template": "id type",
    "stock_picking": (
        "id name state scheduled_date date_deadline date_done picking_type_id carrier_id"
        " carrier_tracking_ref company_id sale_id partner_id origin"
    ),
    "stock_picking_type": "id code warehouse_id",
    "stock_move": "id state sale_line_id picking_id product_id",
    "delivery_carrier": "id delivery_type",
    "ir_module_module": "id name latest_version state",
    "res_users_log": "id create_uid create_date",
    "bus_presence": "id user_id last_poll status",
    "mail_presence": "id user_id last_poll status",
}
_THERE = """
select table_name || ' ' || column_name from information_schema.columns where table_schema = 'public';
"""


def grant(server: Postgres, database: str) -> None:
    """Let the watching role read `COLUMNS`, as far as this version of Odoo has them."""
    there = set(sql(server, _THERE, database).splitlines())
    statements = [
        f"grant select ({', '.join(columns)}) on {table} to {server.user};"
        for table, names in COLUMNS.items()
        if (columns := [name for name in names.split() if f"{table} {name}" in there])
    ]
    sql(server, "\n".join(statements), database)
