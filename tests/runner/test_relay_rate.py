"""How fast output may be relayed, on a clock of the test's own.

Runs on: the test's thread; pure.
"""

from __future__ import annotations

from toru.runner.relay_rate import BURST_S, LINE_BYTES, RelayRate

PER_S = 1 << 20
BURST = PER_S * BURST_S


def test_a_burst_passes_and_what_is_over_it_has_to_rest() -> None:
    rate = RelayRate(PER_S, 0.0)
    rate.spend(b"x" * BURST)
    assert rate.pause_s(0.0) == 0.0
    rate.spend(b"x" * (PER_S // 2))
    assert rate.pause_s(0.0) == 0.5
    assert rate.pause_s(0.25) == 0.25
    assert rate.pause_s(0.5) == 0.0


def test_lines_cost_more_than_their_bytes() -> None:
    rate = RelayRate(PER_S, 0.0)
    rate.spend(b"\n" * (BURST // (LINE_BYTES + 1) + 1))
    assert rate.pause_s(0.0) > 0.0


def test_credit_that_is_not_used_does_not_grow_for_ever() -> None:
    rate = RelayRate(PER_S, 0.0)
    assert rate.pause_s(1e6) == 0.0
    rate.spend(b"x" * (BURST + PER_S))
    assert rate.pause_s(1e6) == 1.0
