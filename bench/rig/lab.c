// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The rig's lab: namespaces, ip(8), lbctl. */
#define _GNU_SOURCE
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

int lab__ip(const char *lines)
{
	FILE *ip = popen("ip -batch -", "w");

	if (!ip)
		return -errno;
	fputs(lines, ip);
	return pclose(ip) ? -EIO : 0;
}

int lab__enter(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS))
		return -errno;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	if (mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700"))
		return -errno;
	return lab__ip("link set lo up\n");
}

int lab__netns(int *ret_fd)
{
	if (unshare(CLONE_NEWNET))
		return -errno;
	*ret_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (*ret_fd < 0)
		return -errno;
	return lab__ip("link set lo up\n");
}

void lab__mac_of(uint32_t ip, uint8_t ret[6])
{
	const uint8_t mac[6] = { 2, 0, ip >> 24, ip >> 16, ip >> 8, ip };

	memcpy(ret, mac, sizeof(mac));
}

static size_t neighbour_line(char *at, size_t size, const char *iface, uint32_t ip)
{
	return snprintf(at, size,
			"neigh replace %u.%u.%u.%u lladdr 02:00:%02x:%02x:%02x:%02x dev %s "
			"nud permanent\n",
			ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255, ip >> 24, ip >> 16 & 255,
			ip >> 8 & 255, ip & 255, iface);
}

int lab__neighbours(const char *iface)
{
	static char lines[(LAB_BACKENDS + 1) * 100];
	size_t at = neighbour_line(lines, sizeof(lines), iface, LAB_GATEWAY);
	uint32_t i;

	for (i = 0; i < LAB_BACKENDS; i++)
		at += neighbour_line(lines + at, sizeof(lines) - at, iface, LAB_BACKEND + i);
	return lab__ip(lines);
}

int lab__one_armed(void)
{
	int err = lab__ip("link add " LAB_IFACE
			  " address 02:00:0a:00:00:01 type veth peer name far\n"
			  "link set " LAB_IFACE " up\n"
			  "link set far up\n"
			  "address add 10.0.0.1/16 dev " LAB_IFACE "\n"
			  "route add 100.64.0.0/10 via 10.0.0.254\n");

	return err ? err : lab__neighbours(LAB_IFACE);
}

/* The error among what lbctl said, notes left out. */
static void keep_error(char words[LAB_WORDS], const char *line)
{
	if (strncmp(line, "lbctl: ", 7) || !strncmp(line, "lbctl: note", 11))
		return;
	snprintf(words, LAB_WORDS, "%s", line + 7);
	words[strcspn(words, "\n")] = '\0';
}

int lab__lbctl(char words[LAB_WORDS], const char *format, ...)
{
	char command[512] = "\"$LBCTL\" ", line[LAB_WORDS];
	size_t len = strlen(command);
	va_list args;
	FILE *lbctl;

	va_start(args, format);
	vsnprintf(command + len, sizeof(command) - len - 5, format, args);
	va_end(args);
	strcat(command, " 2>&1");
	snprintf(words, LAB_WORDS, "lbctl could not be run");
	lbctl = popen(command, "r");
	if (!lbctl)
		return -errno;
	while (fgets(line, sizeof(line), lbctl))
		keep_error(words, line);
	return pclose(lbctl) ? -EIO : 0;
}

json_t *lab__show(const char *what)
{
	char command[128];
	json_t *root;
	FILE *lbctl;

	snprintf(command, sizeof(command), "\"$LBCTL\" -o json show %s 2>/dev/null", what);
	lbctl = popen(command, "r");
	if (!lbctl)
		return NULL;
	root = json_loadf(lbctl, 0, NULL);
	pclose(lbctl);
	return root;
}
