// What Swift's Glibc module lacks for starting and watching programs.
#ifndef CSERIN_PROCESS_H
#define CSERIN_PROCESS_H
#include <sys/types.h>

// Starts a program in its own process group with only descriptors 0, 1 and 2 open, no signal blocked and every disposition
// default. With a directory, changes into it first. Returns 0 or an errno.
int serin_spawn(const char *path, char *const argv[], char *const envp[], const char *directory, int in, int out, int err,
                pid_t *pid);
int serin_pidfd_open(pid_t pid);
// Waits for the process; on return *code is its exit status or -1, *signal the signal that ended it or 0. Returns 0 or an errno.
int serin_wait_pidfd(int pidfd, int *code, int *signal);
int serin_pipe(int descriptors[2]);
// Asks for a larger pipe; a system that refuses leaves it as it is.
void serin_pipe_capacity(int descriptor, int bytes);
int serin_event_create(void);
void serin_event_signal(int descriptor);
#endif
