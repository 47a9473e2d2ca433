internal import Glibc

/// Where a command writes: data on one side, messages on the other.
public struct Console: Sendable {
    /// Takes data (standard output).
    public var writeData: @Sendable (String) -> Void
    /// Takes messages (standard error).
    public var writeMessage: @Sendable (String) -> Void
    /// Whether data goes to a terminal.
    public var isDataTerminal: Bool
    /// Whether messages go to a terminal.
    public var isMessageTerminal: Bool
    /// How wide the terminal is, in columns.
    public var width: @Sendable () -> Int

    /// A console of parts.
    public init(
        writeData: @escaping @Sendable (String) -> Void, writeMessage: @escaping @Sendable (String) -> Void,
        isDataTerminal: Bool = false, isMessageTerminal: Bool = false, width: @escaping @Sendable () -> Int = { 100 }
    ) {
        self.writeData = writeData
        self.writeMessage = writeMessage
        self.isDataTerminal = isDataTerminal
        self.isMessageTerminal = isMessageTerminal
        self.width = width
    }

    /// This process' standard output and error. A reader that goes away ends the data quietly.
    public static func standard() -> Console {
        Console(
            writeData: { write($0, to: STDOUT_FILENO) }, writeMessage: { write($0, to: STDERR_FILENO) },
            isDataTerminal: isatty(STDOUT_FILENO) == 1, isMessageTerminal: isatty(STDERR_FILENO) == 1,
            width: {
                var size = winsize()
                return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 100
            })
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes = bytes.dropFirst(count)
            } else if errno == EAGAIN {
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&waiting, 1, 1000)
            } else if errno != EINTR {
                // Nobody reads any more (EPIPE) or the disk is full: a rollout must not end for that.
                return
            }
        }
    }
}
