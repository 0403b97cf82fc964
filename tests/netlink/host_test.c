/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * user/host.c against the running kernel, in namespaces of its own (network and mounts, with an
 * empty /run and no bpffs), which go with this process however it ends. Needs root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <cmocka.h>

#include "../../user/host.h"

static long ms_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
}

/* In several writes if need be: the kernel takes a page at a time. */
static void proc_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	ssize_t n;

	assert_true(fd >= 0);
	for (; *text; text += n) {
		n = write(fd, text, strlen(text));
		assert_true(n > 0);
	}
	close(fd);
}

/* Runs in a child; answers its exit status. */
static int in_child(int (*run)(const void *arg), const void *arg)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child)
		_exit(run(arg));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void sysctls(void **state)
{
	long value;

	(void)state;
	assert_int_equal(host__sysctl_write("net/ipv4/conf/lo/forwarding", 1), 0);
	assert_int_equal(host__sysctl_read("net/ipv4/conf/lo/forwarding", &value), 0);
	assert_int_equal(value, 1);
	assert_int_equal(host__sysctl_write("net/ipv4/conf/lo/forwarding", 0), 0);
	assert_int_equal(host__sysctl_read("net/ipv4/conf/lo/forwarding", &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(host__sysctl_read("net/ipv4/nosuch", &value), -ENOENT);
	assert_int_equal(host__sysctl_write("net/ipv4/nosuch", 1), -ENOENT);
	assert_int_equal(host__sysctl_write("net/ipv4/tcp_syncookies", -5), -EINVAL);
	assert_int_equal(host__sysctl_read("kernel/ostype", &value), -EINVAL);
	assert_int_equal(host__sysctl_read("net/ipv4", &value), -EISDIR);
}

static void snat_ports(void **state)
{
	static const struct {
		const char *local;
		int err;
		unsigned int n;
		struct lb_port_range ports[LB_PORT_RANGES];
	} cases[] = {
		{ "32768 60999", 0, 36280, { { 1024, 32767 }, { 61000, 65535 } } },
		{ "1024 60999", 0, 4536, { { 61000, 65535 } } },
		{ "40000 65535", 0, 38976, { { 1024, 39999 } } },
		{ "2048 65535", 0, 1024, { { 1024, 2047 } } },
		{ "2047 65535", -ENOSPC, 1023, { { 1024, 2046 } } },
		{ "1024 65535", -ENOSPC, 0, { { 0, 0 } } },
		{ "100 1023", 0, 64512, { { 1024, 65535 } } },
		{ "100 200", 0, 64512, { { 1024, 65535 } } },
	};
	struct lb_port_range ports[LB_PORT_RANGES];
	unsigned int i, n;

	(void)state;
	proc_write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		proc_write("/proc/sys/net/ipv4/ip_local_port_range", cases[i].local);
		assert_int_equal(host__snat_ports(ports, &n), cases[i].err);
		assert_int_equal(n, cases[i].n);
		assert_memory_equal(ports, cases[i].ports, sizeof(ports));
	}
	proc_write("/proc/sys/net/ipv4/ip_local_port_range", "32768 60999");
}

static void reserved_ports(void **state)
{
	char list[8 * 4000], *p = list;
	int port;

	(void)state;
	assert_int_equal(host__port_reserved(8080), 0);
	proc_write("/proc/sys/net/ipv4/ip_local_reserved_ports", "22,8080-8090,50000");
	assert_int_equal(host__port_reserved(22), 1);
	assert_int_equal(host__port_reserved(8079), 0);
	assert_int_equal(host__port_reserved(8080), 1);
	assert_int_equal(host__port_reserved(8085), 1);
	assert_int_equal(host__port_reserved(8090), 1);
	assert_int_equal(host__port_reserved(8091), 0);
	assert_int_equal(host__port_reserved(50000), 1);
	/* Longer than a page. */
	for (port = 20000; port < 22000; port += 2)
		p += sprintf(p, "%d,", port);
	sprintf(p, "60001");
	proc_write("/proc/sys/net/ipv4/ip_local_reserved_ports", list);
	assert_int_equal(host__port_reserved(21998), 1);
	assert_int_equal(host__port_reserved(21999), 0);
	assert_int_equal(host__port_reserved(60001), 1);
	proc_write("/proc/sys/net/ipv4/ip_local_reserved_ports", "\n");
}

static int netns_differs(const void *before)
{
	uint64_t now;

	if (unshare(CLONE_NEWNET) || host__netns(&now))
		return 2;
	return now != *(const uint64_t *)before;
}

static void netns(void **state)
{
	uint64_t here, again;

	(void)state;
	assert_int_equal(host__netns(&here), 0);
	assert_int_equal(host__netns(&again), 0);
	assert_true(here == again);
	assert_int_equal(in_child(netns_differs, &here), 1);
}

/* The coarse clock's steps, counted against the fine one. */
static void hz(void **state)
{
	struct timespec start, coarse;
	long last = -1, steps = 0;
	uint32_t got;

	(void)state;
	assert_int_equal(host__hz(&got), 0);
	assert_true(got == 100 || got == 250 || got == 300 || got == 1000);
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (ms_since(&start) < 200) {
		clock_gettime(CLOCK_MONOTONIC_COARSE, &coarse);
		steps += coarse.tv_nsec != last;
		last = coarse.tv_nsec;
	}
	assert_in_range(steps, got / 20, got / 5 + got / 20 + 2);
}

static bool on_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == BPF_FS_MAGIC;
}

static void bpffs_mounted_where_missing(void **state)
{
	struct stat st;
	pid_t other;

	(void)state;
	assert_false(on_bpffs("/sys/fs/bpf"));
	/* Alone in this mount namespace: the mount would go with the process, so it is refused. */
	assert_int_equal(host__bpffs_ensure("/sys/fs/bpf/lbctl/a//b/"), -ESTALE);
	assert_false(on_bpffs("/sys/fs/bpf"));
	other = fork();
	if (!other)
		for (;;)
			pause();
	assert_true(other > 0);
	assert_int_equal(host__bpffs_ensure("/sys/fs/bpf/lbctl/a//b/"), 0);
	assert_true(on_bpffs("/sys/fs/bpf/lbctl/a/b"));
	assert_int_equal(stat("/sys/fs/bpf/lbctl", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	/* Repeated, it neither fails nor mounts another one over it. */
	assert_int_equal(host__bpffs_ensure("/sys/fs/bpf/lbctl/a/b"), 0);
	assert_int_equal(umount2("/sys/fs/bpf", MNT_DETACH), 0);
	assert_false(on_bpffs("/sys/fs/bpf"));
	assert_int_equal(host__bpffs_ensure("/sys/fs/bpf"), 0);
	assert_true(on_bpffs("/sys/fs/bpf"));
	assert_int_equal(kill(other, SIGKILL), 0);
	assert_int_equal(waitpid(other, NULL, 0), other);
}

static void bpffs_elsewhere(void **state)
{
	(void)state;
	assert_int_equal(mkdir("/run/bpf", 0700), 0);
	assert_int_equal(host__bpffs_ensure("/run/bpf/x"), -EMEDIUMTYPE);
	assert_int_equal(access("/run/bpf/x", F_OK), -1);
	assert_int_equal(mount("bpf", "/run/bpf", "bpf", 0, NULL), 0);
	assert_int_equal(host__bpffs_ensure("/run/bpf/x"), 0);
	assert_true(on_bpffs("/run/bpf/x"));
	assert_int_equal(chdir("/run/bpf"), 0);
	assert_int_equal(host__bpffs_ensure("y/z"), 0);
	assert_true(on_bpffs("/run/bpf/y/z"));
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(symlink("/run/bpf", "/run/link"), 0);
	assert_int_equal(host__bpffs_ensure("/run/link/w"), 0);
	assert_true(on_bpffs("/run/bpf/w"));
}

static void bpffs_impossible(void **state)
{
	static const int known[] = { -EMEDIUMTYPE, -EPERM, -ENODEV, -ENOTDIR };
	char longest[5000];
	unsigned int i;

	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(host__bpffs_ensure(""), -ENOENT);
	assert_int_equal(host__bpffs_ensure(longest), -ENAMETOOLONG);
	assert_int_equal(host__bpffs_ensure("/run/bpf/nosuch/../v"), -ENOENT);
	assert_int_equal(host__bpffs_ensure("/proc/version/x"), -ENOTDIR);
	assert_int_equal(host__bpffs_ensure("/proc/version"), -EMEDIUMTYPE);
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		assert_non_null(host__bpffs_why(known[i]));
	assert_null(host__bpffs_why(-ENOMEM));
}

static int mounts_vanish(const void *arg)
{
	(void)arg;
	return unshare(CLONE_NEWNS) ? 2 : host__mounts_vanish();
}

static int mounts_stay(const void *arg)
{
	(void)arg;
	return host__mounts_vanish();
}

static void mount_namespace(void **state)
{
	(void)state;
	assert_int_equal(in_child(mounts_vanish, NULL), 1);
	assert_int_equal(in_child(mounts_stay, NULL), 0);
}

struct told {
	int n;
	pid_t holder;
};

static void tell(pid_t holder, void *arg)
{
	struct told *told = arg;

	told->n++;
	told->holder = holder;
}

/* A child that holds the lock for ms and then exits. */
static pid_t hold(const char *dir, unsigned int ms)
{
	int ready[2], fd;
	char byte;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (host__lock(dir, NULL, NULL, &fd) || write(ready[1], "", 1) != 1)
			_exit(1);
		usleep(ms * 1000);
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return child;
}

static void lock_free(void **state)
{
	struct told told = { 0 };
	struct stat st;
	int fd, other;

	(void)state;
	assert_int_equal(host__lock("/sys/fs/bpf/one", tell, &told, &fd), 0);
	assert_int_equal(told.n, 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* Two pin directories are two locks, however alike their names. */
	assert_int_equal(host__lock("/sys/fs/bpf/one/x-y", tell, &told, &other), 0);
	close(other);
	close(fd);
	assert_int_equal(host__lock("/sys/fs/bpf/one", tell, &told, &fd), 0);
	close(fd);
}

static void lock_waits(void **state)
{
	struct told told = { 0 };
	struct timespec start;
	pid_t holder = hold("/sys/fs/bpf/two", 1500);
	int fd;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &start);
	/* Another spelling of the same directory. */
	assert_int_equal(host__lock("/sys/fs/../fs/bpf//two/", tell, &told, &fd), 0);
	assert_in_range(ms_since(&start), 1300, 2500);
	assert_int_equal(told.n, 1);
	assert_int_equal(told.holder, holder);
	close(fd);
	waitpid(holder, NULL, 0);
}

static void lock_survives_kill(void **state)
{
	struct told told = { 0 };
	pid_t holder = hold("/sys/fs/bpf/three", 20000);
	int fd;

	(void)state;
	kill(holder, SIGKILL);
	assert_int_equal(host__lock("/sys/fs/bpf/three", tell, &told, &fd), 0);
	assert_int_equal(told.n, 0);
	close(fd);
	waitpid(holder, NULL, 0);
}

static void lock_gives_up(void **state)
{
	struct told told = { 0 };
	struct timespec start;
	pid_t holder = hold("/sys/fs/bpf/four", 20000);
	int fd;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_int_equal(host__lock("/sys/fs/bpf/four", tell, &told, &fd), -EBUSY);
	assert_in_range(ms_since(&start), 10000, 11500);
	assert_int_equal(told.n, 1);
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
}

#define COUNT_ROUNDS 200

/* Adds to a number in a file, which loses counts if two do it at once. */
static void count_up(void)
{
	int i, fd, file, n;

	for (i = 0; i < COUNT_ROUNDS; i++) {
		if (host__lock("/sys/fs/bpf/five", NULL, NULL, &fd))
			_exit(1);
		file = open("/run/count", O_RDWR | O_CREAT, 0600);
		n = 0;
		if (pread(file, &n, sizeof(n), 0) < 0)
			_exit(2);
		n++;
		if (pwrite(file, &n, sizeof(n), 0) != sizeof(n))
			_exit(3);
		close(file);
		close(fd);
	}
	_exit(0);
}

static void lock_excludes(void **state)
{
	pid_t children[3];
	int i, status, n = 0, file;

	(void)state;
	for (i = 0; i < 3; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (!children[i])
			count_up();
	}
	for (i = 0; i < 3; i++) {
		waitpid(children[i], &status, 0);
		assert_int_equal(status, 0);
	}
	file = open("/run/count", O_RDONLY);
	assert_int_equal(read(file, &n, sizeof(n)), sizeof(n));
	close(file);
	assert_int_equal(n, 3 * COUNT_ROUNDS);
}

static void lock_refuses_traps(void **state)
{
	char longest[400];
	int fd;

	(void)state;
	assert_int_equal(symlink("/run/victim", "/run/lbctl/-sys-fs-bpf-trap.lock"), 0);
	assert_int_equal(host__lock("/sys/fs/bpf/trap", NULL, NULL, &fd), -ELOOP);
	assert_int_equal(access("/run/victim", F_OK), -1);
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(host__lock(longest, NULL, NULL, &fd), -ENAMETOOLONG);
	assert_int_equal(chmod("/run/lbctl", 0777), 0);
	assert_int_equal(host__lock("/sys/fs/bpf/trap2", NULL, NULL, &fd), -EPERM);
	assert_int_equal(chmod("/run/lbctl", 0700), 0);
	assert_int_equal(rename("/run/lbctl", "/run/elsewhere"), 0);
	assert_int_equal(symlink("/run/elsewhere", "/run/lbctl"), 0);
	assert_int_equal(host__lock("/sys/fs/bpf/trap2", NULL, NULL, &fd), -ENOTDIR);
	assert_int_equal(unlink("/run/lbctl"), 0);
}

static int ready_as_nobody(const void *arg)
{
	(void)arg;
	return setuid(65534) ? 0 : -host__ready();
}

/* All capabilities, but of a user namespace: bpf() wants them of the host. */
static int ready_in_userns(const void *arg)
{
	(void)arg;
	return unshare(CLONE_NEWUSER) ? 0 : -host__ready();
}

static void ready(void **state)
{
	static const int known[] = { -EPERM, -ENOTSUP, -ENOSYS, -EACCES };
	unsigned int i, j;
	int err;

	(void)state;
	assert_int_equal(host__ready(), 0);
	assert_int_equal(in_child(ready_as_nobody, NULL), EPERM);
	err = in_child(ready_in_userns, NULL);
	if (err)
		assert_int_equal(err, EACCES);
	else
		print_message("SKIP a part of %s: no user namespaces here\n", __func__);
	for (i = 0; i < 4; i++) {
		assert_non_null(host__ready_why(known[i]));
		for (j = 0; j < i; j++)
			assert_string_not_equal(host__ready_why(known[i]),
						host__ready_why(known[j]));
	}
	assert_null(host__ready_why(-ENOMEM));
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
	assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"), 0);
	while (on_bpffs("/sys/fs/bpf"))
		assert_int_equal(umount2("/sys/fs/bpf", MNT_DETACH), 0);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sysctls),
		cmocka_unit_test(snat_ports),
		cmocka_unit_test(reserved_ports),
		cmocka_unit_test(netns),
		cmocka_unit_test(hz),
		cmocka_unit_test(bpffs_mounted_where_missing),
		cmocka_unit_test(bpffs_elsewhere),
		cmocka_unit_test(bpffs_impossible),
		cmocka_unit_test(mount_namespace),
		cmocka_unit_test(lock_free),
		cmocka_unit_test(lock_waits),
		cmocka_unit_test(lock_survives_kill),
		cmocka_unit_test(lock_gives_up),
		cmocka_unit_test(lock_excludes),
		cmocka_unit_test(lock_refuses_traps),
		cmocka_unit_test(ready),
	};

	if (geteuid()) {
		puts("SKIP host_test: it needs root");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, NULL);
}
