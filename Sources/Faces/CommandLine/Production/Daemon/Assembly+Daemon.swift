internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinNotifications
internal import SerinPolicies
internal import SerinTransport
internal import SerinYAML

extension Assembly {
    static func daemon(
        environment: [String: String], output: Output, unwrittenHalts: UnwrittenHalts = UnwrittenHalts()
    ) -> DaemonAssembly {
        let secrets = Secrets(environment: environment)
        return DaemonAssembly(
            readSettings: { source throws(OperationError) in try loadSettings(source) },
            schema: {
                daemonSchema(hooks: HookKind.schemas, channels: NotificationChannels.schemas.map(\.driver)).canonicalText
            },
            openMessages: { state throws(OperationError) in
                do throws(Failure) {
                    return try await OpenedMessages.open(
                        state, environment: environment, output: output, unwrittenHalts: unwrittenHalts)
                } catch {
                    throw .unavailable(error.description)
                }
            },
            readSecret: { reference throws(Failure) in try secrets.read(reference) },
            sample: { settings throws(Failure) in
                let hook = try InboundHook(settings, secret: OpenedMessages.reader(secrets))
                let sample = try hook.sample(at: SystemClock().now())
                return Request(
                    method: sample.method, path: "/hooks/\(settings.kind)/\(settings.name)",
                    headers: sample.headers.map { Request.Pair($0.name, $0.value) }, body: sample.body)
            },
            tryRoute: { route throws(Failure) in
                let channel = try NotificationChannels.make(route.channel, secret: OpenedMessages.reader(secrets))
                try await channel.sendTrial(at: SystemClock().now(), through: try Transport())
            })
    }

    /// Reads and validates a configuration; every complaint at once.
    private static func loadSettings(_ source: PolicySource) throws(OperationError) -> LoadedDaemon {
        let document = readYAML(Array(source.text.utf8), file: source.file)
        let reading = DaemonReading(
            of: document.node, file: source.file, earlier: document.diagnostics, hooks: HookKind.schemas,
            channels: NotificationChannels.schemas)
        guard let settings = reading.settings else { throw .invalid(reading.diagnostics) }
        return LoadedDaemon(file: source.file, settings: settings, warnings: reading.warnings)
    }
}
