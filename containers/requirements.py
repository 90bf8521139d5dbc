"""Print the packages that the environment.yml files name, for uv: the local mode and the lock read the same lists."""

from pathlib import Path

import yaml


def packages(environment: Path) -> list[str]:
    """Return the lines of the `pip:` part of a conda environment file."""
    dependencies = yaml.safe_load(environment.read_text(encoding="utf-8"))["dependencies"]
    return [line for part in dependencies if isinstance(part, dict) for line in part["pip"]]


if __name__ == "__main__":
    for file in sorted(Path(__file__).parent.glob("*/environment.yml")):
        print(*packages(file), sep="\n")
