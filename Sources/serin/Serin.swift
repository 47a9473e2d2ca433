import Glibc
import SerinCommandLine

@main struct Serin {
    static func main() async {
        // First of all: whatever is opened could take the number of a stream that is closed.
        StandardStreams.fill()
        // Next, so that no signal is missed.
        let interruptions = Interruptions.catchSignals()
        exit(await CommandLineProgram.process(interruptions: interruptions))
    }
}
