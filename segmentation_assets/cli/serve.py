"""Commands around the data folder and Dagster's page: ui, instance, upgrade; and the address at which `doctor` answers."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click

from segmentation_assets.cli.terminal import Stopped, command, loaded, say, settings_in_force, settings_option
from segmentation_assets.settings.loading import DATA_DIR_VARIABLE, SETTINGS_VARIABLE, settings_file
from segmentation_assets.vocabulary import counted

HOST = "127.0.0.1"
PORTS_TRIED, LAST_PORT = 20, 65_535
SECONDS_BETWEEN_LOOKS, SECONDS_TO_STOP = 0.2, 10
SECONDS_TO_ASK = 10  # after which a client that sends or takes nothing is let go
QUIET = "ignore:Function `dev_command` is superseded"  # by a program that does not come with Dagster itself


@command()
@click.option("--port", default=3000, show_default=True, help="Port on 127.0.0.1.")
@settings_option
def ui(port: int, settings_path: Path | None) -> None:
    """Start Dagster's page and daemon on 127.0.0.1, on the instance where runs are recorded.

    Example: segmentation ui --port 3001
    """
    settings = settings_in_force(settings_path)
    from dotenv import load_dotenv

    from segmentation_assets.defs.instance import WORKSPACE, prepare_instance
    from segmentation_assets.store import restoring

    _require_free(port, "ui")
    home = prepare_instance(settings)
    restoring.settle(settings.data_dir)
    load_dotenv(Path.cwd() / ".env")  # such as passwords; variables already set win
    os.environ[SETTINGS_VARIABLE] = str(settings_file().resolve())
    if DATA_DIR_VARIABLE in os.environ:
        os.environ[DATA_DIR_VARIABLE] = str(settings.data_dir)
    # In Dagster, the `.env` of the working folder overrides the environment, and could name another instance.
    os.chdir(home)
    _serve([sys.executable, "-W", QUIET, "-m", "dagster", "dev", "--workspace", WORKSPACE, "--host", HOST, "--port", str(port)])


def _require_free(port: int, what: str) -> None:
    """Raise a ClickException that names the next free port for the command `what`, if this one is in use."""
    for candidate in range(port, min(port + PORTS_TRIED, LAST_PORT + 1)):
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port used a moment ago counts as free
            with suppress(OSError):
                free.bind((HOST, candidate))
                break
    else:
        raise click.ClickException(f"Ports {port} to {candidate} of {HOST} are in use. Choose another: segmentation {what} --port N")
    if candidate != port:
        raise click.ClickException(
            f"Port {port} of {HOST} is in use, perhaps by the same command. Stop that one, or run: segmentation {what} --port {candidate}"
        )


def _serve(program: list[str]) -> None:
    """Run the program until it ends or the user stops it; then it and everything it started end within seconds.

    It gets its own session, so that Ctrl-C reaches only the main process, which then ends its parts in order.
    """
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # before the program starts, because it inherits ignored signals
        signal.signal(number, lambda *_: stopped.set())
    page = subprocess.Popen(program, start_new_session=True)  # noqa: S603  # no shell, fixed arguments
    while page.poll() is None and not stopped.wait(SECONDS_BETWEEN_LOOKS):
        pass
    if page.poll() is None:
        page.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            page.wait(SECONDS_TO_STOP)
    with suppress(ProcessLookupError):  # nothing may be left of it
        os.killpg(page.pid, signal.SIGKILL)
    if stopped.is_set():
        raise Stopped("Stopped by you. Start it again: segmentation ui")
    raise click.ClickException(f"Dagster's page stopped unexpectedly (exit code {page.returncode}); its last lines above say why.")


def health_server(port: int, look: Callable[[], tuple[bool, str]]) -> ThreadingHTTPServer:
    """A server on 127.0.0.1 that answers every request with a fresh look: status 200, or 503 if not all is well.

    Each client has its own thread, so that one that stalls holds up no other; looks are taken one at a time.

    Args:
        port: 0 for any that is free.
        look: whether all is well, and the JSON to send.
    """

    one_at_a_time = threading.Lock()

    class Answer(BaseHTTPRequestHandler):
        """The answer to one request."""

        timeout = SECONDS_TO_ASK

        def do_GET(self) -> None:  # the name that the library calls
            with one_at_a_time:
                well, text = look()
            self.send_response(200 if well else 503)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    return ThreadingHTTPServer((HOST, port), Answer)


def serve_health(port: int, look: Callable[[], tuple[bool, str]]) -> None:
    """Serve the health (see `health_server`) until stopped."""
    _require_free(port, "doctor")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with health_server(port, look) as server:
        say(f"http://{HOST}:{port}/ answers with 200, or with 503 if anything is broken.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            raise Stopped(f"Stopped by you. Start it again: segmentation doctor --port {port}") from None


@command()
@settings_option
def refresh(settings_path: Path | None) -> None:
    """Bring this machine to the newest version of the shared lake (lake.url), and publish here what other machines made.

    Example: segmentation refresh
    """
    settings = settings_in_force(settings_path)
    from segmentation_assets.report.fetching import fetch
    from segmentation_assets.store import sharing

    if not settings.lake.url:
        raise click.ClickException("lake.url is not set, so this machine's lake is its own, and there is nothing to fetch.")
    say(sharing.in_words(fetch(settings)) or f"This machine has the newest version of {settings.lake.url}.")


@command()
@settings_option
def instance(settings_path: Path | None) -> None:
    """Prepare Dagster's instance if it is missing, and print its folder, for DAGSTER_HOME.

    Example: DAGSTER_HOME=$(segmentation instance) dagster-daemon run
    """
    settings = settings_in_force(settings_path)
    from segmentation_assets.defs.instance import prepare_instance

    say(prepare_instance(settings))


@command()
@click.option("--take-out", is_flag=True, help="Remove snapshots of another calendar from the published database; the lake keeps them.")
@settings_option
def upgrade(take_out: bool, settings_path: Path | None) -> None:
    """Convert the data folder to this version's layout, and say what was done. May be repeated.

    Example: segmentation upgrade
    """
    from segmentation_assets.store import layout, published

    settings = loaded(settings_path)
    lines = list(layout.upgrade(settings.data_dir))
    foreign = published.foreign_keys(settings.data_dir, settings.snapshots) if take_out else []
    if foreign:
        published.take_out(settings.data_dir, foreign)
        lines.append(f"{counted(len(foreign), 'snapshot')} of another calendar removed: {', '.join(foreign)}")
    for line in lines or [f"{settings.data_dir} is empty; there is nothing to upgrade."]:
        say(line)
