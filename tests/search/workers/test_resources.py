"""What machines can give, and what is asked of them in vain."""

import pytest

from hgcnet.errors import RunError
from search.study_file.schema import Workers
from search.workers.resources import Node, Resources, check_resources


@pytest.mark.parametrize(
    ("cpus", "gpus", "slots"),
    [(1, 0.0, 12), (3, 0.0, 3), (1, 0.25, 8), (1, 0.3, 6), (1, 0.6, 2), (1, 2.0, 1)],
)
def test_no_trial_spans_two_nodes_nor_a_share_two_gpus(cpus, gpus, slots):
    nodes = (Node(cpus=8, gpus=2), Node(cpus=4, gpus=0))
    assert Resources(nodes=nodes).slots(Workers(cpus=cpus, gpus=gpus)) == slots


@pytest.mark.parametrize(
    ("workers", "node", "slots"),
    [
        (Workers(gpus=0.3), Node(cpus=64, gpus=4), 12),
        (Workers(gpus=0.25), Node(cpus=8, gpus=8), 8),
        (Workers(cpus=2, gpus=0.25), Node(cpus=8, gpus=8), 4),
    ],
)
def test_a_machine_runs_as_many_at_once_as_ray_would(workers, node, slots):
    assert Resources(nodes=(node,)).slots(workers) == slots


@pytest.mark.parametrize(("at_once", "slots"), [(None, 12), (5, 5), (99, 12)])
def test_no_more_run_at_once_than_the_study_says(at_once, slots):
    nodes = (Node(cpus=8, gpus=2), Node(cpus=4, gpus=0))
    assert Resources(nodes=nodes).slots(Workers(at_once=at_once)) == slots


@pytest.mark.parametrize(
    ("workers", "nodes", "message"),
    [
        (
            Workers(cpus=9),
            [Node(cpus=8, gpus=0)],
            "x.toml: workers.cpus: each trial asks for 9; 8 available",
        ),
        (
            Workers(gpus=0.5),
            [Node(cpus=8, gpus=0)],
            "x.toml: workers.gpus: each trial asks for 0.5; no GPU is available "
            "(gpus = 0 trains on the CPU)",
        ),
        (
            Workers(gpus=2),
            [Node(cpus=8, gpus=1), Node(cpus=8, gpus=1)],
            "x.toml: workers.gpus: each trial asks for 2; 1 on the largest node "
            "(gpus = 0 trains on the CPU)",
        ),
        (
            Workers(cpus=4, gpus=1),
            [Node(cpus=8, gpus=0), Node(cpus=2, gpus=1)],
            "x.toml: workers: no node has the 4 CPUs and 1 GPUs that each trial asks for",
        ),
    ],
)
def test_what_no_node_can_give_is_refused_by_its_key(workers, nodes, message):
    with pytest.raises(RunError) as error:
        check_resources(Resources(nodes=tuple(nodes)), workers, "x.toml")
    assert str(error.value) == message


def test_what_a_node_can_give_is_not_refused():
    nodes = (Node(cpus=1, gpus=0), Node(cpus=4, gpus=1))
    check_resources(Resources(nodes=nodes), Workers(cpus=4, gpus=0.5), "x.toml")
