"""What can be set from outside, by environment variables of the same names in capitals."""

from pydantic import Field, FilePath
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """Where the page listens, which API and database it asks, and what it tells about the other services."""

    host: str = "127.0.0.1"
    port: int = Field(8501, ge=1, le=65535)
    api_url: str = Field("http://127.0.0.1:8080", pattern=r"^https?://\S+$")
    api_key_file: FilePath | None = None  # where the API wants a key
    announce: bool = False
    pghost: str | None = None
    pgport: int = Field(5432, ge=1, le=65535)
    pguser: str = "page"
    pgdatabase: str = "local"
    public_url: str | None = None  # of the door that all are behind, compose.public.yml
    jupyter_port: int = 8888
    postgres_port: int = 5432
    api_port: int = 8080
    streamlit_port: int = 8501
