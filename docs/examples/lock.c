/* A lock in plain C: libc and POSIX sockets, nothing else.
 *
 *     cc -std=c11 -Wall -Wextra -o lock lock.c
 *     ./lock 127.0.0.1 8080 21 token state
 *
 * It follows docs/firmware.md, and its comments name the sections there. The door is standard
 * output: "opened ID" is where a real lock moves its bolt. What a product needs beside this:
 * TLS (mbedTLS, BearSSL), a JSON library, more than eight waiting events, a sensor at the bolt.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifndef CLOCK_BOOTTIME /* Linux; it goes on while the lock sleeps */
#define CLOCK_BOOTTIME CLOCK_MONOTONIC
#endif

enum { COMMANDS = 64, EVENTS = 8, FRAME = 65536, HOUR_MS = 3600000 };

/* Flash: one struct in one file, replaced as a whole. */

static struct {
    char epoch[17];
    int64_t last_seq;
    struct { char id[65], status[9], reason[16]; int64_t at; bool told; } commands[COMMANDS];
    int next_command;
    struct { int64_t seq, at; char command_id[65]; } events[EVENTS];
    int event_count;
} flash;
static const char *flash_path;

static bool save(void) {
    char new_path[4096];
    if (snprintf(new_path, sizeof new_path, "%s.new", flash_path) >= (int)sizeof new_path) return false;
    int file = open(new_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0) return false;
    bool ok = write(file, &flash, sizeof flash) == (ssize_t)sizeof flash && fsync(file) == 0;
    close(file);
    return ok && rename(new_path, flash_path) == 0;
}

static void random_bytes(void *bytes, size_t count) {
    int file = open("/dev/urandom", O_RDONLY);
    if (file < 0 || read(file, bytes, count) != (ssize_t)count) abort();
    close(file);
}

static bool load(void) {
    int file = open(flash_path, O_RDONLY);
    bool ok = file >= 0 && read(file, &flash, sizeof flash) == (ssize_t)sizeof flash;
    if (file >= 0) close(file);
    if (ok) return true;
    uint64_t number; /* a new numbering of reports */
    random_bytes(&number, sizeof number);
    memset(&flash, 0, sizeof flash);
    snprintf(flash.epoch, sizeof flash.epoch, "%016llx", (unsigned long long)number);
    return save();
}

/* The clock ("The lock's clock"): milliseconds of server time, from an offset to the boot clock. */

static int64_t offset_ms, offset_taken_ms, asked_ms = -1, next_question_ms;
static bool has_offset;

static int64_t boot_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t days_before(int64_t year, int month, int day) { /* since 1970, Gregorian */
    year -= month <= 2;
    int64_t era_years = year - year / 400 * 400;
    int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return year / 400 * 146097 + era_years * 365 + era_years / 4 - era_years / 100 + in_year - 719468;
}

static bool parse_time(const char *text, int64_t *ms) { /* 2026-11-23T08:54:33.100Z */
    int y, mo, d, h, mi, s, frac;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &y, &mo, &d, &h, &mi, &s, &frac) != 7) return false;
    *ms = ((days_before(y, mo, d) * 24 + h) * 60 + mi) * 60000 + s * 1000 + frac;
    return true;
}

static void write_time(int64_t ms, char text[40]) {
    time_t seconds = ms / 1000;
    struct tm utc;
    char date[24];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &utc));
    snprintf(text, 40, "%s.%03dZ", date, (int)(ms % 1000));
}

static bool server_now(int64_t *ms) { /* false: too old, or none, to open a door by */
    *ms = offset_ms + boot_ms();
    return has_offset && boot_ms() - offset_taken_ms <= HOUR_MS + 60000;
}

static void take_time(int64_t asked, const char *text) {
    int64_t server_ms;
    if (asked_ms < 0 || asked != asked_ms || !parse_time(text, &server_ms)) return;
    asked_ms = -1;
    if (boot_ms() - asked > 2000) return; /* asked again when next_question_ms is due */
    offset_ms = server_ms - asked; /* right, or a little ahead: never behind */
    offset_taken_ms = asked;
    has_offset = true;
    next_question_ms = asked + HOUR_MS;
}

/* WebSocket (RFC 6455), the client's half. */

static int sock = -1;
static int64_t heard_ms;
static int close_code, named_wait_s; /* of the connection that ended last */
static bool refused;

static bool send_all(const void *bytes, size_t count) {
    for (const char *at = bytes; count > 0;) {
        ssize_t sent = send(sock, at, count, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        at += sent, count -= (size_t)sent;
    }
    return true;
}

static bool receive_all(void *bytes, size_t count) {
    for (char *at = bytes; count > 0;) {
        ssize_t got = recv(sock, at, count, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false; /* closed, or silent for SO_RCVTIMEO in the middle of a frame */
        at += got, count -= (size_t)got;
    }
    heard_ms = boot_ms();
    return true;
}

static bool send_frame(int opcode, const char *payload, size_t length) {
    uint8_t frame[2048] = {(uint8_t)(0x80 | opcode)}, *mask;
    size_t head = 2;
    if (length > 2000) return false;
    if (length < 126) frame[1] = (uint8_t)(0x80 | length);
    else frame[1] = 0x80 | 126, frame[2] = (uint8_t)(length >> 8), frame[3] = (uint8_t)length, head = 4;
    random_bytes(mask = frame + head, 4);
    for (size_t i = 0; i < length; i++) frame[head + 4 + i] = (uint8_t)payload[i] ^ mask[i % 4];
    return send_all(frame, head + 4 + length);
}

static bool say(const char *json) { return send_frame(1, json, strlen(json)); }

/* The next text frame into message; pings are answered on the way. False: the connection is over. */
static bool hear(char message[FRAME + 1]) {
    for (size_t length = 0;;) {
        uint8_t head[2], wide[8];
        static char control[126];
        if (!receive_all(head, 2)) return false;
        uint64_t size = head[1] & 0x7f;
        if (size >= 126) {
            size_t bytes = size == 126 ? 2 : 8;
            if (!receive_all(wide, bytes)) return false;
            size = 0;
            for (size_t i = 0; i < bytes; i++) size = size << 8 | wide[i];
        }
        bool is_control = head[0] & 0x08;
        if (size > (is_control ? 125 : FRAME - length) || (head[1] & 0x80)) return false;
        char *payload = is_control ? control : message + length;
        if (!receive_all(payload, size)) return false;
        switch (head[0] & 0x0f) {
        case 0: case 1: /* text, perhaps in several pieces */
            length += size;
            message[length] = 0;
            if (head[0] & 0x80) return true;
            break;
        case 8:
            payload[size] = 0;
            if (size >= 2) {
                close_code = (uint8_t)payload[0] << 8 | (uint8_t)payload[1];
                char *number = strpbrk(payload + 2, "0123456789");
                if (close_code == 1013 && number != NULL) named_wait_s = atoi(number);
            }
            send_frame(8, payload, size < 2 ? 0 : 2);
            return false;
        case 9:
            if (!send_frame(10, payload, size)) return false;
            break;
        case 10: break;
        default: return false;
        }
    }
}

static bool dial(const char *host, const char *port, const char *lock_id, const char *token) {
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM}, *found, *each;
    if (getaddrinfo(host, port, &wanted, &found) != 0) return false;
    for (each = found, sock = -1; each != NULL && sock < 0; each = each->ai_next) {
        sock = socket(each->ai_family, each->ai_socktype, each->ai_protocol);
        if (sock >= 0 && connect(sock, each->ai_addr, each->ai_addrlen) != 0) close(sock), sock = -1;
    }
    freeaddrinfo(found);
    if (sock < 0) return false;
    struct timeval limit = {.tv_sec = 10};
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);

    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t nonce[18] = {0}; /* 16 random bytes and two of nothing */
    char key[25], request[1024], answer[4096];
    random_bytes(nonce, 16);
    for (int i = 0; i < 24; i++) {
        int bit = i * 6, pair = nonce[bit / 8] << 8 | (bit / 8 < 17 ? nonce[bit / 8 + 1] : 0);
        key[i] = digits[pair >> (10 - bit % 8) & 63];
    }
    memcpy(key + 22, "==", 3);
    int size = snprintf(request, sizeof request,
        "GET /locks/%s/connect HTTP/1.1\r\nHost: %s:%s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: latchkey.v1\r\n"
        "Authorization: Bearer %s\r\n\r\n", lock_id, host, port, key, token);
    if (size >= (int)sizeof request || !send_all(request, (size_t)size)) return false;
    for (size_t got = 0; got + 1 < sizeof answer;) { /* byte by byte: what follows is frames */
        if (!receive_all(answer + got, 1)) return false;
        answer[++got] = 0;
        if (got >= 4 && memcmp(answer + got - 4, "\r\n\r\n", 4) == 0) {
            /* The answer's Sec-WebSocket-Accept proves only that no cache gave it: TLS proves more. */
            refused = strncmp(answer, "HTTP/1.1 101", 12) != 0;
            if (refused) fprintf(stderr, "refused: %.12s\n", answer);
            return !refused;
        }
    }
    return false;
}

/* JSON: a field of the outermost object, as text. Enough for this server, which escapes no field
 * that a lock needs; strings and depth are minded, so a message can quote anything. */
static bool field(const char *json, const char *name, char *value, size_t size) {
    size_t length = strlen(name);
    for (int depth = 0; *json; json++) {
        if (*json == '{' || *json == '[') depth++;
        else if (*json == '}' || *json == ']') depth--;
        else if (*json == '"') {
            const char *word = ++json;
            while (*json && *json != '"') json += *json == '\\' && json[1] ? 2 : 1;
            if (!*json) return false;
            if (depth != 1 || json[1] != ':' || (size_t)(json - word) != length || memcmp(word, name, length))
                continue;
            const char *begin = json + 2 + (json[2] == '"');
            size_t count = strcspn(begin, json[2] == '"' ? "\"\\" : ",}");
            if (count >= size) return false;
            memcpy(value, begin, count);
            value[count] = 0;
            return true;
        }
    }
    return false;
}

/* What the lock says. */

static char session_id[65];

static bool say_result(int slot) {
    char frame[512], at[40], reason[32] = "";
    write_time(flash.commands[slot].at, at);
    if (flash.commands[slot].reason[0])
        snprintf(reason, sizeof reason, ",\"reason\":\"%s\"", flash.commands[slot].reason);
    snprintf(frame, sizeof frame, "{\"type\":\"result\",\"commandId\":\"%s\",\"status\":\"%s\",\"at\":\"%s\"%s}",
        flash.commands[slot].id, flash.commands[slot].status, at, reason);
    return say(frame);
}

static bool say_event(int index) {
    char frame[512], at[40];
    write_time(flash.events[index].at, at);
    snprintf(frame, sizeof frame,
        "{\"type\":\"event\",\"seq\":%lld,\"at\":\"%s\",\"event\":\"opened\",\"commandId\":\"%s\"}",
        (long long)flash.events[index].seq, at, flash.events[index].command_id);
    return say(frame);
}

/* All that the server may not have, and then a question: a connection keeps its order, so its
 * answer says that the results before it have arrived. Reports have acks of their own. */
static bool tell(void) {
    char frame[64];
    for (int slot = 0; slot < COMMANDS; slot++)
        if (flash.commands[slot].id[0] && !flash.commands[slot].told && !say_result(slot)) return false;
    for (int i = 0; i < flash.event_count; i++)
        if (!say_event(i)) return false;
    asked_ms = boot_ms();
    next_question_ms = asked_ms + 5000; /* unless this one is answered in time */
    snprintf(frame, sizeof frame, "{\"type\":\"time\",\"t\":%lld}", (long long)asked_ms);
    return say(frame);
}

/* Commands ("An open command"): the checks, their order, and flash before the bolt. */

static const char *reason_to_refuse(const char *session, const char *expires_at) {
    int64_t now, expires;
    if (strcmp(session, session_id) != 0) return "stale";
    if (!server_now(&now)) return "clock";
    if (!parse_time(expires_at, &expires) || now >= expires) return "expired";
    return NULL;
}

static bool settle(int slot, const char *status, const char *reason) {
    snprintf(flash.commands[slot].status, sizeof flash.commands[slot].status, "%s", status);
    snprintf(flash.commands[slot].reason, sizeof flash.commands[slot].reason, "%s", reason);
    flash.commands[slot].at = offset_ms + boot_ms();
    return save();
}

static bool obey(const char *frame) {
    char id[65], session[65], expires_at[40], action[16];
    if (!field(frame, "id", id, sizeof id) || !field(frame, "sessionId", session, sizeof session)
        || !field(frame, "expiresAt", expires_at, sizeof expires_at)
        || !field(frame, "action", action, sizeof action)) return true;
    for (int slot = 0; slot < COMMANDS; slot++)
        if (strcmp(flash.commands[slot].id, id) == 0) { /* known: answer, and do nothing */
            flash.commands[slot].told = false;
            return tell();
        }
    const char *reason = strcmp(action, "open") ? "unknown_action" : reason_to_refuse(session, expires_at);
    int slot = flash.next_command;
    flash.next_command = (slot + 1) % COMMANDS;
    memset(&flash.commands[slot], 0, sizeof flash.commands[slot]);
    memcpy(flash.commands[slot].id, id, sizeof id);
    if (reason == NULL && !settle(slot, "accepted", "")) reason = "storage";
    if (reason == NULL && !say_result(slot)) reason = "stale"; /* nobody is there to hear of it */
    if (reason == NULL) reason = reason_to_refuse(session, expires_at); /* flash can be slow */
    if (reason != NULL) {
        settle(slot, "refused", reason);
        return tell();
    }
    printf("opened %s\n", id); /* the bolt moves here, and nowhere else */
    fflush(stdout);
    if (flash.event_count == EVENTS) /* full: give up the oldest, never one in the middle */
        memmove(flash.events, flash.events + 1, sizeof flash.events[0] * --flash.event_count);
    flash.events[flash.event_count].seq = ++flash.last_seq;
    flash.events[flash.event_count].at = offset_ms + boot_ms();
    memcpy(flash.events[flash.event_count++].command_id, id, sizeof id);
    settle(slot, "opened", "");
    return tell();
}

/* Frames of the server. */

static bool receive(const char *frame, int *silence_ms) {
    char type[16], number[32], text[65];
    if (!field(frame, "type", type, sizeof type)) return false;
    if (strcmp(type, "command") == 0) return obey(frame);
    if (strcmp(type, "time") == 0 && field(frame, "t", number, sizeof number)
        && field(frame, "serverTime", text, sizeof text)) {
        for (int slot = 0; slot < COMMANDS && atoll(number) == asked_ms; slot++) flash.commands[slot].told = true;
        take_time(atoll(number), text);
    }
    bool is_welcome = strcmp(type, "welcome") == 0;
    bool acknowledges = is_welcome || strcmp(type, "ack") == 0;
    if (acknowledges && field(frame, is_welcome ? "ackedSeq" : "seq", number, sizeof number))
        while (flash.event_count > 0 && flash.events[0].seq <= atoll(number))
            memmove(flash.events, flash.events + 1, sizeof flash.events[0] * --flash.event_count);
    if (is_welcome) {
        if (!field(frame, "sessionId", session_id, sizeof session_id)) return false;
        if (field(frame, "offlineAfterSeconds", number, sizeof number)) *silence_ms = (int)(atof(number) * 1000);
        if (field(frame, "serverTime", text, sizeof text)) take_time(asked_ms, text);
        return tell();
    }
    if (strcmp(type, "error") == 0) {
        fprintf(stderr, "%s\n", frame);
        if (field(frame, "code", text, sizeof text) && strcmp(text, "storage_unavailable") == 0)
            asked_ms = -1; /* not stored: the next question, in five seconds, tells it again */
    }
    return true; /* a newer server may say more than this lock understands */
}

static void live(void) { /* one connection, from hello to its end */
    static char message[FRAME + 1];
    int silence_ms = 10000; /* for the welcome; then as it says */
    char hello[256];
    snprintf(hello, sizeof hello, "{\"type\":\"hello\",\"firmware\":\"0.1\",\"model\":\"c-example\",\"epoch\":\"%s\","
        "\"lastSeq\":%lld,\"capabilities\":[\"open\"]}", flash.epoch, (long long)flash.last_seq);
    asked_ms = boot_ms(); /* the welcome answers it */
    next_question_ms = asked_ms + 5000;
    if (!say(hello)) return;
    for (;;) {
        int64_t now = boot_ms(), until = heard_ms + silence_ms;
        if (now >= until) return; /* the server is gone: TCP alone would not tell for many minutes */
        if (session_id[0] && now >= next_question_ms) { if (!tell()) return; }
        if (session_id[0] && next_question_ms < until) until = next_question_ms;
        struct pollfd ready = {.fd = sock, .events = POLLIN};
        if (poll(&ready, 1, until > now ? (int)(until - now) : 0) > 0)
            if (!hear(message) || !receive(message, &silence_ms)) return;
    }
}

int main(int argc, char **argv) {
    char token[512] = "";
    FILE *file = argc == 6 ? fopen(argv[4], "r") : NULL;
    if (file == NULL || fscanf(file, "%511s", token) != 1)
        return fprintf(stderr, "usage: lock HOST PORT LOCK_ID TOKEN_FILE STATE_FILE\n"), 2;
    fclose(file);
    flash_path = argv[5];
    if (!load()) return perror(flash_path), 1;
    for (int slot = 0; slot < COMMANDS; slot++) /* a power cut at the bolt; a real lock asks its sensor */
        if (strcmp(flash.commands[slot].status, "accepted") == 0) settle(slot, "failed", "rebooted");
    for (int tries = 0;; tries++) {
        uint32_t chance;
        int64_t began = boot_ms();
        close_code = named_wait_s = 0;
        session_id[0] = 0;
        refused = false;
        if (dial(argv[1], argv[2], argv[3], token)) live();
        if (sock >= 0) close(sock);
        if (close_code == 4001) return 0; /* revoked */
        if (close_code == 4000) named_wait_s = 300; /* superseded: maybe by a connection that died on its way */
        if (boot_ms() - began > 30000) tries = 0; /* that one was good */
        if (refused) tries = 6; /* a credential does not get better by asking often */
        uint32_t limit_ms = tries < 6 ? 1000u << tries : 60000;
        if (close_code == 1001 || close_code == 1012) limit_ms = 30000;
        if (close_code == 4000) limit_ms = 300000;
        random_bytes(&chance, sizeof chance);
        uint32_t wait_ms = (uint32_t)(named_wait_s < 600 ? named_wait_s : 600) * 1000 + chance % limit_ms;
        nanosleep(&(struct timespec){wait_ms / 1000, wait_ms % 1000 * 1000000L}, NULL);
    }
}
