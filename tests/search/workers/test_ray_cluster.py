"""Which addresses are no Ray's, and where images lie without shared memory. No Ray is started."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from hgcnet.errors import RunError
from search.workers import ray_cluster
from search.workers.ray_cluster import check_cluster, joined_ray
from search.workers.resources import MachineWarning


@contextmanager
def answering(words: bytes) -> Iterator[str]:
    """The address of a server that says these words to whoever comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(words)

        thread = Thread(target=answer)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def refusal(address: str) -> str:
    with pytest.raises(RunError) as error:
        check_cluster(address)
    return str(error.value)


def test_a_ray_client_address_is_refused():
    with pytest.raises(RunError, match="ray:// would run"), joined_ray("ray://head:10001"):
        pass


def test_an_address_at_which_nobody_answers_is_refused_before_ray_asks_it_for_minutes():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    said = refusal(address)
    assert said.startswith(f"Ray at {address} (--ray-address, or RAY_ADDRESS in the environment): ")
    assert "no answer (Connection refused)" in said


@pytest.mark.parametrize(
    "words", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n", b""]
)
def test_what_answers_in_another_language_is_no_ray(words):
    with answering(words) as address:
        assert refusal(address).endswith("something other than Ray answers")


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "head:many", "127.0.0.1:99999"])
def test_what_is_no_address_is_refused(address):
    said = refusal(address)
    assert address in said
    assert "HOST:PORT" in said or "no answer" in said


def test_images_lie_in_shared_memory_where_there_is_enough(tmp_path: Path, recwarn) -> None:
    if not Path("/dev/shm").exists():
        pytest.skip("there is no shared memory here")
    options = ray_cluster._object_store(tmp_path)
    assert list(options) == ["object_store_memory"]
    assert not recwarn.list


def test_without_shared_memory_images_lie_on_the_disk_and_a_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_cluster, "_SHARED_MEMORY", tmp_path / "absent")
    with pytest.warns(MachineWarning, match="is missing.*slower.*--shm-size=2g"):
        options = ray_cluster._object_store(tmp_path)
    assert options["_plasma_directory"] == str(tmp_path)
    assert options["object_store_memory"] >= 80 * 2**20
