"""What is wanted of a row of a table. A goal has a `text` and `judge(row, costs)`: whether pairsocksd reaches it, or None and
why that is not known. `costs` is {row: {proxy: [figure of each round]}}; a ratio is taken within a round, and the
median of those counts."""

import statistics

MINE, FLOOR = "pairsocksd", "floor"


def ratios(mine, theirs):
    return sorted(a / b for a, b in zip(mine, theirs))


def best_peer(figures):
    """The proxy other than ours, and other than the floor, whose median is least; None: there is none."""
    return min((name for name in figures if name not in (MINE, FLOOR)),
               key=lambda name: statistics.median(figures[name]), default=None)


def verdict(goal, row, costs):
    """(the cell of the table, whether the goal is missed or unknown)"""
    good, why = goal.judge(row, costs)
    if good is None:
        return f"{goal.text}: {why}", True
    return f"{goal.text}: {'ok' if good else 'MISSED'}", not good


class RatioTo:
    """At most `bound` of `peer`."""

    def __init__(self, bound, peer):
        self.bound, self.peer = bound, peer
        self.text = f"<= {bound:.2f} of {peer}"

    def judge(self, row, costs):
        figures = costs[row]
        if self.peer not in figures:
            return None, "not measured"
        return statistics.median(ratios(figures[MINE], figures[self.peer])) <= self.bound, ""


class RatioToBest:
    """At most `bound` of the cheapest of the others, all of which have to be measured."""

    def __init__(self, bound):
        self.bound = bound
        self.text = f"<= {bound:.2f} of the best"

    def judge(self, row, costs):
        figures = costs[row]
        absent = [name for name in row.proxies if name not in figures and name != FLOOR]
        if absent:
            return None, f"not measured ({', '.join(absent)})"
        return statistics.median(ratios(figures[MINE], figures[best_peer(figures)])) <= self.bound, ""


class AtMost:
    def __init__(self, bound, unit):
        self.bound = bound
        self.text = f"<= {bound:g} {unit}"

    def judge(self, row, costs):
        return statistics.median(costs[row][MINE]) <= self.bound, ""


class Within:
    """From `low` to `high` in every round."""

    def __init__(self, low, high, unit):
        self.low, self.high = low, high
        self.text = f"{low:g} to {high:g} {unit}"

    def judge(self, row, costs):
        return all(self.low <= figure <= self.high for figure in costs[row][MINE]), ""


class RatioToRow:
    """At most `bound` of our own figure in the row of the kind named `other`."""

    def __init__(self, bound, other, text):
        self.bound, self.other = bound, other
        self.text = f"<= {bound:.2f} of {text}"

    def judge(self, row, costs):
        for other, figures in costs.items():
            if other.kind == self.other and other.key == row.key:
                return statistics.median(ratios(costs[row][MINE], figures[MINE])) <= self.bound, ""
        return None, "not measured"
