#define _GNU_SOURCE
#include "CSerinHTTPD.h"
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

int serin_httpd_socket(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

int serin_peer_uid(int descriptor, uint32_t *uid) {
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0 || credentials.pid == 0) return -1;
    *uid = credentials.uid;
    return 0;
}

int serin_peer_groups(int descriptor, uint32_t *groups, int capacity) {
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    if (capacity < 1 || getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0 || credentials.pid == 0)
        return -1;
    groups[0] = credentials.gid;
    length = (socklen_t)((size_t)(capacity - 1) * sizeof(uint32_t));
    // More groups than there is room for: only its own counts.
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, groups + 1, &length) != 0) return 1;
    return 1 + (int)(length / sizeof(uint32_t));
}

int serin_httpd_address(struct MHD_Connection *connection, char *address, size_t capacity) {
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    if (getpeername(serin_httpd_socket(connection), (struct sockaddr *)&peer, &length) != 0) return -1;
    if (peer.ss_family != AF_INET && peer.ss_family != AF_INET6) return -1;
    return getnameinfo((struct sockaddr *)&peer, length, address, (socklen_t)capacity, NULL, 0, NI_NUMERICHOST) == 0 ? 0 : -1;
}

// Appends one alternative name with its kind, unless it holds what could be taken for another; -1 when there is no room.
static int append_name(char *names, size_t capacity, const char *kind, const char *name, size_t length) {
    for (size_t index = 0; index < length; index++)
        if ((unsigned char)name[index] <= ' ' || name[index] == 0x7f) return 0;
    size_t used = strlen(names);
    if (used + strlen(kind) + length + 2 > capacity) return -1;
    snprintf(names + used, capacity - used, "%s%.*s\n", kind, (int)length, name);
    return 0;
}

static int read_names(gnutls_x509_crt_t certificate, char *names, size_t capacity) {
    names[0] = 0;
    for (unsigned index = 0;; index++) {
        char name[1024];
        size_t length = sizeof name;
        int kind = gnutls_x509_crt_get_subject_alt_name(certificate, index, name, &length, NULL);
        if (kind == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) return 0;
        if (kind < 0) return -1;
        int result = 0;
        if (kind == GNUTLS_SAN_DNSNAME) result = append_name(names, capacity, "dns:", name, strnlen(name, length));
        if (kind == GNUTLS_SAN_RFC822NAME) result = append_name(names, capacity, "email:", name, strnlen(name, length));
        if (kind == GNUTLS_SAN_URI) result = append_name(names, capacity, "uri:", name, strnlen(name, length));
        if (result != 0) return -1;
    }
}

int serin_httpd_certificate(struct MHD_Connection *connection, uint8_t fingerprint[32], char *subject, size_t subject_capacity,
                            char *names, size_t names_capacity) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (info == NULL || info->tls_session == NULL) return 0;
    gnutls_session_t session = (gnutls_session_t)info->tls_session;
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
    if (chain == NULL || count == 0) return 0;
    gnutls_typed_vdata_st purpose = {GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT, 0};
    unsigned status = ~0u;
    if (gnutls_certificate_verify_peers(session, &purpose, 1, &status) != 0) return -1;
    if (status & GNUTLS_CERT_SIGNER_NOT_FOUND) return -3;
    if (status & GNUTLS_CERT_EXPIRED) return -2;
    if (status != 0) return -1;
    gnutls_x509_crt_t certificate;
    if (gnutls_x509_crt_init(&certificate) != 0) return -1;
    size_t digest = 32;
    // In the order of RFC 4514, the last part first, as openssl -nameopt RFC2253 prints it; gnutls_x509_crt_get_dn has the old order.
    gnutls_datum_t name = {NULL, 0};
    int isRead = gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER) == 0 &&
                 gnutls_fingerprint(GNUTLS_DIG_SHA256, &chain[0], fingerprint, &digest) == 0 &&
                 gnutls_x509_crt_get_dn3(certificate, &name, 0) == 0 && name.size < subject_capacity &&
                 memchr(name.data, 0, name.size) == NULL && read_names(certificate, names, names_capacity) == 0;
    if (isRead) {
        memcpy(subject, name.data, name.size);
        subject[name.size] = 0;
    }
    gnutls_free(name.data);
    gnutls_x509_crt_deinit(certificate);
    return isRead ? 1 : -1;
}

const char *serin_httpd_check_tls(const char *certificate, const char *key, const char *authorities) {
    gnutls_certificate_credentials_t credentials;
    int code = gnutls_certificate_allocate_credentials(&credentials);
    if (code != 0) return gnutls_strerror(code);
    gnutls_datum_t pem = {(unsigned char *)certificate, (unsigned)strlen(certificate)};
    gnutls_datum_t secret = {(unsigned char *)key, (unsigned)strlen(key)};
    code = gnutls_certificate_set_x509_key_mem(credentials, &pem, &secret, GNUTLS_X509_FMT_PEM);
    if (code >= 0 && authorities != NULL) {
        gnutls_datum_t trust = {(unsigned char *)authorities, (unsigned)strlen(authorities)};
        code = gnutls_certificate_set_x509_trust_mem(credentials, &trust, GNUTLS_X509_FMT_PEM);
        if (code == 0) code = GNUTLS_E_NO_CERTIFICATE_FOUND;
    }
    gnutls_certificate_free_credentials(credentials);
    return code < 0 ? gnutls_strerror(code) : NULL;
}

int serin_httpd_tls_times(const char *certificate, int64_t *begins, int64_t *ends) {
    gnutls_x509_crt_t own;
    if (gnutls_x509_crt_init(&own) != 0) return 0;
    gnutls_datum_t pem = {(unsigned char *)certificate, (unsigned)strlen(certificate)};
    int is_read = gnutls_x509_crt_import(own, &pem, GNUTLS_X509_FMT_PEM) == 0;
    if (is_read) {
        *begins = gnutls_x509_crt_get_activation_time(own);
        *ends = gnutls_x509_crt_get_expiration_time(own);
        is_read = *begins != -1 && *ends != -1;
    }
    gnutls_x509_crt_deinit(own);
    return is_read;
}
