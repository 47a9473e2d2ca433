internal import Glibc
internal import SerinAPI
internal import SerinCrypto

extension CommandLineProgram {
    /// Runs the program on this process' own arguments, environment, output and signals.
    ///
    /// - Returns: The status to exit with.
    public static func process(interruptions: AsyncStream<Int32>) async -> Int32 {
        // Threads may still compute when the process exits.
        keepOpenSSLToTheEnd()
        let environment = processEnvironment()
        let output = Output()
        let program = CommandLineProgram(
            assembly: .production(environment: environment, output: output), console: .standard(output),
            environment: environment, interruptions: interruptions,
            endNow: { code in
                output.flushAtTheEnd()
                _exit(code.rawValue)
            })
        let code = await program.run(Array(CommandLine.arguments.dropFirst()))
        await output.flush(within: .seconds(1))
        return code.rawValue
    }

    private static func processEnvironment() -> [String: String] {
        var variables: [String: String] = [:]
        var pointer = environ
        while let entry = pointer.pointee {
            let text = String(cString: entry)
            if let equals = text.firstIndex(of: "=") {
                variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            pointer += 1
        }
        return variables
    }
}
