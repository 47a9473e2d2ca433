internal import SerinModel

/// The declaration of a file of identities.
func identityShape() -> Section {
    Section(fields: [Field("version", .integer(1...1), .required, "the version of this format")] + identityFields)
}

/// What can be said of identities, each key by itself.
let identityFields = [
    Field(
        "people",
        .map(
            keys: .name,
            .section(
                Section(fields: [
                    Field(
                        "is", .list(.scalar(.text), least: 1), .required,
                        "the identities by which they come: uid:1000, github:octocat, slack:T1/U2, mtls:CN=anna"),
                    Field(
                        "roles", .list(.scalar(.word(Role.allCases.map(\.rawValue))), least: 1),
                        .derived("releaser and approver"),
                        "what they may do by words in a chat; anyone halts and holds"),
                ])), least: 1), .optional,
        "people, each by one name whatever way they come by: nobody approves alone what they started"),
    Field(
        "issuers", .map(keys: .name, .section(issuerShape), least: 1), .optional,
        "who issues identity tokens that are believed (JWT, OpenID Connect); github and gitlab know their own addresses"),
    Field(
        "certificates",
        .list(
            .section(
                Section(
                    fields: [
                        Field("subject", .text, .optional, "exactly the certificate's subject: CN=deploy,O=Acme"),
                        Field("name", .text, .optional, "one of its alternative names: dns:*.ci.acme.example"),
                        Field("fingerprint", .text, .optional, "exactly its SHA-256 in hexadecimal"),
                    ] + rightFields, exactlyOne: [["subject", "name", "fingerprint"]], atLeastOne: [["roles", "scopes"]])),
            least: 1), .optional, "what holders of client certificates may do; the first that fits decides"),
    Field(
        "local_users",
        .list(
            .section(
                Section(
                    fields: [
                        Field("user", .integer(0...0x7FFF_FFFF), .optional, "a user by number"),
                        Field("group", .integer(0...0x7FFF_FFFF), .optional, "the members of a group by number"),
                    ] + rightFields, exactlyOne: [["user", "group"]], atLeastOne: [["roles", "scopes"]])), least: 1), .optional,
        "what users of this machine may do over the unix socket: the first that fits decides; without any all are approvers"),
]

private let rightFields = [
    Field("roles", .list(.scalar(.word(Role.allCases.map(\.rawValue))), least: 1), .optional, "the roles that it gives"),
    Field(
        "scopes", .list(.scalar(.word(Scope.allCases.map(\.rawValue))), least: 1), .optional, "rights without a role, on backups"),
    Field("projects", .list(.scalar(.text), least: 1), .optional, "the projects to whose backups it is confined"),
    Field(
        "person", .flag, .derived("true for local_users, else false"),
        "whether a person is meant: only people let a release go on"),
]

private let signInShape = Section(
    fields: [
        Field("client_id", .text, .required, "what Serin is called there; it is among the audiences"),
        Field(
            "scopes", .list(.scalar(.text), least: 1), .optional,
            "what is asked for beside openid, where the rules need claims that come only then"),
    ] + secretFields("secret", "the secret that Serin shows there, for a confidential client"),
    atMostOne: [secretKeys("secret")])

private let issuerShape = Section(
    fields: [
        Field("kind", .word(["general", "github", "gitlab"]), .fallback("general"), "whose tokens they are"),
        Field("issuer", .url, .optional, "exactly the tokens' iss; github and gitlab have their own"),
        Field("audiences", .list(.scalar(.text), least: 1), .required, "the audiences of which a token must have one"),
        Field(
            "algorithms", .list(.scalar(.word(["RS256", "ES256", "EdDSA", "HS256"])), least: 1), .derived("RS256"),
            "the ways of signing that are accepted"),
        Field("keys_url", .url, .optional, "where its key set is, when it has no discovery document"),
        Field("key_files", .list(.scalar(.path), least: 1), .optional, "its public keys in PEM, when they cannot be fetched"),
    ] + secretFields("secret", "a secret of 32 bytes or more that is shared with it, for HS256 alone") + [
        Field("person_claim", .text, .derived("sub; actor for github, user_login for gitlab"), "the claim that names the person"),
        Field("types", .list(.scalar(.text), least: 1), .derived("jwt"), "the values of typ that are accepted"),
        Field(
            "sign_in", .section(signInShape), .optional,
            "lets people sign in to the pages there; the address to come back to is https://HOST/sign-in/NAME/back"),
        Field("ca_file", .path, .optional, "authorities to trust instead of the system's when keys are fetched"),
        Field(
            "rules",
            .list(
                .section(
                    Section(
                        fields: [
                            Field(
                                "when",
                                .map(
                                    keys: .text,
                                    .either([
                                        .init("one pattern", .scalar(.text)), .init("patterns", .list(.scalar(.text), least: 1)),
                                    ]), least: 1), .required,
                                "the claims and what each must be; * stands for anything but / and :, ** for anything")
                        ] + rightFields, atLeastOne: [["roles", "scopes"]])), least: 1), .required,
            "what its tokens give; the first that is met decides"),
    ], atMostOne: [["keys_url", "key_files"] + secretKeys("secret")])
