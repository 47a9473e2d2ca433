import Glibc

/// Ending the program.
enum Exit {
    /// Exit status 1.
    static func fail() -> Never {
        fflush(nil)
        exit(1)
    }
}
