"""Models in an object store: savers, the API and the command line as real processes, S3 over HTTP."""

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from object_store import ObjectStore
from obstore.store import from_url
from test_serving import Load, choose, eventually, running, save


@pytest.fixture(scope="module", autouse=True)
def variables(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let this process save into the store."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in object_store.environment.items():
            patch.setenv(name, value)
        patch.setenv("MODELS_MIRROR", str(tmp_path_factory.mktemp("saver")))
        yield


@pytest.fixture
def url(object_store: ObjectStore) -> str:
    """Give a folder in the bucket that nobody else uses."""
    return f"{object_store.url}/{uuid.uuid4().hex}/models"


def paths(url: str) -> set[str]:
    return {meta["path"] for page in from_url(url).list() for meta in page}


def test_a_saved_model_is_served_from_the_store(url: str, free_port: Callable[[], int], tmp_path: Path) -> None:
    slopes = {save(url, 1.0): 1.0}
    with running(url, free_port(), MODELS_MIRROR=str(tmp_path)) as (api, _), Load(api, slopes) as load:
        version = save(url, 2.0)
        slopes[version] = 2.0
        eventually(lambda: httpx.get(f"{api}/ready").json()["version"] == version)
        choose(api, min(slopes))
        assert httpx.get(f"{api}/ready").json()["store"] is None
        print(httpx.get(f"{api}/ready").json(), httpx.get(f"{api}/models").json())
    load.check()
    assert paths(url) == {"current", *(f"{v}/{file}" for v in slopes for file in ("model.json", "model.joblib"))}
