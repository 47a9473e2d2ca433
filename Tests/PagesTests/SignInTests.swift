import FakeController
import SerinAPI
import SerinController
import SerinLocks
import SerinModel
import SerinPages
import Testing

/// Signing in to the pages at an issuer of identity tokens.
@Suite struct SignInTests {
    private final class Issuer: Sendable {
        let asked = Locked<[(redirect: String, target: String)]>([])
        let brought = Locked<[SignInReturn]>([])
        let target = Locked("/audit")

        var ways: SignInWays {
            SignInWays(
                names: { ["corp"] },
                begin: { name, redirect, target throws(Problem) in
                    guard name == "corp" else { throw Problem(.unidentified, "nobody signs in at '\(name)'") }
                    self.asked.withLock { $0.append((redirect, target)) }
                    return ("https://id.example/authorize?state=s", "bound")
                },
                finish: { _, back throws(Problem) in
                    self.brought.withLock { $0.append(back) }
                    if let error = back.error { throw Problem(.unidentified, "'corp' did not sign you in: \(error)") }
                    guard back.binding == "bound", back.state == "s" else { throw Problem(.unidentified, "this sign-in is over") }
                    return (back.code == "good" ? TestTokens.operating : "stale", self.target.withLock { $0 })
                })
        }
    }

    private func site(_ issuer: Issuer) throws -> TestSite { try TestSite(try SampleRollout.make(), signIn: issuer.ways) }

    private func ask(
        _ site: TestSite, _ path: String, _ query: [Request.Pair] = [], cookies: String? = nil, secure: Bool = false,
        host: String = "localhost:8080"
    ) async -> Response {
        var headers = [Request.Pair("Host", host), Request.Pair("Accept", "text/html")]
        if let cookies { headers.append(Request.Pair("Cookie", cookies)) }
        return await site.router.respond(
            to: Request(
                method: "GET", path: path, query: query, headers: headers, body: [],
                peer: Peer(address: "127.0.0.1", isEncrypted: secure)))
    }

    private func text(_ response: Response) -> String { String(decoding: response.bytes ?? [], as: UTF8.self) }

    private func cookies(_ response: Response) -> [String] { response.headers.filter { $0.name == "Set-Cookie" }.map(\.value) }

    @Test func theSignInOffersTheIssuersAndKeepsWhereOneWasGoing() async throws {
        let page = await ask(try site(Issuer()), "/sign-in", [.init("to", "/audit")])
        #expect(text(page).contains("href=\"/sign-in/corp?to=%2Faudit\""))
        let bare = await ask(try TestSite(try SampleRollout.make()), "/sign-in")
        #expect(!text(bare).contains("Sign in with"))
    }

    @Test func oneIsLedToTheIssuerAndBackToThisVerySite() async throws {
        let issuer = Issuer()
        let site = try site(issuer)
        let answer = await ask(site, "/sign-in/corp", [.init("to", "/audit")], secure: true)
        #expect(answer.status == 303 && answer.header("Location") == "https://id.example/authorize?state=s")
        let cookie = try #require(cookies(answer).first)
        #expect(cookie.hasPrefix("__Host-serin-sign-in=bound; Path=/; HttpOnly; SameSite=Lax"))
        #expect(cookie.hasSuffix("; Secure"))
        #expect(issuer.asked.withLock { $0.last?.redirect } == "https://localhost:8080/sign-in/corp/back")
        #expect(issuer.asked.withLock { $0.last?.target } == "/audit")
        for elsewhere in ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a?b=c\r\nX: y"] {
            _ = await ask(site, "/sign-in/corp", [.init("to", elsewhere)])
            #expect(issuer.asked.withLock { $0.last?.target } == "/", "\(elsewhere)")
        }
        #expect(await ask(site, "/sign-in/corp", host: "evil.example").status == 403)
    }

    @Test func whoComesBackHasASessionAndIsLedOnByThePage() async throws {
        let issuer = Issuer()
        let site = try site(issuer)
        let answer = await ask(
            site, "/sign-in/corp/back", [.init("state", "s"), .init("code", "good"), .init("iss", "https://id.example")],
            cookies: "serin-sign-in=bound")
        // The browser would not send a strict cookie with a redirect of a request that another site began.
        #expect(answer.status == 200 && text(answer).contains("content=\"0;url=/audit\""))
        let set = cookies(answer)
        #expect(set.count == 2 && set[0].hasPrefix("serin-sign-in=; ") && set[0].contains("Max-Age=0"))
        let session = try #require(set.last.map { String($0.prefix { $0 != ";" }) })
        #expect(set[1].contains("SameSite=Strict") && set[1].contains("HttpOnly"))
        #expect(await ask(site, "/", cookies: session).status == 200)
        #expect(issuer.brought.withLock { $0.last?.issuer } == "https://id.example")
        issuer.target.withLock { $0 = "https://evil.example" }
        let safe = await ask(
            site, "/sign-in/corp/back", [.init("state", "s"), .init("code", "good")], cookies: "serin-sign-in=bound")
        #expect(text(safe).contains("content=\"0;url=/\"") && !text(safe).contains("evil"))
    }

    @Test func whoIsRefusedGetsNoSession() async throws {
        let site = try site(Issuer())
        let tries: [([Request.Pair], String?)] = [
            ([.init("state", "other"), .init("code", "good")], "serin-sign-in=bound"),
            ([.init("state", "s"), .init("code", "good")], nil),
            ([.init("state", "s"), .init("code", "good")], "__Host-serin-sign-in=bound"),
            ([.init("state", "s"), .init("code", "bad")], "serin-sign-in=bound"),
            ([.init("state", "s"), .init("error", "access_denied")], "serin-sign-in=bound"),
        ]
        for (query, cookie) in tries {
            let answer = await ask(site, "/sign-in/corp/back", query, cookies: cookie)
            #expect(answer.status == 401, "\(query)")
            #expect(cookies(answer).count == 1 && cookies(answer)[0].contains("Max-Age=0"), "\(query)")
        }
        let denied = await ask(site, "/sign-in/corp/back", tries[4].0, cookies: "serin-sign-in=bound")
        #expect(text(denied).contains("did not sign you in: access_denied"))
    }
}
