internal import SerinAPI
internal import SerinModel

extension Subcommand {
    static let run = Subcommand(
        "run", summary: "start a rollout and wait for its end; what a release pipeline calls",
        details: """
            Works without a daemon: then this process is the controller, and the first Ctrl-C or SIGTERM sets the weight to 0 and
            takes everything back (exit 4). Where a daemon answers, it is asked to do the work, and Ctrl-C only ends the waiting.
            Refused (exit 7) while another rollout of the service is not over. Exit codes: serin --help.
            """,
        examples: [
            "serin run policy.yaml --version 1.9.0 --previous 1.8.3",
            "serin run policy.yaml --version 1.9.0 --previous 1.8.3 --junit report.xml",
            "serin run policy.yaml --continue",
        ], interruption: .handled
    ) { input throws(UsageError) in
        let isContinued = try input.flag("--continue", help: "take up the service's unfinished rollout instead of starting one")
        let junit = try input.junitFile(help: "write a report in JUnit's XML")
        let group = try input.text(
            "--socket-group", value: "GROUP", help: "a group whose members may see, halt and approve this rollout")
        let arguments = try PolicyArguments(&input, needsVersion: false)
        guard isContinued || arguments.version != nil || input.isDescribing else {
            throw UsageError("missing --version VERSION", hint: "the version to release")
        }
        guard !isContinued || arguments.version == nil && arguments.overrides.isEmpty else {
            throw UsageError("--continue takes up a rollout as it was started, without --version and --override")
        }
        return { session in
            try await session.untilInCharge {
                try await arguments.source()
            } afterwards: { source, session in
                if !isContinued, let daemon = try ControllerLocator(session).daemon() {
                    return try await session.leavingRolloutWhenInterrupted { session in
                        try await startAndWait(source, on: daemon, junit: junit, session: session)
                    }
                }
                guard session.globals.timeout == nil else {
                    throw UsageError(
                        "--timeout needs a daemon: without one this process is the controller, and the rollout ends with it",
                        hint: "max_bake and the deadlines of the policy bound a rollout")
                }
                let run = OwnRun(session: session, source: source, isContinued: isContinued, socketGroup: group)
                return finish(try await run.result(), junit: junit, continuation: run.continuation, session: session)
            }
        }
    }
}
