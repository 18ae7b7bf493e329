"""The tables, the bars and the JSON document."""

import json
import os
import platform
import statistics
import sys

CONFIGURATIONS = {"docker": "Docker's configuration", "spec": "the configuration of `spec`"}
TITLES = {"run": "run", "lifecycle": "create + start + delete", "exec": "exec"}


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


class Report:
    def __init__(self, as_json):
        self.as_json = as_json
        self.missed = []
        self.judged = 0
        self.document = {
            "machine": {"kernel": platform.release(), "cpus": os.cpu_count()}, "notes": [], "tables": [],
        }
        self._print(f"kernel {platform.release()}, {os.cpu_count()} CPUs; times in ms, memory in KiB; "
                    "ratio: nemoshell / this one, median of the rounds' ratios")

    def _print(self, text=""):
        if not self.as_json:
            print(text, flush=True)

    def progress(self, text):
        print(f"bench: measuring {text}", file=sys.stderr, flush=True)

    def note(self, text):
        self.document["notes"].append(text)
        self._print(f"note: {text}")

    def judge(self, what, value, bar):
        """The verdict on a value that may be at most `bar`."""
        self.judged += 1
        if value <= bar:
            return "pass"
        self.missed.append(f"{what}: {value:.2f}, bar {bar:.2f}")
        return "MISSED"

    def _table(self, title, header, rows):
        self._print(f"\n{title}")
        widths = [max(len(str(r[i])) for r in [header, *rows]) for i in range(len(header))]
        for row in [header, *rows]:
            cells = [str(c).ljust(w) if i == 0 else str(c).rjust(w) for i, (c, w) in enumerate(zip(row, widths))]
            self._print("  " + "  ".join(cells).rstrip())

    def paired(self, mode, configuration, temperature, runtimes, samples, verbs, bars):
        title = f"{TITLES[mode]}, {CONFIGURATIONS[configuration]}, {temperature}"
        base = [s.wall for s in samples["nemoshell"]]
        rows, entries = [], []
        for r in runtimes:
            own = samples[r.name]
            walls = [s.wall for s in own]
            entry = {
                "runtime": r.title, "median_ms": statistics.median(walls), "p10_ms": quantile(walls, 0.1),
                "p90_ms": quantile(walls, 0.9), "cpu_ms": statistics.median(s.cpu for s in own),
                "rss_kib": max(s.rss for s in own),
                "verbs_ms": {v: statistics.median(s.commands[i].wall for s in own) for i, v in enumerate(verbs)},
            }
            ratio = bar = verdict = ""
            if r.name != "nemoshell":
                entry["ratio"] = statistics.median(b / w for b, w in zip(base, walls))
                ratio = f"{entry['ratio']:.2f}"
                if r.name in bars:
                    entry["bar"] = bars[r.name]
                    entry["verdict"] = self.judge(f"{title}, against {r.name}", entry["ratio"], bars[r.name])
                    bar, verdict = f"<= {bars[r.name]:.2f}", entry["verdict"]
            rows.append([r.title, *(f"{entry[k]:.2f}" for k in ("median_ms", "p10_ms", "p90_ms", "cpu_ms")),
                         entry["rss_kib"], *([f"{x:.2f}" for x in entry["verbs_ms"].values()] if len(verbs) > 1 else []),
                         ratio, bar, verdict])
            entries.append(entry)
        self._table(f"{title} ({len(base)} rounds)",
                    ["", "median", "p10", "p90", "cpu", "rss", *(verbs if len(verbs) > 1 else []), "ratio", "bar", ""],
                    rows)
        self.document["tables"].append({"mode": mode, "configuration": configuration, "temperature": temperature,
                                        "rounds": len(base), "rows": entries})

    def rss(self, configuration, runtimes, medians, bars):
        title = f"peak memory by verb, {CONFIGURATIONS[configuration]}"
        names = [r.name for r in runtimes]
        rows, entries = [], []
        for verb, peak in medians.items():
            row, entry = [verb, *(f"{peak[n]:.0f}" for n in names)], {"verb": verb, "kib": peak}
            for other, bar in bars.items():
                if other in peak:
                    ratio = peak["nemoshell"] / peak[other]
                    verdict = self.judge(f"{title}, {verb}, against {other}", ratio, bar)
                    row += [f"{ratio:.2f}", f"<= {bar:.2f}", verdict]
                    entry.update(ratio=ratio, bar=bar, verdict=verdict)
            rows.append(row)
            entries.append(entry)
        header = ["", *(r.title for r in runtimes)] + [x for o in bars if o in names for x in (f"/ {o}", "bar", "")]
        self._table(title, header, rows)
        self.document["tables"].append({"mode": "rss", "configuration": configuration, "rows": entries})

    def scale(self, configuration, live, runtimes, costs, bar):
        title = f"create + start + delete beside 1 and {live} live containers, {CONFIGURATIONS[configuration]}"
        rows, entries = [], []
        for r in runtimes:
            first, last = (statistics.median(walls) for walls in costs[r.name])
            entry = {"runtime": r.title, "first_ms": first, "last_ms": last, "ratio": last / first}
            row = [r.title, f"{first:.2f}", f"{last:.2f}", f"{last / first:.2f}"]
            if r.name == "nemoshell":
                entry.update(bar=bar, verdict=self.judge(title, last / first, bar))
                row += [f"<= {bar:.2f}", entry["verdict"]]
            else:
                row += ["", ""]
            rows.append(row)
            entries.append(entry)
        self._table(title, ["", "1", str(live), "ratio", "bar", ""], rows)
        self.document["tables"].append({"mode": "scale", "configuration": configuration, "live": live, "rows": entries})

    def finish(self):
        """Prints the verdict (or the JSON document) and returns the exit status: 1 when a bar was missed."""
        self.document["missed"] = self.missed
        if self.as_json:
            print(json.dumps(self.document, indent=1))
        self._print(f"\nbars: {self.judged - len(self.missed)} of {self.judged} passed")
        for line in self.missed:
            self._print(f"  missed: {line}")
        return 1 if self.missed else 0
