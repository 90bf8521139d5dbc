"""What the API is told by its environment."""

from pathlib import Path
from typing import Literal

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """The variables of `.env.example` that concern the API; a wrong value is refused at start, by name."""

    host: str = "127.0.0.1"
    port: int = 8080
    models_dir: Path = Path("volumes/models")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    allowed_hosts: frozenset[str] = frozenset({"localhost", "127.0.0.1", "[::1]", "fastapi"})
    most_body_bytes: int = 10_000_000
    body_seconds: float = 10


settings = Settings()
