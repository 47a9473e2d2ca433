internal import Glibc

/// Where a command writes: data on one side, messages on the other.
public struct Console: Sendable {
    /// Takes data (standard output).
    public var writeData: @Sendable (String) -> Void
    /// Takes messages (standard error).
    public var writeMessage: @Sendable (String) -> Void
    /// Lets nobody who writes wait for a reader any more, from now on: called before this process is in charge of a rollout.
    public var neverWait: @Sendable () -> Void
    /// Writes messages as JSON from now on, one document a line.
    public var logAsJSON: @Sendable () -> Void
    /// Whether data goes to a terminal.
    public var isDataTerminal: Bool
    /// Whether messages go to a terminal.
    public var isMessageTerminal: Bool
    /// How wide the terminal is, in columns.
    public var width: @Sendable () -> Int

    /// A console of parts.
    public init(
        writeData: @escaping @Sendable (String) -> Void, writeMessage: @escaping @Sendable (String) -> Void,
        neverWait: @escaping @Sendable () -> Void = {}, logAsJSON: @escaping @Sendable () -> Void = {},
        isDataTerminal: Bool = false, isMessageTerminal: Bool = false,
        width: @escaping @Sendable () -> Int = { 100 }
    ) {
        self.writeData = writeData
        self.writeMessage = writeMessage
        self.neverWait = neverWait
        self.logAsJSON = logAsJSON
        self.isDataTerminal = isDataTerminal
        self.isMessageTerminal = isMessageTerminal
        self.width = width
    }

    /// This process' standard output and error. A reader that goes away ends the data quietly.
    static func standard(_ output: Output) -> Console {
        Console(
            writeData: { output.write($0, to: STDOUT_FILENO) }, writeMessage: { output.write($0) },
            neverWait: { output.neverWait() }, logAsJSON: { output.logAsJSON() }, isDataTerminal: isatty(STDOUT_FILENO) == 1,
            isMessageTerminal: isatty(STDERR_FILENO) == 1,
            width: {
                var size = winsize()
                return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 100
            })
    }
}
