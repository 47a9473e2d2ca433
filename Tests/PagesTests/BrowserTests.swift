import FakeController
import SerinController
import SerinLocks
import SerinModel
import SerinRecords
import SerinRollouts
import SerinVerdicts
import Testbed
import Testing

/// The pages in a real Chromium.
@Suite(.serialized) struct BrowserTests {
    /// A browser at a site that serves all the time, signed in.
    private func visit(
        _ sample: SampleRollout, token: String = TestTokens.operating, _ body: (Browser, TestSite) async throws -> Void
    ) async throws {
        let site = try TestSite(sample)
        try await Browser.open { browser in
            try await site.serve {
                try await signIn(browser, site, token)
                try await body(browser, site)
            }
        }
    }

    /// Comes to the sample's page by the sign-in.
    private func signIn(_ browser: Browser, _ site: TestSite, _ token: String = TestTokens.operating) async throws {
        let page = "/rollouts/checkout-01k5"
        try await browser.open(site.url + page)
        #expect(try await browser.text("location.pathname") == "/sign-in")
        try await browser.signIn(with: token, at: site.url + page)
        try await waitUntil("the rollout's page", within: .seconds(60)) {
            guard try await browser.text("location.pathname") == page else { return false }
            return try await browser.has("#halt-reason")
        }
    }

    @Test func aHaltByTheKeyboardIsCarriedOutAndSeen() async throws {
        try await visit(try SampleRollout.make()) { browser, site in
            site.operations.state.withLock {
                $0.onCommand = { command, status in
                    status.state = "rolling back"
                    status.ending = .halted
                    status.cause = "\(command.verb.rawValue) by \(command.by): \(command.reason)"
                    status.wantedWeight = .zero
                }
            }
            try await browser.picture("rollout-light")
            try await browser.picture("rollout-light-whole", whole: true)
            // From the top of the page: the way to the halt is short, and each stop can be seen.
            var stops: [String] = []
            for _ in 0..<20 {
                try await browser.press("\u{E004}")
                let stop = try await browser.text("document.activeElement.textContent.trim() || document.activeElement.name")
                stops.append(stop)
                #expect(try await browser.text("getComputedStyle(document.activeElement).outlineStyle") != "none", "\(stop)")
                if stop == "Halt" { break }
            }
            #expect(stops.first == "Skip to the content" && stops.last == "Halt", "\(stops)")
            try await browser.type("payments fail", into: "#halt-reason")
            try await browser.press("\u{E007}")
            try await waitUntil("the halt", within: .seconds(60)) {
                try await browser.text("document.querySelector('h1').textContent").contains("Rolling back")
            }
            // What would be refused is not offered any more.
            #expect(!(try await browser.has(".others")))
            let command = site.operations.state.withLock { $0.commands.first }
            #expect(command?.verb == .halt && command?.reason == "payments fail" && command?.by.identity == "ada")
            #expect(try await browser.text("document.querySelector('.why').textContent").contains("payments fail"))
            try await expectNoComplaint(browser)
            try await browser.picture("halted")
        }
    }

    @Test func aPageChangesWhileItIsOpenAndComesBackAfterABreak() async throws {
        let sample = try SampleRollout.make()
        let site = try TestSite(sample)
        try await Browser.open { browser in
            try await site.serve {
                try await signIn(browser, site)
                try await waitUntil("a live page", within: .seconds(60)) {
                    try await browser.text("document.getElementById('live').textContent") == "Live."
                }
                try await browser.type("half a reas", into: "#halt-reason")
                try site.decide("the first news") { $0.cause = "news of the cause" }
                try await waitUntil("the news", within: .seconds(60)) {
                    try await browser.text("document.getElementById('log').firstElementChild.textContent").contains(
                        "the first news")
                }
                #expect(try await browser.text("document.getElementById('why').textContent").contains("news of the cause"))
                #expect(try await browser.text("document.getElementById('halt-reason').value") == "half a reas")
            }
            try await waitUntil("the loss to be said", within: .seconds(60)) {
                try await browser.text("document.getElementById('live').className").contains("lost")
            }
            try await browser.picture("connection-lost")
            try site.decide("said during the break")
            let last = site.operations.state.withLock { ($0.entries.last?.sequence ?? 0) - 1 }
            try await site.serve {
                try await waitUntil("what was said meanwhile", within: .seconds(60)) {
                    try await browser.text("document.getElementById('log').textContent").contains("said during the break")
                }
                #expect(site.tokens.resumed.withLock { $0 }.contains("\(last)"))
                let twice =
                    "[...document.querySelectorAll('#log li')].length - new Set([...document.querySelectorAll('#log li')].map(l => l.id)).size"
                #expect(try await browser.text(twice) == "0")
                try site.decide("the end") { status in
                    status.isFinal = true
                    status.ending = .promoted
                    status.state = "promoted"
                }
                try await waitUntil("the end", within: .seconds(60)) {
                    try await browser.text("document.getElementById('live').textContent").contains("over")
                }
                #expect(try await browser.text("document.getElementById('halt')") == "null")
            }
        }
    }

    @Test func aPageWhoseReaderWasSignedOutSaysSoAndThatAHaltWasNotDone() async throws {
        let site = try TestSite(try SampleRollout.make())
        try await Browser.open { browser in
            try await site.serve {
                try await signIn(browser, site)
                try await waitUntil("a live page", within: .seconds(60)) {
                    try await browser.text("document.getElementById('live').textContent") == "Live."
                }
                try await browser.command("Network.clearBrowserCookies")
            }
            try await site.serve {
                try await waitUntil("the page to say so", within: .seconds(60)) {
                    try await browser.text("document.getElementById('live').textContent").contains("you are signed out")
                }
                try await browser.picture("signed-out")
                try await browser.type("payments fail", into: "#halt-reason")
                try await browser.click("#halt button")
                try await waitUntil("the sign-in", within: .seconds(60)) {
                    try await browser.text("document.body.textContent").contains("Not done: the halt.")
                }
                try await browser.type(TestTokens.operating, into: "#token")
                try await browser.click("main button[type=submit]")
                try await waitUntil("the rollout's page again", within: .seconds(60)) { try await browser.has("#halt-reason") }
                #expect(site.operations.state.withLock { $0.commands.isEmpty })
            }
        }
    }

    @Test func aConnectionThatIsOpenAndSilentIsSaidToBeLost() async throws {
        try await visit(try SampleRollout.make()) { browser, site in
            try await waitUntil("a live page", within: .seconds(60)) {
                try await browser.text("document.getElementById('live').textContent") == "Live."
            }
            site.operations.state.withLock { $0.isSilent = true }
            try await waitUntil("the loss to be said", within: .seconds(60)) {
                try await browser.text("document.getElementById('live').className").contains("lost")
            }
            site.operations.state.withLock { $0.isSilent = false }
            try await waitUntil("a live page again", within: .seconds(60)) {
                try await browser.text("document.getElementById('live').textContent") == "Live."
            }
        }
    }

    @Test func everythingWorksWithoutScripts() async throws {
        let site = try TestSite(try SampleRollout.make())
        try await Browser.open { browser in
            try await site.serve {
                try await browser.letScripts(false)
                try await signIn(browser, site)
                try await browser.picture("without-scripts")
                try await browser.type("no scripts here", into: "#halt-reason")
                try await browser.click("#halt button")
                try await waitUntil("the halt", within: .seconds(60)) { site.operations.state.withLock { !$0.commands.isEmpty } }
                #expect(site.operations.state.withLock { $0.commands.first?.reason } == "no scripts here")
            }
        }
    }

    @Test func hostileTextIsShownAndNotObeyed() async throws {
        var sample = try SampleRollout.make(signal: hostileText, failing: true)
        sample.status.version = hostileText
        sample.status.next = hostileText
        sample.status.awaitedApproval = hostileText
        sample.status.wayBack = [hostileText]
        try await visit(sample) { browser, site in
            for path in [
                "/rollouts/checkout-01k5", "/", "/rollouts/checkout-01k5/policy", "/audit?q=%3Cscript%3E", "/migrations",
                "/health",
            ] {
                try await browser.open(site.url + path)
                #expect(try await browser.text("window.broken") == "undefined", "\(path)")
                #expect(try await browser.text("document.querySelectorAll('img, main script').length") == "0", "\(path)")
            }
            try await browser.open(site.url + "/rollouts/checkout-01k5")
            try site.decide(hostileText)
            try await waitUntil("the line", within: .seconds(60)) {
                try await browser.text("document.getElementById('log').firstElementChild.textContent").contains("<img")
            }
            #expect(try await browser.text("window.broken") == "undefined")
            let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            #expect(try await browser.text(overflow) == "0")
            try await expectNoComplaint(browser)
            try await browser.picture("hostile")
        }
    }

    @Test func theFirstScreenTellsWhatHappenedAndWhyAndIsReadable() async throws {
        try await visit(try SampleRollout.make(failing: true)) { browser, site in
            for (width, height, isPhone) in [(1280, 800, false), (390, 844, true)] {
                try await browser.resize(width, height, mobile: isPhone)
                for path in ["/rollouts/checkout-01k5", "/"] {
                    try await browser.open(site.url + path)
                    let overflow = try await browser.text(
                        "document.documentElement.scrollWidth - document.documentElement.clientWidth")
                    #expect(overflow == "0", "\(path) \(width) wide")
                    let name = (path == "/" ? "services" : "failing") + "-\(width)"
                    if path != "/" {
                        try await expectFirstScreen(browser, height: height)
                        try await browser.picture(name + "-whole", whole: true)
                    }
                    for scheme in ["light", "dark"] {
                        try await browser.prefer(scheme)
                        #expect(try await browser.text(contrastScript) == "", "\(path) \(scheme), \(width) wide")
                        try await browser.picture("\(name)-\(scheme)")
                    }
                }
            }
            try await expectNoComplaint(browser)
        }
    }

    @Test func anApprovalAnOlderIntervalAndLongNamesFitOnAPhone() async throws {
        try await visit(try SampleRollout.make()) { browser, site in
            let hash = String(repeating: "3f9ac0d21b77e4a5", count: 4)
            let longest = try #require(ServiceName(String(repeating: "n", count: 63)))
            site.status { status in
                status.service = longest
                status.version = String(repeating: "v", count: 100)
                status.state = "awaiting approval"
                status.awaitedApproval = "plan 3f9ac0d21b77, step 50%: anyone but uid:1000"
                status.approvalPlan = "3f9ac0d21b77"
                status.approvalLines = ["checkout 1.9.0 over 1.8.3, started by uid:1000", "the policy \(hash)"]
                status.intervals = status.signals.compactMap { signal in
                    signal.interval.map {
                        var counts = signal.counts
                        counts.canaryExposure -= 1002
                        return ComputedInterval(
                            signal: signal.name, at: SampleRollout.begin + .minutes(40), ratio: 1.1, interval: $0,
                            counts: counts)
                    }
                }
                for index in status.signals.indices { status.signals[index].interval = nil }
            }
            for (width, height, isPhone) in [(1280, 800, false), (390, 844, true)] {
                try await browser.resize(width, height, mobile: isPhone)
                let tooWide =
                    "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, thead, .skip, svg') && "
                    + "e.clientWidth && e.scrollWidth > e.clientWidth + 1).map(e => e.outerHTML.slice(0, 120)).join(' | ')"
                for path in ["/", "/rollouts/checkout-01k5"] {
                    try await browser.open(site.url + path)
                    let found = try await browser.text(tooWide)
                    #expect(found == "", "\(path), \(width) wide")
                }
                #expect(try await browser.text("window.innerWidth") == "\(width)")
                try await browser.open(site.url + "/")
                #expect(
                    try await browser.text("document.querySelector('.services td strong').getClientRects().length <= 2") == "true"
                )
                try await browser.picture("long-names-\(width)")
                try await browser.open(site.url + "/rollouts/checkout-01k5")
                #expect(try await browser.text(contrastScript) == "", "\(width) wide")
                try await browser.picture("approval-\(width)", whole: true)
            }
            try await expectNoComplaint(browser)
            try await browser.open(site.url + "/no/such/page")
            #expect(try await browser.text("document.querySelector('main h1').textContent.trim()") == "Nothing is there")
            try await browser.picture("unknown-390")
        }
    }

    @Test(arguments: [
        ("under-way", SampleRollout.Halt.underWay, "not yet, the canary still receives 25%"), ("done", .done, "yes"),
    ])
    func aHaltTellsWhoAskedForItFromWhereWhenAndWhetherItIsSafe(
        name: String, halt: SampleRollout.Halt, safety: String
    ) async throws {
        let site = try TestSite(try SampleRollout.make(halt: halt))
        try await Browser.open { browser in
            try await site.serve {
                let page = site.url + "/rollouts/checkout-01k5"
                try await browser.signIn(with: TestTokens.viewing, at: page)
                try await waitUntil("the rollout's page", within: .seconds(60)) { try await browser.has(".safety") }
                for (width, height, isPhone) in [(1280, 800, false), (390, 844, true)] {
                    try await browser.resize(width, height, mobile: isPhone)
                    try await browser.open(page)
                    // Whatever is asked at night is answered without scrolling.
                    let told = try await browser.text(
                        "[...document.querySelectorAll('main h1, main p, main dd')].filter(e => "
                            + "e.getClientRects().length && e.getBoundingClientRect().bottom <= \(height)).map(e => e.textContent).join(' | ')"
                    )
                    if halt == .underWay { #expect(told.contains("serin halt checkout-01k5"), "\(told)") }
                    for words in ["slack:T1/U2", "(chat or webhook)", "01:10", "payments fail", safety] {
                        #expect(told.contains(words), "\(words), \(width) wide: \(told)")
                    }
                    #expect(!told.contains("the load balancer's answer"), "\(told)")
                    for scheme in ["light", "dark"] {
                        try await browser.prefer(scheme)
                        #expect(try await browser.text(contrastScript) == "", "\(scheme), \(width) wide")
                        try await browser.picture("halt-\(name)-\(width)-\(scheme)")
                    }
                    try await browser.picture("halt-\(name)-\(width)-whole", whole: true)
                }
                try await browser.open(site.url + "/audit?q=halt")
                #expect(try await browser.text("document.querySelector('.scroll').scrollLeft") == "0")
                try await browser.picture("halt-\(name)-audit")
                try await expectNoComplaint(browser)
            }
        }
    }

    /// What happened, whether it is safe, why, what next, the halt, and the signal that fails are seen without scrolling.
    private func expectFirstScreen(_ browser: Browser, height: Int) async throws {
        for selector in [".state h1", ".safety", "#halt button", "#why p", "#why div + div p", "#signals tbody tr:first-child"] {
            let bottom = "document.querySelector('\(selector)').getBoundingClientRect().bottom"
            let place = Double(try await browser.text(bottom)) ?? .infinity
            #expect(place > 0 && place <= Double(height), "\(selector) ends at \(place) of \(height)")
        }
        // However wrong the reader's clock is.
        #expect(try await browser.text("document.querySelector('.ago').textContent").hasPrefix("19m "))
    }

    private func expectNoComplaint(_ browser: Browser) async throws {
        let complaints = try await browser.complaints()
        #expect(complaints == [], "\(complaints)")
    }
}

/// Every text whose contrast with its ground is below 4.5, by WCAG's formula; also every control without a name.
private let contrastScript = #"""
    (() => {
      const parse = text => (text.match(/[\d.]+/g) || []).map(Number);
      const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
      const ground = element => {
        for (let e = element; e; e = e.parentElement) {
          const c = parse(getComputedStyle(e).backgroundColor);
          if (c.length === 3 || c[3] > 0) return c;
        }
        return [255, 255, 255];
      };
      const poor = [];
      for (const e of document.querySelectorAll("body *")) {
        if (e.closest("svg") && e.tagName !== "text") continue;
        if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
        const style = getComputedStyle(e);
        const colour = parse(e.tagName === "text" ? style.fill : style.color);
        const [a, b] = [light(colour), light(ground(e))].sort((x, y) => y - x);
        const contrast = (a + .05) / (b + .05);
        if (contrast < 4.5) poor.push(e.tagName + "." + e.className + " " + contrast.toFixed(2) + " " + e.textContent.slice(0, 20));
      }
      for (const e of document.querySelectorAll("input:not([type=hidden]), button, a, svg[role=img], section, [role=region]")) {
        const name = e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || (e.labels && e.labels.length) || e.textContent.trim();
        if (!name) poor.push("no name: " + e.outerHTML.slice(0, 80));
      }
      return poor.join("; ");
    })()
    """#
