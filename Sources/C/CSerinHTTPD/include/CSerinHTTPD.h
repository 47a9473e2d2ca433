// Typed entrances to libmicrohttpd's variadic functions, which Swift cannot call.
#ifndef CSERIN_HTTPD_H
#define CSERIN_HTTPD_H
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/socket.h>
#include <microhttpd.h>

extern const uint64_t serin_httpd_size_unknown;
extern const ssize_t serin_httpd_end_of_stream;

// Serves on a socket that already listens. Returns NULL when libmicrohttpd refuses.
struct MHD_Daemon *serin_httpd_start(int listening, unsigned threads, unsigned connection_limit, unsigned timeout_seconds,
                                     MHD_AccessHandlerCallback handler, void *handler_context,
                                     MHD_RequestCompletedCallback completed, void *completed_context);
// The descriptor of a connection's socket, for its peer's credentials; -1 when there is none.
int serin_httpd_socket(struct MHD_Connection *connection);
// The user id of a unix socket's peer; returns 0, or -1 when the socket has none.
int serin_peer_uid(int descriptor, uint32_t *uid);
#endif
