// Typed entrances to libcurl's variadic functions, which Swift cannot call.
#ifndef CSERIN_CURL_H
#define CSERIN_CURL_H
#include <curl/curl.h>

CURLcode serin_curl_set_long(CURL *handle, CURLoption option, long value);
CURLcode serin_curl_set_text(CURL *handle, CURLoption option, const char *value);
CURLcode serin_curl_set_pointer(CURL *handle, CURLoption option, void *value);
CURLcode serin_curl_set_list(CURL *handle, CURLoption option, struct curl_slist *value);
// The sink receives body bytes; returning less than size * count ends the transfer.
CURLcode serin_curl_set_body_sink(CURL *handle, size_t (*sink)(char *, size_t, size_t, void *), void *context);
CURLcode serin_curl_set_header_sink(CURL *handle, size_t (*sink)(char *, size_t, size_t, void *), void *context);
CURLcode serin_curl_set_body(CURL *handle, const void *bytes, long long count);
// A body read while it is sent: the source fills the buffer and returns the count, the seek returns 0 when it went there.
CURLcode serin_curl_set_body_source(CURL *handle, size_t (*source)(char *, size_t, size_t, void *),
    int (*seek)(void *, curl_off_t, int), void *context, long long count);
CURLcode serin_curl_set_large(CURL *handle, CURLoption option, long long value);
CURLcode serin_curl_get_status(CURL *handle, long *status);
long long serin_curl_total_milliseconds(CURL *handle);
CURLcode serin_curl_get_private(CURL *handle, void **context);
CURLcode serin_curl_get_request_size(CURL *handle, long *bytes);
CURLMcode serin_curl_multi_set_long(CURLM *multi, CURLMoption option, long value);
// CURLMsg holds a union: the next finished transfer and its result in one call, NULL when there is none.
CURL *serin_curl_multi_next_done(CURLM *multi, CURLcode *result);
#endif
