from __future__ import annotations

import numpy as np
import pytest
from conftest import evidence_of, ranked
