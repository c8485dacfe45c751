"""The command line: every command, in the order of its help.

Belongs here: the list of commands. They are in `make`, `look`, `bring` and `serve`, and import heavy modules only when they need them,
so that `segmentation sql` answers at once.
"""

import click

from segmentation_assets.cli import bring, look, make, serve


class InOrder(click.Group):
    """Commands in the order in which a newcomer needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="segmentation-assets")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def main(context: click.Context, debug: bool) -> None:
    """Customer segments that a marketing team can trust, month after month."""
    context.obj = debug


for command in (
    bring.init, bring.check, make.run, look.show, look.why, look.rules, look.audiences,
    look.report, look.sql, look.export, make.pictures, look.models, make.retrain,
    make.rollback, look.settings, bring.pseudonym, serve.ui, look.doctor, serve.refresh, serve.upgrade, serve.instance,
):  # fmt: skip
    main.add_command(command)


if __name__ == "__main__":
    main()
