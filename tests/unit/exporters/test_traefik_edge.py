"""The edge's page of metrics: text in, samples out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from exporters.traefik_edge import BOUNDS, EXPORTER, Options, hosts_of, read_page
from quaywatch.contract import Answer, Certificate, Distribution, Sample, Visit
from quaywatch.errors import AuthError, FaultError, ParseError

NOW = 2000.0
STARTED = "process_start_time_seconds 1000\n"


@dataclass(frozen=True)
class Page:
    """An answer."""

    body: bytes
    status: int = 200
    seconds: float = 0.0


class Edge:
    """A server that answers every GET alike, and remembers what was asked."""

    url = "http://edge"

    def __init__(self, page: Page) -> None:
        self._page = page
        self.asked: list[str] = []

    async def ping(self) -> None:
        """It is there."""

    async def close(self) -> None:
        """Nothing is open."""

    async def get(self, path: str) -> Answer:
        """The page."""
        self.asked.append(path)
        return self._page

    async def certificate(self, host: str, port: int) -> Certificate:
        """No exporter of metrics should look at it."""
        raise AssertionError(host, port)

    async def visit(self, path: str, *, method: str = "GET", redirects: int = 0) -> Visit:
        """Nor make a connection of its own."""
        raise AssertionError(path, method, redirects)


def values(text: str) -> dict[tuple[str, ...], Any]:
    """What a page says, by metric name and attributes."""
    return {(sample.metric.name, *sample.attributes): sample.value for sample in samples(text)}


def samples(text: str) -> list[Sample]:
    """The samples of a page, each series once."""
    found = read_page(text.encode(), NOW)
    assert len({(sample.metric.name, *sample.attributes) for sample in found}) == len(found)
    return found


def request_line(code: str, count: int, method: str = "GET", service: str = "erp@file") -> str:
    """A line of a service's requests."""
    labels = f'code="{code}",method="{method}",protocol="http",service="{service}"'
    return f"traefik_service_requests_total{{{labels}}} {count}\n"


def bucket_lines(code: str, *counts: int, bounds: tuple[float, ...] = BOUNDS, total: float = 1.5) -> str:
    """The lines of a service's durations, with counts as Prometheus has them: each holds the smaller ones too."""
    labels = f'code="{code}",method="GET",protocol="http",service="erp@file"'
    name = "traefik_service_request_duration_seconds"
    named = zip([*(f"{bound:g}" for bound in bounds), "+Inf"], counts, strict=True)
    lines = [f'{name}_bucket{{{labels},le="{bound}"}} {count}\n' for bound, count in named]
    return "".join([*lines, f"{name}_sum{{{labels}}} {total}\n", f"{name}_count{{{labels}}} {counts[-1]}\n"])


def test_requests_are_by_service_and_class_of_code() -> None:
    """Row 33: methods and codes are summed up, a client that went away apart; what has not happened is a true 0."""
    counts = {"200": 5, "499": 2, "404": 3, "502": 4, "503": 1, "101": 7}
    page = request_line("201", 1, "POST") + "".join(request_line(code, count) for code, count in counts.items())
    assert values(page) == {
        ("traefik.service.requests", "erp@file", code_class): count
        for code_class, count in {"1xx": 7, "2xx": 6, "3xx": 0, "4xx": 3, "499": 2, "5xx": 5}.items()
    }


def test_an_odd_code_is_other() -> None:
    """A code of no class is counted all the same."""
    assert values(request_line("0", 3))["traefik.service.requests", "erp@file", "other"] == 3


def test_services_are_told_apart() -> None:
    """Each has its own count."""
    found = values(request_line("200", 5) + request_line("200", 6, service="shop@file"))
    assert found["traefik.service.requests", "erp@file", "2xx"] == 5
    assert found["traefik.service.requests", "shop@file", "2xx"] == 6


def test_what_the_edge_answers_itself_counts_at_the_entry_point() -> None:
    """A service without a server that is well has no requests of its own."""
    line = 'traefik_entrypoint_requests_total{code="503",entrypoint="web",method="GET",protocol="http"} 4\n'
    assert values(line)["traefik.entrypoint.requests", "web", "5xx"] == 4


def test_durations_are_summed_over_codes_and_unfolded() -> None:
    """Row 33: each bucket by itself; websockets, which last for hours, are no part of it."""
    page = bucket_lines("200", 1, 2, 4, 4, 5) + bucket_lines("500", 0, 1, 1, 1, 1) + bucket_lines("101", 0, 0, 0, 0, 9)
    (sample,) = samples(page)
    assert sample.value == Distribution((1, 2, 2, 0, 1), 3.0)
    assert sample.metric.bounds == BOUNDS
    assert sample.metric in EXPORTER.metrics


def test_buckets_are_those_of_the_traefik_at_hand() -> None:
    """Other buckets make the same metric with other bounds."""
    (sample,) = samples(bucket_lines("200", 1, 3, 6, bounds=(0.05, 2.5)))
    assert sample.metric.name == "traefik.service.request.duration"
    assert sample.metric.bounds == (0.05, 2.5)
    assert sample.value == Distribution((1, 2, 3), 1.5)


def test_counters_start_with_the_process() -> None:
    """And have no start of their own where the page does not tell."""
    page = request_line("200", 1) + bucket_lines("200", 1, 1, 1, 1, 1) + "traefik_config_reloads_total 2\n"
    assert {sample.start for sample in samples(STARTED + page)} == {1000.0}
    assert {sample.start for sample in samples(page)} == {None}


def test_states_of_the_edge() -> None:
    """Retries, servers, connections and the configuration's age."""
    page = (
        'traefik_service_retries_total{service="erp@file"} 3\n'
        'traefik_service_server_up{service="erp@file",url="http://10.0.0.1:8069"} 0\n'
        'traefik_open_connections{entrypoint="web",protocol="TCP"} 12\n'
        "traefik_config_reloads_total 2\n"
        "traefik_config_last_reload_success 1.94e+03\n"
    )
    assert values(page) == {
        ("traefik.service.retries", "erp@file"): 3,
        ("traefik.service.server.up", "erp@file", "http://10.0.0.1:8069"): 0,
        ("traefik.connections.open", "web", "TCP"): 12,
        ("traefik.config.reloads",): 2,
        ("traefik.config.reload.age",): 60.0,
    }


def test_a_renewed_certificate_leaves_no_alarm() -> None:
    """Traefik goes on listing the old serial number: the newest one for the same names is what counts."""
    page = "".join(
        f'traefik_tls_certs_not_after{{cn="erp",sans="erp,www",serial="{serial}"}} {expires}\n'
        for serial, expires in (("1", 1900), ("2", 5000))
    )
    assert values(page) == {("traefik.tls.certificate.remaining", "erp", "erp,www"): 3000.0}


async def collected(page: Page, path: str = "/metrics") -> list[Sample]:
    """One reading."""
    edge = Edge(page)
    found = [sample async for sample in EXPORTER.collect(edge, Options(path=path), lambda: NOW)]
    assert edge.asked == [path]
    return found


@pytest.mark.parametrize(
    "page", [Page(b"no such page", 404), Page(b"", 303), Page(b"<html>"), Page(b"go_goroutines 3\n")]
)
async def test_what_is_no_traefik_is_left_alone(page: Page) -> None:
    """A target of kind http may be something else: nothing is read, and that is no error."""
    assert await collected(page) == []


@pytest.mark.parametrize(
    ("status", "error"), [(401, AuthError), (403, AuthError), (500, FaultError), (502, FaultError)]
)
async def test_a_page_that_is_withheld_is_an_error(status: int, error: type[Exception]) -> None:
    """It is there, and not for us."""
    with pytest.raises(error):
        await collected(Page(b"traefik_", status))


async def test_a_page_that_cannot_be_read_is_an_error() -> None:
    """Nothing is guessed."""
    with pytest.raises(ParseError):
        await collected(Page(b'traefik_open_connections{entrypoint="web} 1\n'))


async def test_the_page_may_lie_elsewhere() -> None:
    """The option says where."""
    page = Page(b'traefik_open_connections{entrypoint="web",protocol="TCP"} 1\n')
    assert len(await collected(page, "/internal/metrics")) == 1


def test_a_path_begins_with_a_slash() -> None:
    """Else it would become a part of the host's name."""
    with pytest.raises(ValueError, match="path: 'metrics'"):
        Options(path="metrics")
    with pytest.raises(ValueError, match="api: 'api'"):
        Options(api="api")


@pytest.mark.parametrize(
    ("rule", "hosts"),
    [
        ("Host(`acme.example.com`) && PathPrefix(`/web`)", "acme.example.com"),
        ("Host(`b.example.com`) || Host(`a.example.com`)", "a.example.com,b.example.com"),
        ('Host("a.example.com", `b.example.com`)', "a.example.com,b.example.com"),
        ("HostRegexp(`.+`) && !Host(`a.example.com`)", ""),
        ("PathPrefix(`/`)", ""),
    ],
)
def test_a_rule_names_its_hosts(rule: str, hosts: str) -> None:
    """Row 33: in one order, whatever else is in the rule; a pattern is no name."""
    assert hosts_of(rule) == hosts


def test_requests_are_by_router_and_its_hosts() -> None:
    """Row 33: a router of which the rule is not known has no host."""
    line = (
        'traefik_router_requests_total{{code="200",method="GET",protocol="http",router="{}",service="erp@file"}} {}\n'
    )
    page = line.format("acme@file", 3) + line.format("other@file", 4)
    found = read_page(page.encode(), NOW, {"acme@file": "acme.example.com"})
    counted = {sample.attributes: sample.value for sample in found if sample.value}
    assert counted == {("acme@file", "acme.example.com", "2xx"): 3, ("other@file", "", "2xx"): 4}


@pytest.mark.parametrize("body", [b"<html>", b'{"a": 1}', b"[3]", b"[{}]"])
async def test_a_list_of_routers_that_is_none_is_an_error(body: bytes) -> None:
    """Nothing is guessed."""

    class Both(Edge):
        async def get(self, path: str) -> Answer:
            return Page(body if path.startswith("/api") else b'traefik_router_requests_total{code="200"} 1\n')

    with pytest.raises(ParseError):
        await anext(aiter(EXPORTER.collect(Both(Page(b"")), Options(), lambda: NOW)))
