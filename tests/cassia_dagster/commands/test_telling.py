"""What a run made, for scripts."""

import json

from cassia_dagster.commands.telling import tell_json
from resources.catalog import Catalog


def test_every_cluster_of_every_resolution_is_told(demo):
    entry = Catalog.read(demo.home.catalog).entry("demo")
    told = json.loads(tell_json(entry, demo.home))
    assert [one["resolution"] for one in told["resolutions"]] == ["0.4", "0.8"]
    assert sum(row["n_cells"] for row in told["resolutions"][0]["clusters"]) == 1065
    first = told["resolutions"][0]["clusters"][0]
    assert (first["cluster"], first["status"], first["cl_id"][:3]) == ("0", "ok", "CL:")
    assert told["usd"] == 0
    assert told["calls"] > 0
