"""The targets of a plan, loaded in this process."""

from __future__ import annotations

from collections import Counter

from harness.batch import About
from harness.environment import environment
from harness.errors import InvalidInput
from harness.plan import Plan, in_own_process
from harness.targets import Target, resolve
from harness.targets.guard import replacing


class Loaded:
    """The targets of a plan in this process.

    Parameters
    ----------
    plan : Plan

    Attributes
    ----------
    baseline : Target
    targets : list of Target
        Those that can run here, in the order that they were asked for.
    others : list of Target
        Of them, those that are not the baseline.
    names : list of str
        Of all that were asked for.
    absent : dict of str to str
        Those that cannot run here, and why.

    Raises
    ------
    InvalidInput
        A target cannot be loaded, two have the same name, or the baseline cannot run here.
    """

    def __init__(self, plan: Plan) -> None:
        self.baseline: Target = resolve(plan.baseline, plan.timeout)
        info = self.baseline.info
        if info.absent is not None:
            raise InvalidInput(f"the baseline {plan.baseline} cannot run here: {info.absent}")
        given = plan.targets
        # A list of targets in the place of one, which is refused in words, has no hash.
        specs = [spec for at, spec in enumerate(given) if spec not in given[:at]]
        with replacing() as replaced:
            # A baseline that is judged too is one worker process, not two.
            resolved = [
                self.baseline if spec == plan.baseline else resolve(spec, plan.timeout)
                for spec in specs
            ]
        if replaced and not in_own_process(info.name):
            raise InvalidInput(
                f"to import the targets replaces {replaced[0]}, which the baseline would run too; "
                "replace it where the module is constructed or called, or run the target by exec:, "
                "in a process of its own"
            )
        self.targets = [target for target in resolved if target.info.absent is None]
        self.others = [target for target in self.targets if target.info.name != info.name]
        self.names = [target.info.name for target in resolved]
        repeated = [name for name, count in Counter(self.names).items() if count > 1]
        if repeated:
            raise InvalidInput(f"two targets have the name {repeated[0]}; give them different ones")
        self.absent = {
            target.info.name: target.info.absent
            for target in resolved
            if target.info.absent is not None
        }

    def about(self) -> About:
        """Return what the run's report says of this process."""
        here, info = environment(), self.baseline.info
        torch = info.versions.get("torch", str(here["torch"]))
        workers = {
            target.info.name: dict(target.info.versions)
            for target in (self.baseline, *self.targets)
            if in_own_process(target.info.name)
        }
        frameworks = {
            target.info.name: dict(target.info.versions)
            for target in self.targets
            if target.info.name not in workers and set(target.info.versions) - {"torch"}
        }
        versions = {"workers": workers, "frameworks": frameworks}
        here |= {name: found for name, found in versions.items() if found}
        return About(info.name, self.names, self.absent, here, torch)
