/* Text, numbers, output, and the clock: what a libc would have. */
#include "hand.h"
#include "system.h"

#include <stdarg.h>

/* The compiler calls these by name. */
void *memcpy(void *to, const void *from, size_t size) {
    char *t = to;
    const char *f = from;
    while (size--)
        *t++ = *f++;
    return to;
}

void *memset(void *to, int byte, size_t size) {
    char *t = to;
    while (size--)
        *t++ = (char)byte;
    return to;
}

size_t length_of(const char *text) {
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

int same(const char *one, const char *other) {
    while (*one && *one == *other)
        one++, other++;
    return *one == *other;
}

int begins(const char *text, const char *beginning) {
    while (*beginning)
        if (*text++ != *beginning++)
            return 0;
    return 1;
}

int64_t leading_number(const char *text, const char **rest) {
    int64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (number > (INT64_MAX - 9) / 10)
            return -1;
        number = number * 10 + (*at - '0');
    }
    *rest = at;
    return at == text ? -1 : number;
}

int64_t number_of(const char *text) {
    const char *rest;
    int64_t number = leading_number(text, &rest);
    return number >= 0 && !*rest ? number : -1;
}

int64_t seconds_of(const char *text) {
    const char *rest;
    int64_t whole = leading_number(text, &rest);
    if (whole < 0 || whole > INT64_MAX / SECOND / 4) /* moments are added to it */
        return -1;
    int64_t duration = whole * SECOND;
    if (*rest == '.')
        for (int64_t unit = SECOND / 10; *++rest >= '0' && *rest <= '9'; unit /= 10)
            duration += (*rest - '0') * unit;
    return *rest ? -1 : duration;
}

char *join(char to[PATH_SIZE], ...) {
    va_list texts;
    size_t length = 0;
    va_start(texts, to);
    for (const char *text; (text = va_arg(texts, const char *));) {
        size_t more = length_of(text);
        if (more >= PATH_SIZE - length)
            fail(text, "the path is too long");
        memcpy(to + length, text, more);
        length += more;
    }
    va_end(texts);
    to[length] = 0;
    return to;
}

char *decimal(char to[24], int64_t number) {
    char *at = to + 23;
    uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
    *at = 0;
    do
        *--at = (char)('0' + left % 10);
    while (left /= 10);
    if (number < 0)
        *--at = '-';
    return at;
}

static char waiting_output[65536];
static size_t waiting_size;

void flush(void) {
    int64_t error = write_all(1, waiting_output, waiting_size);
    waiting_size = 0;
    if (error < 0)
        fail_of("standard output", error);
}

void put(const void *bytes, size_t size) {
    const char *from = bytes;
    while (size) {
        size_t room = sizeof waiting_output - waiting_size;
        size_t part = size < room ? size : room;
        memcpy(waiting_output + waiting_size, from, part);
        waiting_size += part;
        from += part;
        size -= part;
        if (waiting_size == sizeof waiting_output)
            flush();
    }
}

void put_text(const char *text) { put(text, length_of(text)); }

void put_number(int64_t number) {
    char digits[24];
    put_text(decimal(digits, number));
}

void put_field_byte(char byte) {
    char shown = (unsigned char)byte < ' ' ? '?' : byte;
    put(&shown, 1);
}

void put_field(const char *text) {
    while (*text)
        put_field_byte(*text++);
}

static const struct {
    int number;
    const char *text;
} error_texts[] = {
    {E_PERMISSION, "not permitted"},
    {E_NO_ENTRY, "no such file or folder"},
    {E_NO_PROCESS, "no such process"},
    {E_INPUT, "input or output error"},
    {E_NO_ACCESS, "permission denied"},
    {E_EXISTS, "is there already"},
    {E_OTHER_DEVICE, "lies on another file system"},
    {E_NO_FOLDER, "is no folder, or below something that is none"},
    {E_IS_FOLDER, "is a folder"},
    {E_INVALID, "not a valid value"},
    {E_TOO_MANY, "too many open files or watches"},
    {E_NO_SPACE, "no space left"},
    {E_READ_ONLY, "the file system is read-only"},
    {E_NAME_TOO_LONG, "the name is too long"},
    {E_LOOP, "is a link, or too many of them"},
    {E_QUOTA, "the quota is used up"},
};

static void put_line(const char *where, const char *why, const char *more) {
    const char *texts[] = {"hand: ", where, ": ", why, more, "\n"};
    char line[2 * PATH_SIZE];
    size_t size = 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (const char *at = texts[i]; *at && size < sizeof line; at++)
            line[size++] = *at;
    write_all(2, line, size); /* there is nowhere else to say that it failed */
}

void complain(const char *where, const char *why) { put_line(where, why, ""); }

void complain_of(const char *where, int64_t error) {
    for (size_t i = 0; i < sizeof error_texts / sizeof error_texts[0]; i++)
        if (error_texts[i].number == -error) {
            complain(where, error_texts[i].text);
            return;
        }
    char digits[24];
    put_line(where, "error ", decimal(digits, -error));
}

_Noreturn void leave(int code) { sys_exit(code); }

_Noreturn void fail(const char *where, const char *why) {
    complain(where, why);
    leave(FAILED);
}

_Noreturn void fail_of(const char *where, int64_t error) {
    complain_of(where, error);
    leave(FAILED);
}

const char *variable(const char *name) {
    for (char **entry = environment; *entry; entry++)
        if (begins(*entry, name) && (*entry)[length_of(name)] == '=')
            return *entry + length_of(name) + 1;
    return NULL;
}

static int64_t read_clock(int which) {
    struct moment now;
    sys_clock(which, &now);
    return now.seconds * SECOND + now.nanoseconds;
}

int64_t wall_clock(void) { return read_clock(WALL); }

int64_t steady_clock(void) { return read_clock(STEADY); }
