"""The presets against the table of the design, and how far they are from the paper's."""

import pytest

from hgcnet.architecture import Task
from hgcnet.complexity import count
from hgcnet.errors import ArchitectureError
from hgcnet.presets import PAPER_TEST_ERROR, PRESETS, preset

OURS = [  # name, as printed in the design: FLOPs, params; exact: FLOPs, params
    ("sgcnet_42_g1", "92.5M", "0.519M", 92_458_992, 518_818),
    ("hgcnet_42_g2", "73.7M", "0.402M", 73_732_080, 401_602),
    ("sgcnet_42_g2", "61.9M", "0.326M", 61_935_600, 326_146),
    ("hgcnet_42_g4", "55.5M", "0.286M", 55_521_264, 286_402),
    ("sgcnet_42_g4", "46.7M", "0.230M", 46_673_904, 229_810),
    ("hgcnet_42_g6", "48.1M", "0.240M", 48_140_272, 239_618),
    ("sgcnet_42_g6", "41.6M", "0.198M", 41_586_672, 197_698),
    ("hgcnet_67_g4", "108.9M", "0.586M", 108_865_992, 586_282),
    ("hgcnet_91_g4", "178.0M", "0.979M", 177_988_512, 978_898),
    ("se_hgcnet_42_g4", None, "0.364M", 55_596_720, 364_288),
]

PAPER = [  # name, FLOPs, params (as the paper rounds them), and how far ours may be from each
    ("sgcnet_42_g1", 91e6, 0.55e6, 0.02, 0.06),
    ("hgcnet_42_g2", 74e6, 0.41e6, 0.01, 0.03),
    ("sgcnet_42_g2", 62e6, 0.33e6, 0.01, 0.02),
    ("hgcnet_42_g4", 56e6, 0.28e6, 0.01, 0.03),
    ("sgcnet_42_g4", 47e6, 0.22e6, 0.01, 0.05),
    ("hgcnet_42_g6", 49e6, 0.23e6, 0.02, 0.05),
    ("sgcnet_42_g6", 42e6, 0.19e6, 0.01, 0.05),
    ("hgcnet_67_g4", 112e6, 0.58e6, 0.03, 0.02),
    ("hgcnet_91_g4", 187e6, 0.97e6, 0.05, 0.01),
]


@pytest.mark.parametrize(("name", "flops_text", "params_text", "flops", "num_params"), OURS)
def test_a_preset_has_the_counts_of_the_design(
    name: str, flops_text: str | None, params_text: str, flops: int, num_params: int
) -> None:
    counts = count(preset(name), Task())

    assert (counts.flops, counts.num_params) == (flops, num_params)
    assert f"{counts.num_params / 1e6:.3f}M" == params_text
    assert flops_text in (f"{counts.flops / 1e6:.1f}M", None)


@pytest.mark.parametrize(("name", "flops", "num_params", "flops_bound", "params_bound"), PAPER)
def test_a_preset_is_near_the_papers_counts(
    name: str, flops: float, num_params: float, flops_bound: float, params_bound: float
) -> None:
    counts = count(preset(name), Task())
    flops_difference = counts.flops / flops - 1
    params_difference = counts.num_params / num_params - 1
    print(f"{name}: FLOPs {flops_difference:+.1%}, params {params_difference:+.1%} from the paper")

    assert abs(flops_difference) < flops_bound
    assert abs(params_difference) < params_bound


def test_squeeze_and_excitation_costs_about_what_it_costs_in_the_paper() -> None:
    difference = count(preset("se_hgcnet_42_g4"), Task()).num_params / 0.37e6 - 1
    print(f"se_hgcnet_42_g4: params {difference:+.1%} from the paper")

    assert abs(difference) < 0.02


def test_the_tables_cover_every_preset() -> None:
    assert [row[0] for row in OURS] == list(PRESETS)


def test_batch_normalisation_adds_what_the_design_says() -> None:
    assert count(preset("hgcnet_42_g4"), Task()).num_params_total == 302_098


def test_every_preset_is_another_network() -> None:
    assert len({architecture.fingerprint for architecture in PRESETS.values()}) == len(PRESETS)


def test_an_unknown_name_is_answered_with_the_nearest_and_all() -> None:
    with pytest.raises(ArchitectureError) as error:
        preset("hgcnet42_g4")

    assert "did you mean 'hgcnet_42_g4'?" in str(error.value)
    assert all(name in str(error.value) for name in PRESETS)
    assert "\n" not in str(error.value)


def test_a_name_like_no_other_is_answered_with_all() -> None:
    with pytest.raises(
        ArchitectureError, match=r"^xyz: is neither a preset .*; presets are sgcnet"
    ):
        preset("xyz")


def test_the_papers_errors_are_of_presets() -> None:
    assert PAPER_TEST_ERROR["cifar10"].keys() == PRESETS.keys()
    assert PAPER_TEST_ERROR["cifar100"].keys() < PRESETS.keys()


FINGERPRINTS = {  # as studies, trainings and model folders of the first format hold them
    "sgcnet_42_g1": "d04e0f27081ab1fd",
    "hgcnet_42_g2": "52461374d46f40c3",
    "sgcnet_42_g2": "cee46dfc64509e26",
    "hgcnet_42_g4": "544e835971631b4a",
    "sgcnet_42_g4": "ec0da4d76bc38d94",
    "hgcnet_42_g6": "a8dc9cc41bc32c8a",
    "sgcnet_42_g6": "a4889b00c7dfd361",
    "hgcnet_67_g4": "d2f76a85072585b6",
    "hgcnet_91_g4": "458cafaf4c387072",
    "se_hgcnet_42_g4": "80ce1a725be7cf3c",
}


def test_every_preset_has_the_fingerprint_that_it_always_had() -> None:
    assert {name: network.fingerprint for name, network in PRESETS.items()} == FINGERPRINTS
