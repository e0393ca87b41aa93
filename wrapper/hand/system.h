/* Linux's system calls as they are: each returns what the kernel does, an error as its number below zero. */
#ifndef PODCOV_SYSTEM_H
#define PODCOV_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
enum {
    CALL_READ = 0, CALL_WRITE = 1, CALL_CLOSE = 3, CALL_SIGPROCMASK = 14, CALL_PREAD = 17, CALL_NANOSLEEP = 35, CALL_GETPID = 39,
    CALL_SOCKET = 41, CALL_CONNECT = 42, CALL_SENDTO = 44, CALL_GETSOCKOPT = 55, CALL_KILL = 62, CALL_UMASK = 95,
    CALL_GETDENTS = 217, CALL_CLOCK_GETTIME = 228, CALL_EXIT_GROUP = 231, CALL_INOTIFY_ADD_WATCH = 254, CALL_OPENAT = 257,
    CALL_MKDIRAT = 258, CALL_UNLINKAT = 263, CALL_RENAMEAT = 264, CALL_FCHMODAT = 268, CALL_PPOLL = 271, CALL_SIGNALFD = 289,
    CALL_INOTIFY_INIT = 294, CALL_GETRANDOM = 318, CALL_STATX = 332,
};
enum { OPEN_FOLDER = 0200000 };
#elif defined(__aarch64__)
enum {
    CALL_READ = 63, CALL_WRITE = 64, CALL_CLOSE = 57, CALL_SIGPROCMASK = 135, CALL_PREAD = 67, CALL_NANOSLEEP = 101, CALL_GETPID = 172,
    CALL_SOCKET = 198, CALL_CONNECT = 203, CALL_SENDTO = 206, CALL_GETSOCKOPT = 209, CALL_KILL = 129, CALL_UMASK = 166,
    CALL_GETDENTS = 61, CALL_CLOCK_GETTIME = 113, CALL_EXIT_GROUP = 94, CALL_INOTIFY_ADD_WATCH = 27, CALL_OPENAT = 56,
    CALL_MKDIRAT = 34, CALL_UNLINKAT = 35, CALL_RENAMEAT = 38, CALL_FCHMODAT = 53, CALL_PPOLL = 73, CALL_SIGNALFD = 74,
    CALL_INOTIFY_INIT = 26, CALL_GETRANDOM = 278, CALL_STATX = 291,
};
enum { OPEN_FOLDER = 040000 };
#else
#error "the hand knows x86_64 and aarch64"
#endif

enum { OPEN_READ = 0, OPEN_WRITE = 1, OPEN_MAKE = 0100, OPEN_NEW = 0200, OPEN_APPEND = 02000, OPEN_NO_WAIT = 04000, OPEN_PRIVATE = 02000000 };
enum { HERE = -100 /* AT_FDCWD */ };
enum {
    E_PERMISSION = 1, E_NO_ENTRY = 2, E_NO_PROCESS = 3, E_INTERRUPTED = 4, E_INPUT = 5, E_NO_ACCESS = 13, E_EXISTS = 17, E_OTHER_DEVICE = 18,
    E_NO_FOLDER = 20, E_IS_FOLDER = 21, E_INVALID = 22, E_TOO_MANY = 24, E_NO_SPACE = 28, E_READ_ONLY = 30, E_PIPE = 32,
    E_NAME_TOO_LONG = 36, E_LOOP = 40, E_NO_FAMILY = 97, E_NO_ADDRESS = 99, E_UNREACHABLE = 101, E_RESET = 104, E_REFUSED = 111,
    E_PROGRESS = 115, E_QUOTA = 122,
};

static inline long system_call(long number, long a, long b, long c, long d, long e) {
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
#endif
}

static inline int64_t sys_read(int file, void *to, size_t size) { return system_call(CALL_READ, file, (long)to, (long)size, 0, 0); }
static inline int64_t sys_pread(int file, void *to, size_t size, int64_t at) { return system_call(CALL_PREAD, file, (long)to, (long)size, at, 0); }
static inline int64_t sys_write(int file, const void *from, size_t size) { return system_call(CALL_WRITE, file, (long)from, (long)size, 0, 0); }
static inline int64_t sys_open(const char *path, int how, int mode) {
    return system_call(CALL_OPENAT, HERE, (long)path, how | OPEN_PRIVATE, mode, 0);
}
static inline void sys_close(int file) { system_call(CALL_CLOSE, file, 0, 0, 0, 0); }
static inline int64_t sys_mkdir(const char *path, int mode) { return system_call(CALL_MKDIRAT, HERE, (long)path, mode, 0, 0); }
static inline int64_t sys_chmod(const char *path, int mode) { return system_call(CALL_FCHMODAT, HERE, (long)path, mode, 0, 0); }
static inline int64_t sys_unlink(const char *path) { return system_call(CALL_UNLINKAT, HERE, (long)path, 0, 0, 0); }
static inline int64_t sys_rename(const char *from, const char *to) { return system_call(CALL_RENAMEAT, HERE, (long)from, HERE, (long)to, 0); }
static inline int64_t sys_list(int folder, void *to, size_t size) { return system_call(CALL_GETDENTS, folder, (long)to, (long)size, 0, 0); }
static inline void sys_umask(int mask) { system_call(CALL_UMASK, mask, 0, 0, 0, 0); }
static inline int64_t sys_kill(int64_t pid, int signal) { return system_call(CALL_KILL, pid, signal, 0, 0, 0); }
static inline int64_t sys_pid(void) { return system_call(CALL_GETPID, 0, 0, 0, 0, 0); }
static inline void sys_random(void *to, size_t size) { system_call(CALL_GETRANDOM, (long)to, (long)size, 0, 0, 0); }
_Noreturn static inline void sys_exit(int code) {
    for (;;)
        system_call(CALL_EXIT_GROUP, code, 0, 0, 0, 0);
}

struct moment {
    int64_t seconds;
    int64_t nanoseconds;
};
enum { WALL = 0, STEADY = 1 };
static inline void sys_clock(int which, struct moment *now) { system_call(CALL_CLOCK_GETTIME, which, (long)now, 0, 0, 0); }
static inline void sys_sleep(const struct moment *duration) { system_call(CALL_NANOSLEEP, (long)duration, 0, 0, 0, 0); }

/* struct statx, which is the same everywhere. */
struct status {
    uint32_t mask, block_size;
    uint64_t attributes;
    uint32_t links, uid, gid;
    uint16_t mode, unused;
    uint64_t inode, size, blocks, known_attributes;
    struct {
        int64_t seconds;
        uint32_t nanoseconds;
        int32_t unused;
    } accessed, born, changed, modified;
    uint64_t more[16];
};
enum { NO_FOLLOW = 0x100, OF_FILE = 0x1000, BASIC_STATUS = 0x7ff };
enum { KIND = 0170000, KIND_FOLDER = 0040000, KIND_FILE = 0100000 };
static inline int64_t sys_status(int at, const char *path, int how, struct status *status) {
    return system_call(CALL_STATX, at, (long)path, how, BASIC_STATUS, (long)status);
}

/* What getdents64 fills its buffer with; `length` leads to the next one. */
struct name_in_folder {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t kind;
    char name[];
};

struct waiting {
    int file;
    short wanted, seen;
};
enum { CAN_READ = 1, CAN_WRITE = 4 };
/* Waits for one of the files, for ever where `duration` is NULL. */
static inline int64_t sys_poll(struct waiting *files, int count, const struct moment *duration) {
    return system_call(CALL_PPOLL, (long)files, count, (long)duration, 0, 0);
}

enum { SIGNAL_INTERRUPT = 2, SIGNAL_TERMINATE = 15, SIGNAL_SET_SIZE = 8, BLOCK_SIGNALS = 0, SIGNAL_RECORD_SIZE = 128 };
static inline void sys_block_signals(const uint64_t *set) { system_call(CALL_SIGPROCMASK, BLOCK_SIGNALS, (long)set, 0, SIGNAL_SET_SIZE, 0); }
/* A file that these signals, which have to be blocked, can be read from. */
static inline int64_t sys_signal_file(const uint64_t *set) {
    return system_call(CALL_SIGNALFD, -1, (long)set, SIGNAL_SET_SIZE, OPEN_PRIVATE | OPEN_NO_WAIT, 0);
}

struct file_event {
    int32_t watch;
    uint32_t what, cookie, size; /* `size` bytes of name follow */
    char name[];
};
enum {
    EVENT_CLOSED_AFTER_WRITING = 0x8, EVENT_MOVED_HERE = 0x80, EVENT_MADE = 0x100, EVENT_OVERFLOW = 0x4000, EVENT_WATCH_ENDED = 0x8000,
    ONLY_FOLDERS = 0x1000000,
};
static inline int64_t sys_events(void) { return system_call(CALL_INOTIFY_INIT, OPEN_PRIVATE | OPEN_NO_WAIT, 0, 0, 0, 0); }
static inline int64_t sys_watch(int events, const char *folder, uint32_t what) {
    return system_call(CALL_INOTIFY_ADD_WATCH, events, (long)folder, what, 0, 0);
}

enum { INTERNET = 2, INTERNET_6 = 10, STREAM = 1, SOCKET_LEVEL = 1, SOCKET_ERROR = 4, NO_SIGNAL = 0x4000 };
static inline int64_t sys_socket(int family) { return system_call(CALL_SOCKET, family, STREAM | OPEN_NO_WAIT | OPEN_PRIVATE, 0, 0, 0); }
static inline int64_t sys_connect(int file, const void *address, int size) { return system_call(CALL_CONNECT, file, (long)address, size, 0, 0); }
static inline int64_t sys_send(int file, const void *from, size_t size) {
    return system_call(CALL_SENDTO, file, (long)from, (long)size, NO_SIGNAL, 0);
}
static inline int64_t sys_socket_option(int file, int option, void *to, uint32_t *size) {
    return system_call(CALL_GETSOCKOPT, file, SOCKET_LEVEL, option, (long)to, (long)size);
}

#endif
