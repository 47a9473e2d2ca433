// Typed entrances to libmicrohttpd's variadic functions, which Swift cannot call, and to GnuTLS' view of a client's certificate.
#ifndef CSERIN_HTTPD_H
#define CSERIN_HTTPD_H
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/socket.h>
#include <microhttpd.h>

extern const uint64_t serin_httpd_size_unknown;
extern const ssize_t serin_httpd_end_of_stream;

struct serin_httpd_settings {
    int listening;               // A socket that already listens.
    unsigned threads;            // How many serve.
    unsigned connections;        // The most at once.
    unsigned address_connections; // The most at once of one address; 0 for no limit.
    unsigned timeout_seconds;    // How long a connection may be silent.
    const char *certificate;     // PEM with the chain; NULL to serve without TLS. The three must last as long as the daemon.
    const char *key;             // PEM.
    const char *authorities;     // PEM of the authorities of client certificates; NULL to ask for none.
};

// Serves on a socket. Returns NULL when libmicrohttpd refuses.
struct MHD_Daemon *serin_httpd_start(struct serin_httpd_settings settings, MHD_AccessHandlerCallback handler,
                                     MHD_RequestCompletedCallback completed, MHD_NotifyConnectionCallback connected, void *context);
// The descriptor of a connection's socket, for its peer's credentials; -1 when there is none.
int serin_httpd_socket(struct MHD_Connection *connection);
// The user id of a unix socket's peer; returns 0, or -1 when the socket has none.
int serin_peer_uid(int descriptor, uint32_t *uid);
// The groups of a unix socket's peer when it connected, its own first; returns how many, or -1 when the socket has none.
int serin_peer_groups(int descriptor, uint32_t *groups, int capacity);
// The numeric address of a TCP peer; returns 0, or -1 when it has none.
int serin_httpd_address(struct MHD_Connection *connection, char *address, size_t capacity);
// A client's certificate: its SHA-256, its subject (RFC 4514), and its alternative names, one a line as `dns:…`.
// Returns 1 for a valid one, 0 when none was sent, -1 when it is not valid or does not fit, -2 when it
// has expired, -3 when no known authority signed it.
int serin_httpd_certificate(struct MHD_Connection *connection, uint8_t fingerprint[32], char *subject, size_t subject_capacity,
                            char *names, size_t names_capacity);
// Checks that a certificate and its key are readable and belong together, and that the authorities are readable; the error's text,
// or NULL when all is well.
const char *serin_httpd_check_tls(const char *certificate, const char *key, const char *authorities);
// From when and until when the first certificate of a PEM text is good, in seconds since 1970; returns 1, or 0 when it does not say.
int serin_httpd_tls_times(const char *certificate, int64_t *begins, int64_t *ends);
#endif
