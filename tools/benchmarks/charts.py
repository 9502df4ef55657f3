# SPDX-License-Identifier: Apache-2.0
"""Charts of comparisons as SVG, by gnuplot: ratios to the best peer, and what 99 of 100 requests
wait at most."""
import os
import subprocess

from .servers import Hindsight, NullRecorder

WIDTH, MARGIN, BAR = 900, 130, 26  # pixels
BLUE, PALE, ORANGE, GREY, RED = "#2b6cb0", "#b8c4d6", "#dd8452", "#8c8c8c", "#c53030"
PEER = "best peer"
SERVERS = {Hindsight.name: BLUE, PEER: ORANGE, NullRecorder.name: GREY}


def draw(figures, directory):
    """Names of the files that it wrote: of figures that are there."""
    compared = [figure for figure in figures if "compared" in figure]
    timed = [figure for figure in compared if "p99_us" in figure]
    charts = {"ratios.svg": (compared, 1, ratios), "p99.svg": (timed, 2, latencies)}
    drawn = {name: chart for name, chart in charts.items() if chart[0]}
    for name, (shown, bars, lines) in drawn.items():
        script = [*frame(os.path.join(directory, name), shown, bars), *lines(shown)]
        subprocess.run(["gnuplot"], input="\n".join(script), text=True, check=True)
    return list(drawn)


def frame(path, figures, bars):
    """A chart with a row a figure, the first one on top."""
    height = MARGIN + BAR * bars * len(figures)
    labels = ", ".join(f"'{figure['bench']}' {row}" for row, figure in enumerate(figures))
    return [f"set terminal svg noenhanced size {WIDTH},{height} background '#ffffff'",
            f"set output '{path}'", f"set yrange [{len(figures) - 0.5}:-0.5]",
            f"set ytics ({labels}) nomirror scale 0", "set grid xtics", "set style fill solid"]


def box(row, height, value):
    """A line of data for a bar from 0 to the value, as `with boxxyerror` has it."""
    return f"{value} {row} 0 {value} {row - height / 2} {row + height / 2}"


def ratios(figures):
    def peer(figure):
        return figure["ratio_to"][figure["best_peer"]]

    quiet, noisy = [], []
    for row, figure in enumerate(figures):
        (quiet if figure["is_quiet"] else noisy).append(box(row, 0.6, peer(figure)))
    wanted = [(row, figure["goal_to_best_peer"]) for row, figure in enumerate(figures)
              if figure["goal_to_best_peer"] is not None]
    data = {"quiet": quiet, "noisy": noisy,
            "intervals": [" ".join(map(str, [peer(figure), row, *figure["interval_to_best_peer"]]))
                          for row, figure in enumerate(figures)],
            "goals": [f"{goal} {row - 0.42} 0 0.84" for row, goal in wanted]}
    plots = [f"$quiet with boxxyerror linecolor '{BLUE}' notitle",
             f"$noisy with boxxyerror linecolor '{PALE}' title 'too noisy'",
             "$intervals with xerrorbars linecolor 'black' pointtype 0 title 'interval of 95 %'",
             f"$goals with vectors nohead linewidth 3 linecolor '{RED}' title 'goal'"]
    return [*blocks(data), "set title 'Throughput of Hindsight by that of the best peer'",
            "set xrange [0:*]", "set key below",
            "set arrow from 1, graph 0 to 1, graph 1 nohead front",
            plot(data, plots)]


def latencies(figures):
    data = {}
    height = 0.8 / len(SERVERS)
    for number, server in enumerate(SERVERS):
        waits = [figure["p99_us"][figure["best_peer"] if server == PEER else server]
                 for figure in figures]
        data[f"server{number}"] = [box(row + (number - 1) * height, height, wait)
                                   for row, wait in enumerate(waits)]
    plots = [f"$server{number} with boxxyerror linecolor '{colour}' title '{server}'"
             for number, (server, colour) in enumerate(SERVERS.items())]
    return [*blocks(data), "set title '99 of 100 requests are answered within so many us, "
            "each server at its own full rate'", "set logscale x", "set xrange [10:*]",
            "set key below", plot(data, plots)]


def blocks(data):
    return [line for name, lines in data.items() for line in (f"${name} << END", *lines, "END")]


def plot(data, plots):
    """Of the blocks that are not empty."""
    return "plot " + ", ".join(each for each in plots if data[each.split()[0][1:]])
