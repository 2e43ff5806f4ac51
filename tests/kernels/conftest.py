"""Every implementation of the summary op that works on this machine."""

from collections.abc import Iterator

import pytest

from deepseek.kernels.summary import native

IMPLEMENTATIONS = [*(native.native.instruction_sets() if native.native else []), "torch"]


@pytest.fixture(params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "torch":
        for dtype in list(native.CODES):
            monkeypatch.delitem(native.CODES, dtype)
        yield "torch"
    else:
        best = native.native.instruction_set()
        native.native.use(request.param)
        yield request.param
        native.native.use(best)
