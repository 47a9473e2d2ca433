internal import Glibc

/// The descriptors 0, 1 and 2, which every program takes for its standard input, output and error.
public enum StandardStreams {
    /// Opens `/dev/null` in place of each one that is closed, as a supervisor may leave them. What is opened next would otherwise take
    /// its number, and be written to as if it were the output. Call it before anything is opened.
    public nonisolated static func fill() {
        for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) < 0 {
            // The lowest free number is given, which is this one: those below it are open by now.
            guard errno == EBADF, open("/dev/null", O_RDWR) == descriptor else { return }
        }
    }
}
