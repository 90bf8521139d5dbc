"""A clone that Docker Compose runs, as tests see it."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import websocket

ROOT = Path(__file__).parents[1]
OWNERS = [0, 1000, 4242] if os.getuid() == 0 else [os.getuid()]
FORGED = {"Host": "evil.example", "Origin": "http://evil.example"}
POWERLESS = (*["0" * 16] * 5, "1")
_POWER = re.compile(r"^(?:Uid|Cap(?:Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs):\s+(\S+)", re.M)


@dataclass
class Stack:
    """A clone of the project with a name and ports of its own."""

    folder: Path
    owner: int
    ports: dict[str, int]

    def run(self, *command: str, check: bool = True, **options: Any) -> str:
        """Run a command in the clone; return what it prints."""
        env = {
            name: value for name, value in os.environ.items() if not name.startswith("MAKE")
        }  # not within `make test`
        env |= {"COMPOSE_PROJECT_NAME": self.folder.name, "COMPOSE_ANSI": "never"}
        env |= {f"{name}_PORT": str(port) for name, port in self.ports.items()}
        done = subprocess.run(
            command, cwd=self.folder, env=env, text=True, timeout=600, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout
        return done.stdout

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Run `docker compose`."""
        return self.run("docker", "compose", *arguments, check=check)

    def execute(self, service: str, *command: str, check: bool = True) -> str:
        """Run a command in a container, as its service's user."""
        owner = {"python": ["/opt/owner.sh", "/notebooks"], "fastapi": ["/opt/owner.sh", "/models"]}.get(service, [])
        return self.compose("exec", "-T", service, *owner, *command, check=check)

    def inspect(self, service: str, form: str) -> str:
        """Return one thing that the engine knows about a container."""
        return self.run("docker", "inspect", "--format", form, f"{self.folder.name}-{service}-1").strip()

    def powers(self, service: str) -> set[tuple[str, ...]]:
        """Return identity, capabilities and no-new-privileges of a service's processes."""
        lines = self.execute(service, "sh", "-c", "cd /proc && for p in [0-9]*; do echo; cat $p/status; done")
        # PID 1 is the engine's init: it hands on signals and reaps, and opens nothing.
        others = [p for p in lines.split("\n\n") if not re.search("^(Pid:\t1|Name:\t(sh|cat))$", p, re.M)]
        return {tuple(_POWER.findall(process)) for process in others if _POWER.search(process)}

    def size(self, service: str) -> float:
        """Return the size of a service's image in MB."""
        image = self.inspect(service, "{{.Image}}")
        return int(self.run("docker", "image", "inspect", "--format", "{{.Size}}", image)) / 1e6

    def url(self, door: str, scheme: str = "http") -> str:
        """Return where a service answers."""
        return f"{scheme}://localhost:{self.ports[door]}"

    def query(self, sql: str, user: str = "local") -> Any:
        """Return the first row of a query over TCP, None where there is none."""
        connection = psycopg2.connect(
            host="localhost", port=self.ports["POSTGRES"], user=user, dbname="local", sslmode="disable"
        )
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchone() if cursor.description else None
        finally:
            connection.close()

    def version(self) -> str | None:
        """Return the version of the model that answers."""
        return httpx.get(f"{self.url('API')}/ready").headers.get("X-Model-Version")

    @contextmanager
    def kernel(self) -> Iterator[str]:
        """Start a kernel as a browser does; give the path of its websocket."""
        with httpx.Client(base_url=self.url("JUPYTER"), timeout=60) as browser:
            browser.get("/lab").raise_for_status()
            browser.headers["X-XSRFToken"] = browser.cookies["_xsrf"]
            kernel = f"/api/kernels/{browser.post('/api/kernels', json={'path': 'x'}).raise_for_status().json()['id']}"
            yield f"{kernel}/channels"
            browser.delete(kernel)

    def open(self, path: str, headers: dict[str, str]) -> websocket.WebSocket:
        """Open a websocket of JupyterLab's, from one of its own pages if the headers don't say otherwise."""
        origin, host = headers.get("Origin", self.url("JUPYTER")), headers.get("Host")
        return websocket.create_connection(self.url("JUPYTER", "ws") + path, timeout=60, origin=origin, host=host)

    def run_in_kernel(self, code: str) -> str:
        """Execute code in a new kernel; return what it prints."""
        with self.kernel() as path, closing(self.open(path, {})) as channel:
            return execute(channel, code)


def execute(channel: websocket.WebSocket, code: str) -> str:
    """Send one cell, and gather what it prints until the kernel is idle again."""
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
    header = {"msg_id": "1", "session": "test", "username": "", "version": "5.3", "msg_type": "execute_request"}
    channel.send(
        json.dumps({"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content})
    )
    printed = ""
    while True:
        message = json.loads(channel.recv())
        if message["parent_header"].get("msg_id") != "1":
            continue
        printed += message["content"].get("text", "") + "\n".join(message["content"].get("traceback", []))
        if message["content"].get("execution_state") == "idle":
            return printed
