"""The seeds that stored trainings were trained with."""

from functools import partial

import pytest

from hgcnet.presets import preset
from search.retraining.training_folder import Training, plan_trainings, repeated
from search.training.seeds import (
    paired_seeds,
    reference_seed,
    sampler_seed,
    table_seed,
    training_seed,
)

NETWORK, OTHER = "544e835971631b4a", "cee46dfc64509e26"  # fingerprints
LARGEST = 2**32 - 1


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (0, [552887702787480594, 980805175796040645]),
        (7, [851078004374027372, 838879797527120676]),
        (LARGEST, [754605021541033904, 858539078753622592]),
    ],
)
def test_a_study_trains_a_network_with_the_seed_it_always_had(
    seed: int, expected: list[int]
) -> None:
    assert [training_seed(seed, network) for network in (NETWORK, OTHER)] == expected
    assert [table_seed(seed, network, 0) for network in (NETWORK, OTHER)] == expected


@pytest.mark.parametrize(
    ("seed", "expected"),
    [(0, 673023788634596602), (7, 808337545598267443), (LARGEST, 641466125474578576)],
)
def test_a_table_has_its_own_second_seed(seed: int, expected: int) -> None:
    assert table_seed(seed, NETWORK, 1) == expected


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (0, [664878267475165372, 967578857078788601]),
        (7, [1081389693300580344, 250323569356472758]),
        (LARGEST, [458250570851217173, 1068903149664249308]),
    ],
)
def test_a_reference_has_a_seed_for_each_repetition(seed: int, expected: list[int]) -> None:
    assert [reference_seed(seed, NETWORK, repetition) for repetition in (0, 1)] == expected


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (0, (9012144119660052412, 9169812506920028902, 6076908821171236419)),
        (7, (8253947962755470528, 522249785302790336, 8712701777473020664)),
        (LARGEST, (6558295902322314006, 8545251490166702882, 7427231218451912080)),
    ],
)
def test_networks_in_pairs_share_their_seeds(seed: int, expected: tuple[int, ...]) -> None:
    assert paired_seeds(seed, 3) == expected
    assert paired_seeds(seed, 1) == expected[:1]


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (0, [2968811710, 3964924996, 2579919295]),
        (7, [2083679832, 369571992, 2886107212]),
        (LARGEST, [1992424968, 989230592, 1667092790]),
    ],
)
def test_a_sampler_is_seeded_by_the_rows_stored(seed: int, expected: list[int]) -> None:
    assert [sampler_seed(seed, rows) for rows in (0, 1, 200)] == expected


def test_trainings_are_planned_repetition_by_repetition() -> None:
    network, other = preset("hgcnet_42_g4"), preset("sgcnet_42_g2")
    assert (network.fingerprint, other.fingerprint) == (NETWORK, OTHER)

    planned = plan_trainings(
        [("a", network), ("b", other)],
        range(2),
        partial(reference_seed, 0),
    )
    paired = repeated({"a": network, "b": other}, 2, 0)

    assert [(t.name, t.repetition, t.seed) for t in planned] == [
        ("a", 0, 664878267475165372),
        ("b", 0, 173148116593715274),
        ("a", 1, 967578857078788601),
        ("b", 1, 580927501701309184),
    ]
    assert paired == tuple(
        Training(name=name, architecture=architecture, repetition=k, seed=seed)
        for k, seed in enumerate((9012144119660052412, 9169812506920028902))
        for name, architecture in (("a", network), ("b", other))
    )
