internal import SerinModel
internal import SerinProcesses

/// Questions to a Redis server through `redis-cli`.
struct RedisConversation {
    let address: RedisAddress
    let deadline: Duration
    let stop: StopSignal

    init(_ address: RedisAddress, deadline: Duration = .seconds(20), stop: StopSignal) {
        self.address = address
        self.deadline = deadline
        self.stop = stop
    }

    /// The server's answer to a command. `redis-cli` ends with status 0 whatever the server says, so refusals are read.
    func ask(_ command: String...) throws(Failure) -> String {
        let answer = try address.client.answer(
            address.arguments + ["-e"] + command, deadline: deadline, limit: 1 << 20, stop: stop)
        let text = answer.text.trimmed
        let said = text.isEmpty ? answer.complaint : text
        let refusals = ["ERR ", "NOAUTH", "WRONGPASS", "NOPERM", "MISCONF", "LOADING", "BUSY", "MASTERDOWN"]
        guard answer.status == 0, !refusals.contains(where: { said.hasPrefix($0) }) else {
            let isDenied = ["NOAUTH", "WRONGPASS", "NOPERM"].contains { said.contains($0) }
            throw Failure(
                isDenied ? .denied : .transient, "redis at \(address.host):\(address.port) refused \(command[0]): \(said)")
        }
        return text
    }

    /// The fields of a section of `INFO`.
    func info(_ section: String) throws(Failure) -> [String: String] {
        var fields: [String: String] = [:]
        for line in try ask("INFO", section).split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[String(line[..<colon])] = line[line.index(after: colon)...].trimmed
        }
        return fields
    }

    /// A setting.
    func setting(_ name: String) throws(Failure) -> String {
        let lines = try ask("CONFIG", "GET", name).split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        guard lines.first.map(String.init) == name, lines.count <= 2 else {
            throw Failure(.denied, "redis at \(address.host):\(address.port) does not tell its setting \(name)")
        }
        return lines.count == 2 ? lines[1].trimmed : ""
    }

    /// The server's clock.
    func moment() throws(Failure) -> Instant {
        let parts = try ask("TIME").split(whereSeparator: \.isNewline).compactMap { Int64($0) }
        guard parts.count == 2, case let time = Instant(secondsSince1970: parts[0], milliseconds: parts[1] / 1000),
            Instant.plausible.contains(time)
        else { throw Failure(.unknown, "redis does not tell the time") }
        return time
    }

    /// How many keys all databases hold.
    func keyCount() throws(Failure) -> Int64 {
        saturatingSum(
            try info("keyspace").values.compactMap { text in
                text.split(separator: ",").first { $0.hasPrefix("keys=") }.flatMap { Int64($0.dropFirst(5)) }
            })
    }

    /// Takes a snapshot on the server's disk and waits until it is complete.
    ///
    /// `LASTSAVE` counts whole seconds, so the number of snapshots is compared instead, where the server counts them (7.0).
    func save(within deadline: Duration) throws(Failure) {
        let limit = ContinuousClock.now + .milliseconds(deadline.milliseconds)
        func wait(_ condition: ([String: String]) -> Bool) throws(Failure) {
            while !condition(try info("persistence")) {
                guard ContinuousClock.now < limit else {
                    throw Failure(.transient, "redis did not finish its snapshot within \(deadline)")
                }
                try pause(.milliseconds(50), stop: stop, "the snapshot of redis")
            }
        }
        // One that began earlier does not hold what was written since.
        try wait { $0["rdb_bgsave_in_progress"] == "0" && $0["aof_rewrite_in_progress"] == "0" }
        let before = try info("persistence")
        let earlier = (before["rdb_saves"], try ask("LASTSAVE"))
        if earlier.0 == nil { try pause(.milliseconds(1100), stop: stop, "the snapshot of redis") }
        _ = try ask("BGSAVE")
        try wait { $0["rdb_bgsave_in_progress"] == "0" }
        let after = try info("persistence")
        let isNew = earlier.0 == nil ? after["rdb_last_save_time"] != earlier.1 : after["rdb_saves"] != earlier.0
        guard after["rdb_last_bgsave_status"] == "ok", isNew else {
            throw Failure(.transient, "redis failed to write its snapshot: \(after["rdb_last_bgsave_status"] ?? "no status")")
        }
    }
}
