internal import SerinModel

/// A text with places such as `{{canary_bp}}` that are filled with a weight.
struct RequestTemplate: Sendable, Hashable {
    /// What a place stands for.
    enum Place: String, CaseIterable, Sendable {
        /// Basis points, 0…10000.
        case canaryBasisPoints = "canary_bp"
        case controlBasisPoints = "control_bp"
        /// Per cent with at most two decimals: 25, 2.5, 0.25.
        case canaryPercent = "canary_percent"
        case controlPercent = "control_percent"
        /// A fraction of 1 with at most four decimals: 0.25.
        case canaryFraction = "canary_fraction"
        case controlFraction = "control_fraction"
        /// The smallest whole numbers in the same proportion: 19 and 1.
        case canaryUnit = "canary_unit"
        case controlUnit = "control_unit"
        /// Whole numbers that sum to the setting `scale`.
        case canaryScaled = "canary_scaled"
        case controlScaled = "control_scaled"
    }

    private enum Part: Sendable, Hashable {
        case text(String)
        case place(Place)
    }

    private let parts: [Part]

    /// Reads a template. Words that stay the same, such as `version`, are filled in at once. Fails on an unknown place.
    init(_ text: String, words: [String: String]) throws(Failure) {
        var parts: [Part] = []
        var rest = Substring(text)
        while let open = rest.firstIndex(of: "{", followedBy: "{") {
            let inside = rest[rest.index(open, offsetBy: 2)...]
            guard let close = inside.firstIndex(of: "}", followedBy: "}") else {
                // JSON may well have `{{` without a place.
                break
            }
            let name = inside[..<close].trimmed
            parts.append(.text(String(rest[..<open])))
            if let word = words[name] {
                parts.append(.text(word))
            } else if let place = Place(rawValue: name) {
                parts.append(.place(place))
            } else if !name.isEmpty, name.allSatisfy({ $0.isLetter || $0 == "_" }) {
                let known = (Place.allCases.map(\.rawValue) + words.keys.sorted()).joined(separator: ", ")
                throw Failure(.invalid, "unknown place '{{\(name)}}' in a template", hint: "expected one of \(known)")
            } else {
                parts.append(.text("{{"))
                rest = inside
                continue
            }
            rest = inside[inside.index(close, offsetBy: 2)...]
        }
        parts.append(.text(String(rest)))
        self.parts = parts
    }

    /// Whether the filled text depends on the weight.
    var dependsOnWeight: Bool { places.isEmpty == false }

    /// Whether a place needs the setting `scale`.
    var needsScale: Bool { places.contains(.canaryScaled) || places.contains(.controlScaled) }

    private var places: [Place] {
        parts.compactMap {
            if case .place(let place) = $0 { return place }
            return nil
        }
    }

    /// The text for a weight. Fails when `scale` cannot hold the weight exactly.
    func filled(with weight: Weight, scale: Int) throws(Failure) -> String {
        var result = ""
        for part in parts {
            switch part {
            case .text(let text): result += text
            case .place(let place): result += try value(of: place, weight, scale: scale)
            }
        }
        return result
    }

    private func value(of place: Place, _ weight: Weight, scale: Int) throws(Failure) -> String {
        let canary = weight.basisPoints
        let control = 10_000 - canary
        switch place {
        case .canaryBasisPoints: return "\(canary)"
        case .controlBasisPoints: return "\(control)"
        case .canaryPercent: return decimal(canary, places: 2)
        case .controlPercent: return decimal(control, places: 2)
        case .canaryFraction: return decimal(canary, places: 4)
        case .controlFraction: return decimal(control, places: 4)
        case .canaryUnit: return "\(reduced(weight).canary)"
        case .controlUnit: return "\(reduced(weight).control)"
        case .canaryScaled: return try scaled(canary, of: scale, weight)
        case .controlScaled: return try scaled(control, of: scale, weight)
        }
    }

    private func scaled(_ points: Int, of scale: Int, _ weight: Weight) throws(Failure) -> String {
        guard points * scale % 10_000 == 0 else {
            throw Failure(
                .invalid, "\(weight) is no whole part of scale \(scale)", hint: "choose steps that the balancer can hold exactly")
        }
        return "\(points * scale / 10_000)"
    }

    /// A count of hundredths or ten-thousandths in decimal notation without needless zeros.
    private func decimal(_ count: Int, places: Int) -> String {
        let one = places == 2 ? 100 : 10_000
        let rest = count % one
        if rest == 0 { return "\(count / one)" }
        var digits = "\(one + rest)".dropFirst()
        while digits.hasSuffix("0") { digits = digits.dropLast() }
        return "\(count / one).\(digits)"
    }
}

extension Substring {
    /// The place of two characters in a row.
    fileprivate func firstIndex(of first: Character, followedBy second: Character) -> Index? {
        var index = startIndex
        while index < endIndex {
            let next = self.index(after: index)
            if self[index] == first, next < endIndex, self[next] == second { return index }
            index = next
        }
        return nil
    }

    /// Without spaces at both ends.
    fileprivate var trimmed: String {
        var text = drop { $0 == " " }
        while text.last == " " { text = text.dropLast() }
        return String(text)
    }
}
