"""What the API is told by its environment."""

from pathlib import Path
from tempfile import mkdtemp
from typing import Literal

from pydantic import Field, FilePath
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """The variables of `.env.example` that concern the API; a wrong value is refused at start, by name."""

    host: str = "127.0.0.1"
    port: int = 8080
    models_dir: str = "volumes/models"
    models_mirror: Path = Path("volumes/models")
    root_path: str = Field(default="", pattern=r"^(/[\w-]+)*$")  # what a proxy before it takes from each path
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    allowed_hosts: frozenset[str] = frozenset({"localhost", "127.0.0.1", "[::1]", "fastapi"})  # "*": any
    most_body_bytes: int = Field(default=10_000_000, ge=1)
    most_rows: int = Field(default=100_000, ge=1)
    most_waiting: int = Field(default=2_000, ge=1)  # requests
    most_waiting_bytes: int = Field(default=64_000_000, ge=1)  # of their bodies: some ten times that as rows
    body_seconds: float = Field(default=10, gt=0)
    answer_seconds: float = Field(default=60, gt=0)
    answer_cache: int = Field(default=10_000, ge=0)  # rows
    web_concurrency: int = Field(default=1, ge=1)
    prediction_log: bool = True
    api_keys_file: FilePath | None = None  # their hashes; none: no key is asked for
    workers_dir: Path = Field(
        default_factory=lambda: Path(mkdtemp())
    )  # what the workers know of each other; made by start.py


settings = Settings()
