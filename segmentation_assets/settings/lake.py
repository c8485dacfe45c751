"""The `lake:` section of the settings: where the lake is that several machines share. `store.sharing` uses it."""

import urllib.parse
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from segmentation_assets.settings.addresses import holds_secret
from segmentation_assets.settings.section import Section
from segmentation_assets.settings.source import BUCKET


class LakeSettings(Section):
    """It changes no table, only who else sees it. Keys are taken from the environment, or from the machine's role (docs/scaling.md)."""

    url: str | None = Field(
        None,
        description="The lake that several machines share: a folder, relative to the settings file, or `s3://bucket/prefix` "
        "(docs/scaling.md). Empty: this machine's own.",
    )
    endpoint: str | None = Field(None, description="Address of the S3 server, such as `https://minio.example.com:9000`. Empty: Amazon's.")
    region: str | None = Field(None, description="Region of the bucket, such as `eu-central-1`. Empty: `AWS_REGION` in the environment.")
    versions: int = Field(
        20, ge=2, description="Versions of the lake that are kept, so that a machine that reads an earlier one is not disturbed."
    )

    @field_validator("url", "endpoint")
    @classmethod
    def _without_secret(cls, address: str | None) -> str | None:
        if address and holds_secret(address):
            raise ValueError("holds a secret; remove it, and put the keys into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        return address

    @field_validator("url")
    @classmethod
    def _a_place(cls, url: str | None) -> str | None:
        if not url or "://" not in url:
            return url or None
        if not url.startswith(BUCKET) or not urllib.parse.urlsplit(url).netloc:
            raise ValueError("is neither a folder nor a bucket; write it as /shared/folder or s3://bucket/prefix")
        return url.rstrip("/")

    @field_validator("endpoint")
    @classmethod
    def _an_address(cls, endpoint: str | None) -> str | None:
        if endpoint and not endpoint.startswith(("https://", "http://")):
            raise ValueError("is not an address; write it as https://host:port")
        return endpoint or None

    @model_validator(mode="after")
    def _fits(self) -> "LakeSettings":
        if (self.endpoint or self.region) and not self.in_bucket:
            raise ValueError("endpoint and region go with a url like s3://bucket/prefix; remove them, or correct url")
        return self

    @property
    def in_bucket(self) -> bool:
        """Whether the shared lake is in a bucket, not a folder."""
        return bool(self.url) and str(self.url).startswith(BUCKET)

    def resolved(self, folder: Path) -> "LakeSettings":
        """The same with a folder's path relative to `folder` made absolute."""
        if not self.url or self.in_bucket:
            return self
        return self.model_copy(update={"url": str((folder / Path(self.url).expanduser()).resolve())})
