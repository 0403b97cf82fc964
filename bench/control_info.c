/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Prints as JSON what the kernel tells of the programs and maps in a pin directory. */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/bpf.h>

static int pin_open(const char *dir, const char *name, int *ret_fd)
{
	union bpf_attr attr = {};
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	attr.pathname = (uintptr_t)path;
	attr.file_flags = BPF_F_RDONLY;
	*ret_fd = syscall(__NR_bpf, BPF_OBJ_GET, &attr, sizeof(attr));
	/* Only maps can be opened to be read. */
	if (*ret_fd < 0 && errno == EINVAL) {
		attr.file_flags = 0;
		*ret_fd = syscall(__NR_bpf, BPF_OBJ_GET, &attr, sizeof(attr));
	}
	return *ret_fd < 0 ? -errno : 0;
}

static int info_get(int fd, void *info, uint32_t size)
{
	union bpf_attr attr = {
		.info.bpf_fd = fd,
		.info.info_len = size,
		.info.info = (uintptr_t)info,
	};

	memset(info, 0, size);
	return syscall(__NR_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)) ? -errno : 0;
}

/* The memory that a map's file accounts for. */
static int memlock_get(int fd, unsigned long long *ret_bytes)
{
	char path[64], line[256];
	int err = -ENODATA;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	if (!file)
		return -errno;
	while (err && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "memlock: %llu", ret_bytes) == 1)
			err = 0;
	}
	fclose(file);
	return err;
}

static int prog_print(int fd, const char *name)
{
	struct bpf_prog_info info;
	int err = info_get(fd, &info, sizeof(info));

	if (!err)
		printf("{\"name\":\"%s\",\"verified_insns\":%u,\"insns\":%u,\"jited_bytes\":%u}",
		       name, info.verified_insns, info.xlated_prog_len / 8, info.jited_prog_len);
	return err;
}

static int map_print(int fd, const char *name)
{
	unsigned long long bytes = 0;
	struct bpf_map_info info;
	int err = info_get(fd, &info, sizeof(info));

	if (!err)
		err = memlock_get(fd, &bytes);
	if (!err)
		printf("{\"name\":\"%s\",\"max_entries\":%u,\"memlock\":%llu}", name,
		       info.max_entries, bytes);
	return err;
}

/* DIR/KIND/ * as an array; a kind that isn't there is an empty one. */
static int pins_print(const char *dir, const char *kind, int (*print)(int, const char *))
{
	const char *comma = "";
	struct dirent *entry;
	char path[4096];
	int fd, err = 0;
	DIR *pins;

	snprintf(path, sizeof(path), "%s/%s", dir, kind);
	printf("\"%s\":[", kind);
	pins = opendir(path);
	while (!err && pins && (entry = readdir(pins))) {
		if (entry->d_name[0] == '.')
			continue;
		err = pin_open(path, entry->d_name, &fd);
		if (err)
			break;
		printf("%s", comma);
		comma = ",";
		err = print(fd, entry->d_name);
		close(fd);
	}
	if (pins)
		closedir(pins);
	printf("]");
	return err;
}

int main(int argc, char **argv)
{
	int err;

	if (argc != 2) {
		fprintf(stderr, "usage: control_info PIN-DIRECTORY\n");
		return 2;
	}
	printf("{");
	err = pins_print(argv[1], "programs", prog_print);
	printf(",");
	if (!err)
		err = pins_print(argv[1], "maps", map_print);
	printf("}\n");
	if (err)
		fprintf(stderr, "control_info: %s: %s\n", argv[1], strerror(-err));
	return err ? 1 : 0;
}
