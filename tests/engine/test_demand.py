"""What an autoscaler is asked for, without a cluster; tests/cluster/test_growth.py has some."""

from types import SimpleNamespace

import pytest

from winnow.engine.config import ComputeConfig
from winnow.engine.executors import demand, execute, gpu_pool
from winnow.engine.executors.demand import Demand, asked_for
from winnow.engine.records import Unit

CORE = {"CPU": 1.0}


def test_one_core_for_each_unit_that_is_left():
    waiting = Demand(49, [(CORE, 100), ({"GPU": 0.5}, 4)])
    assert waiting.bundles() == [CORE] * 49 + [{"GPU": 0.5}] * 4
    waiting.left = 3
    assert waiting.bundles() == [CORE] * 3 + [{"GPU": 0.5}] * 3
    assert Demand(49, [(CORE, 8)]).bundles() == [CORE] * 8  # `workers: 8`


@pytest.mark.parametrize("address", ["", "10.0.0.1:6379"])
def test_requests_of_ray_data_carry_the_demand(monkeypatch, address):
    """Another Ray may have renamed what carries it: then units are not asked for any more."""
    from ray.data._internal.cluster_autoscaler.rate_based_cluster_autoscaler import RateBasedClusterAutoscaler

    asked = []
    coordinator = SimpleNamespace(request_resources=lambda resources, **_: asked.append(resources))
    autoscaler = SimpleNamespace(_autoscaling_coordinator=coordinator, _autoscaling_request_expire_time_s=180)
    monkeypatch.setattr(demand, "_look_for_nodes", lambda _over: None)
    monkeypatch.setattr(
        RateBasedClusterAutoscaler, "_send_resource_request", RateBasedClusterAutoscaler._send_resource_request
    )
    monkeypatch.setenv("RAY_ADDRESS", address)
    with asked_for(Demand(49, [(CORE, 1000)])) as _:
        RateBasedClusterAutoscaler._send_resource_request(autoscaler, [CORE])
    RateBasedClusterAutoscaler._send_resource_request(autoscaler, [CORE])
    assert [len(request) for request in asked] == ([49, 1] if address else [1, 1])


@pytest.mark.parametrize(("gpus", "most"), [("auto", 1 << 20), (4, 4)])
def test_gpu_pools_grow_with_a_cluster_and_not_beyond_the_config(monkeypatch, gpus, most):
    import ray

    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0, "GPU": 1.0})
    config = ComputeConfig(gpus=gpus)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert gpu_pool.most_actors(config) == gpu_pool.gpu_actors(config) == 1
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert gpu_pool.most_actors(config) == most


def test_groups_leave_something_for_nodes_that_join():
    many = [Unit(n, {"n": n}, 64_000_000) for n in range(48)]
    assert len(execute.group_units(many, 1)) == 12
    assert len(execute.group_units(many, 1, execute.GROUP_BYTES_WHERE_NODES_JOIN)) == 48
