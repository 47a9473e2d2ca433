internal import SerinAPI
internal import SerinCrypto

/// Answers as pages give them, with everything that keeps a browser from being used against its reader.
enum PageAnswer {
    /// A word that is new for each answer.
    static func nonce() throws(Problem) -> String {
        do throws(CryptoError) { return Base64.text(of: try randomBytes(18)) } catch {
            throw Problem(.unavailable, "no page can be made: \(error)")
        }
    }

    /// A page.
    static func page(_ markup: Markup, nonce: String, status: Int = 200, headers: [Request.Pair] = []) -> Response {
        Response(
            status: status,
            headers: [
                Request.Pair("Content-Type", "text/html; charset=utf-8"), Request.Pair("Content-Security-Policy", policy(nonce)),
            ]
                + guards + headers, body: .bytes(Array(markup.html.utf8)))
    }

    /// Leads elsewhere on this site, by GET.
    static func redirect(to place: String, headers: [Request.Pair] = []) -> Response {
        Response(status: 303, headers: [Request.Pair("Location", place)] + guards + headers, body: .bytes([]))
    }

    /// What a page may load and where it may send forms: nothing but its own.
    private static func policy(_ nonce: String) -> String {
        "default-src 'none'; script-src 'nonce-\(nonce)'; style-src 'nonce-\(nonce)'; connect-src 'self'; img-src 'self' data:; "
            + "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    }

    /// What goes with every answer.
    static let guards = [
        Request.Pair("X-Content-Type-Options", "nosniff"), Request.Pair("Referrer-Policy", "same-origin"),
        Request.Pair("Cache-Control", "no-store"), Request.Pair("Cross-Origin-Opener-Policy", "same-origin"),
        Request.Pair("Cross-Origin-Resource-Policy", "same-origin"),
    ]
}
