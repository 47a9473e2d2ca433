internal import FoundationEssentials
public import SerinModel
internal import SerinTransport

/// A real Chromium, driven over the WebDriver protocol (W3C) by its own driver.
public final class Browser: Sendable {
    private let driver: ServerProcess
    private let scratch: Scratch
    private let transport: Transport
    private let session: String

    /// Starts a browser without a window.
    private init() async throws {
        for program in ["/usr/bin/chromium", "/usr/bin/chromedriver"] {
            guard FileManager.default.isExecutableFile(atPath: program) else {
                throw Failure(.invalid, "there is no \(program)", hint: "run `make setup`")
            }
        }
        let scratch = try Scratch("serin-browser")
        let port = try freePort()
        let base = "http://127.0.0.1:\(port)"
        let driver = try ServerProcess(
            "/usr/bin/chromedriver", ["--port=\(port)", "--allowed-ips=127.0.0.1"], environment: ["HOME": scratch.path],
            log: scratch.file("driver.log"))
        let transport = try Transport()
        self.scratch = scratch
        self.driver = driver
        self.transport = transport
        try await waitUntil("the driver's start", within: .seconds(60)) {
            guard driver.isRunning else { throw Failure(.invalid, "the driver ended: \(driver.logTail())") }
            return (try? await transport.send(HTTPRequest(url: base + "/status", timeout: .seconds(5))))?.status == 200
        }
        let arguments = [
            "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
            "--window-size=1280,800", "--user-data-dir=\(scratch.file("profile"))",
        ]
        let options = JSONValue.object([
            "binary": .string("/usr/bin/chromium"), "args": .array(arguments.map { .string($0) }),
        ])
        let wanted = JSONValue.object([
            "browserName": .string("chrome"), "goog:chromeOptions": options,
            "goog:loggingPrefs": .object(["browser": .string("ALL")]),
        ])
        let answer = try await Browser.post(
            transport, base + "/session", .object(["capabilities": .object(["alwaysMatch": wanted])]))
        guard let id = answer["sessionId"]?.text else { throw Failure(.invalid, "no session: \(answer.canonicalText)") }
        session = base + "/session/" + id
    }

    /// Ends the browser and its driver.
    private func quit() async {
        // A browser that does not answer is ended with its driver's group.
        _ = try? await transport.send(HTTPRequest(method: "DELETE", url: session, timeout: .seconds(20)))
        driver.stop()
        transport.shutdown()
        scratch.remove()
    }

    /// Has a browser while the body runs.
    public static func open(_ body: (Browser) async throws -> Void) async throws {
        let browser = try await Browser()
        do { try await body(browser) } catch {
            await browser.quit()
            throw error
        }
        await browser.quit()
    }

    /// Opens one of Serin's pages, which asks who one is, and says so with a token. What comes then has to be waited for.
    public func signIn(with token: String, at page: String) async throws {
        try await open(page)
        try await type(token, into: "#token")
        try await click("main button[type=submit]")
    }

    private static func post(_ transport: Transport, _ url: String, _ body: JSONValue) async throws -> JSONValue {
        let answer = try await transport.send(
            HTTPRequest(
                method: "POST", url: url, headers: [HTTPHeader("Content-Type", "application/json")], body: body.canonicalBytes,
                timeout: .seconds(60), bodyLimit: 32 << 20))
        let document = try JSONValue(parsing: answer.body)
        guard answer.status == 200 else {
            throw Failure(.invalid, "the browser says \(answer.status): \(document["value"]?["message"]?.text ?? "")")
        }
        return document["value"] ?? .null
    }

    @discardableResult private func ask(_ path: String, _ body: JSONValue) async throws -> JSONValue {
        try await Browser.post(transport, session + path, body)
    }

    /// Opens an address and waits until it is loaded.
    public func open(_ url: String) async throws { try await ask("/url", .object(["url": .string(url)])) }

    /// What a script returns.
    @discardableResult public func run(_ script: String) async throws -> JSONValue {
        try await ask("/execute/sync", .object(["script": .string(script), "args": .array([])]))
    }

    /// What a script returns, as text.
    public func text(_ expression: String) async throws -> String { try await run("return String(\(expression))").text ?? "" }

    private func element(_ selector: String) async throws -> String {
        let found = try await ask("/element", .object(["using": .string("css selector"), "value": .string(selector)]))
        guard case .object(let members) = found, let id = members.first?.value.text else {
            throw Failure(.invalid, "there is no \(selector)")
        }
        return id
    }

    /// Whether there is such an element.
    public func has(_ selector: String) async throws -> Bool {
        let found = try await ask("/elements", .object(["using": .string("css selector"), "value": .string(selector)]))
        return found.items?.isEmpty == false
    }

    /// Clicks as a person does: only what can be seen can be clicked.
    public func click(_ selector: String) async throws { try await ask("/element/\(element(selector))/click", .object([:])) }

    /// Types into a field.
    public func type(_ text: String, into selector: String) async throws {
        try await ask("/element/\(element(selector))/value", .object(["text": .string(text)]))
    }

    /// Presses a key wherever the focus is: `\u{E004}` is the tabulator, `\u{E007}` is Enter.
    public func press(_ key: String) async throws {
        let strokes = ["keyDown", "keyUp"].map { JSONValue.object(["type": .string($0), "value": .string(key)]) }
        try await ask(
            "/actions",
            .object([
                "actions": .array([.object(["type": .string("key"), "id": .string("keys"), "actions": .array(strokes)])])
            ]))
    }

    /// A command of Chromium's own protocol.
    @discardableResult public func command(_ name: String, _ parameters: JSONValue = .object([:])) async throws -> JSONValue {
        try await ask("/goog/cdp/execute", .object(["cmd": .string(name), "params": parameters]))
    }

    /// A screen of this size.
    public func resize(_ width: Int, _ height: Int, mobile: Bool = false) async throws {
        try await command(
            "Emulation.setDeviceMetricsOverride",
            .object([
                "width": .integer(width), "height": .integer(height), "deviceScaleFactor": .integer(mobile ? 2 : 1),
                "mobile": .bool(mobile),
            ]))
    }

    /// What the reader prefers: `dark` or `light`.
    public func prefer(_ scheme: String) async throws {
        let feature = JSONValue.object(["name": .string("prefers-color-scheme"), "value": .string(scheme)])
        try await command("Emulation.setEmulatedMedia", .object(["features": .array([feature])]))
    }

    /// Turns the pages' scripts off or on.
    public func letScripts(_ on: Bool) async throws {
        try await command("Emulation.setScriptExecutionDisabled", .object(["value": .bool(!on)]))
    }

    /// Everything that the console has complained of since the last question; a page that breaks its own policy complains.
    public func complaints() async throws -> [String] {
        let entries = try await ask("/se/log", .object(["type": .string("browser")])).items ?? []
        return entries.filter { $0["level"]?.text == "SEVERE" || $0["level"]?.text == "WARNING" }
            .compactMap { $0["message"]?.text }
    }

    /// Keeps a picture of the screen, or of the whole page, as build/screenshots/NAME.png.
    public func picture(_ name: String, whole: Bool = false) async throws {
        let answer = try await command(
            "Page.captureScreenshot", .object(["format": .string("png"), "captureBeyondViewport": .bool(whole)]))
        guard let picture = answer["data"]?.text.flatMap({ Data(base64Encoded: $0) }) else {
            throw Failure(.invalid, "the browser gave no picture")
        }
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let folder = "/\(root)/build/screenshots"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try picture.write(to: URL(fileURLWithPath: "\(folder)/\(name).png"))
    }
}
