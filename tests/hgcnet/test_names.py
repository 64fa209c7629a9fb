"""The package's lazy names are there."""

import pytest

import hgcnet


@pytest.mark.parametrize("name", sorted(hgcnet._HOMES))
def test_every_public_name_loads(name: str) -> None:
    assert getattr(hgcnet, name) is not None
    assert name in dir(hgcnet)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'hgcnet' has no attribute 'nothing'"):
        hgcnet.nothing  # noqa: B018
