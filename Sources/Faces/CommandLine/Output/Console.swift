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
    /// Waits a moment for what is not written yet, and says why data could not be written; nil when all of it was.
    public var dataFailure: @Sendable () async -> String?
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
        dataFailure: @escaping @Sendable () async -> String? = { nil },
        isDataTerminal: Bool = false, isMessageTerminal: Bool = false,
        width: @escaping @Sendable () -> Int = { 100 }
    ) {
        self.writeData = writeData
        self.writeMessage = writeMessage
        self.neverWait = neverWait
        self.logAsJSON = logAsJSON
        self.dataFailure = dataFailure
        self.isDataTerminal = isDataTerminal
        self.isMessageTerminal = isMessageTerminal
        self.width = width
    }

    /// This process' standard output and error. A reader that goes away ends the data quietly.
    static func standard(_ output: Output) -> Console {
        Console(
            writeData: { output.write($0, to: STDOUT_FILENO) }, writeMessage: { output.write($0) },
            neverWait: { output.neverWait() }, logAsJSON: { output.logAsJSON() },
            dataFailure: {
                await output.flush(within: .seconds(4))
                return output.dataFailure
            }, isDataTerminal: isatty(STDOUT_FILENO) == 1, isMessageTerminal: isatty(STDERR_FILENO) == 1,
            width: {
                var size = winsize()
                return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 100
            })
    }
}
