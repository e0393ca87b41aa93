/* `lease`, `wait` and `release`: what other couriers do by the same files, and answer in the same words. */
#include "hand.h"
#include "system.h"

const char *data_folder(void) {
    const char *folder = variable("PODCOV_DATA");
    return folder && *folder ? folder : "/podcov/data";
}

char *state_path(char to[PATH_SIZE], const char *data, const char *name) { return join(to, data, "/courier/", name, NULL); }

int64_t read_state(const char *data, const char *name) {
    char path[PATH_SIZE], text[32];
    const char *rest;
    int64_t size = read_whole(state_path(path, data, name), text, sizeof text - 1);
    if (size <= 0)
        return 0;
    text[size] = 0;
    int64_t number = leading_number(text, &rest);
    return number < 0 ? 0 : number;
}

static int64_t write_state(const char *data, const char *name, int64_t number) {
    char path[PATH_SIZE], digits[24], line[PATH_SIZE];
    join(line, decimal(digits, number), "\n", NULL);
    return replace(state_path(path, data, name), line, length_of(line));
}

int64_t write_now(const char *data, const char *name) { return write_state(data, name, wall_clock()); }

static const char *ready_folder(void) {
    char path[PATH_SIZE];
    const char *data = data_folder();
    int64_t error = make_folders(state_path(path, data, ""));
    if (error < 0)
        fail_of(path, error);
    share(path);
    return data;
}

static void answer(const char *key, const char *value) {
    put_text("{\"protocol\": 1, \"");
    put_text(key);
    put_text("\": ");
    put_text(value);
    put_text("}\n");
    flush();
}

int lease(char **arguments) {
    int64_t duration = seconds_of(arguments[0]);
    if (duration < 0)
        return MISUSED;
    const char *data = ready_folder();
    int64_t until = 0;
    if (duration > 0) { /* somebody else's longer one stays */
        int64_t present = read_state(data, "lease");
        until = wall_clock() + duration;
        until = present > until ? present : until;
    }
    int64_t error = write_state(data, "lease", until);
    if (error < 0)
        fail_of(data, error);
    char digits[24];
    answer("until", decimal(digits, until));
    return DONE;
}

int wait_for_end(char **arguments) {
    static const struct moment step = {0, SECOND / 10};
    int64_t duration = seconds_of(arguments[0]);
    if (duration < 0)
        return MISUSED;
    const char *data = data_folder();
    int64_t deadline = steady_clock() + duration;
    int ended = read_state(data, "ended") != 0;
    while (!ended && steady_clock() < deadline) {
        sys_sleep(&step);
        ended = read_state(data, "ended") != 0;
    }
    answer("ended", ended ? "true" : "false");
    return DONE;
}

int release(char **arguments) {
    (void)arguments;
    const char *data = ready_folder();
    int64_t error = write_now(data, "released");
    if (error < 0)
        fail_of(data, error);
    answer("released", "true");
    return DONE;
}
