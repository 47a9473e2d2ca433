internal import SerinVerdicts

/// The shape of a verdict, so that it is never told by colour alone: a disc, a cross, a ring, a dash.
enum VerdictMark {
    /// Around the origin, about eight units across.
    @MarkupBuilder static func shape(_ verdict: Verdict) -> Markup {
        switch verdict {
        case .pass: Tag.circle(.class("verdict pass"), Attribute(.r, 3.6))
        case .fail: Tag.path(.class("verdict fail"), Attribute(.d, "M-4 -4L4 4M-4 4L4 -4"))
        case .inconclusive: Tag.circle(.class("verdict inconclusive"), Attribute(.r, 3.2))
        case .nodata: Tag.path(.class("verdict nodata"), Attribute(.d, "M-3.5 0H3.5"))
        }
    }

    /// The shape beside text.
    static func icon(_ verdict: Verdict) -> Markup {
        Tag.svg(
            .class("icon"), Attribute(.viewBox, "-8 -8 16 16"), Attribute(.width, 16), Attribute(.height, 16),
            Attribute(.ariaHidden, "true")
        ) {
            shape(verdict)
        }
    }

    /// As it stands in a table.
    static func word(_ verdict: Verdict) -> String { verdict == .fail ? "FAIL" : verdict.rawValue }
}

/// The shape of who asked for something: a letter in a disc, a square, a triangle or a diamond.
enum MarkSymbol {
    /// Around a place, sixteen units across.
    @MarkupBuilder static func shape(_ source: RolloutHistory.Mark.Source, x: Double, y: Double) -> Markup {
        switch source {
        case .person: Tag.circle(Attribute(.cx, x), Attribute(.cy, y), Attribute(.r, 9))
        case .webhook: Tag.rect(Attribute(.x, x - 8), Attribute(.y, y - 8), Attribute(.width, 16), Attribute(.height, 16))
        case .alert: path(x, y, "M0 -10L10 8H-10Z")
        case .serin: path(x, y, "M0 -10L10 0L0 10L-10 0Z")
        }
        Tag.text(Attribute(.x, x), Attribute(.y, y + 4), Attribute(.textAnchor, "middle"), text: letter(source))
    }

    private static func path(_ x: Double, _ y: Double, _ shape: String) -> Markup {
        Tag.path(Attribute(.transform, "translate(\(coordinate(x)) \(coordinate(y)))"), Attribute(.d, shape))
    }

    private static func letter(_ source: RolloutHistory.Mark.Source) -> String {
        switch source {
        case .person: "P"
        case .webhook: "W"
        case .alert: "A"
        case .serin: "S"
        }
    }

    /// The shape beside its meaning.
    static func icon(_ source: RolloutHistory.Mark.Source) -> Markup {
        Tag.svg(
            .class("icon mark \(source.rawValue)"), Attribute(.viewBox, "-11 -11 22 22"), Attribute(.width, 18),
            Attribute(.height, 18), Attribute(.ariaHidden, "true")
        ) {
            shape(source, x: 0, y: 0)
        }
    }
}
