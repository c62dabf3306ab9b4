/*
 * send(address, state): one datagram to the service manager's socket (sd_notify(3)). Node offers no Unix datagram sockets.
 * An address that begins with '@' lies in Linux' abstract namespace. Throws with the errno's name when it cannot be sent.
 */
#define NAPI_VERSION 8
#include <node_api.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

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

NAPI_MODULE_INIT() {
  napi_value function;
  if (napi_create_function(env, "send", NAPI_AUTO_LENGTH, send_state, NULL, &function) != napi_ok) return NULL;
  if (napi_set_named_property(env, exports, "send", function) != napi_ok) return NULL;
  return exports;
}
