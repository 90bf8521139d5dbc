"""What one connection may send, and how it is answered: HTTP byte by byte, as no client library would send it."""

import http.client
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from serving import connect, head, running, save
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from waiting import PATIENCE

SLOPE = 2.0


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[str]:
    """Serve a model, to clients who have 3 s."""
    save(folder := tmp_path_factory.mktemp("models"), SLOPE)
    with running(folder, free_port(), BODY_SECONDS="3") as (url, _):
        yield url


@pytest.fixture
def client(api: str) -> Iterator[socket.socket]:
    """Give a connection that has room for little that is not read."""
    with closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", int(api.rpartition(":")[2])))
        yield client


def answered(client: socket.socket) -> tuple[int, bytes]:
    """Return status and content of the next answer, in however many pieces it comes."""
    answer = http.client.HTTPResponse(client)
    answer.begin()
    return answer.status, answer.read()


def test_requests_sent_without_waiting_are_answered_in_turn(client: socket.socket) -> None:
    bodies = [b'{"x":%d}' % x for x in (1, 2, 3)]
    sent = b"".join(head("/predict", len(body)) + body for body in bodies)
    last = head("/predict", 7).replace(b"Host", b"Connection: close\r\nHost") + b'{"x":4}'
    client.sendall(sent + last)
    with client.makefile("rb") as stream:
        answers = stream.read()
    found = re.findall(rb'"prediction":([0-9.]+)', answers)
    assert [float(each) for each in found] == pytest.approx([SLOPE * x for x in (1, 2, 3, 4)])
    assert answers.lower().count(b"connection: close") == 1


def test_a_client_that_waits_to_be_told_to_go_on_is_answered_again_and_again(client: socket.socket) -> None:
    for _ in range(2):
        begun = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        client.sendall(f"{begun}Expect: 100-continue\r\nContent-Length: 7\r\n\r\n".encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
        client.sendall(b'{"x":1}')
        status, said = answered(client)
        assert (status, "prediction" in json.loads(said)) == (200, True)


def test_a_head_that_does_not_end_is_cut_off(api: str) -> None:
    with ExitStack() as clients:

        def send(begun: bytes) -> socket.socket:
            client = clients.enter_context(connect(api))
            client.sendall(begun)
            return client

        slow = [send(begun) for begun in (b"", b"POST /pre", b"GET /health HTTP/1.1\r\nHost: local")]
        long = send(b"GET /health HTTP/1.1\r\nX-Long: " + b"x" * 100_000)
        assert b"head of the request is too large" in long.recv(1000)
        assert [client.recv(1000) for client in slow] == [b"", b"", b""], "closed without a word"


def test_a_head_that_begins_behind_a_large_body_is_not_too_large(client: socket.socket) -> None:
    body = b'{"x":1}'
    first, second = (head("/predict", len(sent)) + sent for sent in (body.ljust(66_000), body))
    client.sendall(first + second[:1])
    time.sleep(0.2)
    client.sendall(second[1:])
    for _ in range(2):
        status, said = answered(client)
        assert (status, "prediction" in json.loads(said)) == (200, True)


@pytest.mark.parametrize(
    ("request_", "then"),
    [(head("/predict?no=1", 7), b"{"), (head("/predict", 7) + b'{"x":1}', b"\r\n")],
    ids=["the rest of a body", "an empty line"],
)
def test_what_belongs_to_no_request_keeps_no_connection(client: socket.socket, request_: bytes, then: bytes) -> None:
    client.sendall(request_)
    assert client.recv(10_000).startswith((b"HTTP/1.1 422 ", b"HTTP/1.1 200 "))
    client.sendall(then)
    assert client.recv(10_000) == b"", "closed without a word"


def test_lines_after_a_chunked_body_mean_nothing_and_end(client: socket.socket) -> None:
    client.sendall(head("/predict", -1) + b'7\r\n{"x":1}\r\n0\r\nHost: evil\r\nX-Request-ID: mine\r\n\r\n')
    answer = client.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 200 ") and b"mine" not in answer
    client.sendall(head("/predict", -1) + b'7\r\n{"x":1}\r\n0\r\n')
    with pytest.raises(ConnectionError):
        while True:
            client.sendall(b"a: b\r\n" * 1_000)


def test_a_body_is_not_lost_to_an_upgrade(client: socket.socket) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n"
    for method, path, body, status in (("GET", "/ready", b"", 200), ("POST", "/predict", b'{"x":1}', 400)):
        client.sendall(head(path, len(body), method).replace(b"\r\n\r\n", b"\r\n" + upgrade) + body)
        found, said = answered(client)
        assert found == status, said
    assert b"without the header Upgrade" in said


UPGRADE = head("/predict", 7).replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n") + b'{"x":1}'


@pytest.mark.parametrize("refused", [b"GARBAGE\r\n\r\n", head("/predict", 7).replace(b"7", b"x"), UPGRADE])
def test_what_is_refused_costs_no_answer_before_it(client: socket.socket, refused: bytes) -> None:
    body = b'{"x":%.9f}' % time.time()  # never seen before
    client.sendall(head("/health", 0, "GET") + head("/predict", len(body)) + body + refused)
    with client.makefile("rb") as stream:
        answers = stream.read()
    assert re.findall(rb"HTTP/1.1 ([0-9]+)", answers) == [b"200", b"200", b"400"], answers
    assert float(re.findall(rb'"prediction":([0-9.]+)', answers)[0]) == pytest.approx(SLOPE * json.loads(body)["x"])


def test_half_a_head_behind_a_request_costs_no_answer(tmp_path: Path, free_port: Callable[[], int]) -> None:
    slow = FunctionTransformer(lambda X: time.sleep(2 * (X["x"].max() > 1_000)) or X)
    save(tmp_path, SLOPE, make_pipeline(slow, LinearRegression(fit_intercept=False)))
    with running(tmp_path, free_port(), BODY_SECONDS="1") as (url, _), closing(connect(url)) as client:
        body = b'{"x":2000}'
        client.sendall(head("/predict", len(body)) + body + b"GET /health HTT")
        assert answered(client)[0] == 200
        assert client.recv(1000) == b"", "closed, once nothing was owed"


def test_a_client_that_does_not_read_is_left(client: socket.socket) -> None:
    body = json.dumps([{"x": 1.0}] * 1_000).encode()
    client.sendall((head("/predict", len(body)) + body) * 3)
    client.settimeout(1)
    with suppress(TimeoutError):
        while True:
            client.sendall(head("/predict", len(body)) + body)
    time.sleep(8)
    with pytest.raises(ConnectionError):
        while client.recv(1 << 20):
            pass


def test_requests_that_wait_for_their_turn_are_not_read_without_end(client: socket.socket) -> None:
    client.settimeout(2)
    request, sent = head("/predict", 7) + b'{"x":1}', 0
    request = request.replace(b"Host", b"X-Pad: %b\r\nHost" % b"x".ljust(256 - len(request) - 9, b"x")) * 128
    with suppress(TimeoutError, ConnectionError):
        while sent < 50e6:
            sent += client.send(request)
    assert sent < 20e6, "some of it waits in the system's own buffers"
