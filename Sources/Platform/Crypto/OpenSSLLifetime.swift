internal import COpenSSL

/// Keeps OpenSSL as it is until the process is gone. Without this it takes itself down when `exit` is called, under the feet of threads that
/// still compute with it: they read freed memory, and the process dies of a signal although its work is done.
///
/// To be called before anything else uses OpenSSL; later it has no effect.
public func keepOpenSSLToTheEnd() { OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil) }
