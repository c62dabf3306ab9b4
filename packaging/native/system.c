/*
 * What the programs ask of the operating system and Node does not offer.
 *
 * send(address, state): one datagram to the service manager's socket (sd_notify(3)). An address that begins with '@' lies in
 * Linux' abstract namespace. Throws with the system's message when it cannot be sent.
 *
 * prepare(): has threads started from now on take memory from one arena (mallopt(3)) instead of one each, which would keep its
 * own free pieces.
 *
 * release(): gives the system back what the process holds and does not use: the calling thread's garbage (collect.cc), freed
 * memory that malloc kept (malloc_trim(3)), and the mappings of code and constants of the executable and its libraries that were needed to start. Such pages are
 * clean copies of the file: they stay in the page cache, and one that is needed again comes back by a minor fault.
 *
 * replace(path, arguments): makes the process another program (execv(3)) with the environment as process.env says; the process
 * keeps its number, so that whoever watches it goes on watching. Returns only by throwing the system's message.
 * (process.execve of Node aborts the process where the system refuses, which leaves nobody to start what worked before.)
 *
 * endAfter(seconds): has the kernel end this process by SIGALRM after that time, whatever program it has become by then and
 * whether or not that one ever gets to run (alarm(2) survives execve(2)); 0 takes it back.
 *
 * readHere(fd): nothing is to be read ahead of what is asked for (posix_fadvise(2), POSIX_FADV_RANDOM), so that the page cache
 * takes the file in pages and not in larger parts, which it could only keep or drop whole.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <node_api.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#ifdef __linux__
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#endif
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* macOS has neither; what sends there is closed at once and nothing is started in between. */
#ifndef SOCK_CLOEXEC
#define SOCK_CLOEXEC 0
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

static napi_value fail(napi_env env, const char *what) {
  napi_throw_error(env, NULL, what);
  return NULL;
}

static napi_value send_state(napi_env env, napi_callback_info info) {
  size_t argc = 2, length, size;
  napi_value argv[2];
  struct sockaddr_un address;
  char state[1024];

  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 2) return fail(env, "two arguments are expected");
  /* What does not fit is cut off; a cut address leads nowhere, a cut state is refused below. */
  if (napi_get_value_string_utf8(env, argv[0], address.sun_path, sizeof address.sun_path, &length) != napi_ok || length == 0)
    return fail(env, "the address is not text");
  if (napi_get_value_string_utf8(env, argv[1], state, sizeof state, &size) != napi_ok || size + 1 >= sizeof state)
    return fail(env, "the state is not text, or too long");
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';

  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(env, strerror(errno));
  ssize_t sent = sendto(fd, state, size, MSG_NOSIGNAL, (struct sockaddr *)&address,
                        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
  int reason = errno;
  close(fd);
  return sent == (ssize_t)size ? NULL : fail(env, strerror(reason));
}

#ifdef __linux__
static int drop_segments(struct dl_phdr_info *object, size_t size, void *page_size) {
  uintptr_t page = *(uintptr_t *)page_size;
  (void)size;
  for (int i = 0; i < object->dlpi_phnum; i += 1) {
    const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
    /* Only what was never written to: a page the loader relocated exists nowhere else. */
    if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0) continue;
    uintptr_t begin = (object->dlpi_addr + segment->p_vaddr + page - 1) & ~(page - 1);
    uintptr_t end = (object->dlpi_addr + segment->p_vaddr + segment->p_filesz) & ~(page - 1);
    if (end > begin) madvise((void *)begin, end - begin, MADV_DONTNEED);
  }
  return 0;
}
#endif

/* collect.cc */
extern void skerry_collect(void);

static napi_value release(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
  skerry_collect();
#ifdef __linux__
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  malloc_trim(0);
  dl_iterate_phdr(drop_segments, &page);
#endif
  return NULL;
}

/* A copy of a JavaScript string, to be freed; NULL when it is none. */
static char *text_of(napi_env env, napi_value value) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return NULL;
  char *text = malloc(length + 1);
  if (text != NULL) napi_get_value_string_utf8(env, value, text, length + 1, &length);
  return text;
}

static napi_value replace(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  uint32_t count;
  napi_value argv[2];
  const char *reason = "a path and a list of arguments are expected";

  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 2) return fail(env, reason);
  if (napi_get_array_length(env, argv[1], &count) != napi_ok) return fail(env, reason);
  char *path = text_of(env, argv[0]);
  char **arguments = calloc((size_t)count + 1, sizeof *arguments);
  int complete = path != NULL && arguments != NULL;
  for (uint32_t i = 0; complete && i < count; i += 1) {
    napi_value argument;
    complete = napi_get_element(env, argv[1], i, &argument) == napi_ok && (arguments[i] = text_of(env, argument)) != NULL;
  }
  if (complete) {
    sigset_t none, before;
    sigemptyset(&none);
    /* A blocked signal would stay blocked in the new program, SIGALRM among them. */
    sigprocmask(SIG_SETMASK, &none, &before);
    /* Node has every descriptor it was started with closed on exec, the standard ones included. */
    for (int fd = 0; fd <= 2; fd += 1) {
      int flags = fcntl(fd, F_GETFD);
      if (flags >= 0) fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
    }
    execv(path, arguments);
    reason = strerror(errno);
    sigprocmask(SIG_SETMASK, &before, NULL);
  }
  if (arguments != NULL)
    for (uint32_t i = 0; i < count; i += 1) free(arguments[i]);
  free(arguments);
  free(path);
  return fail(env, reason);
}

static napi_value end_after(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  uint32_t seconds;
  napi_value argv[1];
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 1 ||
      napi_get_value_uint32(env, argv[0], &seconds) != napi_ok)
    return fail(env, "a number of seconds is expected");
  alarm(seconds);
  return NULL;
}

static napi_value read_here(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  int32_t fd;
  napi_value argv[1];
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 1 || napi_get_value_int32(env, argv[0], &fd) != napi_ok)
    return fail(env, "a file descriptor is expected");
#ifdef __linux__
  /* Advice: where it cannot be taken, nothing is lost. */
  posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
#endif
  return NULL;
}

static napi_value prepare(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
#ifdef __GLIBC__
  mallopt(M_ARENA_MAX, 1);
#endif
  return NULL;
}

static napi_status offer(napi_env env, napi_value exports, const char *name, napi_callback call) {
  napi_value function;
  napi_status status = napi_create_function(env, name, NAPI_AUTO_LENGTH, call, NULL, &function);
  return status == napi_ok ? napi_set_named_property(env, exports, name, function) : status;
}

NAPI_MODULE_INIT() {
  if (offer(env, exports, "send", send_state) != napi_ok || offer(env, exports, "release", release) != napi_ok ||
      offer(env, exports, "prepare", prepare) != napi_ok ||
      offer(env, exports, "replace", replace) != napi_ok || offer(env, exports, "endAfter", end_after) != napi_ok ||
      offer(env, exports, "readHere", read_here) != napi_ok)
    return NULL;
  return exports;
}
