"""Declared assets and checks: functions independent of settings, from which `definitions.build` makes Dagster's definitions.

Partitions, lookback spans and owners depend on settings, and one process may need graphs for two different settings.
"""

import inspect
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Generic, ParamSpec, TypeVar

import dagster as dg

from segmentation_assets.defs.partitions import snapshot_partitions
from segmentation_assets.settings.loading import Settings
from segmentation_assets.tables import CONTRACTS

KEYS_OF_TABLES = {dg.AssetKey(contract.name) for contract in CONTRACTS}
P = ParamSpec("P")
R = TypeVar("R")
D = TypeVar("D", dg.AssetsDefinition, dg.AssetChecksDefinition)


@dataclass(frozen=True)
class Declared(Generic[P, R, D]):
    """A callable function, and how to make Dagster's definition from it.

    Args:
        make: makes the definition for given settings; if `last`, it also takes the keys to depend on.
        last: whether it depends on all tables, so that a failed check of any of them stops it.
    """

    compute: Callable[P, R]
    make: Callable[..., D]
    last: bool = False

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.compute(*args, **kwargs)


Asset = Declared[P, R, dg.AssetsDefinition]
Check = Declared[P, dg.AssetCheckResult, dg.AssetChecksDefinition]


def asset(
    freshness: Callable[[Settings], dg.FreshnessPolicy | None] = lambda _: None, last: bool = False, **how: Any
) -> Callable[[Callable[P, R]], Asset[P, R]]:
    """Decorate a function as an asset that is not a table, with one partition per snapshot; `how` is as in `dg.asset`."""

    def decorate(compute: Callable[P, R]) -> Asset[P, R]:
        def make(settings: Settings, deps: Sequence[dg.AssetKey] = ()) -> dg.AssetsDefinition:
            partitions = snapshot_partitions(settings.snapshots)
            after = [*how.get("deps", ()), *deps]
            return dg.asset(partitions_def=partitions, freshness_policy=freshness(settings), **{**how, "deps": after})(compute)

        return Declared(compute, make, last)

    return decorate


def check(**how: Any) -> Callable[[Callable[P, dg.AssetCheckResult]], Check[P]]:
    """Decorate a function as a check of each snapshot; `how` is as in `dg.asset_check`."""

    def decorate(compute: Callable[P, dg.AssetCheckResult]) -> Check[P]:
        return Declared(compute, lambda settings: dg.asset_check(partitions_def=snapshot_partitions(settings.snapshots), **how)(compute))

    return decorate


def assets(package: ModuleType, settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets that the modules of a package declare, each with its owners and a reference to its code."""
    declared = _declared(package)
    made = [_attributed(one, one.make(settings), settings) for one in declared if not one.last]
    asked = {dep for asset in made for key, deps in asset.asset_deps.items() for dep in deps if dep != key}
    ends = sorted(key for asset in made for key in asset.keys if key in KEYS_OF_TABLES - asked)
    return [*made, *(_attributed(one, one.make(settings, ends), settings) for one in declared if one.last)]


def checks(package: ModuleType, settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The checks that the modules of a package declare."""
    return [one.make(settings) for one in _declared(package)]


def _declared(package: ModuleType) -> list[Declared[..., Any, Any]]:
    modules = [import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)]
    return [value for module in modules for value in vars(module).values() if isinstance(value, Declared)]


def _attributed(one: Asset[..., Any], made: dg.AssetsDefinition, settings: Settings) -> dg.AssetsDefinition:
    file, (_, line) = inspect.getfile(one.compute), inspect.getsourcelines(one.compute)
    code = dg.CodeReferencesMetadataValue(code_references=[dg.LocalFileCodeReference(file_path=file, line_number=line)])
    return made.map_asset_specs(
        lambda spec: spec.merge_attributes(owners=list(settings.owners), metadata={"dagster/code_references": code})
    )
