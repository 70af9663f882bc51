"""Moto as a program, with two things that S3 has and moto lacks: a change is one step, and stays.

Moto looks whether an object is there and then writes it, so that two of its threads can both create it: here one change
goes after the other. And each is in a journal before its answer, so that ``kill -9`` costs none that was acknowledged.

python durable_moto.py HOST PORT JOURNAL
"""

from __future__ import annotations

import io
import sys
import threading
from typing import TYPE_CHECKING, Any

from moto.moto_server import threaded_moto_server
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.server import ThreadedMotoServer
from werkzeug.wsgi import get_input_stream

from servers.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_CHANGES = ("PUT", "POST", "DELETE")


class _Durable(DomainDispatcherApplication):
    """Moto's own application; what the journal holds is done again first."""

    journal: Journal
    one_change = threading.Lock()

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        for headers, body in self.journal.entries():
            _run(super().__call__, headers, body)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer as moto does; a change that succeeded is in the journal by then."""
        if environ["REQUEST_METHOD"] not in _CHANGES:
            answer: Iterable[bytes] = super().__call__(environ, start_response)
            return answer
        body = get_input_stream(environ).read()  # ends with the body, not with the connection
        headers = {name: value for name, value in environ.items() if isinstance(value, str)}
        with self.one_change:
            status, told, sent = _run(super().__call__, headers, body)
            if status.startswith("2"):
                self.journal.add((headers, body))
        start_response(status, told)
        return [sent]


def _run(application: Any, headers: dict[str, str], body: bytes) -> tuple[str, list[tuple[str, str]], bytes]:
    started: list[Any] = []
    environ = {
        **headers,
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    sent = b"".join(application(environ, lambda *given: started.extend(given)))
    return started[0], started[1], sent


if __name__ == "__main__":
    host, port, path = sys.argv[1:]
    _Durable.journal = Journal(path)
    setattr(threaded_moto_server, "DomainDispatcherApplication", _Durable)  # noqa: B010  # the name is not exported
    ThreadedMotoServer(ip_address=host, port=int(port), verbose=False).start()
    threading.Event().wait()
