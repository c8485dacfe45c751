"""What each table holds: columns, types, keys, units and descriptions.

The lake (order of rows), the checks, publishing (types and comments), the Dagster UI and the docs all use the contracts,
so each table is described in one place. How a table is computed does not belong here.
"""

from segmentation_assets.tables import application, campaigns, cleaned, effects, exploration, features, model, portraits, raw, segments
from segmentation_assets.tables.contract import Contract

GROUPS = (raw, cleaned, features, exploration, model, segments, portraits, application, effects, campaigns)
CONTRACTS: tuple[Contract, ...] = tuple(found for group in GROUPS for found in vars(group).values() if isinstance(found, Contract))
BY_NAME = {contract.name: contract for contract in CONTRACTS}
