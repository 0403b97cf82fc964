-- SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
-- Ends wrk's output with one line of JSON, so that no script has to read its text.

function done(summary, latency)
	local e = summary.errors
	io.write(string.format(
		'{"requests":%d,"rps":%.0f,"bytes_per_s":%.0f,"p50_us":%d,"p99_us":%d,"max_us":%d,"errors":' ..
		'{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,"all":%d}}\n',
		summary.requests, summary.requests / summary.duration * 1e6,
		summary.bytes / summary.duration * 1e6,
		latency:percentile(50), latency:percentile(99), latency.max,
		e.connect, e.read, e.write, e.status, e.timeout,
		e.connect + e.read + e.write + e.status + e.timeout))
end
