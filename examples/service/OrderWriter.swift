import CLibPQ
import Glibc
import SerinLocks

/// Writes an order to the database ten times a second, as the service's users would; a bad release locks the table instead.
final class OrderWriter: Sendable {
    private let connection: String
    private let holdsLocks: Bool

    init(connection: String, holdsLocks: Bool) {
        self.connection = connection
        self.holdsLocks = holdsLocks
    }

    /// Starts writing on a thread of its own and goes on until the process ends.
    nonisolated func start() {
        _ = startThread { self.run() }
    }

    private func run() {
        while true {
            let database = PQconnectdb(connection)
            while PQstatus(database) == CONNECTION_OK {
                if holdsLocks {
                    execute(database, "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(4); COMMIT")
                } else {
                    execute(database, "INSERT INTO orders DEFAULT VALUES")
                }
                usleep(100_000)
            }
            PQfinish(database)
            usleep(500_000)
        }
    }

    private func execute(_ database: OpaquePointer?, _ statement: String) { PQclear(PQexec(database, statement)) }
}
