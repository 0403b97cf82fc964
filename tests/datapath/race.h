/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Two threads, each on a CPU of its own. */
#ifndef RACE_H
#define RACE_H

#define RACERS 2

/* Runs work(arg, 0) and work(arg, 1) at once, until both are done. */
void race__run(void (*work)(void *arg, int number), void *arg);

/* Both threads come here before either goes on. */
void race__meet(void);

#endif
