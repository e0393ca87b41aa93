/* `serve`: the sidecar of a service that measures itself. It keeps every profile that the service writes over, and when the pod ends it
   waits with the data while somebody is collecting. Between two events it sleeps. */
#include "hand.h"
#include "system.h"

static const int64_t default_grace = 30 * SECOND;
static const int64_t release_step = SECOND / 10;
static const int64_t settled_after = SECOND; /* without a watch: a profile that was not changed so long is complete */

enum { WATCHED_FOR = EVENT_CLOSED_AFTER_WRITING | EVENT_MOVED_HERE | EVENT_MADE | ONLY_FOLDERS, NOT_WATCHED = -1 };

/* A file that the service writes again at each of its ends. */
struct profile {
    const char *path;
    const char *name;
    char folder[PATH_SIZE];
    int64_t watch;
    int doubtful;    /* may be there already, written or still being written */
    int unwatchable; /* has to be looked for again and again */
    int64_t next; /* the number that the next one gets at least */
};

static struct profile profiles[64];
enum { PROFILES = sizeof profiles / sizeof profiles[0] };
static int profile_count;
static int64_t events = NOT_WATCHED;
static int64_t stop_signals;
static int stops; /* how often it was told to stop */

/* ---- profiles */

static void count_kept(const char *name, void *with) {
    struct profile *profile = with;
    size_t length = length_of(profile->name);
    if (!begins(name, profile->name) || name[length] != '.')
        return;
    int64_t number = number_of(name + length + 1);
    if (number >= profile->next)
        profile->next = number + 1;
}

static void keep(struct profile *profile) {
    char kept[PATH_SIZE], digits[24];
    int64_t error = each_name(profile->folder, count_kept, profile);
    if (error >= 0)
        error = sys_rename(profile->path, join(kept, profile->path, ".", decimal(digits, profile->next), NULL));
    if (error >= 0)
        profile->next++;
    else if (error != -E_NO_ENTRY)
        complain_of(profile->path, error);
}

/* What nothing has been written into yet is a placeholder, or has just been made: nothing to keep. */
static int has_content(const struct profile *profile, int64_t *modified) {
    struct status status;
    if (sys_status(HERE, profile->path, NO_FOLLOW, &status) < 0 || (status.mode & KIND) != KIND_FILE)
        return 0;
    *modified = status.modified.seconds * SECOND + status.modified.nanoseconds;
    return status.size != 0;
}

/* Nobody told when it was closed: it is complete when it has not changed for a while. */
static void settle(struct profile *profile) {
    int64_t modified = 0;
    int found = has_content(profile, &modified);
    if (found && wall_clock() - modified < settled_after)
        return;
    if (found)
        keep(profile);
    profile->doubtful = profile->unwatchable;
}

static int64_t watch_folder(const char *folder) { return events < 0 ? events : sys_watch((int)events, folder, WATCHED_FOR); }

/* Watches the nearest folder that there is above one that is still missing. Returns what the system call does. */
static int64_t watch_above(const char *folder) {
    char above[PATH_SIZE];
    int64_t watched = -E_NO_ENTRY;
    join(above, folder, NULL);
    for (size_t length = length_of(above); length && watched == -E_NO_ENTRY; length--) {
        if (above[length] && above[length] != '/')
            continue;
        above[length] = 0;
        watched = watch_folder(above);
    }
    return watched;
}

/* Watches the profile's folder or, until that is there, the nearest one above it. */
static void watch(struct profile *profile) {
    if (profile->unwatchable || profile->watch != NOT_WATCHED)
        return;
    int64_t above = watch_above(profile->folder);
    /* Asked again, since it may have been made in between; from then on the watch above tells. */
    int64_t watched = watch_folder(profile->folder);
    if (watched >= 0) {
        profile->watch = watched;
        profile->doubtful = 1;
    } else if (above < 0 || watched != -E_NO_ENTRY) {
        complain_of(profile->folder, watched);
        complain(profile->path, "is looked for once a second, as it cannot be watched");
        profile->unwatchable = profile->doubtful = 1;
    }
}

static void add_profile(const char *path) {
    if (profile_count == PROFILES)
        fail(path, "there are too many profiles");
    struct profile *profile = &profiles[profile_count++];
    join(profile->folder, path, NULL);
    size_t slash = length_of(path);
    while (slash && path[slash] != '/')
        slash--;
    if (!slash)
        fail(path, "is no absolute path of a profile");
    profile->folder[slash] = 0;
    profile->path = path;
    profile->name = path + slash + 1;
    profile->watch = NOT_WATCHED;
    watch(profile);
}

static void hear(const struct file_event *event) {
    for (struct profile *profile = profiles; profile < profiles + profile_count; profile++) {
        int64_t modified;
        if (event->what & EVENT_OVERFLOW)
            profile->doubtful = 1;
        if (event->what & EVENT_WATCH_ENDED && event->watch == profile->watch)
            profile->watch = NOT_WATCHED;
        watch(profile);
        int complete = event->what & (EVENT_CLOSED_AFTER_WRITING | EVENT_MOVED_HERE);
        if (complete && event->watch == profile->watch && same(event->name, profile->name) && has_content(profile, &modified))
            keep(profile);
    }
}

static void hear_events(void) {
    _Alignas(8) char buffer[8192];
    int64_t size;
    while ((size = sys_read((int)events, buffer, sizeof buffer)) > 0)
        for (int64_t at = 0; at < size;) {
            const struct file_event *event = (const void *)(buffer + at);
            at += (int64_t)(sizeof *event + event->size);
            hear(event);
        }
}

static void settle_doubtful(void) {
    for (struct profile *profile = profiles; profile < profiles + profile_count; profile++)
        if (profile->doubtful)
            settle(profile);
}

static int any_doubtful(void) {
    for (struct profile *profile = profiles; profile < profiles + profile_count; profile++)
        if (profile->doubtful)
            return 1;
    return 0;
}

/* ---- the end */

/* SIGTERM, and SIGINT for people who try it out. As process 1 it would never see them, were they not blocked and read. */
static void block_stop_signals(void) {
    uint64_t set = 1ull << (SIGNAL_TERMINATE - 1) | 1ull << (SIGNAL_INTERRUPT - 1);
    sys_block_signals(&set);
    stop_signals = sys_signal_file(&set);
    if (stop_signals < 0)
        fail_of("signals", stop_signals);
}

static void read_stop_signals(void) {
    char record[SIGNAL_RECORD_SIZE];
    while (sys_read((int)stop_signals, record, sizeof record) > 0)
        stops++;
}

/* Sleeps until something happens, `step` at most; for ever where that is 0. */
static void sleep_until_event(int64_t step) {
    struct moment duration = {step / SECOND, step % SECOND};
    struct waiting files[] = {{(int)stop_signals, CAN_READ, 0}, {(int)events, CAN_READ, 0}}; /* a file below zero is passed over */
    sys_poll(files, 2, step ? &duration : NULL);
    read_stop_signals();
    if (events >= 0)
        hear_events();
    settle_doubtful();
}

static int64_t grace(void) {
    const char *text = variable("PODCOV_GRACE");
    int64_t given = text ? seconds_of(text) : -1;
    return given < 0 ? default_grace : given;
}

static int is_waited_for(const char *data) {
    const char *always = variable("PODCOV_WAIT");
    return ((always && same(always, "always")) || read_state(data, "lease") > wall_clock()) && !read_state(data, "released");
}

static void wait_for_release(const char *data) {
    int64_t deadline = steady_clock() + grace();
    int told_before = stops;
    while (stops == told_before && steady_clock() < deadline && is_waited_for(data))
        sleep_until_event(release_step);
}

/* ---- the whole */

static void make_volume(const char *data) {
    static const char *const below[] = {"", "/courier", "/coverage"};
    for (size_t i = 0; i < sizeof below / sizeof below[0]; i++) {
        char folder[PATH_SIZE];
        join(folder, data, below[i], NULL);
        int64_t error = make_folders(folder);
        if (error < 0)
            fail_of(folder, error);
        share(folder);
    }
}

/* What an earlier start of this sidecar said about its end means nothing now. */
static void forget_earlier_end(const char *data) {
    static const char *const names[] = {"ended", "released"};
    char path[PATH_SIZE];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        sys_unlink(state_path(path, data, names[i]));
}

int serve(char **arguments) {
    const char *data = arguments[0];
    block_stop_signals();
    make_volume(data);
    forget_earlier_end(data);
    if (arguments[1])
        events = sys_events(); /* an error is said with what becomes of it, by the first watch */
    for (char **path = arguments + 1; *path; path++)
        add_profile(*path);
    while (!stops)
        sleep_until_event(any_doubtful() ? settled_after : 0);
    int64_t error = write_now(data, "ended");
    if (error < 0)
        fail_of(data, error);
    wait_for_release(data);
    return DONE;
}
