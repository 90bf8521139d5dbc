"""The simulation beside the API: the same clients ask both, and both are told how often."""

from dataclasses import dataclass
from statistics import median

from bench.capacity.measurement import SHARES, Round
from bench.capacity.simulation import clients
from bench.report import table

WITHIN = 0.2


@dataclass(frozen=True)
class Line:
    """A figure, simulated and measured: medians of the rounds."""

    name: str
    simulated: float
    measured: float

    @property
    def off(self) -> float:
        """How far the simulation is from what was measured, as a share of that."""
        return self.simulated / self.measured - 1

    @property
    def reached(self) -> bool:
        """Whether it is near enough."""
        return abs(self.off) <= WITHIN

    def row(self) -> list[str]:
        """Return the cells of its line."""
        reached = "yes" if self.reached else "**no**"
        return [self.name, f"{self.simulated:,.0f}", f"{self.measured:,.0f}", f"{100 * self.off:+.0f} %", reached]


def compare(rounds: list[Round], number: int, seconds: int) -> list[Line]:
    """Simulate each load with the costs that it had, and compare throughput and p99 at each load."""
    lines = []
    for i, share in enumerate(SHARES):
        checks = [one.checks[i] for one in rounds]
        seen = [clients(check.costs, number, check.rest, seconds, check.pace) for check in checks]
        for name, figure in {"requests/s": "rate", "p99, ms": "p99"}.items():
            simulated, measured = (
                median(getattr(one, figure) for one in found) for found in (seen, [check.sample for check in checks])
            )
            lines.append(Line(f"{100 * share:.0f} % of the most: {name}", simulated, measured))
    return lines


def render(lines: list[Line]) -> str:
    """Return the comparison as a table in Markdown."""
    head = ["", "simulated", "measured", "off", f"within {100 * WITHIN:.0f} %"]
    return table(head, (line.row() for line in lines))
