# SPDX-License-Identifier: Apache-2.0
"""Results as Markdown: what a reader wants to know of each figure, in a row."""
from .servers import Hindsight, NullRecorder

OWN, NULL = Hindsight.name, NullRecorder.name
COST = {"cpu_us": "CPU, us", "main_thread_cpu_us": "main thread, us",
        "other_threads_cpu_us": "other threads, us", "syscalls": "system calls",
        "io_uring_enters": "of them io_uring_enter", "instructions": "instructions",
        "user_instructions": "instructions in user mode",
        "main_thread_user_instructions": "of them of the main thread",
        "syncs": "syncs of the journal", "journal_bytes_a_byte": "journal bytes a written byte",
        "backing_bytes_a_byte": "backing bytes a written byte"}


def is_comparison(figure):
    return "compared" in figure


def verdict(figure):
    if not figure.get("is_quiet", True):
        return "too noisy"
    if not goals(figure):
        return "no goal"
    return "met" if figure["met"] else "**not met**"


def goals(figure):
    return {name: value for name, value in figure.items()
            if name.startswith(("goal", "floor")) and value is not None}


def number(value):
    if not isinstance(value, float) or abs(value) >= 1000:
        return f"{value:,.0f}" if isinstance(value, (int, float)) else str(value)
    return f"{value:g}"


def row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def rows(head, body):
    return [row(*head), "|" + "---|" * len(head), *(row(*cells) for cells in body), ""]


def comparison(figure):
    rate, peer, ratio = figure[figure["compared"]], figure["best_peer"], figure["ratio_to"]
    low, high = figure["interval_to_best_peer"]
    wanted = []
    if figure["goal_to_best_peer"] is not None:
        wanted.append(f"{figure['goal_to_best_peer']} of the peer")
    if figure.get("goal_to_null") is not None:
        wanted.append(f"{figure['goal_to_null']} of no journal")
    if figure.get("goal_syncs_a_flush") is not None:
        wanted.append(f"{figure['goal_syncs_a_flush']} syncs a flush: "
                      f"{number(figure['syncs_a_flush'])}")
    if figure.get("goal_journal") is not None:
        wanted.append(f"{figure['goal_journal']} journal bytes a byte: "
                      f"{number(figure['journal_bytes_a_written_byte'])}")
    if "limit_on_one_disk" in figure:
        wanted.append(f"on one disk {figure['limit_on_one_disk']} is the limit: "
                      f"{figure['share_of_limit']:.0%} of it")
    return (figure["bench"], number(rate[OWN]), f"{number(rate[peer])} ({peer})",
            f"{ratio[peer]:.2f} ({low:.2f} to {high:.2f})",
            *((number(rate[NULL]), f"{ratio[NULL]:.2f}") if NULL in rate else ("", "")),
            "; ".join(wanted), verdict(figure))


def costs(figures):
    """Rows of Hindsight, the best peer and the null recorder, and what heads them."""
    known = [name for name in COST
             if any(name in of for figure in figures for of in figure["counters"].values())]
    body = [(figure["bench"], name, number(figure["p99_us"][name]),
             *(number(figure["counters"][name].get(counter, "")) for counter in known))
            for figure in figures for name in (OWN, figure["best_peer"], NULL)]
    return ["figure", "server", "p99, us", *(COST[name] for name in known)], body


def uncounted(figures):
    why = {name: said for figure in figures for name, said in figure.get("uncounted", {}).items()}
    if not why:
        return []
    names = ", ".join(f"{COST[name]} (perf: {said.strip('<>')})" for name, said in why.items())
    return [f"Not counted on this machine: {names}.", ""]


def told(name, value):
    """A field of a figure in words; nothing of lists, and of what is nested deeper."""
    name = name.replace("_", " ")
    if isinstance(value, dict):
        inner = [f"{key} {number(each)}" for key, each in value.items()
                 if isinstance(each, (int, float))]
        return f"{name}: {', '.join(inner)}" if inner else ""
    return "" if isinstance(value, list) else f"{name} {number(value)}"


def other(figure):
    wanted = goals(figure)
    unsaid = {"bench", "met", "only", "taken", "rounds", *wanted}
    measured = [told(name, value) for name, value in figure.items() if name not in unsaid]
    return (figure["bench"], "; ".join(filter(None, measured)),
            "; ".join(told(name, value) for name, value in wanted.items()), verdict(figure))


def said(disk):
    model = f", {disk['model']}, {disk['gib']} GiB" if "gib" in disk else ""
    return f"{disk['file_system']} on {disk['name']}{model}"


def header(conditions, figures):
    days = sorted(figure["taken"][:10] for figure in figures)
    machine, volume, vault = (conditions[name] for name in ("machine", "volume_disk", "vault_disk"))
    disks = said(volume) + (", with the vault on the same disk" if vault == volume
                            else f"; the vault on {said(vault)}")
    return ["# Measured by tools/bench", "",
            f"- Machine: {machine['cores']} cores of {machine['cpu']}, "
            f"{machine['memory_gib']} GiB, Linux {machine['kernel']}.",
            f"- Disk of the volumes: {disks}.",
            f"- Taken {days[0]}{' to ' + days[-1] if days[-1] != days[0] else ''}, at commit "
            f"{conditions['commit']}; volumes of {conditions['volume_mib']} MiB; the long "
            f"history has {conditions['history_seconds']:,} active seconds.", ""]


def markdown(conditions, figures, charts):
    """All of it, with the names of chart files."""
    compared = [figure for figure in figures if is_comparison(figure)]
    counted = [figure for figure in compared if "counters" in figure]
    others = [figure for figure in figures if not is_comparison(figure)]
    lines = header(conditions, figures)
    if compared:
        lines += ["## Against other servers", "",
                  "Requests a second, of pgbench transactions; medians of rounds. A ratio is that "
                  "of slots of one round, in the median, with the interval of 95 %. The best peer "
                  "is the faster one of those that go past the page cache too; without a journal "
                  "it is the same engine with a recorder that records nothing.", ""]
        lines += rows(["figure", "Hindsight", "best peer", "ratio", "without a journal", "ratio",
                       "goal", "verdict"], map(comparison, compared))
    lines += [line for chart in charts for line in (f"![{chart}]({chart})", "")]
    if counted:
        lines += ["## What a request costs the server", "", *uncounted(counted),
                  *rows(*costs(counted))]
    if others:
        lines += ["## Other figures", ""] + rows(["figure", "measured", "goal", "verdict"],
                                                 map(other, others))
    return "\n".join(lines)
