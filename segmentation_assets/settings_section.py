"""What every section of the settings shares. The sections themselves live in `settings` and its `settings_*` neighbours."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the settings file: unknown keys are refused, values are never coerced silently after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
