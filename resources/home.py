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
        return artifact_root(os.environ.get(ARTIFACTS) or str(self.root / "artifacts"))

    @property
    def downloads(self) -> Path:
        """Copies of artifacts that lie elsewhere, while this machine works with them."""
        return self.root / "downloads"

    @property
    def model_store(self) -> Path | str:
        """The replies of models and the ledger of calls: a SQLite file here, or where ``CASSIA_MODEL_STORE`` says."""
        return os.environ.get(MODEL_STORE) or self.root / "models.sqlite"

    @property
    def manual_labels(self) -> Path:
        """The file of labels that persons gave: what ``CASSIA_MANUAL_LABELS`` names, else one beside the catalog."""
        named = os.environ.get(MANUAL_LABELS_VARIABLE)
        return Path(named).expanduser().absolute() if named else self.root / "manual_labels.yaml"

    @property
    def catalog(self) -> Path:
        """The YAML file of datasets."""
        return self.root / "datasets.yaml"


def home_of(given: Path | None) -> Home:
    """Return the project's home: the one that is given, or the default."""
    return Home((given or Path(DEFAULT)).expanduser().absolute())
