# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# The goals of docs/performance.md against what bench/run measured: input is its parts, output a
# list of {goal, limit, measured, verdict, remark}.
def round2: . * 100 | round / 100;
def cell($part; $name): .[$part].cases // [] | map(select(.case == $name)) | .[0];
def missing($row): "not measured: " + ($row // {} | .skipped // .error // "its part did not run");
def verdict($holds): if $holds then "holds" else "does not hold" end;

# At most so many of a packet's ns or instructions; of several cases, the most counts.
def at_most($goal; $names; $key; $limit): [cell("packet_cost"; $names[])] as $rows |
	($rows | map(.[$key] | numbers)) as $values |
	($rows | map(select(.[$key] == null)) | .[0]) as $gap |
	{goal: $goal, limit: "at most \($limit)", measured: ($values | max)} +
	if ($values | length) == ($names | length) then
		{verdict: verdict(($values | max) <= $limit)}
	elif $key == "instructions" and $gap.ns_min then
		{verdict: "not measured: this machine has no hardware counters"}
	else {verdict: missing($gap)} end;
def ns($goal; $names; $limit): at_most($goal + ", ns"; $names; "ns_min"; $limit);
def insns($goal; $names; $limit): at_most($goal + ", instructions"; $names; "instructions"; $limit);

# Real frames, and their part of the plain XDP_TX beside them, which was 7.3 where goals are from.
def frames($goal; $name; $limit): cell("frames"; $name) as $row |
	cell("frames"; "tx/send/any/1core") as $plain |
	{goal: $goal, limit: "at least \($limit)", measured: $row.mpps} +
	if $row.mpps then {verdict: verdict($row.mpps >= $limit)} +
		if $plain.mpps then {remark: ("\($row.mpps / $plain.mpps | round2) of the plain " +
			"XDP_TX here, \($plain.mpps); the goal is \($limit / 7.3 | round2) of 7.3")}
		else {} end
	else {verdict: missing($row)} end;

# The worst of fullnat's cases against ipip's.
def fullnat($limit): . as $parts |
	[("tcp", "udp") as $proto | ("1", "1k", "32k", "131k", "1M") as $size |
		$parts | cell("packet_cost"; "ipip/\($proto)/in/\($size)").ns_min as $ipip |
		("in", "out") as $dir | "fullnat/\($proto)/\($dir)/\($size)" as $name |
		cell("packet_cost"; $name).ns_min as $ns | select($ipip and $ns and $ipip > 0) |
		{name: $name, ratio: ($ns / $ipip | round2)}] | max_by(.ratio) as $worst |
	{goal: "fullnat beside ipip, times", limit: "at most \($limit)", measured: $worst.ratio} +
	if $worst then {verdict: verdict($worst.ratio <= $limit), remark: "worst is \($worst.name)"}
	else {verdict: "not measured: one of the two methods did not run"} end;

def unbuilt($goal; $what): {goal: $goal, verdict: "not measured: no case for \($what) yet"};

[ns("TCP/IPv4 established, one flow"; ["ipip/tcp/in/1"]; 25),
 insns("TCP/IPv4 established, one flow"; ["ipip/tcp/in/1"]; 430),
 ns("TCP/IPv4 established, 1k flows"; ["ipip/tcp/in/1k"]; 32),
 ns("TCP/IPv4 established, 131k flows"; ["ipip/tcp/in/131k"]; 110),
 ns("TCP/IPv4 established, 1M flows"; ["ipip/tcp/in/1M"]; 220),
 ns("UDP/IPv4 established, one flow"; ["ipip/udp/in/1"]; 27),
 insns("UDP/IPv4 established, one flow"; ["ipip/udp/in/1"]; 430),
 unbuilt("TCP/IPv6 established"; "IPv6"),
 ns("SYN of a new flow, tracked"; ["ipip/tcp/new"]; 280),
 ns("SYN of a new flow above a flood cap"; ["ipip/tcp/flood"]; 60),
 ns("not for a VIP: another address"; ["pass/address/1", "pass/address/random"]; 8),
 insns("not for a VIP: another address"; ["pass/address/1", "pass/address/random"]; 110),
 ns("not for a VIP: another port of its address"; ["pass/port/1", "pass/port/random"]; 8),
 insns("not for a VIP: another port of its address"; ["pass/port/1", "pass/port/random"]; 110),
 ns("ICMP echo answered"; ["answer/echo"]; 12),
 frames("real frames, one flow, Mpps on one core"; "tx/ipip/1/1core"; 6.3),
 frames("real frames, 131k flows, Mpps on one core"; "tx/ipip/131k/1core"; 4.8),
 fullnat(1.25),
 ((.consistency.goals // [])[] | {goal: "wrk, \(.goal)", measured, verdict:
	(if .measured == null then "not measured: a contender did not run" else verdict(.holds) end)}),
 (if .consistency.goals then empty else
	{goal: "wrk beside direct, nftables, nginx, HAProxy", verdict: missing(.consistency)} end),
 unbuilt("wrk, keep-alive: dsr"; "dsr")]
