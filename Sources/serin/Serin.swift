import Glibc
import SerinCommandLine

@main struct Serin {
    static func main() async {
        // First of all, so that no signal is missed.
        let interruptions = Interruptions.catchSignals()
        exit(await CommandLineProgram.process(interruptions: interruptions))
    }
}
