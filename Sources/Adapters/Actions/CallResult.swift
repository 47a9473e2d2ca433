internal import SerinModel

/// How one call, of an action or of its check, ended.
enum CallResult: Sendable, Hashable {
    /// Exit status 0, or 2xx.
    case succeeded(output: String)
    /// It was carried out and answered no: another exit status, or 4xx.
    case failed(Failure, output: String)
    /// It was not carried out: not started, not let in, or the server was busy or broken.
    case refused(Failure, output: String)
    /// It was cut off, so nobody knows.
    case unknown(Failure, output: String)
}
