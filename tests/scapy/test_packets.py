# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Packets in, packets out: what the data path sends has to be, to the last bit, what scapy builds.

Run by tests/scapy/run, in namespaces of its own. Arguments: names of tests, such as icmp_echo.
"""
import logging
import os
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

EXIT_SKIPPED = 77
OK, FAILED, SKIPPED = WORDS = "[       OK ] ", "[  FAILED  ] ", "[  SKIPPED ] "
MODES = (("native", "assoc"), ("generic", "lru"))
# What is known not to be so, and why it is left: told as skipped, and a failure once it is so.
KNOWN = {}
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


def verdict(name, title, failures):
    """In the words of cmocka."""
    if name not in KNOWN:
        word = FAILED if failures else OK
    elif failures:
        print("known: " + KNOWN[name])
        word = SKIPPED
    else:
        print("    not known any more: " + KNOWN[name])
        word = FAILED
    print(word + title, flush=True)
    return word


def main(names):
    if too_old():
        print("SKIP: packets by scapy: Linux 5.15 or newer is needed")
        return EXIT_SKIPPED
    conf.verb = 0
    packets, sums = 0, dict.fromkeys(WORDS, 0)
    lab.build()
    services = model.services()
    for mode, table in MODES:
        if os.environ.get("SCAPY_MODE", mode) != mode:
            continue
        balancer = lab.Lab(mode, table, services)
        for name, function in tests(names):
            its = check.Check(balancer, services)
            start, before = time.monotonic(), balancer.packets
            function(its)
            title = "scapy_%s, %s" % (name, mode)
            print("    %s: %d packets, %.1f s" % (title, balancer.packets - before,
                                                  time.monotonic() - start))
            sums[verdict(name, title, its.failures)] += 1
        packets += balancer.packets
        balancer.close()
    print("%d packets" % packets)
    print("%d passed, %d failed, %d skipped" % tuple(sums[word] for word in WORDS))
    return 1 if sums[FAILED] or not sums[OK] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
