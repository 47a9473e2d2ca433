import CFuzzDriver
import Glibc

/// `serin-fuzz --list`, or `serin-fuzz PARSER [libFuzzer's arguments]`.
@main struct Fuzz {
    static func main() {
        let arguments = CommandLine.arguments
        guard arguments.count > 1, let chosen = FuzzedParsers.all.firstIndex(where: { $0.name == arguments[1] }) else {
            for parser in FuzzedParsers.all { print(parser.name) }
            exit(arguments.dropFirst().first == "--list" ? 0 : 2)
        }
        parser = FuzzedParsers.all[chosen].parse
        // libFuzzer sees its own arguments alone.
        var pointers: [UnsafeMutablePointer<CChar>?] = ([arguments[0]] + arguments.dropFirst(2)).map { strdup($0) } + [nil]
        var count = Int32(pointers.count - 1)
        let status = pointers.withUnsafeMutableBufferPointer { buffer in
            var start = buffer.baseAddress
            return LLVMFuzzerRunDriver(&count, &start) { bytes, size in
                Fuzz.parser(Array(UnsafeBufferPointer(start: bytes, count: size)))
                return 0
            }
        }
        exit(status)
    }

    /// The parser that is run. Set once, before the only thread that reads it begins.
    nonisolated(unsafe) private static var parser: FuzzedParsers.Parser = { _ in }
}
