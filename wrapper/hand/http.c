/* `get`: one HTTP request to this pod's own loopback, for switches that make a service write its coverage. */
#include "hand.h"
#include "system.h"

struct address {
    const char *name;
    int family, size;
    unsigned char bytes[28]; /* sockaddr_in or sockaddr_in6: the family goes to 0, the port to 2 */
};

enum { CLOSED = -1 };

static struct address addresses[] = {
    {"127.0.0.1", INTERNET, 16, {[4] = 127, [7] = 1}},
    {"::1", INTERNET_6, 28, {[23] = 1}},
};
enum { ADDRESSES = sizeof addresses / sizeof addresses[0] };

/* Returns false where the deadline passed first. */
static int wait_for(int file, short what, int64_t deadline) {
    for (;;) {
        int64_t left = deadline - steady_clock();
        if (left <= 0)
            return 0;
        struct moment duration = {left / SECOND, left % SECOND};
        struct waiting waiting = {file, what, 0};
        if (sys_poll(&waiting, 1, &duration) > 0)
            return 1;
    }
}

static int nobody_there(int64_t error) {
    return error == -E_REFUSED || error == -E_NO_ADDRESS || error == -E_NO_FAMILY || error == -E_UNREACHABLE;
}

/* Returns the connection, or the error; fails the command where nothing happens in time. */
static int64_t connect(struct address *address, int64_t port, int64_t deadline) {
    int64_t file = sys_socket(address->family);
    if (file < 0)
        return file;
    address->bytes[0] = (unsigned char)address->family;
    address->bytes[2] = (unsigned char)(port >> 8);
    address->bytes[3] = (unsigned char)port;
    int64_t error = sys_connect((int)file, address->bytes, address->size);
    if (error == -E_PROGRESS) {
        if (!wait_for((int)file, CAN_WRITE, deadline))
            fail(address->name, "no connection in the time given");
        int32_t later = 0;
        uint32_t size = sizeof later;
        error = sys_socket_option((int)file, SOCKET_ERROR, &later, &size);
        if (error >= 0)
            error = -later;
    }
    if (error < 0)
        sys_close((int)file);
    return error < 0 ? error : file;
}

static int ended_by_peer(int64_t result) { return result == 0 || result == -E_RESET || result == -E_PIPE; }

/* The status of `HTTP/1.x NNN...`; CLOSED for an answer that ends before. */
static int64_t status_in(const char *answer, size_t size, const char *where) {
    enum { STATUS_AT = 9, STATUS_END = 12 };
    const char *rest;
    if (size < STATUS_END)
        return CLOSED;
    int64_t status = leading_number(answer + STATUS_AT, &rest);
    if (!begins(answer, "HTTP/1.") || status < 0)
        fail(where, "what answers does not speak HTTP");
    return status;
}

/* Reads to the end of the answer, as the server may take a closed connection for a reason to stop. */
static int64_t receive(int file, const char *where, int64_t deadline) {
    char beginning[13] = {0}, rest[4096];
    size_t size = 0;
    for (;;) {
        if (!wait_for(file, CAN_READ, deadline)) {
            if (size < sizeof beginning - 1)
                fail(where, "no answer in the time given");
            break;
        }
        int64_t read = sys_read(file, rest, sizeof rest);
        if (read == -E_INTERRUPTED)
            continue;
        if (ended_by_peer(read))
            break;
        if (read < 0)
            fail_of(where, read);
        for (int64_t i = 0; i < read && size < sizeof beginning - 1; i++)
            beginning[size++] = rest[i];
    }
    return status_in(beginning, size, where);
}

static int64_t ask(int file, const char *path, const char *where, int64_t deadline) {
    static char request[PATH_SIZE];
    join(request, "GET ", *path == '/' ? "" : "/", path, " HTTP/1.0\r\nHost: localhost\r\nUser-Agent: podcov\r\nConnection: close\r\n\r\n", NULL);
    int64_t sent = sys_send(file, request, length_of(request)); /* far less than a new connection's buffer */
    if (ended_by_peer(sent))
        return CLOSED;
    if (sent < 0)
        fail_of(where, sent);
    return receive(file, where, deadline);
}

int get(char **arguments) {
    int64_t port = number_of(arguments[0]), duration = seconds_of(arguments[2]);
    if (port < 1 || port > 65535 || duration < 0)
        return MISUSED;
    int64_t deadline = steady_clock() + duration;
    for (int i = 0; i < ADDRESSES; i++) {
        static char where[PATH_SIZE];
        join(where, addresses[i].name, " port ", arguments[0], NULL);
        int64_t file = connect(&addresses[i], port, deadline);
        if (nobody_there(file))
            continue;
        if (file < 0)
            fail_of(where, file);
        int64_t status = ask((int)file, arguments[1], where, deadline);
        if (status == CLOSED)
            put_text("closed");
        else
            put_number(status);
        put_text("\n");
        flush();
        return DONE;
    }
    complain(arguments[0], "nobody listens on this port of the pod's loopback");
    return REFUSED;
}
