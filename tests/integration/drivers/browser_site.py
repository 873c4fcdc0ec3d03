"""A small web site for the browser's driver, and what it was asked."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from aiohttp import web

PASSWORD = "p&ss wörd"
SESSION = "session-of-the-probe-0123456789"
TOKEN = "0f8fad5bd9cd469fa16570867728950eo1795291234"
DAY = "public, max-age=86400"
PAGES = {
    "/login": f"""<form method="post" action="/login"><input name="login">
        <input type="hidden" name="csrf_token" value="{TOKEN}">
        <input name="password" type="password"><button>in</button></form>""",
    "/page": """<link rel="icon" href="data:,"><script src="/asset.js"></script>
        <script>fetch("/rpc?token=secret", {method: "POST"}).then(() => document.body.className = "answered")</script>
        <p id="there">there</p><a id="file" href="/file" download>file</a>""",
    "/traced": """<script>fetch("/rpc", {headers: {traceparent: "00-of-its-own"}})</script>""",
    "/abroad": """<script>fetch("OTHER/rpc").finally(() => document.body.append("done"))</script><body></body>""",
    "/bad": """<script>console.error("from http://127.0.0.1/x?token=secret");fetch("/500?token=secret")</script>
        <p id="there">there</p>""",
}


@dataclass
class WebSite:
    """A site at ``url``; ``asked`` are its requests in the order of arrival, ``other`` is an address to link to."""

    url: str = ""
    other: str = ""
    asked: list[web.BaseRequest] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)

    def headers(self, path: str, name: str) -> list[str | None]:
        """A header of all requests for a path."""
        return [request.headers.get(name) for request in self.asked if request.path == path]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """A page, a script, a file, a status, a redirect, or a login."""
        self.asked.append(request)
        path = request.path
        if request.method == "OPTIONS":
            return web.Response(headers={"Access-Control-Allow-Origin": "*"})
        if path == "/login" and request.method == "POST":
            return await self._login(request)
        if path == "/asset.js":
            return web.Response(text="window.asset = 1", content_type="text/javascript", headers={"Cache-Control": DAY})
        if path == "/file":
            return web.Response(body=b"^XA^XZ", content_type="application/octet-stream")
        if path == "/away":
            raise web.HTTPFound(f"{self.other}/page")
        if path[1:].isdigit():
            return web.Response(status=int(path[1:]), text="no")
        page = PAGES.get(path, "{}").replace("OTHER", self.other)
        return web.Response(text=page, content_type="text/html", headers={"Access-Control-Allow-Origin": "*"})

    async def _login(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        if form["password"] != PASSWORD:
            return web.Response(text="""<p class="refused">no</p>""", content_type="text/html")
        inside = web.Response(text="""<p class="inside">in</p><input type="password">""", content_type="text/html")
        inside.set_cookie("session_id", SESSION, httponly=True)
        return inside


async def serve(site: WebSite, tls: ssl.SSLContext | None = None) -> web.AppRunner:
    """Serve a site on a free port, encrypted if a certificate is given."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    site.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    return runner
