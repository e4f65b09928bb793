"""The wheel on its own: without the checkout it serves the hub and the whole dashboard."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tests.support.hub import HubProcess
from tools.common import ROOT
from tools.node import vendor_files
from tools.wheel import build_wheel


def test_a_wheel_away_from_the_checkout_serves_hub_and_dashboard(tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(build_wheel(tmp_path, isolated=False)) as archive:
        archive.extractall(site)
    # That it is served proves that nothing comes from the checkout.
    (site / "toru/_static/only-here.js").write_text("// only in this copy\n")
    with HubProcess(tmp_path / "hub", PYTHONPATH=str(site)) as hub:
        page = hub.http("GET", "/").body.decode()
        assert '"/only-here.js":"/only-here.js?v=' in page
        for name in vendor_files(ROOT / "static"):
            answer = hub.http("GET", f"/vendor/{name}")
            assert answer.status == 200
            assert answer.body == (site / "toru/_static/vendor" / name).read_bytes()
        hub.script("where.sh", "echo it runs\n")
        assert hub.run("where.sh")[0] == "it runs\n"
        assert hub.http("GET", "/only-here.js").body == b"// only in this copy\n"
