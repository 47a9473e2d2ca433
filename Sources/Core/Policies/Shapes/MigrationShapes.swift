internal import SerinModel

/// `migrations:`
let migrationShape: Section = {
    var section = Section(
        fields: [
            Field("alembic", .section(alembicShape), .optional, "Alembic knows the revisions"),
            Field("sql", .section(sqlFolderShape), .optional, "a folder of SQL files, one up and one down a revision"),
            Field("commands", .section(migrationCommandsShape), .optional, "programs of any other tool, without a shell"),
        ] + secretFields("url", "the database's connection string; without one that of 'postgres'") + [
            Field(
                "schema", .word(MigrationPolicy.Schema.allCases.map(\.rawValue)), .fallback("keep"),
                "what becomes of a schema that only grew when the release is taken back; one that the previous version may not "
                    + "survive is always taken back"),
            Field(
                "destructive", .word(MigrationPolicy.Destructive.allCases.map(\.rawValue)), .fallback("refuse"),
                "whether a release may migrate what may destroy data, or cannot be classified; allow needs backup, maintenance, "
                    + "restore and approvals"),
            Field(
                "approvals", .integer(1...10), .fallback("2"),
                "how many different people, the author not among them, agree before data may be destroyed, and before a restore"),
            Field(
                "lock_timeout", .duration(.milliseconds(1)...(.minutes(5))), .fallback("2s"),
                "how long a statement may wait for a lock; readers queue behind it no longer"),
            Field("lock_tries", .integer(1...100), .fallback("10"), "how often a revision is tried that could not get its lock"),
            Field(
                "statement_timeout", .duration(.seconds(1)...(.hours(24))), .fallback("15m"), "how long a statement may run"),
            Field(
                "deadline", .duration(.seconds(10)...(.hours(24))), .fallback("30m"), "for all revisions together, one direction"),
            Field(
                "maintenance", .section(maintenanceShape), .optional,
                "keeps writes away while data is in danger; let in again also after a failure"),
            Field(
                "probes", .list(.section(actionShape), least: 1), .optional,
                "asked one after another once the schema was moved, up or down; each must succeed"),
            Field(
                "restore", .section(actionShape), .optional,
                "takes the schema back to $SERIN_REVISION and brings data from the backup $SERIN_BACKUP, the way $SERIN_RESTORE says: "
                    + "salvage (of the tables $SERIN_TABLES), pointInTime or swap"),
            Field(
                "restore_way", .word(MigrationPolicy.RestoreWay.allCases.map(\.rawValue)), .optional,
                "which way data comes back where there are several, as the plan of the way back shows them with what each loses; without "
                    + "it the one that loses least; point_in_time is there where the rollout's backup is a physical one, and serin plan says "
                    + "beforehand where it is not"),
            Field(
                "contract", .section(contractShape), .optional,
                "asked by serin migrate up --contract before it takes away what the previous version used; with it, serin migrate up "
                    + "ends before the first such revision"),
        ])
    section.exactlyOne = [["alembic", "sql", "commands"]]
    section.atMostOne = [secretKeys("url")]
    section.planned = ["before", "backfill"]
    return section
}()

private let contractShape = Section(
    fields: [
        Field(
            "after", .duration(.zero...(.hours(24 * 365))), .fallback("24h"),
            "how long ago the version that runs must have been promoted"),
        Field("old_version_gone", .section(gateShape), .required, "whether nothing of the previous version runs any more"),
        Field("dual_write", .section(gateShape), .required, "whether the version that runs writes the new form"),
        Field("backfill", .section(gateShape), .required, "whether every row has the new form"),
    ])

private let gateShape = Section(
    fields: [
        Field("query", .text, .optional, "one value, read only, from the database that is migrated: 0 or true is yes"),
        Field("not_needed", .text, .optional, "why it is not asked; it is recorded"),
    ] + callFields + [
        Field("deadline", .duration(.seconds(1)...(.hours(24))), .fallback("5m"), "for a program or a request"),
        Field(
            "env", .list(.scalar(.environmentName), least: 1), .optional,
            "names of the controller's environment variables that 'run' is given"),
    ], exactlyOne: [["query", "not_needed", "run", "http"]])

private let alembicShape = Section(
    fields: [
        Field(
            "config", .text, .required, "its configuration file, like alembic.ini; a relative path begins at the policy's folder"),
        Field("program", .text, .fallback("alembic"), "the program, like /srv/checkout/venv/bin/alembic"),
        Field("directory", .path, .optional, "the folder it is run in; without it the configuration's own"),
    ])

private let sqlFolderShape = Section(
    fields: [
        Field(
            "folder", .text, .required,
            "the folder of NAME.up.sql and NAME.down.sql files; a relative path begins at the policy's folder"),
        Field("table", .text, .fallback("schema_migrations"), "the table that keeps the versions"),
    ])

private let migrationCommandsShape: Section = {
    func program(_ key: String, _ presence: Field.Presence, _ help: String) -> Field {
        Field(key, .list(.scalar(.anyText), least: 1), presence, help)
    }
    return Section(
        fields: [
            program("current", .required, "writes the revision that the database is at, one a line"),
            program("heads", .required, "writes the last revisions that the release brings, one a line"),
            program("up", .required, "applies everything up to {{revision}}"),
            program("down", .optional, "takes back everything above {{revision}}"),
            program("sql", .optional, "writes the SQL of everything pending; without it nothing can be classified"),
            Field(
                "env", .list(.scalar(.environmentName), least: 1), .optional,
                "names of the controller's environment variables that the programs are given besides PATH, HOME and LANG"),
        ])
}()

private let maintenanceShape = Section(
    fields: [
        Field("on", .section(actionShape), .required, "fences writes; its check proves that they are"),
        Field("off", .section(actionShape), .required, "lets writes in again; its check proves that they are"),
    ])
