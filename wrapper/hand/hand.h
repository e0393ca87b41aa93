/* What the parts of the hand share. There is no libc: text, numbers and output are in text.c, system calls in system.h. */
#ifndef PODCOV_HAND_H
#define PODCOV_HAND_H

#include <stddef.h>
#include <stdint.h>

enum { DONE = 0, FAILED = 1, MISUSED = 2, REFUSED = 3 }; /* exit codes */
enum { PATH_SIZE = 4096 };

#define SECOND ((int64_t)1000000000) /* all times are in ns */

/* ---- text.c */

size_t length_of(const char *text);
int same(const char *one, const char *other);
int begins(const char *text, const char *beginning);
/* The digits that text begins with, as a number; *rest is what follows them. -1 where there are none, or too many. */
int64_t leading_number(const char *text, const char **rest);
/* A whole number and nothing else; -1 for anything else. */
int64_t number_of(const char *text);
/* Seconds, decimals allowed, in ns; -1 for anything else. */
int64_t seconds_of(const char *text);

/* Joins texts into `to`; fails the command where they are too long for a path. The last argument is NULL. */
char *join(char to[PATH_SIZE], ...);
char *decimal(char to[24], int64_t number);

/* Standard output, buffered until `flush`. */
void put(const void *bytes, size_t size);
void put_text(const char *text);
void put_number(int64_t number);
/* As one field of a line: what would end the field or the line becomes a question mark. */
void put_field_byte(char byte);
void put_field(const char *text);
void flush(void);

/* One line on standard error: `hand: WHERE: why`. `error` is what a system call returned, below zero. */
void complain(const char *where, const char *why);
void complain_of(const char *where, int64_t error);
_Noreturn void fail(const char *where, const char *why);
_Noreturn void fail_of(const char *where, int64_t error);
_Noreturn void leave(int code);

extern char **environment;
/* A variable's value; NULL where it is not set. */
const char *variable(const char *name);

int64_t wall_clock(void);
int64_t steady_clock(void);

/* ---- files.c */

/* Makes a folder and those above it, for every user. Returns 0, or the error. */
int64_t make_folders(const char *path);
/* Makes the folder that a file is to lie in. */
int64_t make_folder_of(const char *path);
/* Has everybody write into a folder; one that is somebody else's is left as it is. */
void share(const char *folder);
/* Writes a file whole or not at all. Returns 0, or the error. */
int64_t replace(const char *path, const void *content, size_t size);
/* Reads at most `size` bytes of a file. Returns how many, or the error. */
int64_t read_whole(const char *path, char *content, size_t size);
int64_t write_all(int file, const void *content, size_t size);

/* ---- walk.c */

struct entry {
    const char *path;
    const char *name; /* below the folder that was asked for */
    uint64_t size;
    int64_t modified; /* ns since 1970 */
};

/* Shows every regular file below each folder. Returns DONE, or FAILED where something could not be read (it has been said). */
int walk(char **folders, void (*visit)(const struct entry *));
/* For a visitor that could not do its work. */
void walk_fails(const char *path, int64_t error);
/* Calls `visit` with each name in a folder. Returns 0, or the error. */
int64_t each_name(const char *folder, void (*visit)(const char *name, void *with), void *with);

/* ---- courier.c */

/* A file of the courier's own state, such as `ended`. */
char *state_path(char to[PATH_SIZE], const char *data, const char *name);
/* The number in such a file; 0 where there is none. */
int64_t read_state(const char *data, const char *name);
/* The moment, as the file's content. Returns 0, or the error. */
int64_t write_now(const char *data, const char *name);
/* The data volume's folder. */
const char *data_folder(void);

/* ---- the commands: arguments without the command's name, ended by NULL, in the number that hand.c says. They return the exit code. */

int serve(char **arguments);
int send_signal(char **arguments);
int tar(char **arguments);
int list(char **arguments);
int move(char **arguments);
int append(char **arguments);
int write_file(char **arguments);
int read_file(char **arguments);
int get(char **arguments);
int processes(char **arguments);
int lease(char **arguments);
int wait_for_end(char **arguments);
int release(char **arguments);

#endif
