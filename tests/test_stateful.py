"""Torch and the reference through arbitrary sequences, judged after each step."""

from __future__ import annotations

import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from harness.case.model import Case
from harness.case.strategies import modules, states, steps
from harness.case.strategies.legality import Sketch
from harness.fuzz import Search

torch.set_num_threads(1)

SEARCH = Search(["reference"])


def one(kind):
    """Return a strategy for a step of a kind that fits the machine's module."""
    return st.runner().flatmap(lambda machine: steps(machine.channels, (kind,), machine.legal))


class Sequences(RuleBasedStateMachine):
    """After each step of any sequence, legal or not, the reference agrees with torch."""

    @initialize(data=st.data(), legal=st.booleans())
    def construct(self, data, legal):
        """Make a module, of which everything may be unusual."""
        self.legal = legal
        self.module = data.draw(modules(legal))
        self.state = data.draw(states(self.module, legal))
        self.sketch = Sketch.of(self.module)
        self.steps = []
        self.agree()

    @property
    def channels(self):
        """Channels of the module."""
        return self.module["num_features"]

    @rule(step=one("train"))
    def train(self, step):
        """Call in training mode."""
        self.go_on(step)

    @rule(step=one("eval"))
    def eval(self, step):
        """Call in evaluation mode."""
        self.go_on(step)

    @rule(step=one("set"))
    def set(self, step):
        """Assign to attributes."""
        self.go_on(step)

    @rule(step=one("call"))
    def call(self, step):
        """Reset, or go on with a deep copy."""
        self.go_on(step)

    @rule(step=one("cast"))
    def cast(self, step):
        """Change the type."""
        self.go_on(step)

    @rule(step=one("save"))
    def save(self, step):
        """Keep the state_dict."""
        self.go_on(step)

    @precondition(lambda self: self.sketch.saved)
    @rule(step=one("load"))
    def load(self, step):
        """Load a state_dict that was kept."""
        self.go_on(step)

    def go_on(self, step):
        """Add a step, if it can stand here, and judge the whole sequence again."""
        step = self.sketch.placed(step)
        if self.sketch.goes_on(step, self.legal):
            self.steps.append(step)
            self.agree()

    def agree(self):
        """Assert that nothing is held against the reference."""
        found = SEARCH.judge(
            Case.model_validate(
                {
                    "id": "sequence",
                    "why": "Drawn.",
                    "module": self.module,
                    "state": self.state,
                    "steps": self.steps,
                }
            )
        )

        assert found is None, found.divergences


TestSequences = Sequences.TestCase
TestSequences.settings = settings(max_examples=60, stateful_step_count=10)
