# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Packets in, packets out: what the data path sends has to be, to the last bit, what scapy builds.

Run by tests/scapy/run, in namespaces of its own. Arguments: names of tests, such as icmp_echo.
"""
import logging
import platform
import sys
import time

logging.getLogger("scapy").setLevel(logging.ERROR)  # of interfaces without routes

from scapy.config import conf  # noqa: E402

import answers  # noqa: E402
import carried  # noqa: E402
import check  # noqa: E402
import fragments  # noqa: E402
import icmp  # noqa: E402
import lab  # noqa: E402
import malformed  # noqa: E402
import model  # noqa: E402

SKIPPED = 77
MODES = (("native", "assoc"), ("generic", "lru"))
MODULES = (carried, fragments, icmp, answers, malformed)


def tests(names):
    for module in MODULES:
        for name, function in vars(module).items():
            full = "%s_%s" % (module.__name__, name[5:])
            if name.startswith("test_") and (not names or full in names):
                yield full, function


def too_old():
    """Test runs have an interface since Linux 5.15."""
    numbers = platform.release().split(".")
    return (int(numbers[0]), int(numbers[1])) < (5, 15)


def main(names):
    if too_old():
        print("SKIP: packets by scapy: Linux 5.15 or newer is needed")
        return SKIPPED
    conf.verb = 0
    passed = failed = packets = 0
    lab.build()
    services = model.services()
    for mode, table in MODES:
        balancer = lab.Lab(mode, table, services)
        for name, function in tests(names):
            its = check.Check(balancer, services)
            start, before = time.monotonic(), balancer.packets
            function(its)
            done = "scapy_%s, %s" % (name, mode)
            print("    %s: %d packets, %.1f s" % (done, balancer.packets - before,
                                                  time.monotonic() - start))
            print("[  %s ] %s" % ("FAILED " if its.failures else "     OK", done), flush=True)
            passed, failed = passed + (not its.failures), failed + bool(its.failures)
        packets += balancer.packets
        balancer.close()
    print("%d packets" % packets)
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
