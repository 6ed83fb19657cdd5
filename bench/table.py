# SPDX-License-Identifier: Apache-2.0
"""The rows of a run as Markdown."""
import datetime
import pathlib
import platform
import re
import statistics
import subprocess

BEGIN, END = "<!-- figures: make bench writes them -->", "<!-- end of the figures -->"
US, S, MS = (1e6, "µs"), (1, "s"), (1e3, "ms")

TITLES = {  # load: (what, scale and unit of the CPU time)
    "keep": ("a request, HTTP/1.1, 32 connections kept", US),
    "keep-h2": ("a request, HTTP/2, 4 connections × 8 streams", US),
    "new": ("a new connection or tunnel: handshake, one request, end", US),
    "down": ("1 GiB down, 1 connection", S),
    "down-8": ("1 GiB down, 8 connections", S),
    "up": ("1 GiB up, 1 connection", S),
    "host": ("a name seen first, over a known one", US),
}
PACKAGES = ("haproxy", "nginx-light", "nginx-core", "libssl3", "libuv1")


def wanted(options):
    """What must be there when a run is over. HTTP/2 is as the gateway offers it."""
    names = []
    steps = options.steps.split(",")
    if "loads" in steps:
        names += [name for name in ("keep", "new", "down", "down-8", "up")
                  if not options.loads or name in options.loads.split(",")]
    return names + [{"hosts": "host"}.get(step, step) for step in steps if step in ("hosts", "idle")]


def values(rows, load, subject):
    return {row["round"]: row for row in rows if row["load"] == load and row["subject"] == subject}


def spread(numbers, form):
    if not numbers:
        return "–"
    middle = form.format(statistics.median(numbers))
    if len(numbers) == 1:
        return middle
    return f"{middle} [{form.format(min(numbers))}–{form.format(max(numbers))}]"


def ratio(rows, load, subject, base):
    """The subject's CPU per unit over that of `base`, each divided by its origin's, by round."""
    mine, theirs = values(rows, load, subject), values(rows, load, base)
    numbers = []
    for number in sorted(mine.keys() & theirs.keys()):
        a, b = mine[number], theirs[number]
        if a["origin"] > 0 and b["origin"] > 0 and b["cpu"] > 0:
            numbers.append(a["cpu"] / a["origin"] / (b["cpu"] / b["origin"]))
    return numbers


def cpu_table(rows, subjects):
    names = [subject.name for subject in subjects]
    own, others = names[0], names[1:]
    head = ["CPU time for", *names, *(f"÷ {name}" for name in others)]
    lines = [head, ["---"] * len(head)]
    for load, (title, (scale, unit)) in TITLES.items():
        if not values(rows, load, own):
            continue
        line = [title]
        for name in names:
            each = [row["cpu"] / row["units"] * scale for row in values(rows, load, name).values()]
            line.append(spread(each, "{:.0f}" if unit == "µs" else "{:.2f}")
                        + (f" {unit}" if each else ""))
        line += [spread(ratio(rows, load, own, name), "{:.2f}") for name in others]
        lines.append(line)
    return lines


def other_table(rows, subjects):
    names = [subject.name for subject in subjects]
    lines = [["", *names], ["---"] * (len(names) + 1)]
    for title, load, get in (
            ("system calls for a request (`keep`, under strace)", "calls",
             lambda row: f"{row['calls']:.1f}"),
            ("memory of an idle tunnel or connection", "idle",
             lambda row: f"{row['bytes_each'] / 1024:.1f} KiB"),
            ("CPU share of all idle ones", "idle", lambda row: f"{row['cpu'] * 100:.2f} %")):
        found = [values(rows, load, name) for name in names]
        if any(found):
            lines.append([title, *(get(cell[0]) if cell else "–" for cell in found)])
    return lines


def markdown(lines):
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    asked = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES],
                           capture_output=True, text=True, check=False)
    versions = [line for line in asked.stdout.splitlines() if " " in line.strip()]
    return (f"{cpu.group(1) if cpu else platform.machine()}, one core, Linux "
            f"{platform.release().split('-')[0]}; {', '.join(versions)}")


def document(rows, subjects, options, notes):
    today = datetime.datetime.now(datetime.timezone.utc).date()
    parts = [f"{today}, {machine()}. {options.rounds} interleaved rounds of {options.seconds:g} s; "
             f"median [lowest–highest]. The columns with ÷ are medians of (CPU time ÷ the origin's "
             f"CPU time) of exeat-gateway ÷ the same of the other, round by round."]
    if any(row["load"] in TITLES for row in rows):
        parts.append(markdown(cpu_table(rows, subjects)))
    if any(row["load"] in ("calls", "idle") for row in rows):
        parts.append(markdown(other_table(rows, subjects)))
    for row in rows:
        if row["load"] == "calls":
            calls = ", ".join(f"{name} {count:.2f}" for name, count in row["by_name"].items())
            parts.append(f"Calls of {row['subject']} for a request: {calls}.")
    return "\n\n".join([*parts, *notes]) + "\n"


def insert(path, text):
    """Between the markers of a document."""
    before, begin, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{path}: no markers {BEGIN} and {END}")
    path.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")
