"""Schedules that have broken a promise once, made small; by what was wrong."""

from __future__ import annotations

from .plan import ClientPlan, Mishap, Plan, Step

__all__ = ["KEPT"]

# fmt: off
KEPT: dict[str, Plan] = {
    "a doubt from before a promotion":
        Plan(seed=679, flavor="mariadb", replicas=2, clients=(ClientPlan(level="session",
        shares=True, waits=True, timeout=None, steps=(Step(0.2815, "read"), Step(0.1036, "wait"),
        Step(0.0247, "snapshot", "repeatable", size=3), Step(0.0135, "write"), Step(0.002,
        "write"), Step(0.0623, "read"), Step(0.0, "stream"), Step(0.0988, "write"), Step(0.0131,
        "read", "stale"), Step(0.0742, "read"))), ClientPlan(level="session", shares=False,
        waits=True, timeout=10.0, steps=(Step(0.2817, "read", "eventual"), Step(0.4295, "write"),
        Step(0.7354, "read", "eventual"), Step(0.3287, "read"), Step(0.399, "read"), Step(0.746,
        "read", "session"), Step(0.0721, "read", "eventual"), Step(1.1071, "write",
        "fails behind"), Step(0.9495, "read", "eventual"), Step(0.1301, "write", "fails behind"),
        Step(0.3091, "write"), Step(0.1567, "read", "stale")))), mishaps=(Mishap(at=0.5929,
        what="fail over", where=4, size=0.193), Mishap(at=2.9025, what="fail over", where=3,
        size=0.872), Mishap(at=6.7999, what="slow", where=2, size=0.229)), others=()),
    "what was lost had to come back":
        Plan(seed=899, flavor="mysql", replicas=1, clients=(ClientPlan(level="session",
        shares=False, waits=True, timeout=10.0, steps=(Step(0.0177, "write", "lost behind"),)),),
        mishaps=(Mishap(at=0.0345, what="switch over", where=3, size=0.317), Mishap(at=0.1209,
        what="fail over", where=1, size=0.667), Mishap(at=0.1347, what="restart less", where=2,
        size=0.35)), others=()),
    "a wait went by numbers":
        Plan(seed=1672, flavor="mariadb", replicas=1, clients=(ClientPlan(level="global",
        shares=False, waits=True, timeout=2.0, steps=(Step(0.1764, "read"), Step(0.0052, "write"),
        Step(0.1762, "snapshot", "repeatable", size=3), Step(0.0392, "read", "session"),
        Step(0.0567, "stream"), Step(0.0153, "read"), Step(0.0779, "read", "stale"), Step(0.0294,
        "write"), Step(0.0168, "read"), Step(0.1248, "read"), Step(0.108, "snapshot",
        "repeatable", size=1), Step(0.0164, "write"), Step(0.0188, "wait"), Step(0.058,
        "write"))), ClientPlan(level="global", shares=True, waits=True, timeout=None, steps=())),
        mishaps=(Mishap(at=0.5481, what="slow", where=1, size=0.062), Mishap(at=1.0232,
        what="fail over", where=0, size=0.263), Mishap(at=1.026, what="restart less", where=3,
        size=0.088)),
        others=(0.7886, 0.8011, 0.8326, 0.8344, 1.3394, 1.3453, 1.3681)),
    "a session left its replica while the primary was away":
        Plan(seed=1599, flavor="mariadb", replicas=2, clients=(ClientPlan(level="session",
        shares=False, waits=True, timeout=None, steps=(Step(0.0193, "read"), Step(0.0597, "read"),
        Step(0.044, "read"), Step(0.0177, "read"), Step(0.013, "read"), Step(0.0175, "read"),
        Step(0.0769, "read"), Step(0.0151, "read"), Step(0.008, "read"), Step(0.0038, "read"),
        Step(0.0325, "read"), Step(0.002, "read"), Step(0.0287, "read"), Step(0.0198, "read"),
        Step(0.0139, "read"), Step(0.0179, "read"), Step(0.0012, "read"), Step(0.0126, "read"),
        Step(0.0217, "read"), Step(0.0071, "read"), Step(0.0004, "read"), Step(0.0068, "read"),
        Step(0.1309, "read"), Step(0.0179, "read"), Step(0.001, "read"), Step(0.0329, "read"),
        Step(0.0132, "read"), Step(0.0229, "read"), Step(0.0496, "read"), Step(0.069, "read"),
        Step(0.0108, "read"), Step(0.0158, "read"), Step(0.0165, "read"), Step(0.0356, "read"),
        Step(0.0041, "read"))),), mishaps=(Mishap(at=0.3, what="restart", where=0, size=0.728),
        Mishap(at=0.4, what="restart primary", where=0, size=0.9)), others=(0.3714, 0.3763,
        0.4341)),
    "a lost answer made known what was not":
        Plan(seed=4907, flavor="mariadb", replicas=2, clients=(ClientPlan(level="eventual",
        shares=False, waits=True, timeout=None, steps=(Step(0.0215, "read", "stale"), Step(0.0154,
        "read"), Step(0.0811, "write"), Step(0.0986, "read"), Step(0.0214, "write",
        "fails behind"), Step(0.0271, "write", "lost before"), Step(0.0467, "read", "session"))),),
        mishaps=(Mishap(at=0.0475, what="fail over", where=5, size=0.385), Mishap(at=0.4214,
        what="fail over", where=5, size=0.825)), others=()),
}
