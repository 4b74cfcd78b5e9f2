"""The suite's own running: tests of one group share a worker, so that what takes seconds is made once."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("groups")
def test_a_group_is_seen_by_what_shares_out_the_tests(request: pytest.FixtureRequest) -> None:
    """Under pytest 9.2 and xdist 3.8 groups were scattered, which nothing told but the clock."""
    if not getattr(request.config.option, "loadgroup", False):  # set in xdist's workers
        pytest.skip("not run with --dist loadgroup")
    assert request.node.nodeid.endswith("@groups")
