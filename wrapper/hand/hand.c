/* podcov's hand: does inside a container, where there may be no shell, tar, kill or curl, what podcov's host asks for services that
   measure themselves. A static program without libc, so that it runs in any Linux image, `scratch` too, as any user. What its commands
   are and say is in PROTOCOL.md ("The hand"). */
#include "hand.h"
#include "system.h"

#ifndef PODCOV_SOURCES
#error "compile it by ./build, which says what it was made of"
#endif

static int version(char **arguments);

struct command {
    const char *name;
    const char *usage;
    int least, most; /* arguments */
    int (*run)(char **arguments);
};

enum { ANY = 1 << 20 };

static const struct command commands[] = {
    {"serve", "serve FOLDER [PROFILE...]", 1, ANY, serve},
    {"signal", "signal NAME PID", 2, 2, send_signal},
    {"tar", "tar FOLDER...", 1, ANY, tar},
    {"list", "list FOLDER...", 1, ANY, list},
    {"move", "move FROM TO", 2, 2, move},
    {"append", "append FILE TEXT", 2, 2, append},
    {"write", "write FILE TEXT", 2, 2, write_file},
    {"read", "read FILE", 1, 1, read_file},
    {"get", "get PORT PATH SECONDS", 3, 3, get},
    {"processes", "processes", 0, 0, processes},
    {"lease", "lease SECONDS", 1, 1, lease},
    {"wait", "wait SECONDS", 1, 1, wait_for_end},
    {"release", "release", 0, 0, release},
    {"version", "version", 0, 0, version},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

char **environment;

static int version(char **arguments) {
    (void)arguments;
    put_text("podcov hand, made of " PODCOV_SOURCES " by gcc " __VERSION__ "\n");
    flush();
    return DONE;
}

static int misused(const char *usage) {
    complain("usage", usage);
    return MISUSED;
}

static int run(int count, char **arguments) {
    if (count < 2)
        return misused("hand COMMAND [ARGUMENT...]");
    for (int i = 0; i < COMMANDS; i++) {
        const struct command *command = &commands[i];
        if (!same(command->name, arguments[1]))
            continue;
        if (count - 2 < command->least || count - 2 > command->most)
            return misused(command->usage);
        int code = command->run(arguments + 2);
        return code == MISUSED ? misused(command->usage) : code;
    }
    complain(arguments[1], "no such command");
    return MISUSED;
}

/* The kernel's beginning of a program: its stack is the number of arguments, these, NULL, the environment, NULL. */
__attribute__((used)) _Noreturn void begin(long *stack) {
    int count = (int)stack[0];
    char **arguments = (char **)(stack + 1);
    environment = arguments + count + 1;
    sys_umask(0); /* the processes of a pod run under several users */
    leave(run(count, arguments));
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
#else
__asm__(".globl _start\n_start:\n mov x29, #0\n mov x30, #0\n mov x0, sp\n b begin\n");
#endif
