// A client that costs little beside the server that it measures: one thread, kept-alive connections, the same request again and again,
// answers read by their length alone. It writes to its standard output, little-endian: elapsed nanoseconds, its own processor time in
// nanoseconds, answers, failures (64 bits each), then the nanoseconds of every answer (32 bits each).
//
//   load tcp:PORT|unix:PATH CONNECTIONS REQUESTS SECONDS http1 FILE          FILE: a whole request
//   load tcp:PORT|unix:PATH CONNECTIONS REQUESTS SECONDS http2 HEADERS BODY  HEADERS: a block of header fields (HPACK)
//
// It ends after so many requests of all connections together, or so many seconds, whichever comes first.
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES (256 * 1024)
#define FRAME_BYTES 16384

typedef struct {
  char *bytes;
  size_t length, room;
} Bytes;

typedef struct {
  int socket;
  int busy;
  uint64_t began;
  Bytes out;     // what is still to be written, from `written` on
  size_t written;
  int waits_for_room;
  Bytes in;      // of the answer: its head (http1), or the frame that is not complete yet (http2)
  // http1
  int in_body, chunked, status;
  int64_t left;
  char last[5];
  // http2
  uint32_t stream;
  int64_t connection_window, stream_window, initial_window;
  size_t body_sent;
  int had_data;
} Connection;

static int is_http2;
static Bytes request, body;
static char buffer[READ_BYTES];
static int poller;
static uint64_t answers, failures, sent, most, deadline;
static uint32_t *times;
static size_t times_room;

static void stop(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void add(Bytes *to, const void *bytes, size_t length) {
  if (to->length + length > to->room) {
    to->room = (to->length + length) * 2;
    to->bytes = realloc(to->bytes, to->room);
    if (to->bytes == NULL) stop("memory");
  }
  memcpy(to->bytes + to->length, bytes, length);
  to->length += length;
}

static Bytes file(const char *path) {
  Bytes found = {0};
  FILE *from = fopen(path, "rb");
  if (from == NULL) stop(path);
  size_t length;
  while ((length = fread(buffer, 1, sizeof buffer, from)) > 0) add(&found, buffer, length);
  fclose(from);
  return found;
}

static int open_socket(const char *address) {
  int made;
  if (strncmp(address, "unix:", 5) == 0) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strncpy(to.sun_path, address + 5, sizeof to.sun_path - 1);
    made = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(made, (struct sockaddr *)&to, sizeof to) != 0) stop(address);
  } else {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(address + 4)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    made = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(made, (struct sockaddr *)&to, sizeof to) != 0) stop(address);
    int on = 1;
    setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return made;
}

static void flush(Connection *one) {
  while (one->written < one->out.length) {
    ssize_t length = send(one->socket, one->out.bytes + one->written, one->out.length - one->written, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (length < 0 && errno != EAGAIN) stop("write");
    if (length < 0) break;
    one->written += (size_t)length;
  }
  int waits = one->written < one->out.length;
  if (!waits) one->out.length = one->written = 0;
  if (waits == one->waits_for_room) return;
  one->waits_for_room = waits;
  struct epoll_event event = {.events = EPOLLIN | (waits ? EPOLLOUT : 0), .data.ptr = one};
  epoll_ctl(poller, EPOLL_CTL_MOD, one->socket, &event);
}

// RFC 9113, 4.1.
static void frame(Connection *one, size_t length, uint8_t type, uint8_t flags, uint32_t stream, const void *payload) {
  uint8_t head[9] = {(uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length, type, flags,
                     (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream};
  add(&one->out, head, sizeof head);
  add(&one->out, payload, length);
}

// As much of the body as the windows of the server allow.
static void send_body(Connection *one) {
  while (one->body_sent < body.length) {
    int64_t length = (int64_t)(body.length - one->body_sent);
    if (length > FRAME_BYTES) length = FRAME_BYTES;
    if (length > one->connection_window) length = one->connection_window;
    if (length > one->stream_window) length = one->stream_window;
    if (length <= 0) return;
    int is_last = one->body_sent + (size_t)length == body.length;
    frame(one, (size_t)length, 0, is_last ? 1 : 0, one->stream, body.bytes + one->body_sent);
    one->body_sent += (size_t)length;
    one->connection_window -= length;
    one->stream_window -= length;
  }
}

static void ask(Connection *one) {
  if (sent >= most || now() >= deadline) return;
  sent++;
  one->busy = 1;
  one->began = now();
  if (!is_http2) {
    // Straight from where it lies: a copy of a large request would cost as much as the server's.
    size_t done = 0;
    while (done < request.length) {
      ssize_t length = send(one->socket, request.bytes + done, request.length - done, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (length < 0 && errno != EAGAIN) stop("write");
      if (length < 0) break;
      done += (size_t)length;
    }
    if (done == request.length) return;
    add(&one->out, request.bytes + done, request.length - done);
  } else {
    one->stream = one->stream == 0 ? 1 : one->stream + 2;
    one->stream_window = one->initial_window;
    one->body_sent = 0;
    one->had_data = 0;
    frame(one, request.length, 1, 4, one->stream, request.bytes);
    send_body(one);
  }
  flush(one);
}

static void answered(Connection *one, int ok) {
  uint64_t took = now() - one->began;
  if (!ok && failures++ == 0) fprintf(stderr, "load: a request failed: status %d\n", one->status);
  if (answers == times_room) {
    times_room = times_room == 0 ? 65536 : times_room * 2;
    times = realloc(times, times_room * sizeof *times);
    if (times == NULL) stop("memory");
  }
  times[answers++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
  one->busy = 0;
  ask(one);
}

static void end_answer(Connection *one) {
  one->in_body = 0;
  one->in.length = 0;
  answered(one, one->status == 200);
}

static void read_head(Connection *one, const char *end) {
  one->status = atoi(one->in.bytes + 9);
  one->chunked = 0;
  one->left = 0;
  for (char *line = one->in.bytes; line < end; line = strstr(line, "\r\n") + 2) {
    if (strncasecmp(line, "content-length:", 15) == 0) one->left = atoll(line + 15);
    if (strncasecmp(line, "transfer-encoding: chunked", 26) == 0) one->chunked = 1;
  }
  one->in_body = 1;
}

static void take_http1(Connection *one, const char *bytes, size_t length) {
  if (!one->in_body) {
    add(&one->in, bytes, length);
    add(&one->in, "", 1);
    one->in.length--;
    char *end = strstr(one->in.bytes, "\r\n\r\n");
    if (end == NULL) return;
    read_head(one, end + 2);
    bytes = end + 4;
    length = one->in.length - (size_t)(bytes - one->in.bytes);
  }
  if (!one->chunked) {
    one->left -= (int64_t)length;
    if (one->left <= 0) end_answer(one);
    return;
  }
  size_t kept = length < 5 ? length : 5;
  memmove(one->last, one->last + kept, 5 - kept);
  memcpy(one->last + 5 - kept, bytes + length - kept, kept);
  if (memcmp(one->last, "0\r\n\r\n", 5) == 0) end_answer(one);
}

static uint32_t number(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void take_frame(Connection *one, const uint8_t *at, size_t length) {
  const uint8_t *payload = at + 9;
  uint8_t type = at[3], flags = at[4];
  uint32_t stream = number(at + 5) & 0x7fffffff;
  if (type == 4 && (flags & 1) == 0) {
    for (size_t place = 0; place + 6 <= length; place += 6) {
      if (payload[place] == 0 && payload[place + 1] == 4) one->initial_window = number(payload + place + 2);
    }
    frame(one, 0, 4, 1, 0, "");
  } else if (type == 6 && (flags & 1) == 0) {
    frame(one, length, 6, 1, 0, payload);
  } else if (type == 8) {
    if (stream == 0) one->connection_window += number(payload);
    else if (stream == one->stream) one->stream_window += number(payload);
    if (one->busy) send_body(one);
  } else if (type == 0 && length > 0) {
    // What was read is made up for at once.
    uint8_t more[4] = {(uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length};
    frame(one, 4, 8, 0, 0, more);
    one->had_data = 1;
  } else if (type == 3 || type == 7) {
    errno = EPROTO;
    stop("the server ended the stream");
  }
  // An answer without a message is an error of gRPC.
  if ((type == 0 || type == 1) && (flags & 1) != 0 && stream == one->stream && one->busy) {
    one->status = one->had_data ? 200 : 500;
    answered(one, one->had_data);
  }
}

static void take_http2(Connection *one, const char *bytes, size_t length) {
  add(&one->in, bytes, length);
  size_t at = 0;
  while (one->in.length - at >= 9) {
    const uint8_t *head = (const uint8_t *)one->in.bytes + at;
    size_t size = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
    if (one->in.length - at < 9 + size) break;
    take_frame(one, head, size);
    at += 9 + size;
  }
  memmove(one->in.bytes, one->in.bytes + at, one->in.length - at);
  one->in.length -= at;
  flush(one);
}

static void greet(Connection *one) {
  one->connection_window = one->initial_window = 65535;
  const char *preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  add(&one->out, preface, strlen(preface));
  const uint8_t window[6] = {0, 4, 0x7f, 0xff, 0xff, 0xff};
  frame(one, sizeof window, 4, 0, 0, window);
  flush(one);
}

static void run(Connection *all, int count) {
  for (int at = 0; at < count; at++) ask(&all[at]);
  struct epoll_event events[64];
  for (;;) {
    int busy = 0;
    for (int at = 0; at < count; at++) busy |= all[at].busy;
    if (!busy) return;
    int ready = epoll_wait(poller, events, 64, 60000);
    if (ready == 0) {
      errno = ETIMEDOUT;
      stop("no answer for a minute");
    }
    for (int at = 0; at < ready; at++) {
      Connection *one = events[at].data.ptr;
      if (events[at].events & EPOLLOUT) flush(one);
      if (!(events[at].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) continue;
      ssize_t length = recv(one->socket, buffer, sizeof buffer, MSG_DONTWAIT);
      if (length < 0 && errno == EAGAIN) continue;
      if (length <= 0) stop("the server closed the connection");
      if (is_http2) take_http2(one, buffer, (size_t)length);
      else take_http1(one, buffer, (size_t)length);
    }
  }
}

int main(int argc, char **argv) {
  if (argc < 7) return 2;
  int count = atoi(argv[2]);
  is_http2 = strcmp(argv[5], "http2") == 0;
  request = file(argv[6]);
  if (is_http2) body = file(argv[7]);
  poller = epoll_create1(0);
  Connection *all = calloc((size_t)count, sizeof *all);
  for (int at = 0; at < count; at++) {
    all[at].socket = open_socket(argv[1]);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[at]};
    epoll_ctl(poller, EPOLL_CTL_ADD, all[at].socket, &event);
    if (is_http2) greet(&all[at]);
  }
  uint64_t began = now();
  most = strtoull(argv[3], NULL, 10);
  deadline = began + (uint64_t)(atof(argv[4]) * 1e9);
  run(all, count);
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  uint64_t own = (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000u + (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000u;
  uint64_t told[4] = {now() - began, own, answers, failures};
  fwrite(told, sizeof told, 1, stdout);
  fwrite(times, sizeof *times, answers, stdout);
  return 0;
}
