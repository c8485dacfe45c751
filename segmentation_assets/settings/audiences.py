"""The `audiences:` section of the settings: who is never contacted, how often at most, and who is left alone to measure by."""

from pathlib import Path

from pydantic import Field, field_validator

from segmentation_assets.settings.section import Section


class UniversalControl(Section):
    """Customers whom no action contacts, so that all actions together can be measured."""

    share: float = Field(0, ge=0, le=0.5, description="Share of all customers; 0: none.")
    rotation: int = Field(12, ge=1, le=1_000, description="Snapshots after which others take their place.")


class ContactCap(Section):
    """Most contacts with one customer, over all lists and actions."""

    contacts: int = Field(ge=1, le=1_000, description="Most contacts within the days.")
    days: int = Field(ge=1, le=3_650, description="Days up to the snapshot in which contacts count.")


class Audiences(Section):
    """Rules that hold for every action of the playbook."""

    salt: str = Field(
        "1", min_length=1, max_length=100, description="Any text; another one draws all holdouts and the universal control anew."
    )
    universal_control: UniversalControl = Field(UniversalControl(), description="Customers whom no action contacts.")
    contact_cap: ContactCap | None = Field(None, description="Most contacts with one customer; counts what was handed over. Empty: no cap.")
    suppression: tuple[Path, ...] = Field(
        (),
        max_length=100,
        description="CSV files with a column customer_id of customers who are never contacted; relative to the settings file.",
    )
    require_consent: bool = Field(
        False, description="Refuse settings that map no consent. Where consent is mapped, nobody is contacted without it in any case."
    )

    @field_validator("salt")
    @classmethod
    def _plain(cls, salt: str) -> str:
        if not salt.isprintable():
            raise ValueError("has invisible characters; use letters and digits")
        return salt

    @field_validator("suppression", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return (value,) if isinstance(value, str | Path) else value

    @field_validator("suppression")
    @classmethod
    def _on_this_machine(cls, files: tuple[Path, ...]) -> tuple[Path, ...]:
        if any(":/" in str(file) for file in files):  # Path has made one slash of two
            raise ValueError("must be on this machine; download the file first")
        return files

    def resolved(self, base: Path) -> "Audiences":
        """A copy in which paths relative to `base` are absolute."""
        return self.model_copy(update={"suppression": tuple(base / file.expanduser() for file in self.suppression)})
