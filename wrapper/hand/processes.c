/* Processes: which there are, and a signal to one of them. */
#include "hand.h"
#include "system.h"

enum { ARGUMENT_SEPARATOR = 0x1f };
static const char wanted_variable[] = "GOCOVERDIR=";

static const struct {
    const char *name;
    int number;
} signals[] = {
    {"HUP", 1}, {"INT", 2}, {"QUIT", 3}, {"ILL", 4}, {"TRAP", 5}, {"ABRT", 6}, {"BUS", 7}, {"FPE", 8}, {"KILL", 9}, {"USR1", 10},
    {"SEGV", 11}, {"USR2", 12}, {"PIPE", 13}, {"ALRM", 14}, {"TERM", 15}, {"STKFLT", 16}, {"CHLD", 17}, {"CONT", 18}, {"STOP", 19},
    {"TSTP", 20}, {"TTIN", 21}, {"TTOU", 22}, {"URG", 23}, {"XCPU", 24}, {"XFSZ", 25}, {"VTALRM", 26}, {"PROF", 27}, {"WINCH", 28},
    {"IO", 29}, {"PWR", 30}, {"SYS", 31},
};

static int64_t signal_of(const char *name) {
    if (begins(name, "SIG"))
        name += 3;
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (same(signals[i].name, name))
            return signals[i].number;
    return number_of(name);
}

int send_signal(char **arguments) {
    enum { LAST_SIGNAL = 64 };
    int64_t signal = signal_of(arguments[0]), pid = number_of(arguments[1]);
    if (signal < 0 || signal > LAST_SIGNAL || pid < 1)
        return MISUSED;
    int64_t error = sys_kill(pid, (int)signal);
    if (error < 0)
        fail_of(arguments[1], error);
    return DONE;
}

/* A file of /proc, byte by byte: arguments and environments can be long. */
struct reader {
    int64_t file;
    size_t at, size;
    char part[4096];
};

enum { END = -1 };

static void open_of(struct reader *reader, const char *pid, const char *name) {
    char path[PATH_SIZE];
    reader->at = reader->size = 0;
    reader->file = sys_open(join(path, "/proc/", pid, "/", name, NULL), OPEN_READ, 0);
}

static int next(struct reader *reader) {
    if (reader->at == reader->size) {
        int64_t size = reader->file < 0 ? 0 : sys_read((int)reader->file, reader->part, sizeof reader->part);
        if (size <= 0)
            return END;
        reader->at = 0;
        reader->size = (size_t)size;
    }
    return (unsigned char)reader->part[reader->at++];
}

static void close_of(struct reader *reader) {
    if (reader->file >= 0)
        sys_close((int)reader->file);
}

static struct reader reader;

/* Arguments end in a zero each; what stands between them is put between them only. */
static void put_command_line(const char *pid) {
    int separated = 0;
    open_of(&reader, pid, "cmdline");
    for (int byte; (byte = next(&reader)) != END;) {
        if (separated)
            put(&(char){ARGUMENT_SEPARATOR}, 1);
        separated = byte == 0;
        if (byte)
            put_field_byte((char)byte);
    }
    close_of(&reader);
}

static int skip_to_next_variable(int byte) {
    while (byte != 0 && byte != END)
        byte = next(&reader);
    return byte;
}

/* Empty, too, where another user's environment may not be read. */
static void put_wanted_variable(const char *pid) {
    open_of(&reader, pid, "environ");
    for (int byte = 0; byte != END; byte = skip_to_next_variable(byte)) {
        const char *wanted = wanted_variable;
        while (*wanted && (byte = next(&reader)) == *wanted)
            wanted++;
        if (*wanted)
            continue;
        while ((byte = next(&reader)) != 0 && byte != END)
            put_field_byte((char)byte);
        break;
    }
    close_of(&reader);
}

/* Field 22 of `stat`; the second one, the program's name in parentheses, may have anything in it. */
static int64_t start_time_of(const char *pid) {
    enum { LAST_NAMED = 2, START_TIME = 22 };
    char path[PATH_SIZE], stat[1024];
    int64_t size = read_whole(join(path, "/proc/", pid, "/stat", NULL), stat, sizeof stat - 1);
    if (size <= 0)
        return -1;
    stat[size] = 0;
    const char *at = stat;
    for (const char *c = stat; *c; c++)
        if (*c == ')')
            at = c + 1;
    for (int field = LAST_NAMED; *at && field < START_TIME; at++)
        field += *at == ' ';
    const char *rest;
    return leading_number(at, &rest);
}

static void put_process(const char *pid, void *own) {
    char path[PATH_SIZE];
    struct status status;
    int64_t number = number_of(pid);
    if (number < 0 || number == *(int64_t *)own)
        return;
    int64_t start_time = start_time_of(pid);
    if (start_time < 0 || sys_status(HERE, join(path, "/proc/", pid, NULL), 0, &status) < 0)
        return; /* it has ended */
    put_number(number);
    put_text("\t");
    put_number(start_time);
    put_text("\t");
    put_number(status.uid);
    put_text("\t");
    put_command_line(pid);
    put_text("\t");
    put_wanted_variable(pid);
    put_text("\n");
}

int processes(char **arguments) {
    (void)arguments;
    int64_t own = sys_pid();
    int64_t error = each_name("/proc", put_process, &own);
    if (error < 0)
        fail_of("/proc", error);
    flush();
    return DONE;
}
