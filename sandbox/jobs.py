"""Rows of OCA's queue_job, made by its own test facility and, where time must be faked, by SQL."""

import json
import urllib.request
from http.cookiejar import CookieJar
from urllib.parse import urlencode

from .parts.postgres import Postgres, sql
from .process import until

_TIMEOUT = 120.0
# Without triggers the job runner is never told of the row, so it stays pending as in a stalled queue.
_UNHEARD = """
set session_replication_role = replica;
delete from queue_job where uuid like '{mark}-%';
insert into queue_job (uuid, name, model_name, method_name, state, priority, channel, retry, max_retries,
                       user_id, company_id, date_created, eta)
select '{mark}-' || n, 'Export an order', 'queue.job', '_test_job', 'pending', 10, 'root', 0, 5,
       1, 1, (now() at time zone 'utc') - interval '{age} seconds', {eta}
  from generate_series(1, {count}) n;
"""


def run_test_jobs(url: str, database: str, admin: tuple[str, str], server: Postgres) -> None:
    """Let the runner do three jobs, two of which succeed; `TimeoutError` when it has not after two minutes."""
    browser = _signed_in(url, database, admin)
    for size, failure_rate in ((2, 0), (1, 1)):
        query = urlencode({"size": size, "failure_rate": failure_rate, "max_retries": 1})
        with browser.open(f"{url}/queue_job/create_test_job?{query}", timeout=_TIMEOUT) as answer:
            answer.read()
    ended = "select count(*) from queue_job where state in ('done', 'failed')"
    if not until(lambda: int(sql(server, ended, database)) >= 3, within=_TIMEOUT):  # noqa: PLR2004
        raise TimeoutError(f"the job runner of {database} does not run jobs")


def _signed_in(url: str, database: str, user: tuple[str, str]) -> urllib.request.OpenerDirector:
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    params = {"db": database, "login": user[0], "password": user[1]}
    body = json.dumps({"jsonrpc": "2.0", "params": params}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/web/session/authenticate", data=body, headers=headers)
    with browser.open(request, timeout=_TIMEOUT) as answer:
        answer.read()
    return browser


def put_pending(
    server: Postgres, database: str, *, mark: str, count: int, age: float = 0, ahead: float | None = None
) -> None:
    """Put `count` pending jobs there, made `age` seconds ago, which no runner hears of.

    They are due at once, or in `ahead` seconds. `mark` begins their uuids.
    """
    eta = "null" if ahead is None else f"(now() at time zone 'utc') + interval '{ahead} seconds'"
    sql(server, _UNHEARD.format(mark=mark, count=count, age=age, eta=eta), database)


def remove(server: Postgres, database: str, *, mark: str) -> None:
    """Remove the jobs whose uuid begins with `mark`."""
    sql(server, f"delete from queue_job where uuid like '{mark}-%'", database)
