"""Lays out the flow of clusters between resolutions as a picture: a column a resolution, a ribbon for shared cells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cassia_dagster.evaluation.review import Flow, Level, NamedCluster, Review
from cassia_dagster.knowledge.ontology import Relation
from cassia_dagster.outputs import palette

CELLS_HEIGHT = 520
"""Pixels that all cells of a column fill together."""
LEAST_NODE, LEAST_SLOT, GAP = 4, 22, 9
NODE_WIDTH = 12
COLUMN, FIRST_X, LAST_LABEL = 320, 8, 270
TOP = 52
LETTERS = 30
"""Of a label in the picture; its tooltip and the tables have it whole."""
LEAST_SHARE = 0.02
"""A ribbon that is less than this of both its clusters is not drawn; the tables have it."""


@dataclass(frozen=True)
class Node:
    """A cluster in the picture, in pixels."""

    resolution: str
    cluster: NamedCluster
    x: float
    y: float
    height: float
    colour: str

    @property
    def text(self) -> str:
        """What stands beside it."""
        label = self.cluster.label or "unresolved"
        return label if len(label) <= LETTERS else f"{label[: LETTERS - 1].rstrip()}…"


@dataclass(frozen=True)
class Ribbon:
    """Cells that two clusters share."""

    flow: Flow
    parent: NamedCluster
    child: NamedCluster
    path: str
    """Of SVG."""


@dataclass(frozen=True)
class FlowPicture:
    """All that is drawn; nodes in order of their columns."""

    width: float
    height: float
    headings: tuple[tuple[float, Level], ...]
    nodes: tuple[Node, ...]
    ribbons: tuple[Ribbon, ...]
    left_out: int
    """Flows too thin to be drawn."""

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The relations that are seen, in the order of their enumeration."""
        seen = {ribbon.flow.relation for ribbon in self.ribbons}
        return tuple(relation for relation in Relation if relation in seen)


def draw_flow(review: Review) -> FlowPicture:
    """Lay out a review.

    Parameters
    ----------
    review
        As `review_resolutions` makes it.

    Returns
    -------
    FlowPicture
        Clusters of one label have one colour. A column is ordered by where its cells come from, so that ribbons cross
        little.
    """
    colours = palette.assign(
        label for level in review.levels for one in level.clusters if (label := one.label) is not None
    )
    orders = _orders(review)
    nodes = [
        node
        for position, (level, order) in enumerate(zip(review.levels, orders, strict=True))
        for node in _column(level, order, FIRST_X + position * COLUMN, colours)
    ]
    drawn = [flow for flow in review.flows if max(flow.share_of_parent, flow.share_of_child) >= LEAST_SHARE]
    # The wide ones first, so that thin ones are seen on top of them.
    ribbons = sorted(_ribbons(drawn, nodes), key=lambda ribbon: -ribbon.flow.n_cells)
    return FlowPicture(
        width=FIRST_X + (len(review.levels) - 1) * COLUMN + NODE_WIDTH + LAST_LABEL,
        height=max(node.y + max(node.height, LEAST_SLOT) for node in nodes) + GAP,
        headings=tuple((FIRST_X + position * COLUMN, level) for position, level in enumerate(review.levels)),
        nodes=tuple(nodes),
        ribbons=tuple(ribbons),
        left_out=len(review.flows) - len(drawn),
    )


def _orders(review: Review) -> list[list[NamedCluster]]:
    """Order each column: the first by label, the others by the mean place of the cells' parents."""
    first = sorted(review.levels[0].clusters, key=lambda one: (one.label is None, one.label or "", -one.n_cells))
    orders = [first]
    for level in review.levels[1:]:
        place = {one.cluster: position for position, one in enumerate(orders[-1])}
        mean: defaultdict[str, float] = defaultdict(float)
        for flow in review.flows:
            if flow.next_resolution == level.resolution:
                mean[flow.next_cluster] += place[flow.cluster] * flow.share_of_child
        orders.append(sorted(level.clusters, key=lambda one: (mean[one.cluster], one.cluster)))
    return orders


def _column(level: Level, order: Sequence[NamedCluster], x: float, colours: Mapping[str, str]) -> list[Node]:
    nodes, y = [], float(TOP)
    for one in order:
        height = max(LEAST_NODE, CELLS_HEIGHT * one.n_cells / level.n_cells)
        slot = max(height, LEAST_SLOT)
        colour = colours[one.label] if one.label is not None else palette.NEUTRAL
        nodes.append(Node(level.resolution, one, x, y + (slot - height) / 2, height, colour))
        y += slot + GAP
    return nodes


def _ribbons(flows: Sequence[Flow], nodes: Sequence[Node]) -> list[Ribbon]:
    place = {(node.resolution, node.cluster.cluster): node for node in nodes}
    order = {key: position for position, key in enumerate(place)}
    left, right = defaultdict[Node, float](float), defaultdict[Node, float](float)
    ribbons = []
    for flow in sorted(
        flows,
        key=lambda one: (order[one.resolution, one.cluster], order[one.next_resolution, one.next_cluster]),
    ):
        parent, child = place[flow.resolution, flow.cluster], place[flow.next_resolution, flow.next_cluster]
        start, end = parent.y + left[parent], child.y + right[child]
        left[parent] += parent.height * flow.share_of_parent
        right[child] += child.height * flow.share_of_child
        path = _band(parent.x + NODE_WIDTH, start, parent.y + left[parent], child.x, end, child.y + right[child])
        ribbons.append(Ribbon(flow, parent.cluster, child.cluster, path))
    return ribbons


def _band(x: float, top: float, bottom: float, to_x: float, to_top: float, to_bottom: float) -> str:
    middle = (x + to_x) / 2
    return (
        f"M{x:.1f} {top:.1f}C{middle:.1f} {top:.1f} {middle:.1f} {to_top:.1f} {to_x:.1f} {to_top:.1f}"
        f"L{to_x:.1f} {to_bottom:.1f}C{middle:.1f} {to_bottom:.1f} {middle:.1f} {bottom:.1f} {x:.1f} {bottom:.1f}Z"
    )
