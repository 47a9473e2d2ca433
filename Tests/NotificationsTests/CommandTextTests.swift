import SerinModel
import Testing

@testable import SerinNotifications

@Suite struct CommandTextTests {
    @Test(arguments: [
        ("halt api", "halt", "api", ""), ("/serin halt api canary is bad", "halt", "api", "canary is bad"),
        ("/halt@serin_bot api 5xx", "halt", "api", "5xx"), ("HALT api", "halt", "api", ""),
        ("halt:api-01J", "halt", "api-01J", ""),
        ("  @serin   promote\tapi ", "promote", "api", ""), ("halt\u{A0}api", "halt", "api", ""),
    ])
    func wordsAreReadByTheGrammar(_ text: String, _ verb: String, _ target: String, _ reason: String) {
        #expect(CommandText(text) == .command(ChannelCommand.Verb(rawValue: verb) ?? .status, target: target, reason: reason))
    }

    @Test(arguments: [
        "", "help", "don't halt api", "please halt api", "halted api", "rollback api", "api halt", "haltapi", "stop api", "/",
        "\u{202E}",
    ])
    func whatIsNotPlainlyAVerbIsUnclear(_ text: String) {
        if case .command = CommandText(text) { Issue.record("understood \(text)") }
    }

    @Test func textThatIsUnclearDoesNothingAndIsAnsweredWithWhatWasUnderstood() throws {
        let slack = try hook(.slack)
        let cases = [
            ("please halt api", "'please' is none of the words I know"), ("halt", "understood 'halt', but not of which service"),
            ("halt the api", "'the' is no service here; known are api, web"),
            ("", "say: halt|hold|resume|promote|approve|status SERVICE"),
        ]
        for (text, words) in cases {
            let reading = try slack.reading(try slackRequest(slashCommand(text)))
            #expect(reading.unclearAnswer?.contains(words) ?? false, "\(text): \(reading)")
        }
    }

    @Test func aHookOfOneServiceNeedsNoName() throws {
        let slack = try hook(.slack) { $0.services = ["api": $0.services["api"]].compactMapValues { $0 } }
        #expect(try slack.reading(try slackRequest(slashCommand("halt"))).commands.first?.target == .service(try service("api")))
    }

    @Test func aRolloutIsReachedOnlyThroughAServiceOfTheHook() throws {
        let slack = try hook(.slack)
        let own = try slack.reading(try slackRequest(slashCommand("halt api-01JABC"))).commands.first?.target
        #expect(own?.description == "api-01JABC")
        for name in ["billing", "billing-01J", "api-gateway-01J", "api-", "-01J", "../api"] {
            #expect(try slack.reading(try slackRequest(slashCommand("halt \(name)"))).commands.isEmpty, "\(name)")
        }
    }

    @Test func aHookWithoutServicesPassesTheNameOn() throws {
        let slack = try hook(.slack) { $0.services = [:] }
        let command = try slack.reading(try slackRequest(slashCommand("halt billing"))).commands.first
        #expect(command?.target.description == "billing")
        #expect(try slack.reading(try slackRequest(slashCommand("halt b/../x"))).commands.isEmpty)
    }

    @Test func reasonsCarryNoControlCharactersAndEnd() throws {
        let slack = try hook(.slack)
        let command = try slack.reading(
            try slackRequest(slashCommand("halt api \u{1B}[2J\u{202E}bad " + String(repeating: "x", count: 2000)))
        ).commands.first
        #expect(command?.reason.hasPrefix("[2Jbad x") ?? false)
        #expect(command?.reason.count == 500)
    }
}

@Suite struct VerbGradeTests {
    @Test(arguments: ChannelCommand.Verb.allCases, [(false, false), (false, true), (true, false), (true, true)])
    func onlyAKnownPersonBySignedTimeLetsAReleaseGoOn(
        _ verb: ChannelCommand.Verb, _ sender: (isPerson: Bool, isReplayProof: Bool)
    ) {
        let isTaken = verb.refusal(of: sender.isPerson ? [.approver] : nil, isReplayProof: sender.isReplayProof) == nil
        let stops: Set<ChannelCommand.Verb> = [.halt, .hold, .status]
        #expect(isTaken == (stops.contains(verb) || (sender.isPerson && sender.isReplayProof)))
        #expect(verb.isSafeToRepeat == stops.contains(verb))
    }

    /// As over the API: a chat is no way around a role.
    @Test(arguments: Role.allCases)
    func aPersonsWordsDoWhatTheirRoleMay(_ role: Role) throws {
        let more: Set<ChannelCommand.Verb> =
            switch role {
            case .viewer, .operator, .admin: []
            case .releaser: [.resume, .promote]
            case .approver: [.resume, .promote, .approve]
            }
        let hook = try hook(.slack) { $0.roles = ["ada": [role]] }
        for verb in ChannelCommand.Verb.allCases {
            let command = try #require(try hook.reading(try slackRequest(slashCommand("\(verb.rawValue) api"))).commands.first)
            let isFree = [.halt, .hold, .status].contains(verb)
            #expect((command.refusal == nil) == (isFree || more.contains(verb)), "\(verb): \(command.refusal ?? "")")
        }
    }

    @Test func eachKindOfSenderGetsAsFarAsItsSignatureAllows() throws {
        let body = #"{"verb":"promote","service":"api"}"#
        func refusal(_ hook: InboundHook, _ request: HookRequest) throws -> String? {
            try #require(try hook.reading(request).commands.first).refusal
        }
        #expect(try refusal(try hook(.slack), try slackRequest(slashCommand("promote api"))) == nil)
        #expect(try refusal(try hook(.slack), try slackRequest(slashCommand("promote api", user: "U2"))) != nil)
        #expect(try refusal(try hook(.telegram) { $0.places = ["-100"] }, telegramMessage("/promote api")) != nil)
        #expect(try refusal(try hook(.hmac) { $0.owner = "ada" }, try hmacRequest(body)) == nil)
        #expect(try refusal(try hook(.hmac) { $0.owner = "ada" }, try hmacRequest(body, at: nil)) != nil)
        #expect(try refusal(try hook(.hmac), try hmacRequest(body)) != nil)
        // What the body says of its sender is worth nothing.
        #expect(try refusal(try hook(.hmac), try hmacRequest(#"{"verb":"promote","service":"api","by":"ada"}"#)) != nil)
    }
}
