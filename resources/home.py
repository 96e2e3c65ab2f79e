"""Where a project keeps its state: the Dagster instance, the artifacts, the replies of models, the catalog."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from resources.places import Place, artifact_root

VARIABLE = "CASSIA_HOME"
MANUAL_LABELS_VARIABLE = "CASSIA_MANUAL_LABELS"
ARTIFACTS = "CASSIA_ARTIFACTS"
MODEL_STORE = "CASSIA_MODEL_STORE"
DEFAULT = ".cassia"


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of a project's state, and what lies where in it."""

    root: Path

    @classmethod
    def from_environment(cls) -> Home:
        """Return the home that ``CASSIA_HOME`` names, else ``.cassia`` in the current folder."""
        return cls(Path(os.environ.get(VARIABLE) or DEFAULT).expanduser().absolute())

    @property
    def dagster(self) -> Path:
        """The Dagster instance (``DAGSTER_HOME``): runs, events, schedules."""
        return self.root / "dagster"

    @property
    def artifacts(self) -> Place:
        """What the assets made, ``<asset>/<dataset>/<resolution>``: here, or where ``CASSIA_ARTIFACTS`` says.

        Raises
        ------
        ConfigurationError
            If nothing can be kept at that address.
        """
        return artifact_root(named_place(ARTIFACTS) or str(self.root / "artifacts"))

    @property
    def downloads(self) -> Path:
        """Copies of artifacts that lie elsewhere, while this machine works with them."""
        return self.root / "downloads"

    @property
    def model_store(self) -> Path | str:
        """The replies of models and the ledger of calls: a SQLite file here, or where ``CASSIA_MODEL_STORE`` says."""
        return named_place(MODEL_STORE) or self.root / "models.sqlite"

    @property
    def manual_labels(self) -> Path:
        """The file of labels that persons gave: what ``CASSIA_MANUAL_LABELS`` names, else one beside the catalog."""
        named = named_place(MANUAL_LABELS_VARIABLE)
        return Path(named) if named else self.root / "manual_labels.yaml"

    @property
    def catalog(self) -> Path:
        """The YAML file of datasets."""
        return self.root / "datasets.yaml"


def named_place(variable: str) -> str:
    """Return the address, or the whole path of the folder or file, that an environment variable names; "" if none."""
    said = os.environ.get(variable, "")
    return said if not said or "://" in said else str(Path(said).expanduser().absolute())


def home_of(given: Path | None) -> Home:
    """Return the project's home: the one that is given, or the default."""
    return Home((given or Path(DEFAULT)).expanduser().absolute())
