/* `tar` and `list`: the files below folders, as a POSIX archive or as lines. */
#include "hand.h"
#include "system.h"

enum { BLOCK = 512, NAME_SIZE = 100, PREFIX_SIZE = 155 };
static const uint64_t largest_size = 077777777777; /* that a header's field can say */

struct header {
    char name[NAME_SIZE], mode[8], uid[8], gid[8], size[12], modified[12], sum[8], kind, link[100], magic[6], version[2], user[32], group[32],
        major[8], minor[8], prefix[PREFIX_SIZE], unused[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

static void put_zeros(uint64_t size) {
    static const char zeros[BLOCK];
    for (; size > BLOCK; size -= BLOCK)
        put(zeros, BLOCK);
    put(zeros, size);
}

static void pad(uint64_t size) { put_zeros(-size % BLOCK); }

/* As octal digits that fill all but the last byte of a field. */
static void set_octal(char *field, size_t size, uint64_t number) {
    for (size_t at = size - 1; at--; number /= 8)
        field[at] = (char)('0' + number % 8);
}

static void set_text(char *field, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        field[i] = text[i];
}

/* Puts the name into a header, parted at a slash where it is long. Returns whether it fits. */
static int set_name(struct header *header, const char *name) {
    size_t length = length_of(name);
    if (length <= NAME_SIZE) {
        set_text(header->name, name, length);
        return 1;
    }
    for (size_t at = length - NAME_SIZE - 1; at <= PREFIX_SIZE && at < length - 1; at++)
        if (at && name[at] == '/') {
            set_text(header->prefix, name, at);
            set_text(header->name, name + at + 1, length - at - 1);
            return 1;
        }
    return 0;
}

static void put_header(struct header *header, char kind, uint64_t size, int64_t modified) {
    set_octal(header->mode, sizeof header->mode, 0644);
    set_octal(header->uid, sizeof header->uid, 0);
    set_octal(header->gid, sizeof header->gid, 0);
    set_octal(header->size, sizeof header->size, size);
    set_octal(header->modified, sizeof header->modified, modified > 0 ? (uint64_t)(modified / SECOND) : 0);
    header->kind = kind;
    set_text(header->magic, "ustar", 6);
    set_text(header->version, "00", 2);
    uint64_t sum = 8 * ' '; /* the sum's own field counts as blanks */
    for (size_t i = 0; i < sizeof *header; i++)
        sum += ((const unsigned char *)header)[i];
    set_octal(header->sum, 7, sum);
    header->sum[7] = ' ';
    put(header, sizeof *header);
}

/* How many bytes `LENGTH KEY=VALUE\n` has, its own length's digits included. */
static uint64_t record_size(const char *key, const char *value) {
    char digits[24];
    uint64_t rest = 1 + length_of(key) + 1 + length_of(value) + 1, size = rest + 1;
    while (size != rest + length_of(decimal(digits, (int64_t)size)))
        size = rest + length_of(decimal(digits, (int64_t)size));
    return size;
}

static void put_record(const char *key, const char *value) {
    put_number((int64_t)record_size(key, value));
    put_text(" ");
    put_text(key);
    put_text("=");
    put_text(value);
    put_text("\n");
}

/* What does not fit into a header goes before it. */
static void put_extension(const struct entry *entry, const char *size) {
    struct header header = {0};
    uint64_t length = record_size("path", entry->name) + record_size("size", size);
    set_name(&header, "extension");
    put_header(&header, 'x', length, entry->modified);
    put_record("path", entry->name);
    put_record("size", size);
    pad(length);
}

static void put_content(int file, const struct entry *entry) {
    static char part[65536];
    uint64_t left = entry->size;
    while (left) {
        int64_t read = sys_read(file, part, left < sizeof part ? left : sizeof part);
        if (read == -E_INTERRUPTED)
            continue;
        if (read < 0)
            walk_fails(entry->path, read);
        if (read <= 0)
            break;
        put(part, (size_t)read);
        left -= (uint64_t)read;
    }
    put_zeros(left); /* it has become shorter: the header has been sent */
    pad(entry->size);
}

static void put_file(const struct entry *entry) {
    struct header header = {0};
    char digits[24];
    int64_t file = sys_open(entry->path, OPEN_READ | OPEN_NO_WAIT, 0);
    if (file == -E_NO_ENTRY)
        return;
    if (file < 0) {
        walk_fails(entry->path, file);
        return;
    }
    if (!set_name(&header, entry->name) || entry->size > largest_size) {
        put_extension(entry, decimal(digits, (int64_t)entry->size));
        if (!header.name[0])
            set_name(&header, "extended");
    }
    put_header(&header, '0', entry->size > largest_size ? 0 : entry->size, entry->modified);
    put_content((int)file, entry);
    sys_close((int)file);
}

int tar(char **arguments) {
    int code = walk(arguments, put_file);
    put_zeros(2 * BLOCK);
    flush();
    return code;
}

static void put_line(const struct entry *entry) {
    put_number((int64_t)entry->size);
    put_text("\t");
    put_number(entry->modified);
    put_text("\t");
    put_field(entry->name);
    put_text("\n");
}

int list(char **arguments) {
    int code = walk(arguments, put_line);
    flush();
    return code;
}
