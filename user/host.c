/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The host around the balancer, through /proc, /sys, /run and system calls. */
#define _GNU_SOURCE
#include "host.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define BPFFS_DIR    "/sys/fs/bpf"
#define LOCK_DIR     "/run/lbctl"
#define LOCK_TELL_MS 1000
#define LOCK_MAX_MS  10000
#define LOCK_POLL_NS 2000000
#define PORT_MIN     1024 /* below, a port may need a privilege or be a well-known service */

static int sysctl_open(const char *path, int flags)
{
	char full[PATH_MAX];
	int fd;

	if (snprintf(full, sizeof(full), "/proc/sys/%s", path) >= (int)sizeof(full))
		return -ENAMETOOLONG;
	fd = open(full, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int sysctl_text(const char *path, char *ret, size_t size)
{
	size_t used = 0;
	ssize_t n;
	int fd = sysctl_open(path, O_RDONLY), err = 0;

	if (fd < 0)
		return fd;
	do {
		n = read(fd, ret + used, size - 1 - used);
		if (n > 0)
			used += (size_t)n;
	} while (n > 0 && used < size - 1);
	if (n < 0)
		err = -errno;
	ret[used] = '\0';
	close(fd);
	return err;
}

int host__sysctl_read(const char *path, long *ret)
{
	char text[64], *end;
	long value;
	int err = sysctl_text(path, text, sizeof(text));

	if (err)
		return err;
	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || (*end && !isspace((unsigned char)*end)))
		return -EINVAL;
	*ret = value;
	return 0;
}

int host__sysctl_write(const char *path, long value)
{
	int fd = sysctl_open(path, O_WRONLY), err = 0;

	if (fd < 0)
		return fd;
	if (dprintf(fd, "%ld\n", value) < 0)
		err = -errno;
	close(fd);
	return err;
}

int host__local_ports(struct lb_port_range *ret)
{
	unsigned int lo, hi;
	char text[64];
	int err = sysctl_text("net/ipv4/ip_local_port_range", text, sizeof(text));

	if (err)
		return err;
	if (sscanf(text, "%u %u", &lo, &hi) != 2 || lo > hi || hi > UINT16_MAX)
		return -EINVAL;
	*ret = (struct lb_port_range){ .lo = (uint16_t)lo, .hi = (uint16_t)hi };
	return 0;
}

/* Whether a list such as "22,8080-8090" has the port. */
static int ports_contain(const char *list, uint16_t port)
{
	unsigned int lo, hi;
	int used;

	while (sscanf(list, "%u%n", &lo, &used) == 1) {
		list += used;
		hi = lo;
		if (*list == '-' && sscanf(list, "-%u%n", &hi, &used) == 1)
			list += used;
		if (port >= lo && port <= hi)
			return 1;
		if (*list != ',')
			break;
		list++;
	}
	return *list && !isspace((unsigned char)*list) ? -EINVAL : 0;
}

int host__port_reserved(uint16_t port)
{
	size_t size = 6 * (UINT16_MAX + 1) + 1; /* "65535," for each port that there is */
	char *text = malloc(size);
	int ret;

	if (!text)
		return -ENOMEM;
	ret = sysctl_text("net/ipv4/ip_local_reserved_ports", text, size);
	if (!ret)
		ret = ports_contain(text, port);
	free(text);
	return ret;
}

int host__snat_ports(struct lb_port_range ret[LB_PORT_RANGES], unsigned int *ret_n)
{
	struct lb_port_range local;
	unsigned int n = 0, i = 0;
	int err = host__local_ports(&local);

	_Static_assert(LB_PORT_RANGES >= 2, "one range below the kernel's ports and one above");
	if (err)
		return err;
	memset(ret, 0, LB_PORT_RANGES * sizeof(*ret));
	if (local.lo > PORT_MIN)
		ret[i++] = (struct lb_port_range){ PORT_MIN, (uint16_t)(local.lo - 1) };
	if (local.hi < PORT_MIN)
		ret[i++] = (struct lb_port_range){ PORT_MIN, UINT16_MAX };
	else if (local.hi < UINT16_MAX)
		ret[i++] = (struct lb_port_range){ (uint16_t)(local.hi + 1), UINT16_MAX };
	while (i--)
		n += ret[i].hi - ret[i].lo + 1u;
	*ret_n = n;
	return n < HOST_SNAT_PORTS_MIN ? -ENOSPC : 0;
}

int host__netns(uint64_t *ret)
{
	struct stat st;

	if (stat("/proc/self/ns/net", &st) < 0)
		return -errno;
	*ret = st.st_ino;
	return 0;
}

/* The coarse clock moves once per jiffy and says so. */
int host__hz(uint32_t *ret)
{
	struct timespec res;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &res) < 0)
		return -errno;
	if (res.tv_sec || res.tv_nsec <= 0)
		return -EINVAL;
	*ret = (uint32_t)((1000000000 + res.tv_nsec / 2) / res.tv_nsec);
	return 0;
}

/* A "." or ".." among names that don't exist yet has no meaning. */
static bool path_has_dots(const char *path)
{
	size_t part;

	for (;; path += part) {
		path += strspn(path, "/");
		part = strcspn(path, "/");
		if (!part)
			return false;
		if (!strncmp(path, "..", part))
			return true;
	}
}

/*
 * The nearest parent of path that exists, or path itself, with its links followed. *ret_rest is
 * what of path lies below it.
 */
static int path_resolve(const char *path, char ret[PATH_MAX], const char **ret_rest)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (!len || len >= sizeof(part))
		return len ? -ENAMETOOLONG : -ENOENT;
	memcpy(part, path, len + 1);
	while (!realpath(part, ret)) {
		if (errno != ENOENT || !len)
			return -errno;
		while (len && part[len - 1] == '/')
			len--;
		while (len && part[len - 1] != '/')
			len--;
		strcpy(part + len, len ? "" : ".");
	}
	*ret_rest = path + len;
	return path_has_dots(*ret_rest) ? -ENOENT : 0;
}

/* Makes each directory of rest below base, which must be an absolute path. */
static int path_make(const char *base, const char *rest)
{
	char path[PATH_MAX];
	size_t len = strlen(base), part;
	struct stat st;

	if (len + 1 + strlen(rest) >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, base, len + 1);
	for (;;) {
		rest += strspn(rest, "/");
		part = strcspn(rest, "/");
		if (!part)
			break;
		len += (size_t)sprintf(path + len, "/%.*s", (int)part, rest);
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return -errno;
		rest += part;
	}
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int host__bpffs_ensure(const char *dir)
{
	char base[PATH_MAX];
	const char *rest;
	struct statfs fs;
	int err = path_resolve(dir, base, &rest);

	if (err)
		return err;
	if (statfs(base, &fs) < 0)
		return -errno;
	if (fs.f_type != BPF_FS_MAGIC) {
		if (strcmp(base, BPFFS_DIR))
			return -EMEDIUMTYPE;
		if (host__mounts_vanish())
			return -ESTALE;
		if (mount("bpf", BPFFS_DIR, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
			return -errno;
	}
	return path_make(base, rest);
}

const char *host__bpffs_why(int err)
{
	switch (err) {
	case -EMEDIUMTYPE:
		return "it is not on a bpf filesystem; choose a --pin-dir below " BPFFS_DIR
		       ", or mount one there: mount -t bpf bpf DIR";
	case -ESTALE:
		return "a bpf filesystem mounted here would vanish with this command, and all pins; "
		       "instead of ip netns exec NAME use nsenter --net=/run/netns/NAME";
	case -EPERM:
	case -EACCES:
		return "not allowed to mount or write a bpf filesystem, which takes no names with "
		       "dots; run it as root, with another --pin-dir";
	case -ENODEV:
		return "this kernel has no bpf filesystem; it needs CONFIG_BPF_SYSCALL";
	case -ENOTDIR:
		return "a part of the path is not a directory; choose another --pin-dir";
	default:
		return NULL;
	}
}

bool host__mounts_vanish(void)
{
	struct stat own, other;
	struct dirent *entry;
	char path[64];
	bool alone = true;
	DIR *proc;

	if (stat("/proc/self/ns/mnt", &own) < 0)
		return false;
	proc = opendir("/proc");
	if (!proc)
		return false;
	while (alone && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == getpid())
			continue;
		snprintf(path, sizeof(path), "/proc/%.10s/ns/mnt", entry->d_name);
		alone = stat(path, &other) < 0 || other.st_ino != own.st_ino;
	}
	closedir(proc);
	return alone;
}

/*
 * The lock file's name is the pin directory's path, its links followed as far as it exists, so
 * that every spelling means the same lock: '/' becomes '-', and what could be mistaken '%xx'.
 */
static int lock_name(const char *dir, char ret[NAME_MAX + 1])
{
	char base[PATH_MAX], path[2 * PATH_MAX];
	const char *rest, *p;
	size_t n = 0;
	int err = path_resolve(dir, base, &rest);

	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/%s", base, rest);
	for (p = path; *p; p++) {
		if (n + 8 > NAME_MAX)
			return -ENAMETOOLONG;
		if (*p == '/' && (p[1] == '/' || !p[1]))
			continue;
		if (*p == '/')
			ret[n++] = '-';
		else if (isalnum((unsigned char)*p) || *p == '_' || *p == '.')
			ret[n++] = *p;
		else
			n += (size_t)sprintf(ret + n, "%%%02x", (unsigned char)*p);
	}
	strcpy(ret + n, ".lock");
	return 0;
}

/* Nobody else may have laid a link or a file of theirs where a root process is going to write. */
static int lock_open(const char *name)
{
	struct stat st;
	int dir, fd, err;

	if (mkdir(LOCK_DIR, 0700) < 0 && errno != EEXIST)
		return -errno;
	dir = open(LOCK_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	if (fstat(dir, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022)) {
		close(dir);
		return -EPERM;
	}
	fd = openat(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	err = fd < 0 ? -errno : 0;
	close(dir);
	if (err)
		return err;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1) {
		close(fd);
		return -EPERM;
	}
	return fd;
}

static pid_t lock_holder(int fd)
{
	char text[16];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return atoi(text);
}

static int lock_wait(int fd, void (*waiting)(pid_t holder, void *arg), void *arg)
{
	struct timespec start, now;
	bool told = false;
	long ms;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		clock_gettime(CLOCK_MONOTONIC, &now);
		ms = (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
		if (ms >= LOCK_MAX_MS)
			return -EBUSY;
		if (ms >= LOCK_TELL_MS && !told) {
			told = true;
			if (waiting)
				waiting(lock_holder(fd), arg);
		}
		nanosleep(&(struct timespec){ .tv_nsec = LOCK_POLL_NS }, NULL);
	}
	return 0;
}

int host__lock(const char *dir, void (*waiting)(pid_t holder, void *arg), void *arg, int *ret_fd)
{
	char name[NAME_MAX + 1], pid[16];
	int fd, len, err = lock_name(dir, name);

	if (err)
		return err;
	fd = lock_open(name);
	if (fd < 0)
		return fd;
	err = lock_wait(fd, waiting, arg);
	if (err) {
		close(fd);
		return err;
	}
	/* For a waiter's message only, so it may fail: a full /run must not stop an unload. */
	len = snprintf(pid, sizeof(pid), "%d\n", getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)len, 0) < 0)
		errno = 0;
	*ret_fd = fd;
	return 0;
}

/* The effective capabilities; they count below user namespaces too, where bpf() may not obey. */
static uint64_t caps_effective(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		return 0;
	return data[0].effective | (uint64_t)data[1].effective << 32;
}

static bool caps_suffice(uint64_t caps)
{
	/* CAP_BPF is not enough: opening a map by its number takes CAP_SYS_ADMIN. */
	uint64_t needed = 1ull << CAP_SYS_ADMIN | 1ull << CAP_NET_ADMIN;

	return (caps & needed) == needed;
}

/*
 * The smallest map there is shows whether bpf() works; its flag came with Linux 5.10, and what the
 * programs need is older or done in two ways.
 */
static int bpf_try(void)
{
	union bpf_attr attr;
	long fd;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = 4;
	attr.value_size = 4;
	attr.max_entries = 1;
	attr.map_flags = BPF_F_INNER_MAP;
	fd = syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	if (fd < 0)
		return errno == EPERM ? -EACCES : errno == EINVAL ? -ENOTSUP : -errno;
	close((int)fd);
	return 0;
}

int host__ready(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	if (!caps_suffice(caps_effective()))
		return -EPERM;
	/* Maps are charged to it before Linux 5.11 only, so a refusal is no error. */
	(void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
	return bpf_try();
}

const char *host__ready_why(int err)
{
	switch (err) {
	case -EPERM:
		return "it needs root (the capabilities SYS_ADMIN and NET_ADMIN); run it with sudo";
	case -ENOTSUP:
		return "this kernel is too old; it needs Linux 5.10 or newer";
	case -ENOSYS:
		return "this kernel has no bpf(); it needs CONFIG_BPF_SYSCALL";
	case -EACCES:
		return "the kernel refuses bpf(), although the capabilities are there; look for a "
		       "container without privileges, a seccomp filter, or kernel lockdown";
	default:
		return NULL;
	}
}
