internal import SerinPolicies

extension Subcommand {
    static let daemon = Subcommand(
        "daemon", summary: "a controller of many rollouts, asked over its unix socket, and over HTTP",
        details: """
            Listens at daemon.sock in the state folder; every other command finds it there. SIGTERM or Ctrl-C ends it in order; live
            rollouts wait for the next one, or for their watchdog. --backup also does what a backup plan schedules: backups,
            verification, retention, drills, and its mirror and heartbeat.
            Members of the socket group may see everything, and halt, hold, resume, promote, roll back and approve. Only the daemon's own
            user may start rollouts, since a policy's programs run as that user and its secrets are read as that user; with
            --group-may-start members can do whatever that user can.
            --listen serves the API over TCP as well: on the loopback address, or anywhere with TLS. There everyone needs credentials;
            only /healthz, /readyz, /metrics and /v1/openapi.json show themselves to all. serin token create makes tokens; --identities
            names a file of people, issuers of identity tokens (OpenID Connect, GitHub Actions, GitLab), client certificates and local
            users, whose keys docs/identities.md explains. A browser finds the pages there, under the names of this computer itself or
            those that --page-host lets.
            --config names a file that says the same and more: addresses with TLS, hooks by which chats and alerts halt, channels by
            which people are told, backup plans. SIGHUP reads it again: what is wrong is said and changes nothing, and rollouts go on in
            any case. Without --config SIGHUP ends the daemon.
            """,
        examples: [
            "serin daemon", "serin daemon --config /etc/serin/serin.yaml",
            "serin daemon --socket-group deploy --state /var/lib/serin",
            "serin daemon --backup backups/checkout.yaml",
            "serin daemon --listen 0.0.0.0:8443 --tls-certificate tls.crt --tls-key tls.key --tls-client-ca clients.crt",
        ], interruption: .handled
    ) { input throws(UsageError) in
        let group = try input.text("--socket-group", value: "GROUP", help: "a group whose members may ask it too")
        let groupMayStart = try input.flag(
            "--group-may-start", help: "let the group start rollouts, and so run programs as this user")
        guard !groupMayStart || group != nil || input.isDescribing else {
            throw UsageError("--group-may-start needs --socket-group GROUP")
        }
        let identities = try input.text(
            "--identities", value: "FILE",
            help: "who else is believed: people, issuers of identity tokens, certificates, local users")
        let plans = try input.every("--backup", value: "PLAN", help: "a backup plan; may stand several times") {
            $0.isEmpty ? nil : $0
        }
        let listening = try Listening(&input)
        let configuration = try input.text("--config", value: "FILE", help: "the daemon's configuration")
        let log = try input.option(
            "--log-format", value: "text|json", help: "the form of what it says on standard error (default: text)",
            read: DaemonSettings.LogFormat.init(rawValue:))
        let pageHosts = try input.every(
            "--page-host", value: "NAME", help: "a name by which browsers may reach the pages; may stand several times"
        ) { $0.isEmpty ? nil : $0 }
        return { session in
            try await DaemonRun(
                session,
                DaemonRun.Flags(
                    configuration: configuration, socketGroup: group, groupMayStart: groupMayStart,
                    identities: identities, plans: plans, pageHosts: pageHosts,
                    listening: listening,
                    logsAsJSON: log == .json)
            ).run()
        }
    }
}
