import Glibc
import SerinLocks
import Testing

@testable import SerinCommandLine

/// S19: whoever does not read what a controller says cannot keep it from deciding.
@Suite struct OutputTests {
    /// A place that takes nothing until it is opened.
    private final class Reader: Sendable {
        let read = Locked("")
        private let gate = Locked(false)

        func open() { gate.withLock { $0 = true } }

        func put(_ text: String, _ descriptor: Int32) {
            // sleeps: the writing thread, not the test
            while !gate.withLock({ $0 }) { usleep(1000) }
            read.withLock { $0 += text }
        }
    }

    @Test func s19ATextThatNobodyReadsKeepsNobodyWaiting() async {
        let reader = Reader()
        let output = Output { reader.put($0, $1) }
        output.neverWait()
        for number in 0..<10 { output.write("line \(number)\n") }
        #expect(reader.read.withLock { $0 }.isEmpty)
        reader.open()
        await output.flush(within: .seconds(10))
        #expect(reader.read.withLock { $0 } == (0..<10).map { "line \($0)\n" }.joined())
    }

    @Test func whatNobodyReadsIsDroppedOldestFirstAndCallsLast() async {
        let reader = Reader()
        let output = Output { reader.put($0, $1) }
        output.neverWait()
        output.write("ACT NOW\n", isKept: true)
        let line = String(repeating: "x", count: 999) + "\n"
        for _ in 0..<2000 { output.write(line) }
        output.write("the last\n")
        reader.open()
        await output.flush(within: .seconds(10))
        let text = reader.read.withLock { $0 }
        #expect(text.utf8.count <= Output.limit + 2000)
        #expect(text.contains("ACT NOW\n") && text.hasSuffix("the last\n"))
        #expect(text.contains("messages were left out, because nobody read them"))
    }

    @Test func flushingEndsWhenItsTimeIsOver() async {
        let reader = Reader()
        let output = Output { reader.put($0, $1) }
        output.neverWait()
        output.write("line\n")
        await output.flush(within: .milliseconds(50))
        #expect(reader.read.withLock { $0 }.isEmpty)
        reader.open()
        await output.flush(within: .seconds(10))
        #expect(reader.read.withLock { $0 } == "line\n")
    }

    @Test(arguments: [false, true]) func dataThatCannotBeWrittenIsRememberedAndMessagesAreNot(isController: Bool) async {
        let failure = Locked((descriptor: STDERR_FILENO, code: ENOSPC))
        let output = Output { (_, descriptor) throws(Output.Fault) in
            let (place, code) = failure.withLock { $0 }
            if place == descriptor { throw Output.Fault(code: code) }
        }
        if isController { output.neverWait() }
        func write(failing descriptor: Int32, _ code: Int32) async -> String? {
            failure.withLock { $0 = (descriptor, code) }
            output.write("message\n")
            output.write("data\n", to: STDOUT_FILENO)
            await output.flush(within: .seconds(10))
            return output.dataFailure
        }
        #expect(await write(failing: STDERR_FILENO, ENOSPC) == nil)
        #expect(await write(failing: STDOUT_FILENO, EPIPE) == nil, "who stops reading has what he wanted")
        #expect(await write(failing: STDOUT_FILENO, ENOSPC) == "No space left on device")
    }

    @Test func aCommandThatControlsNothingWaitsForItsReader() {
        let read = Locked("")
        let output = Output { text, _ in read.withLock { $0 += text } }
        output.write("data")
        #expect(read.withLock { $0 } == "data")
    }
}
