internal import Glibc
internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinPorts

extension Subcommand {
    static let support = Subcommand(
        "support", summary: "what somebody needs to know who helps from afar, in one file without secrets",
        details: """
            A text that begins with what is in it: version and machine, the names and sizes in the state folder, where rollouts stand, the
            states of backups with their last failures, jobs, leases and notes, and the files that --with names, from which values that are
            secrets are taken out. No row of data and no backup is in it. Read it before it is sent. The file is new, and its owner's alone.
            """,
        examples: ["serin support serin-support.txt --with policy.yaml --with backups/checkout.yaml"], interruption: .ends
    ) { input throws(UsageError) in
        let files = try input.every("--with", value: "FILE", help: "a policy, plan or configuration; may stand several times") {
            $0.isEmpty ? nil : $0
        }
        let path = try input.positional("FILE", help: "the file that is made")
        return { session in
            var bundle = SupportBundle(session)
            bundle.addMachine()
            await bundle.addRollouts()
            do throws(OperationError) {
                let store = try await session.assembly.backups.readCatalogue(session.state)
                await bundle.addBackups(store)
                await store.close()
            } catch { session.complain("the catalogue of backups is left out: \(error)") }
            for file in files { bundle.add(file: file) }
            let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else {
                throw OperationError.unavailable("cannot make \(plain(path)): \(String(cString: strerror(errno)))")
            }
            defer { close(descriptor) }
            let bytes = Array(bundle.text.utf8)
            var done = 0
            while done < bytes.count {
                let count = bytes[done...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
                guard count > 0 else {
                    unlink(path)
                    throw OperationError.unavailable("cannot write \(plain(path)): \(String(cString: strerror(errno)))")
                }
                done += count
            }
            session.data(bundle.parts.map { "\($0.title): \($0.lines.count) lines" })
            session.note("written to \(plain(path)); read it before you send it")
            return .ok
        }
    }
}
