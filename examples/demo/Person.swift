import FoundationEssentials
import Glibc
import SerinModel

/// Another user of this computer, known to a controller by its socket.
struct Person: Sendable {
    /// The group whose members may approve.
    static let group = "nogroup"

    /// The program, where that user may run it.
    private let program: String

    /// Somebody beside the author; nil where nobody else can be, or can reach the state folder.
    static func second(beside serin: String, folder: String, state: String) async throws -> Person? {
        guard geteuid() == 0 else { return nil }
        let person = Person(program: folder + "/run/serin")
        try FileManager.default.copyItem(atPath: serin, toPath: person.program)
        let looks = try await runVisibly("setpriv", person.drop + [person.program, "--version"], isQuiet: true)
        return looks == 0 ? person : nil
    }

    private var drop: [String] { ["--reuid=nobody", "--regid=\(Person.group)", "--clear-groups", "--"] }

    /// What `setpriv` is told so that this user gives a command.
    func arguments(_ words: [String]) -> [String] { drop + [program] + words }
}
