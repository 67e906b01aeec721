"""`pocketgan lab` as a function, which is a command too, as in `pocketgan.api`. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pocketgan.core.errors import UsageError
from pocketgan.core.files import user_path

LOOPBACK = ("127.0.0.1", "localhost")


def lab(
    folder: str | Path = "runs", *, port: int = 0, host: str = "127.0.0.1", allow_host: Sequence[str] = ()
) -> list[str]:
    """Serve the lab, a local page in the browser, until Ctrl-C: play, train live, draw, label, break, runs.

    The address that is printed has a token in it, which lets whoever has it in. Trainings that are started there are
    ordinary ones, and go on without the lab. Needs the extra ``lab``.

    Parameters
    ----------
    folder
        Where runs lie and are made; it need not exist yet.
    port
        To serve at; a free one without it.
    host
        The network address to serve at. Any but 127.0.0.1 shows the lab to other machines, needs --allow-host, and
        prints a second address, with which one can look but change nothing.
    allow_host
        Names or addresses under which other machines reach this one.

    Returns
    -------
    list of str
        The addresses that were printed.

    Raises
    ------
    UsageError
        The extra is not installed, the port is in use, or `host` is open to others and `allow_host` is missing.
    """
    if not 0 <= port < 1 << 16:
        raise UsageError(f"--port {port} must lie between 0 (a free one) and 65535")
    if host not in LOOPBACK and not allow_host:
        raise UsageError(
            f"--host {host} shows the lab to other machines; add --allow-host with the name under which they reach it"
        )
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    except ImportError as error:
        raise UsageError("lab needs the extra: pip install '.[lab]' in pocketgan's source folder") from error
    from pocketgan.lab.serving import serve

    return serve(
        user_path(folder), host=host, port=port, allowed=(*LOOPBACK, *allow_host), open_to_all=host not in LOOPBACK
    )
