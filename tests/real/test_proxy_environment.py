"""A shell whose programs ask an HTTP proxy for everything."""

from __future__ import annotations

from tests.real.product import Product, warnings
from tests.real.shop import Shop


def test_a_start_says_what_no_proxy_lacks_and_the_line_helps(shop: Shop, product: Product) -> None:
    api = product.sandbox.kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}")
    host = api.removeprefix("https://").partition(":")[0]
    proxy = {"http_proxy": "http://127.0.0.1:9", "NO_PROXY": host}
    (warning,) = warnings(product.sandbox.localize("-d", "-n", shop.namespace, "web", env=proxy))
    assert warning.startswith("http_proxy is set")
    line = warning.partition("`")[2].removesuffix("`")
    url = f"http://web.{shop.namespace}:7080/"
    fetch = f"import urllib.request as u; print(u.urlopen('{url}', timeout=10).read().decode())"
    assert product.sandbox.run("/usr/bin/python3", "-c", fetch, env=proxy).returncode != 0
    done = product.sandbox.run("sh", "-c", f'{line} && exec /usr/bin/python3 -c "{fetch}"', env=proxy)
    assert done.stdout.startswith("web-"), done.stderr
    for words in ("NO_PROXY", "no_proxy"):
        fixed = {**proxy, words: f"{host},.{shop.namespace},.svc.cluster.local"}
        assert warnings(product.sandbox.localize("-d", "-n", shop.namespace, "web", env=fixed)) == []
    product.stop()
