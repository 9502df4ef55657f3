# SPDX-License-Identifier: Apache-2.0
"""What tools/bench measures: one module per subject, and what they share.

A module's FIGURES maps the names that --only takes to functions. Such a function takes the Settings
of the run and yields documents with at least "bench", "goal" or "floor", and "met"; each becomes a
line of JSON, and with --output a row of the table. It stops what it started, also when it fails.
Comparisons are made in interleaved pairs, since the machine's own speed changes from minute to
minute; the figure is the median of the pairs' ratios. Documents that have "compared" are of such,
with the fields that comparison gives them.
"""
