#define _GNU_SOURCE
#include "CSerinProcess.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int serin_spawn(const char *path, char *const argv[], char *const envp[], const char *directory, int in, int out, int err,
                pid_t *pid) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, in, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, err, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    if (directory) posix_spawn_file_actions_addchdir_np(&actions, directory);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int code = posix_spawnp(pid, path, &actions, &attributes, argv, envp);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return code;
}

int serin_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int serin_wait_pidfd(int pidfd, int *code, int *signal) {
    siginfo_t info;
    int result;
    memset(&info, 0, sizeof info);
    do result = waitid(3 /* P_PIDFD */, pidfd, &info, WEXITED);
    while (result < 0 && errno == EINTR);
    if (result < 0) return errno;
    *code = info.si_code == CLD_EXITED ? info.si_status : -1;
    *signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
    return 0;
}

int serin_pipe(int descriptors[2]) { return pipe2(descriptors, O_CLOEXEC); }
void serin_pipe_capacity(int descriptor, int bytes) { (void)fcntl(descriptor, F_SETPIPE_SZ, bytes); }
int serin_event_create(void) { return eventfd(0, EFD_CLOEXEC); }
void serin_event_signal(int descriptor) { eventfd_write(descriptor, 1); }
