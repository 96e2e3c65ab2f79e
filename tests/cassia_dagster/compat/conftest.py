"""What the tests of the doors for CASSIA's users share: a working directory and a home of their own, and a table."""

import pandas as pd
import pytest


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory, with the project's state inside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CASSIA_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def markers():
    """A table of two columns, as CASSIA takes it."""
    return pd.DataFrame(
        {
            "cluster": ["0", "10", "mystery"],
            "markers": [
                "MS4A1, CD79A, CD79B, CD19, BANK1, TCL1A, FCER2",
                "CD3D, CD3E, IL7R, TRAC, CD2, LTB, CD27",
                "NOSUCHGENE1, NOSUCHGENE2",
            ],
        }
    )
