"""A web client through a real Chromium: one warm browser for each agent, a fresh session for each run.

Playwright is imported when the first page is asked for: an agent without browser probes never pays for it.
"""

from __future__ import annotations

from .evidence import BucketStore, LocalStore, Store
from .settings import BrowserSettings, Site
from .site import SiteBrowser
from .warm import WarmBrowser

__all__ = ["BrowserSettings", "BucketStore", "LocalStore", "Site", "SiteBrowser", "Store", "WarmBrowser"]
