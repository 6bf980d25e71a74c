"""Which limits stand beside which network, and the tasks that measure them in the network's own turns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from vithybrid_cli.bench.limits import Limit, Limits, Operations
from vithybrid_cli.bench.material import Material, Plan
from vithybrid_cli.bench.measurements import Part, Subject
from vithybrid_cli.bench.ours import Network
from vithybrid_cli.bench.place import Place
from vithybrid_cli.bench.reach import Reach, SquareReach, that_matter
from vithybrid_cli.bench.turns import LimitTask, Turns
from vithybrid_cli.bench.work import Layer, Work, work_of
from vithybrid_cli.errors import UsageError

_LEAST_SHARE = 0.05  # of a network's work; layers that hold less of it say nothing about the network


@dataclass
class Beside:
    """Limits of the networks of a plan. Those of one type on one device share them, whatever engine they run on."""

    plan: Plan
    material: Material
    limits: dict[Subject, Sequence[Limit]] = field(default_factory=dict)

    @cached_property
    def work(self) -> Work:
        """What the network computes."""
        return work_of(self.material.checkpoint.config)

    @cached_property
    def layers(self) -> Mapping[Operations, Mapping[Layer, int]]:
        """Those of the network that hold a good part of its work."""
        kinds = {
            Operations.CONVOLUTIONS: that_matter(self.work.convolutions),
            Operations.LINEARS: that_matter(self.work.linears),
        }
        least = _LEAST_SHARE * self.work.flop
        return {kind: layers for kind, layers in kinds.items() if _flop(layers) >= least}

    def tasks(self, networks: Sequence[Network], batch: int) -> Iterator[LimitTask]:
        """The tasks of all limits that stand beside ``networks``."""
        for network in networks:
            device = network.classifier.engine.device_type
            kinds = (Operations.PRODUCT, *self.layers)
            self.limits[network.subject(Part.NETWORK, batch)] = [
                Limit(kind, device, network.dtype, batch) for kind in kinds
            ]
        of_batch = [limit for limits in self.limits.values() for limit in limits if limit.batch == batch]
        for limit in dict.fromkeys(of_batch):
            reach = self._reach(limit)
            yield LimitTask(limit, reach.measure, reach.warm_up)

    def result(self, turns: Turns) -> Limits:
        """What came out."""
        errors = {limit: str(error) for limit, error in turns.limit_errors.items()}
        return Limits(self.work.flop, self.limits, turns.turns, turns.limit_turns, errors)

    def _reach(self, limit: Limit) -> Reach:
        place = Place.of(limit.device, self.plan.device, limit.dtype, self.plan.threads)
        if limit.operations is Operations.PRODUCT:
            return SquareReach.at(place, self.plan.seconds)
        return Reach(place, self.layers[limit.operations], limit.batch, self.plan.seconds, self.work.flop)


def require_network(plan: Plan) -> None:
    """Raise UsageError for limits without the networks that they stand beside."""
    if plan.limits and Part.NETWORK not in plan.parts:
        raise UsageError(
            "Limits stand beside the rate of the network, which is not to be measured.",
            "Give {only=network}, too, or leave out {limits=True}.",
        )


def _flop(layers: Mapping[Layer, int]) -> int:
    return sum(layer.flop * count for layer, count in layers.items())
