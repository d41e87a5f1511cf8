"""How many commands the workers of a cluster run at a time, as a scheduler describes them."""

from __future__ import annotations

import pytest

from trapmid.engine.cluster import _engine


class Client:
    """A scheduler with workers of (threads, resources)."""

    dashboard_link = None

    def __init__(self, *workers):
        self._workers = [{"nthreads": n, "resources": has} for n, has in workers]
        self.asked = {}

    def get_executor(self, **options):
        self.asked = options
        return object()

    def scheduler_info(self, n_workers):
        assert n_workers == -1  # all; by default five
        return {"workers": dict(enumerate(self._workers))}


@pytest.mark.parametrize(
    ("workers", "resources", "slots"),
    [
        ([], {}, 0),
        ([(4, {}), (2, None)], {}, 6),
        ([(4, {"GPU": 2.0}), (1, {"GPU": 2.0}), (8, {})], {"GPU": 1.0}, 3),
        ([(4, {"GPU": 2.0})], {"GPU": 2.0}, 1),
        ([(9, {"GPU": 1.0})], {"GPU": 0.25}, 4),
        ([(4, {"GPU": 4.0, "MEMORY": 100.0})], {"GPU": 1.0, "MEMORY": 60.0}, 1),
        ([], {"GPU": 1.0}, 0),
    ],
)
def test_a_worker_runs_as_many_as_its_threads_and_resources_allow(workers, resources, slots):
    client = Client(*workers)
    engine = _engine(client, resources)
    assert engine.slots() == slots and engine.link == ""
    assert client.asked["resources"] == (resources or None)


def test_a_resource_that_nobody_has_enough_of_is_refused():
    engine = _engine(Client((4, {"GPU": 1.0}), (4, {})), {"GPU": 2.0})
    with pytest.raises(ValueError, match=r"^--resource GPU=2: none of 2 workers has it$"):
        engine.slots()
