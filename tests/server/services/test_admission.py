"""Who is let in, and what the others are told; on the real event loop."""

import pytest

from server.domain.errors import Overloaded
from server.metrics import PrometheusMetrics
from server.services.admission import Admission, AdmissionLimits, Admitted

ELSEWHERE = "2001:db8:1::1"


def admission(most_locks: int = 1000, connects_a_second: int = 1000) -> Admission:
    limits = AdmissionLimits(most_locks=most_locks, connects_a_second=connects_a_second)
    return Admission(limits, PrometheusMetrics())


def enter(admission: Admission, times: int, address: str = "192.0.2.1") -> list[Admitted]:
    return [admission.enter(address) for _ in range(times)]


async def test_a_full_node_lets_nobody_in_until_somebody_leaves():
    node = admission(most_locks=3)
    first, *_ = enter(node, 3)
    with pytest.raises(Overloaded):
        node.enter(ELSEWHERE)
    first.left()
    node.enter(ELSEWHERE)


async def test_leaving_twice_makes_room_once():
    node = admission(most_locks=3)
    first, *_ = enter(node, 3)
    first.left()
    first.left(was_refused=True)
    node.enter(ELSEWHERE)
    with pytest.raises(Overloaded):
        node.enter(ELSEWHERE)


async def test_only_so_many_are_let_in_at_once():
    node = admission(connects_a_second=2)
    for admitted in enter(node, 2):
        admitted.greeted()
    with pytest.raises(Overloaded):
        node.enter(ELSEWHERE)


async def test_one_that_was_refused_has_taken_nobodys_turn():
    node = admission(connects_a_second=2)
    for _ in range(20):
        node.enter("192.0.2.1").left(was_refused=True)


async def test_those_turned_away_together_are_told_different_times_the_later_ones_later():
    node = admission(connects_a_second=1)
    enter(node, 1)
    told: list[float] = []
    for _ in range(40):
        with pytest.raises(Overloaded) as refused:
            node.enter(ELSEWHERE)
        told.append(refused.value.retry_after.total_seconds())
    assert len(set(told)) == len(told)
    assert min(told[30:]) > max(told[:5])


async def test_from_one_address_come_half_of_the_new_ones_at_most():
    node = admission(connects_a_second=10)
    crowd = enter(node, 5)
    with pytest.raises(Overloaded):
        node.enter("192.0.2.1")
    node.enter(ELSEWHERE)
    crowd[0].left()
    node.enter("192.0.2.1")


async def test_an_ipv6_network_counts_as_one_address():
    node = admission(connects_a_second=10)
    for host in range(5):
        node.enter(f"2001:db8:5::{host}")
    with pytest.raises(Overloaded):
        node.enter("2001:db8:5::99")


async def test_those_that_were_welcomed_crowd_nobody_out():
    node = admission(connects_a_second=10)
    for admitted in enter(node, 5):
        admitted.greeted()
    enter(node, 5)


async def test_a_node_that_stops_lets_nobody_in():
    node = admission()
    node.begin_drain()
    with pytest.raises(Overloaded):
        node.enter(ELSEWHERE)
