# SPDX-License-Identifier: Apache-2.0
"""Slots of several contestants, round by round, and what they are to each other.

In each round every contestant has one slot, in random order; the first round is dropped. Ratios are
those of one round, of which the median counts; its interval is that of 95 % of 2,000 bootstraps.
Hindsight has two slots a round, and where these differ by more than 7 % in the median the machine is
too noisy for the figure, which says so and fails. The best peer is the faster one of those that go
past the page cache, as Hindsight does; others are told beside them.
"""
import random
import statistics

from .machine import percentile
from .servers import Hindsight, QemuNbd, QemuStorageDaemon

PEERS = [QemuNbd, QemuStorageDaemon]
AGAIN = "hindsight-again"
NOISE = (0.93, 1.07)
BOOTSTRAPS = 2000


def rounds_of(contestants, rounds, take):
    """By name, what take(kind, number of the round) gave: a dict of figures."""
    slots = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name in random.sample(list(contestants), len(contestants)):
            took = take(contestants[name], number + 1)
            if number > 0:
                slots[name].append(took)
    return slots


def interval(ratios):
    medians = [statistics.median(random.choices(ratios, k=len(ratios))) for _ in range(BOOTSTRAPS)]
    return [round(percentile(medians, 2.5), 3), round(percentile(medians, 97.5), 3)]


class Comparison:
    """Of Hindsight with the peers and `others`, by a figure of which more is better."""

    def __init__(self, others, rounds, take, figure):
        self.kinds = [Hindsight, *others, *PEERS]
        contestants = {kind.name: kind for kind in self.kinds}
        contestants[AGAIN] = Hindsight
        self.slots = rounds_of(contestants, rounds, take)
        self.rounds = rounds
        self.figure = figure
        self.ratio = {name: round(statistics.median(self._ratios_to(name)), 3)
                      for name in contestants if name != Hindsight.name}
        self.best_peer = max((kind.name for kind in PEERS), key=self.medians(figure).get)
        self.is_quiet = NOISE[0] <= self.ratio[AGAIN] <= NOISE[1]

    def _ratios_to(self, name):
        return [ours[self.figure] / theirs[self.figure]
                for ours, theirs in zip(self.slots[Hindsight.name], self.slots[name])]

    def medians(self, figure, digits=None):
        return {name: round(statistics.median(took[figure] for took in taken), digits)
                for name, taken in self.slots.items()}

    def document(self, goal):
        return {"rounds": self.rounds, "compared": self.figure,
                self.figure: self.medians(self.figure),
                "ratio_to": self.ratio, "best_peer": self.best_peer,
                "interval_to_best_peer": interval(self._ratios_to(self.best_peer)),
                "goal_to_best_peer": goal, "is_quiet": self.is_quiet}

    def meets(self, goal):
        return self.is_quiet and (goal is None or self.ratio[self.best_peer] >= goal)
