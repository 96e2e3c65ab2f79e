"""Where the figures go."""

import pytest

from benchmarks.page import put


def test_a_block_is_replaced_and_all_else_stays():
    page = "before <!-- cells -->old<!-- /cells --> after"
    assert put(page, "cells", "new") == "before <!-- cells -->\nnew\n<!-- /cells --> after"


def test_a_page_without_the_block_is_an_error():
    with pytest.raises(ValueError, match="no block 'cells'"):
        put("a page", "cells", "figures")
