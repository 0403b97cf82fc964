-- SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
-- One wrk on several servers without a balancer: its threads take turns with the addresses in
-- $SERVERS. Two wrk would not start at the same time.

local here = debug.getinfo(1, "S").source:match("^@(.*)/")
local servers = {}
local threads = 0

dofile(here .. "/../wrk.lua")

for server in os.getenv("SERVERS"):gmatch("%S+") do
	servers[#servers + 1] = server
end

function setup(thread)
	thread.addr = wrk.lookup(servers[threads % #servers + 1], "80")[1]
	threads = threads + 1
end
