"""The `engine:` section of the settings: which engine computes the tables, and what a run may take of the machine. `engines` holds them."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ByteSize, Discriminator, Field, TypeAdapter, field_validator

from segmentation_assets.settings.addresses import spark_address
from segmentation_assets.settings.section import Section


class Bounds(Section):
    """What DuckDB in this process may take of the machine. It changes no result."""

    threads: int | None = Field(None, ge=1, description="Most threads of DuckDB on the lake. Empty: one per core.")
    memory: str | None = Field(
        None,
        pattern=r"^[0-9]+(\.[0-9]+)? ?[KMGT]i?B$",
        description="Its memory, such as `4GB`, beyond which it spills to `temp_folder`; reading a source takes 1 GB at most. "
        "Columns that were read last are kept beside it, up to a quarter of it, but 64 MB at least and 768 MB at most. "
        "Empty: 80% of the machine's.",
    )
    temp_folder: Path | None = Field(
        None, description="Folder that it spills to, relative to the settings file. Empty: the system's temporary folder."
    )

    @property
    def memory_bytes(self) -> int | None:
        """`memory` in bytes.

        >>> Bounds(memory="1.5GB").memory_bytes, Bounds(memory="2 MiB").memory_bytes, Bounds().memory_bytes
        (1500000000, 2097152, None)
        """
        if self.memory is None:
            return None
        return int(TypeAdapter(ByteSize).validate_python(self.memory))

    def here(self) -> "Bounds":
        """The bounds alone, for what is done in this process whatever the engine."""
        return Bounds(threads=self.threads, memory=self.memory, temp_folder=self.temp_folder)


class DuckDB(Bounds):
    """Everything is computed in this process."""

    kind: Literal["duckdb"] = Field("duckdb", description="DuckDB, in this process.")


class SparkConnect(Bounds):
    """Tables are computed on a cluster; DuckDB in this process reads the source, and computes on samples and small tables."""

    kind: Literal["spark_connect"] = Field("spark_connect", description="An engine that speaks Spark Connect (docs/scaling.md).")
    url: str = Field(description="Address of the engine, such as `sc://spark.example.com:15002`, without a token.")
    token_variable: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Environment variable that holds the token for this address. With one, the connection is encrypted.",
    )

    exchange: str | None = Field(
        None,
        pattern=r"^s3a?://[^/?#@]+(/[^?#]*)?$",
        description="Prefix in a bucket, such as `s3://company-lakes/exchange`, where the engine and this machine give each other files, "
        "which are removed when a run ends. Empty: the engine's machines see `data_dir` under the same path.",
    )

    @field_validator("url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        return spark_address(url, "token_variable")


def _with_kind(values: Any) -> Any:
    return {"kind": "duckdb", **values} if isinstance(values, dict) else values


EngineSettings = Annotated[DuckDB | SparkConnect, Discriminator("kind"), BeforeValidator(_with_kind)]
