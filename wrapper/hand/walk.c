/* Every regular file below a folder. Links are not followed, and what vanishes meanwhile is left out. */
#include "hand.h"
#include "system.h"

enum { DEEPEST = 64, NAMES_SIZE = 8192 };

static char path[PATH_SIZE];
static size_t path_length;
static size_t name_at; /* where in path the name below the folder begins */
static int failed;
static void (*shown_to)(const struct entry *);

int64_t each_name(const char *folder, void (*visit)(const char *name, void *with), void *with) {
    int64_t file = sys_open(folder, OPEN_READ | OPEN_FOLDER, 0);
    if (file < 0)
        return file;
    _Alignas(8) char names[NAMES_SIZE];
    int64_t size;
    while ((size = sys_list((int)file, names, sizeof names)) > 0) {
        for (int64_t at = 0; at < size;) {
            const struct name_in_folder *found = (const void *)(names + at);
            at += found->length;
            if (!same(found->name, ".") && !same(found->name, ".."))
                visit(found->name, with);
        }
    }
    sys_close((int)file);
    return size;
}

void walk_fails(const char *where, int64_t error) {
    complain_of(where, error);
    failed = 1;
}

static void look_at(int depth, int how);

static void look_below(const char *name, void *depth) {
    size_t before = path_length, length = length_of(name);
    if (before + 1 + length >= PATH_SIZE) {
        walk_fails(path, -E_NAME_TOO_LONG);
        return;
    }
    path[path_length++] = '/';
    for (size_t i = 0; i <= length; i++)
        path[path_length + i] = name[i];
    path_length += length;
    look_at(*(int *)depth + 1, NO_FOLLOW);
    path_length = before;
    path[path_length] = 0;
}

static void look_at(int depth, int how) {
    struct status status;
    int64_t error = sys_status(HERE, path, how, &status);
    if (error >= 0 && (status.mode & KIND) == KIND_FOLDER)
        error = depth < DEEPEST ? each_name(path, look_below, &depth) : -E_NAME_TOO_LONG;
    else if (error >= 0 && (status.mode & KIND) == KIND_FILE) {
        int64_t modified = status.modified.seconds * SECOND + status.modified.nanoseconds;
        struct entry entry = {path, path + name_at, status.size, modified};
        shown_to(&entry);
    }
    if (error < 0 && error != -E_NO_ENTRY)
        walk_fails(path, error);
}

/* A file's name is what follows the last slash; a folder's files are named from below it. */
static size_t beginning_of_name(int is_folder) {
    if (is_folder)
        return path_length + 1;
    size_t at = path_length;
    while (at && path[at - 1] != '/')
        at--;
    return at;
}

int walk(char **folders, void (*visit)(const struct entry *)) {
    shown_to = visit;
    for (; *folders; folders++) {
        struct status status;
        join(path, *folders, NULL);
        path_length = length_of(path);
        while (path_length > 1 && path[path_length - 1] == '/')
            path[--path_length] = 0;
        int64_t error = sys_status(HERE, path, 0, &status);
        name_at = beginning_of_name(error >= 0 && (status.mode & KIND) == KIND_FOLDER);
        look_at(0, 0);
    }
    return failed ? FAILED : DONE;
}
