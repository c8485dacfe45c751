"""Addresses in the settings: of databases, and of engines that speak Spark Connect. None holds a secret."""

import re
import urllib.parse
from typing import Annotated

from pydantic import AfterValidator

SECRET_WORDS = ("pass", "pwd", "secret", "token", "credential", "signature", "apikey", "api_key", "access_key", "private_key")
FILES_OF_SECRETS = {"passfile"}  # PostgreSQL's: where the secret is


def holds_secret(url: str) -> bool:
    """Whether an address has a password, even one with unescaped `/` or `@`, or a parameter that is named like a secret.

    >>> [holds_secret(url) for url in ("postgresql://ann@host:5432/shop?sslmode=require", "mysql://ann:p/w@host/shop", "duckdb:///md:?a_token=1")]
    [False, True, True]
    >>> holds_secret("postgresql://host/shop?options=-c my.token=1")
    True
    """
    read = urllib.parse.unquote(url)  # as the driver does: an escaped `:` or a connection string in a parameter hides nothing
    parameters = re.split("[?&;#]", read, maxsplit=1)[1:]
    names = {name.lower() for text in parameters for name in re.findall(r"([\w.-]+)\s*=", text)} - FILES_OF_SECRETS  # also in a value
    password = re.match("[^:]+://[^:/?#@]*:.*@", read, re.DOTALL)
    return password is not None or "key" in names or any(word in name for name in names for word in SECRET_WORDS)


SPARK = "sc://"
IN_A_FILE = ("sqlite:", "duckdb:")  # whose names may have a #


def _without_secret(url: str) -> str:
    if url.startswith(SPARK):
        return spark_address(url, "password_variable")
    if "://" not in url:
        raise ValueError("is not a database address; write it as postgresql://user@host:5432/name or sqlite:///file.db")
    if holds_secret(url):
        raise ValueError("holds a secret; remove it, put it into an environment variable, and name that in password_variable")
    if "#" in url and not url.startswith(IN_A_FILE):
        raise ValueError("has a part after #, which no database reads; remove it, or write a # of a name as %23")
    return url


def spark_address(url: str, variable: str) -> str:
    """An address of Spark Connect, if it is one and holds no secret.

    Args:
        variable: the setting that names the environment variable with the token.

    Raises:
        ValueError: it holds a secret, or is none.
    """
    if holds_secret(url):
        raise ValueError(f"holds a secret; remove it, put it into an environment variable, and name that in {variable}")
    try:
        parts = urllib.parse.urlsplit(url)
        fits = parts.scheme == "sc" and bool(parts.hostname) and parts.port != 0 and parts.path.partition(";")[0] in {"", "/"}
    except ValueError:  # a port that is none
        fits = False
    if not fits or not all("=" in parameter for parameter in parts.path.split(";")[1:]):
        raise ValueError("is not an address of Spark Connect; write it as sc://host:15002 or sc://host:443/;use_ssl=true")
    return url


DatabaseAddress = Annotated[str, AfterValidator(_without_secret)]
