#define _GNU_SOURCE
#include "CSerinHTTPD.h"
#include <string.h>

const uint64_t serin_httpd_size_unknown = MHD_SIZE_UNKNOWN;
const ssize_t serin_httpd_end_of_stream = MHD_CONTENT_READER_END_OF_STREAM;

// As libmicrohttpd's own, but a NUL becomes U+0001: else what follows would be cut off, and another address be answered.
static size_t unescape(void *context, struct MHD_Connection *connection, char *text) {
    (void)context;
    (void)connection;
    for (char *place = text; (place = strstr(place, "%00")) != NULL; place += 3) place[2] = '1';
    return MHD_http_unescape(text);
}

struct MHD_Daemon *serin_httpd_start(struct serin_httpd_settings settings, MHD_AccessHandlerCallback handler,
                                     MHD_RequestCompletedCallback completed, MHD_NotifyConnectionCallback connected, void *context) {
    struct MHD_OptionItem options[14];
    int count = 0;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
    options[count++] = (struct MHD_OptionItem){MHD_OPTION_LISTEN_SOCKET, settings.listening, NULL};
    if (settings.threads > 1) options[count++] = (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, settings.threads, NULL};
    options[count++] = (struct MHD_OptionItem){MHD_OPTION_CONNECTION_LIMIT, settings.connections, NULL};
    if (settings.address_connections > 0)
        options[count++] = (struct MHD_OptionItem){MHD_OPTION_PER_IP_CONNECTION_LIMIT, settings.address_connections, NULL};
    options[count++] = (struct MHD_OptionItem){MHD_OPTION_CONNECTION_TIMEOUT, settings.timeout_seconds, NULL};
    options[count++] = (struct MHD_OptionItem){MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)completed, context};
    options[count++] = (struct MHD_OptionItem){MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)connected, context};
    options[count++] = (struct MHD_OptionItem){MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)unescape, NULL};
    if (settings.certificate != NULL) {
        flags |= MHD_USE_TLS;
        options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)settings.certificate};
        options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)settings.key};
        options[count++] =
            (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"};
        if (settings.authorities != NULL)
            options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, (void *)settings.authorities};
    }
    options[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    return MHD_start_daemon(flags, 0, NULL, NULL, handler, context, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}
