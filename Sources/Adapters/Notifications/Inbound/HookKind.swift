internal import SerinModel

/// A kind of sender, with the way in which it proves who it is.
public enum HookKind: String, Sendable, Hashable, CaseIterable {
    /// Slack's slash commands, buttons and events: HMAC over time and body.
    case slack
    /// Telegram's updates, by webhook with a secret token or by long polling.
    case telegram
    /// Discord's interactions: Ed25519 over time and body.
    case discord
    /// Microsoft Teams' outgoing webhook: HMAC over the body.
    case teams
    /// Mattermost's slash command: a token.
    case mattermost
    /// Alertmanager's webhook: a bearer token or a password.
    case alertmanager
    /// Grafana's alerting webhook: HMAC over the body, or over time and body.
    case grafana
    /// PagerDuty's webhooks v3: HMAC over the body.
    case pagerduty
    /// GitHub's webhooks: HMAC over the body.
    case github
    /// GitLab's webhooks: a token, or Standard Webhooks with a signing token.
    case gitlab
    /// Standard Webhooks 1.0: HMAC or Ed25519 over identifier, time and body.
    case standard
    /// Plain HMAC over the body, or over time and body.
    case hmac

    /// The longest body of any kind, in bytes.
    static let longestBody = 1 << 20

    /// The longest body accepted, in bytes: a person's words are short, a group of alerts is not.
    public var bodyLimit: Int {
        switch self {
        case .slack, .telegram, .discord, .teams, .mattermost: 64 << 10
        case .alertmanager, .grafana, .pagerduty, .github, .gitlab, .standard, .hmac: HookKind.longestBody
        }
    }

    /// Whether its sender is a program of one's own whose people see a status that says no. A forge or PagerDuty would only stop
    /// sending.
    var looksAtStatus: Bool {
        switch self {
        case .alertmanager, .grafana, .standard, .hmac: true
        case .slack, .telegram, .discord, .teams, .mattermost, .pagerduty, .github, .gitlab: false
        }
    }

    /// Whether the sender itself vouches for the person it names.
    var namesPeople: Bool {
        switch self {
        case .slack, .telegram, .discord, .teams, .mattermost, .github, .gitlab: true
        case .alertmanager, .grafana, .pagerduty, .standard, .hmac: false
        }
    }

    /// Whether strangers reach the sender too, so that only listed places (chats, guilds) may be listened to.
    var isOpenToStrangers: Bool {
        switch self {
        case .telegram, .discord: true
        case .slack, .teams, .mattermost, .alertmanager, .grafana, .pagerduty, .github, .gitlab, .standard, .hmac: false
        }
    }
}

/// How far the time in a signed message may be from now, either way: 5 minutes, as Slack and the Standard Webhooks libraries have it.
let signedTimeWindow = Duration.minutes(5)
