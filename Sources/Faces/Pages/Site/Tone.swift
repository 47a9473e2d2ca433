internal import SerinAPI
internal import SerinModel
public import SerinRollouts

/// How much something matters to a reader, shown by a shape and a word besides the colour.
public enum Tone: String, Sendable, Hashable, CaseIterable {
    /// As it should be.
    case good
    /// Under way, nothing to do.
    case busy
    /// Somebody should look.
    case warn
    /// Act now.
    case bad

    /// The shape beside text.
    var icon: Markup {
        Tag.svg(
            .class("icon tone-\(rawValue)"), Attribute(.viewBox, "0 0 16 16"), Attribute(.width, 16), Attribute(.height, 16),
            Attribute(.ariaHidden, "true")
        ) {
            switch self {
            case .good: Tag.path(.class("stroke"), Attribute(.d, "M2.5 8.5L6.5 12.5L13.5 4"))
            case .busy: Tag.path(.class("stroke"), Attribute(.d, "M8 4V8.5L11 10.5M8 1.5A6.5 6.5 0 1 1 7.99 1.5"))
            case .warn: Tag.path(.class("stroke"), Attribute(.d, "M8 1.5L15 14H1ZM8 6V9.5M8 11.4V12"))
            case .bad: Tag.path(.class("stroke"), Attribute(.d, "M3 3L13 13M13 3L3 13"))
            }
        }
    }
}

extension RolloutStatus {
    /// How the rollout itself goes. One that failed and is taken back is nothing to act on: that is kept for what is.
    public var tone: Tone {
        if isRollbackIncomplete || pressingZero != nil { return .bad }
        switch ending {
        case .promoted: return .good
        case .failed, .halted, .inconclusive, .refused: return .warn
        case nil: return awaitedApproval == nil && state != "held" ? .busy : .warn
        }
    }

    /// How safe users are from the canary; bad wherever the words say to act now.
    public var safetyTone: Tone {
        // Without traffic users are safe from the canary; there is something to act on all the same.
        if isRollbackIncomplete, observedWeight == .zero, !isPromotionBegun, fence == .open { return .warn }
        if isRollbackIncomplete || pressingZero != nil { return .bad }
        if isFinal, ending == .promoted { return .good }
        guard let observed = observedWeight else { return .bad }
        if observed == .zero { return .good }
        if ending != nil, ending != .promoted { return .warn }
        return isWatched ? .busy : .warn
    }
}
