# SPDX-License-Identifier: Apache-2.0
"""What a run keeps in the directory of --output: results.json, results.md and charts.

A later run adds to it and replaces figures of the same name, if it is made under the same
conditions: figures of different machines or commits do not belong into one table.
"""
import datetime
import json
import os

from . import charts, table
from .machine import fail


class Printed:
    """Results that are not kept."""

    def add(self, name, document):
        pass

    def draw(self):
        pass


class Results:
    """Taken under these conditions; `order` has the names of --only as the table has them."""

    def __init__(self, directory, conditions, order):
        self.directory = directory
        self.conditions = conditions
        self.order = order
        self.figures = {}
        os.makedirs(directory, exist_ok=True)
        if os.path.exists(self._path("results.json")):
            self._go_on()

    def _path(self, name):
        return os.path.join(self.directory, name)

    def _go_on(self):
        with open(self._path("results.json")) as file:
            kept = json.load(file)
        differ = [name for name, value in self.conditions.items()
                  if kept["conditions"].get(name) != value]
        if differ:
            fail(f"{self.directory} has results that were taken under other conditions "
                 f"({', '.join(differ).replace('_', ' ')}): name another directory, or remove it")
        self.figures = {figure["bench"]: figure for figure in kept["figures"]}

    def add(self, name, document):
        """A figure, of what --only calls by that name."""
        taken = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        self.figures[document["bench"]] = {**document, "only": name, "taken": taken}
        self._write("results.json", json.dumps({"conditions": self.conditions,
                                                "figures": self._in_order()}, indent=1) + "\n")

    def _in_order(self):
        return sorted(self.figures.values(), key=lambda figure: self.order.index(figure["only"]))

    def draw(self):
        """The table and the charts."""
        figures = self._in_order()
        if not figures:
            return
        drawn = charts.draw(figures, self.directory)
        self._write("results.md", table.markdown(self.conditions, figures, drawn))

    def _write(self, name, text):
        with open(self._path(name + ".new"), "w") as file:
            file.write(text)
        os.replace(self._path(name + ".new"), self._path(name))
