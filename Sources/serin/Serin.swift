import Glibc
import SerinCommandLine

@main struct Serin {
    static func main() async {
        // First of all, so that every thread started later has the signals blocked.
        let interruptions = Interruptions.catchSignals()
        exit(await CommandLineProgram.process(interruptions: interruptions))
    }
}
