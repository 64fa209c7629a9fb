"""The space as Optuna sees it: names, distributions, and the way there and back."""

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from hgcnet.architecture import Task
from hgcnet.errors import SpaceError
from hgcnet.presets import PRESETS
from search.optuna_space import OptunaSpace
from space.limits import Limits
from space.parameters import Choice, Growth, Parameters, Range
from space.search_space import SearchSpace

# Every kind of axis.
CIFAR = Parameters(
    stem_channels=24,
    bottleneck=Choice(choice=(2, 4, 6)),
    compression=Choice(choice=(0.5, 0.25, 1.0)),
    depth=Range(low=2, high=14, per_stage=True),
    groups=Choice(choice=(1, 2, 4, 6, 8), per_stage=True),
    growth=Growth(
        base=Range(low=8, high=24, step=4),
        schedule=Choice(choice=("constant", "linear", "exponential")),
    ),
    se=Choice(choice=("none", "last", "all"), per_stage=True),
)


@pytest.fixture(scope="module")
def space() -> OptunaSpace:
    return OptunaSpace(SearchSpace(CIFAR, Limits(flops=120e6), Task()))


def test_each_free_axis_has_one_distribution(space: OptunaSpace) -> None:
    three = range(3)
    assert space.distributions == {
        "bottleneck": IntDistribution(2, 6, step=2),
        "compression_index": IntDistribution(0, 2),
        **{f"depth_{s}": IntDistribution(2, 14) for s in three},
        **{f"groups_{s}_index": IntDistribution(0, 4) for s in three},
        "growth_base": IntDistribution(8, 24, step=4),
        "growth_schedule": CategoricalDistribution(("constant", "linear", "exponential")),
        **{f"se_{s}": CategoricalDistribution(("none", "last", "all")) for s in three},
    }


@pytest.mark.parametrize(
    ("values", "name", "distribution"),
    [
        ((1, 2, 3), "groups", IntDistribution(1, 3)),
        ((3, 1, 2), "groups", IntDistribution(1, 3)),
        ((2, 8), "groups", IntDistribution(2, 8, step=6)),
        ((2, 4, 6), "groups", IntDistribution(2, 6, step=2)),
        ((1, 2, 4), "groups_index", IntDistribution(0, 2)),
        ((8, 1), "groups", IntDistribution(1, 8, step=7)),
    ],
)
def test_evenly_spaced_integers_are_themselves_and_others_are_positions(
    values: tuple[int, ...], name: str, distribution: IntDistribution
) -> None:
    parameters = Parameters(depth=1, groups=Choice(choice=values), growth=4)
    space = OptunaSpace(SearchSpace(parameters, Limits(), Task()))
    assert space.distributions == {name: distribution}
    for groups in values:
        params = {name: sorted(values).index(groups) if name.endswith("_index") else groups}
        architecture = space.decode(params)
        assert [stage.groups for stage in architecture.stages] == [groups] * 3
        assert space.encode(architecture) == params


def test_reals_are_positions_in_rising_order() -> None:
    parameters = Parameters(
        depth=1, groups=1, growth=4, compression=Choice(choice=(1.0, 0.25, 0.5))
    )
    space = OptunaSpace(SearchSpace(parameters, Limits(), Task()))
    compressions = [space.decode({"compression_index": i}).compression for i in range(3)]
    assert compressions == [0.25, 0.5, 1.0]


def test_uniform_draws_survive_the_way_there_and_back(space: OptunaSpace) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        architecture = space.space.sample(rng)
        params = space.encode(architecture)
        for name, distribution in space.distributions.items():
            assert distribution._contains(distribution.to_internal_repr(params[name]))
        assert space.decode(params).fingerprint == architecture.fingerprint
        assert space.encode(space.decode(params)) == params


@pytest.mark.parametrize(
    "name", ["hgcnet_42_g2", "hgcnet_42_g4", "hgcnet_42_g6", "se_hgcnet_42_g4"]
)
def test_presets_survive_the_way_there_and_back(space: OptunaSpace, name: str) -> None:
    params = space.encode(PRESETS[name])
    assert params["growth_base"] == 12
    assert params["growth_schedule"] == "exponential"
    assert [params[f"depth_{s}"] for s in range(3)] == [7, 7, 6]
    assert space.decode(params).fingerprint == PRESETS[name].fingerprint


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sgcnet_42_g4", "operator = sgc"),
        ("hgcnet_67_g4", "flops|over the limit|depth"),
        ("hgcnet_91_g4", "depth_0 = 15"),
    ],
)
def test_a_preset_outside_the_space_or_over_a_limit_is_refused(name: str, message: str) -> None:
    tight = OptunaSpace(SearchSpace(CIFAR, Limits(flops=60e6), Task()))
    with pytest.raises(SpaceError, match=message):
        tight.encode(PRESETS[name])


def test_a_space_of_one_network_has_no_parameters() -> None:
    space = OptunaSpace(SearchSpace(Parameters(depth=1, groups=1, growth=4), Limits(), Task()))
    assert space.distributions == {}
    assert space.encode(space.decode({})) == {}
    assert space.is_complete({})


def test_parameters_are_complete_when_none_is_missing(space: OptunaSpace) -> None:
    params = space.encode(PRESETS["hgcnet_42_g4"])
    assert space.is_complete(params)
    assert not space.is_complete({k: v for k, v in params.items() if k != "se_2"})
    assert not space.is_complete({})


def trial(
    params: dict[str, object], space: OptunaSpace, planned: dict[str, object] | None = None
) -> FrozenTrial:
    """A failed row with some of its parameters, and those that it was enqueued with."""
    return create_trial(
        state=TrialState.FAIL,
        params=params,
        distributions={name: space.distributions[name] for name in params},
        system_attrs={} if planned is None else {"fixed_params": planned},
    )


def test_what_was_enqueued_is_known_even_if_its_writer_died_amid_the_parameters(
    space: OptunaSpace,
) -> None:
    params = space.encode(PRESETS["hgcnet_42_g4"])
    some = {"bottleneck": params["bottleneck"]}
    assert space.planned_params(trial(params, space)) == params
    assert space.planned_params(trial({}, space, params)) == params
    assert space.planned_params(trial(some, space, params)) == params
    assert space.planned_params(trial(some, space)) == some


def test_optuna_suggests_what_was_enqueued(space: OptunaSpace) -> None:
    params = space.encode(PRESETS["hgcnet_42_g4"])
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.enqueue_trial(params)
    assert study.ask(space.distributions).params == params


LARGER = Parameters(
    stem_channels=8,
    stem_stride=Choice(choice=(1, 2, 4)),
    stages=Range(low=3, high=5),
    depth=Range(low=1, high=2, per_stage=True),
    groups=Choice(choice=(1, 2, 4), per_stage=True),
    growth=Growth(base=4, schedule=Choice(choice=("linear", "exponential"))),
)


def test_a_space_of_several_numbers_of_stages_has_the_parameters_of_the_largest() -> None:
    space = OptunaSpace(SearchSpace(LARGER, Limits(), Task(resolution=64)))
    assert space.distributions == {
        "stem_stride_index": IntDistribution(0, 2),
        "stages": IntDistribution(3, 5),
        **{f"depth_{s}": IntDistribution(1, 2) for s in range(5)},
        **{f"groups_{s}_index": IntDistribution(0, 2) for s in range(5)},
        "growth_schedule": CategoricalDistribution(("linear", "exponential")),
    }
    rng = np.random.default_rng(0)
    numbers = set()
    for _ in range(30):
        architecture = space.space.sample(rng)
        assert architecture is not None
        params = space.encode(architecture)
        assert params["stages"] == len(architecture.stages)
        assert space.decode(params).fingerprint == architecture.fingerprint
        # What a stage would have that it does not have makes no other network.
        absent = {name for name in params if name.startswith(("depth_", "groups_"))}
        absent = {n for n in absent if int(n.split("_")[1]) >= params["stages"]}
        other = params | dict.fromkeys(absent, 2)
        assert space.decode(other) == architecture
        assert space.encode(space.decode(other)) == params
        numbers.add(params["stages"])
    assert numbers == {3, 4, 5}
