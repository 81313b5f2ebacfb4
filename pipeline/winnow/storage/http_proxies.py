"""Connections to web servers, through the proxies that the environment names (HTTP_PROXY, HTTPS_PROXY, NO_PROXY)."""

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3


def proxy_to(place: str) -> str:
    """The proxy of an address; empty for none."""
    parts = urlsplit(place)
    return "" if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme, "")


def connections(proxy: str, at_once: int = 64) -> urllib3.PoolManager:
    """A pool that keeps so many connections to a host, behind a proxy if one is given."""
    if not proxy:
        return urllib3.PoolManager(num_pools=16, maxsize=at_once)
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    account = f"{parts.username}:{parts.password or ''}" if parts.username else None
    headers = urllib3.make_headers(proxy_basic_auth=account) if account else None
    return urllib3.ProxyManager(place, num_pools=16, maxsize=at_once, proxy_headers=headers)
