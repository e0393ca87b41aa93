/* Files and folders: move, append, write, read. What is made here is everybody's, 0666 and 0777. */
#include "hand.h"
#include "system.h"

int64_t write_all(int file, const void *content, size_t size) {
    const char *from = content;
    while (size) {
        int64_t written = sys_write(file, from, size);
        if (written == -E_INTERRUPTED)
            continue;
        if (written < 0)
            return written;
        from += written;
        size -= (size_t)written;
    }
    return 0;
}

static int64_t make_folder(const char *path) {
    struct status status;
    int64_t error = sys_mkdir(path, 0777);
    if (error >= 0)
        return 0;
    /* Where it is there already, a file system may call it read-only, or not permitted, as well. */
    if (sys_status(HERE, path, 0, &status) >= 0)
        return (status.mode & KIND) == KIND_FOLDER ? 0 : -E_NO_FOLDER;
    return error;
}

int64_t make_folders(const char *path) {
    char part[PATH_SIZE];
    join(part, path, NULL);
    for (char *at = part + 1; *part && *at; at++) {
        if (*at != '/')
            continue;
        *at = 0;
        int64_t error = make_folder(part);
        if (error < 0)
            return error;
        *at = '/';
    }
    return make_folder(part);
}

int64_t make_folder_of(const char *path) {
    char folder[PATH_SIZE];
    join(folder, path, NULL);
    char *slash = NULL;
    for (char *at = folder; *at; at++)
        if (*at == '/')
            slash = at;
    if (!slash || slash == folder)
        return 0;
    *slash = 0;
    return make_folders(folder);
}

void share(const char *folder) {
    sys_chmod(folder, 0777); /* refused where somebody else made it, the volume itself as a rule: it has the mode that it is to have */
}

int64_t replace(const char *path, const void *content, size_t size) {
    char temporary[PATH_SIZE], digits[24];
    uint32_t random = 0;
    sys_random(&random, sizeof random);
    join(temporary, path, ".", decimal(digits, random), ".tmp", NULL);
    int64_t file = sys_open(temporary, OPEN_WRITE | OPEN_MAKE | OPEN_NEW, 0666);
    if (file < 0)
        return file;
    int64_t error = write_all((int)file, content, size);
    sys_close((int)file);
    if (error >= 0)
        error = sys_rename(temporary, path);
    if (error < 0)
        sys_unlink(temporary);
    return error;
}

int64_t read_whole(const char *path, char *content, size_t size) {
    int64_t file = sys_open(path, OPEN_READ, 0);
    if (file < 0)
        return file;
    int64_t read = sys_read((int)file, content, size);
    sys_close((int)file);
    return read;
}

int move(char **arguments) {
    const char *from = arguments[0], *to = arguments[1];
    int64_t error = make_folder_of(to);
    if (error < 0)
        fail_of(to, error);
    error = sys_rename(from, to);
    if (error < 0)
        fail_of(from, error);
    return DONE;
}

/* Whether the last line of a file was cut off, by a full volume for example. */
static int torn(int file, const char *path) {
    struct status status;
    char last = '\n';
    int64_t error = sys_status(file, "", OF_FILE, &status);
    if (error >= 0 && status.size)
        error = sys_pread(file, &last, 1, (int64_t)status.size - 1);
    if (error < 0)
        fail_of(path, error);
    return last != '\n';
}

int append(char **arguments) {
    const char *path = arguments[0], *text = arguments[1];
    enum { READ_AND_WRITE = 2 };
    int64_t error = make_folder_of(path);
    if (error < 0)
        fail_of(path, error);
    int64_t file = sys_open(path, READ_AND_WRITE | OPEN_MAKE | OPEN_APPEND, 0666);
    if (file < 0)
        fail_of(path, file);
    static char line[1 << 18]; /* an argument has at most half of that. One write, so that lines of two writers do not mix */
    size_t size = 0, length = length_of(text);
    if (length > sizeof line - 2)
        fail(path, "the text is too long");
    if (torn((int)file, path))
        line[size++] = '\n';
    for (size_t i = 0; i < length; i++)
        line[size++] = text[i];
    line[size++] = '\n';
    error = write_all((int)file, line, size);
    if (error < 0)
        fail_of(path, error);
    return DONE;
}

int write_file(char **arguments) {
    const char *path = arguments[0], *text = arguments[1];
    int64_t error = make_folder_of(path);
    if (error >= 0)
        error = replace(path, text, length_of(text));
    if (error < 0)
        fail_of(path, error);
    return DONE;
}

int read_file(char **arguments) {
    const char *path = arguments[0];
    int64_t file = sys_open(path, OPEN_READ, 0);
    if (file < 0)
        fail_of(path, file);
    static char part[65536];
    for (;;) {
        int64_t size = sys_read((int)file, part, sizeof part);
        if (size == -E_INTERRUPTED)
            continue;
        if (size < 0)
            fail_of(path, size);
        if (!size)
            break;
        put(part, (size_t)size);
    }
    flush();
    return DONE;
}
