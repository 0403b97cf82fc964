# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Writes OUTPUT, a header that defines LBCTL_BUILD_ID: a hash over all SOURCES in their order.
set(all "")
foreach(source IN LISTS SOURCES)
	file(SHA256 ${source} hash)
	string(APPEND all ${hash})
endforeach()
string(SHA256 all ${all})
string(SUBSTRING ${all} 0 12 id)
file(WRITE ${OUTPUT} "#define LBCTL_BUILD_ID \"${id}\"\n")
