import base64
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cassia_dagster.errors import InputError
from cassia_dagster.outputs import palette
from cassia_dagster.outputs.maps import draw_maps
from cassia_dagster.outputs.result import ResolutionResult


def seen(png: str) -> set[str]:
    image = Image.open(io.BytesIO(base64.b64decode(png.removeprefix("data:image/png;base64,")))).convert("RGBA")
    pixels = np.asarray(image).reshape(-1, 4)
    return {"#" + bytes(pixel[:3]).hex() for pixel in np.unique(pixels[pixels[:, 3] > 0], axis=0)}


def test_the_picture_has_the_colours_of_the_legend_on_nothing(
    blood: ResolutionResult, blood_cells: pd.DataFrame
) -> None:
    by_cluster, by_label = draw_maps(blood, blood_cells)
    for drawn in (by_cluster, by_label):
        assert seen(drawn.png) == {entry.colour for entry in drawn.legend}
        assert sum(entry.n_cells for entry in drawn.legend) == len(blood_cells)
    assert [key.text for key in by_cluster.keys] == ["0", "2", "3", "10", "T?"]


def test_a_label_has_the_colour_of_its_cluster_and_no_label_is_grey(
    blood: ResolutionResult, blood_cells: pd.DataFrame
) -> None:
    by_cluster, by_label = draw_maps(blood, blood_cells)
    of_cluster = {entry.key: entry.colour for entry in by_cluster.legend}
    of_label = {entry.name: entry for entry in by_label.legend}
    assert of_label["B cell"].colour == of_cluster["2"]
    assert of_label["unresolved"].colour == palette.NEUTRAL
    assert of_label["unresolved"].key == "3, T?"


def test_gold_labels_that_agree_have_the_colour_of_ours(blood: ResolutionResult, blood_cells: pd.DataFrame) -> None:
    gold = {"0": "T", "2": "B", "10": "Mono", "3": "platelet", "T?": None}
    cells = blood_cells.assign(author=blood_cells["cluster"].map(gold))
    _, by_label, by_gold = draw_maps(blood, cells, gold=cells[["author"]])
    ours, theirs = ({entry.name: entry.colour for entry in drawn.legend} for drawn in (by_label, by_gold))
    assert (theirs["B"], theirs["Mono"]) == (ours["B cell"], ours["CD14-positive monocyte"])
    assert theirs["platelet"] not in ours.values()
    assert "not given" in theirs
    assert len(set(theirs.values())) == len(theirs)


def test_the_same_cells_give_the_same_bytes(blood: ResolutionResult, blood_cells: pd.DataFrame) -> None:
    assert draw_maps(blood, blood_cells) == draw_maps(blood, blood_cells)


def test_a_key_stands_near_its_cluster_and_inside_the_picture(
    blood: ResolutionResult, blood_cells: pd.DataFrame
) -> None:
    for drawn in draw_maps(blood, blood_cells):
        assert all(0 < key.x < drawn.width and 0 < key.y < drawn.height for key in drawn.keys)


def test_cells_in_one_place_can_be_drawn(blood: ResolutionResult, blood_cells: pd.DataFrame) -> None:
    assert len(draw_maps(blood, blood_cells.assign(x=1.0, y=2.0))) == 2


def test_coordinates_that_are_not_numbers_are_refused(blood: ResolutionResult, blood_cells: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="not finite"):
        draw_maps(blood, blood_cells.assign(x=np.nan))


def test_clusters_with_long_names_of_the_users_own_are_marked_by_letters(
    blood: ResolutionResult, blood_cells: pd.DataFrame
) -> None:
    def renamed(cluster: str) -> str:
        return "my CD8 cells" if cluster == "0" else cluster

    rows = [
        row.model_copy(
            update={
                part: getattr(row, part).model_copy(update={"cluster": renamed(row.cluster)})
                for part in ("annotated", "scored", "boosted", "grouping")
            }
        )
        for row in blood.clusters
    ]
    given = blood.model_copy(update={"clusters": tuple(rows)})
    by_cluster, by_label = draw_maps(given, blood_cells.assign(cluster=blood_cells["cluster"].map(renamed)))
    assert [key.text for key in by_cluster.keys] == ["a", "b", "c", "d", "e"]
    assert [entry.key for entry in by_cluster.legend] == ["a", "b", "c", "d", "e"]
    assert by_cluster.legend[0].name == "my CD8 cells: CD8-positive, alpha-beta T cell"
    assert {entry.name: entry.key for entry in by_label.legend}["CD8-positive, alpha-beta T cell"] == "a"
