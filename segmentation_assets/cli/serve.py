"""Commands around the data folder and Dagster's page: ui, instance, upgrade."""

import os
import shutil
import sys
from pathlib import Path

import click

from segmentation_assets.cli.terminal import command, loaded, settings_in_force, settings_option
from segmentation_assets.settings.loading import DATA_DIR_VARIABLE, SETTINGS_VARIABLE, settings_file


@command()
@click.option("--port", default=3000, show_default=True, help="Port on 127.0.0.1.")
@settings_option
def ui(port: int, settings_path: Path | None) -> None:
    """Start Dagster's web page and daemon on 127.0.0.1, on the instance that the runs are recorded in."""
    settings = settings_in_force(settings_path)
    from dotenv import load_dotenv

    from segmentation_assets.defs.instance import prepare_instance

    home = prepare_instance(settings)
    load_dotenv(Path.cwd() / ".env")  # such as passwords; what is set already stays
    os.environ[SETTINGS_VARIABLE] = str(settings_file().resolve())
    if DATA_DIR_VARIABLE in os.environ:
        os.environ[DATA_DIR_VARIABLE] = str(settings.data_dir)
    # Dagster lets the `.env` of its working folder win over the environment, and with it another instance than this one.
    os.chdir(home)
    dagster = shutil.which("dagster", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if dagster is None:
        raise click.ClickException("The program `dagster` is not on the PATH. Install the package again: make install")
    workspace = Path(__file__).resolve().parents[2] / "workspace.yaml"
    location = ["--workspace", str(workspace)] if workspace.exists() else ["--module-name", "segmentation_assets.definitions"]
    os.execv(dagster, [dagster, "dev", *location, "--host", "127.0.0.1", "--port", str(port)])  # noqa: S606  # no shell, fixed arguments


@command()
@settings_option
def instance(settings_path: Path | None) -> None:
    """Prepare Dagster's instance where it is missing, and print its folder, for DAGSTER_HOME."""
    settings = settings_in_force(settings_path)
    from segmentation_assets.defs.instance import prepare_instance

    click.echo(prepare_instance(settings))


@command()
@settings_option
def upgrade(settings_path: Path | None) -> None:
    """Bring the data folder to the layout of this version, and say what was done. May be repeated."""
    from segmentation_assets.store import layout

    data_dir = loaded(settings_path).data_dir
    lines = list(layout.upgrade(data_dir))
    for line in lines or [f"{data_dir} holds nothing yet."]:
        click.echo(line)
