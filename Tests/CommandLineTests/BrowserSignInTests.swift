import FakeController
import Glibc
import SerinAPI
import SerinLocks
import SerinModel
import Testbed
import Testing

@testable import SerinCommandLine

/// Signing in at an issuer with a real Chromium: the daemon in this process, and the issuer at another site.
@Suite(.serialized, .timeLimit(.minutes(3))) struct BrowserSignInTests {
    private static let alert = "document.querySelector('[role=alert]').textContent.trim()"

    /// A browser, the daemon's address, and the issuer that it believes.
    private func visit(_ body: (Browser, String, IdentityProvider) async throws -> Void) async throws {
        let provider = try IdentityProvider(client: "serin", secret: "s cret", subject: "u-17") { SystemClock().now() }
        defer { provider.stop() }
        let program = try TestProgram(environment: ["CORP_SECRET": "s cret"])
        program.write(
            """
            version: 1
            people: {anna: {is: ["corp:u-17"]}}
            issuers:
              corp:
                issuer: \(provider.url)
                audiences: [serin]
                algorithms: [EdDSA]
                sign_in: {client_id: serin, secret_env: CORP_SECRET, scopes: [groups]}
                rules: [{when: {sub: u-17}, roles: [operator], person: true}]
            """, to: "identities.yaml")
        program.write(
            "version: 1\nidentities: FOLDER/identities.yaml\nlisten: [{address: \"127.0.0.1:0\"}]", to: "serin.yaml")
        try await RunningDaemon.run(program) { daemon in
            // Another name, so that the browser takes the issuer for another site, as it is in the world.
            let site = "http://localhost:\(try await daemon.port())"
            try await Browser.open { try await body($0, site, provider) }
        }
    }

    /// Goes from a page to the issuer's.
    private func goThere(_ browser: Browser, from page: String) async throws {
        try await browser.open(page)
        #expect(try await browser.text("location.pathname") == "/sign-in")
        try await browser.click("main a[href^='/sign-in/corp']")
        try await waitUntil("the issuer's page", within: .seconds(60)) { try await browser.has("#agree") }
    }

    private func awaitPath(_ browser: Browser, _ path: String) async throws {
        try await waitUntil(path, within: .seconds(60)) { try await browser.text("location.pathname") == path }
    }

    @Test func whoSignsInAtAnIssuerLandsWhereTheyWereGoingAndSignsOut() async throws {
        try await visit { browser, site, provider in
            try await goThere(browser, from: site + "/audit")
            try await browser.click("#agree")
            try await awaitPath(browser, "/audit")
            #expect(try await browser.text("document.querySelector('header').textContent").contains("anna"))
            // Also on the next page, and nothing of it is left in the address.
            try await browser.open(site + "/")
            #expect(try await browser.text("location.pathname + location.search") == "/")
            #expect(try await browser.text("document.cookie") == "", "a script could read the session")
            try await browser.click("header form button")
            try await awaitPath(browser, "/sign-in")
            try await browser.open(site + "/audit")
            #expect(try await browser.text("location.pathname") == "/sign-in")
            // The issuer's pages are its own.
            let complaints = try await browser.complaints().filter { !$0.contains(provider.url) }
            #expect(complaints == [], "\(complaints)")
        }
    }

    @Test func aSignInThatIsNotTheOneThatWasBegunIsRefusedWithWhatToDo() async throws {
        try await visit { browser, site, provider in
            // Another state in the answer.
            try await goThere(browser, from: site + "/audit")
            try await browser.run(
                "const a = document.getElementById('agree'); a.href = a.href.replace(/state=[^&]*/, 'state=guess')")
            try await browser.click("#agree")
            try await expectRefusal(browser, site, "begin it again")
            try await browser.picture("sign-in-refused")
            // A token for another sign-in.
            provider.fault.withLock { $0 = .otherNonce }
            try await goThere(browser, from: site + "/audit")
            try await browser.click("#agree")
            try await expectRefusal(browser, site, "begin it again")
            provider.fault.withLock { $0 = nil }
            // Somebody who thinks better of it.
            try await goThere(browser, from: site + "/audit")
            try await browser.click("#refuse")
            try await expectRefusal(browser, site, "'corp' did not sign you in: access_denied")
            // An issuer that is broken: nobody can be signed in, and a token still can.
            provider.fault.withLock { $0 = .broken }
            try await goThere(browser, from: site + "/audit")
            try await browser.click("#agree")
            try await awaitPath(browser, "/sign-in/corp/back")
            try await browser.picture("sign-in-broken")
            let said = try await browser.text("document.querySelector('main').textContent")
            #expect(
                said.contains("Nobody can be signed in there at the moment") && said.contains("sign in with a token"), "\(said)")
            provider.fault.withLock { $0 = nil }
            // What was refused is over, and the next one is good.
            try await goThere(browser, from: site + "/audit")
            try await browser.click("#agree")
            try await awaitPath(browser, "/audit")
        }
    }

    /// The page says so, offers both ways to sign in, and nobody is signed in.
    private func expectRefusal(_ browser: Browser, _ site: String, _ words: String) async throws {
        try await waitUntil("the refusal", within: .seconds(60)) { try await browser.has("[role=alert]") }
        let said = try await browser.text(Self.alert)
        #expect(said.contains(words) && said.contains("The daemon's log says why."), "\(said)")
        #expect(try await browser.has("main a[href^='/sign-in/corp']"))
        #expect(try await browser.has("#token"))
        #expect(try await browser.text("document.querySelector('header form') === null") == "true")
    }
}
