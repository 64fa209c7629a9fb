"""Rows as a study has them, of trainings that never were."""

from datetime import datetime, timedelta

import optuna
from optuna.distributions import IntDistribution
from optuna.trial import TrialState, create_trial

from hgcnet.architecture import Architecture, Stage
from search.results.trials import to_frame

BEGIN = datetime(2026, 1, 1, 8)


class DepthSpace:
    """A space of one parameter: the depth of the first of two stages."""

    def decode(self, params):
        first = Stage(depth=params["depth"], growth=8, groups=2)
        return Architecture(stages=(first, Stage(depth=2, growth=16, groups=4, se="last")))


class MadeUpStudy:
    """Rows as a study has them, one a call of `add`; nothing is trained."""

    def __init__(self):
        self.study = optuna.create_study(directions=["maximize", "minimize"])

    def add(self, state, depth, curve, span=None, **attributes):
        """`span`: begin and end in seconds after BEGIN."""
        flops = depth * 1_000_000
        described = {"fingerprint": f"f{depth}", "flops": flops, "num_params": depth * 1000}
        trial = create_trial(
            state=state,
            values=[curve[-1], flops] if state == TrialState.COMPLETE else None,
            params={"depth": depth},
            distributions={"depth": IntDistribution(1, 9)},
            user_attrs=described | {"curve": curve} | attributes,
        )
        if span is not None:
            begin, end = (BEGIN + timedelta(seconds=second) for second in span)
            trial.datetime_start, trial.datetime_complete = begin, end
        self.study.add_trial(trial)

    @property
    def frame(self):
        return to_frame(self.study.trials, DepthSpace(), ("val_accuracy", "flops"))
