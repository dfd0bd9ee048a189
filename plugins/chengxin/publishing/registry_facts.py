"""Which admissions have facts about some subjects, by the state."""

from collections.abc import Collection
from dataclasses import replace

from chengxin.identity.registry import RegistryFiles
from chengxin.state import lookups
from chengxin.state.database import caught_up


def about(registry: RegistryFiles, subjects: Collection[int]) -> RegistryFiles:
    """Return what of the registry holds facts about these subjects; all of it where that is not much more."""
    if not registry.outnumbers(len(subjects)):
        return registry
    with caught_up(registry.layout) as state:
        orders = lookups.stated_by(state, subjects)
    return replace(registry, admissions=tuple(a for a in registry.admissions if a.order in orders))
