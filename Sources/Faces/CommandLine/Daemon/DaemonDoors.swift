internal import SerinAPI
internal import SerinLocks
internal import SerinModel
internal import SerinPolicies
internal import SerinServer

/// The addresses at which a daemon listens beside its unix socket, exchanged on a reload while the unix socket goes on.
struct DaemonDoors: Sendable {
    /// An address with what its handshakes show; another certificate makes it another.
    struct Place: Sendable, Hashable {
        var address: String
        var tls: TLS?
    }

    private let servers = Locked<[Place: HTTPServer]>([:])
    private let parts = RunningParts<Place>()
    let say: @Sendable (String) -> Void

    init(say: @escaping @Sendable (String) -> Void) { self.say = say }

    /// Reads certificates and keys; contacts nobody.
    static func places(
        of settings: DaemonSettings, secret: @Sendable (SecretReference) throws(Failure) -> String
    ) throws(Failure) -> [Place] {
        var places: [Place] = []
        for listener in settings.listeners {
            var tls: TLS?
            if let own = listener.tls {
                do throws(Failure) {
                    tls = try TLS(
                        certificate: try secret(.file(own.certificate)), key: try secret(own.key),
                        clientAuthorities: try own.clientAuthority.map { path throws(Failure) in try secret(.file(path)) })
                } catch { throw Failure(error.kind, "listen \(listener.address): \(error.message)", hint: error.hint) }
            }
            places.append(Place(address: listener.address, tls: tls))
        }
        return places
    }

    /// Listens at these addresses and at no others. An address that cannot be had leaves everything as it was.
    func open(_ places: [Place], router: Router, connections: Int) async throws(Failure) {
        let present = servers.withLock { $0 }
        var opened: [Place: HTTPServer] = [:]
        var renewed: [Place] = []
        do throws(Failure) {
            for place in places where present[place] == nil {
                // The port of one whose certificate changes is still taken.
                if !place.address.hasSuffix(":0"), present.keys.contains(where: { $0.address == place.address }) {
                    renewed.append(place)
                } else {
                    opened[place] = try server(place, router, connections)
                }
            }
        } catch {
            for server in opened.values {
                server.stop()
                await server.run()
            }
            throw error
        }
        servers.withLock { servers in
            for (place, server) in servers where !places.contains(place) {
                server.stop()
                servers[place] = nil
            }
            servers.merge(opened) { _, new in new }
        }
        adopt()
        for place in renewed { await renew(place, router, connections) }
    }

    /// Opens an address again as soon as the server before it has let go of it.
    private func renew(_ place: Place, _ router: Router, _ connections: Int) async {
        for attempt in 1...50 {
            do throws(Failure) {
                let server = try server(place, router, connections)
                servers.withLock { $0[place] = server }
                return adopt()
            } catch {
                if attempt == 50 { say("\(error.description); nobody is answered there until the next reload") }
            }
            // A cancelled pause only tries again sooner.
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    private func server(_ place: Place, _ router: Router, _ connections: Int) throws(Failure) -> HTTPServer {
        let listener = Listener.tcp(try TCPSocket(listeningAt: place.address), tls: place.tls)
        var limits = Limits()
        limits.connections = connections
        let server = try HTTPServer(listeners: [listener], router: router, limits: limits, report: say)
        say("listening at \(listener.place)")
        return server
    }

    private func adopt() {
        parts.replace(by: servers.withLock { $0 }.map { place, server in (place, { await server.run() }) })
    }

    /// What is wrong with the times of the certificates that are shown, by address.
    func complaints(at now: Instant) -> [String] {
        servers.withLock { $0.keys.sorted { $0.address < $1.address } }.compactMap { place in
            place.tls?.complaint(at: now).map { "https://\(place.address): \($0)" }
        }
    }

    /// Takes no new requests; those under way are answered.
    func close() { servers.withLock { for server in $0.values { server.stop() } } }

    /// Lets go of the servers once nobody is answered any more: what they route to asks for their certificates.
    func forget() { servers.withLock { $0 = [:] } }

    /// Answers until the task is cancelled.
    func run() async { await parts.run() }
}
