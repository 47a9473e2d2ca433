import FoundationEssentials
import SerinMigrations
import SerinModel
import SerinPolicies
import SerinPorts
import SerinProcesses
import Testbed
import Testing

@testable import SerinMigrationTools

/// Several tools in one database, and what is compared where nothing is to be done.
@Suite(.serialized, .server) struct SharedDatabaseTests {
    private func scene(_ kind: ToolKind, count: Int) async throws -> MigrationScene {
        try await #require(MigrationServer.current).scene(kind, count: count)
    }

    @Test func eachToolHasRevisionsOfItsOwn() async throws {
        let scene = try await scene(.pairs, count: 1)
        try await scene.up()
        let folder = scene.folder + "-other"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try ToolKind.pairs.add(
            ToolKind.Revision(
                id: "0001", name: "stock", up: "CREATE TABLE public.stock (n int)", down: "DROP TABLE public.stock"),
            to: folder)
        var policy = MigrationPolicy(
            tool: .folder(path: folder, table: "stock_migrations"), lockTimeout: .seconds(2), statementTimeout: .seconds(60),
            lockTries: 4, deadline: .minutes(2))
        policy.schema = .keep
        let other = scene.migrations(for: policy)
        // The other tool's revision of the same name is another one.
        let report = try await other.up(key: "other", from: nil, to: nil, by: .serin, deadline: .minutes(2))
        #expect(report.after.place == "0001" && report.steps.count == 1)
        // Neither takes what the other did for a change of its own files or schema.
        #expect(try await scene.up().steps.isEmpty)
        #expect(try await other.inspect(deadline: .minutes(1)).problems.isEmpty)
        try ToolKind.pairs.add(ToolKind.revisions[1], to: scene.folder)
        #expect(try await scene.up().after.place == "0002")
    }

    @Test func whereNothingIsPendingAChangedSchemaIsRefusedAndTakenAsItIsOnDemand() async throws {
        var scene = try await scene(.pairs, count: 1)
        try await scene.up()
        try await scene.sql("CREATE INDEX hotfix ON orders (amount)")
        let refused = try await scene.failure { try await scene.up() }
        #expect(refused.failure.message.contains("hotfix") && refused.stage == .preflight)
        scene.options.acceptsSchema = true
        #expect(try await scene.up().notes.contains { $0.contains("the schema was taken as it is") })
        scene.options.acceptsSchema = false
        #expect(try await scene.up().steps.isEmpty)
        #expect(try await scene.migrations().inspect(deadline: .minutes(1)).drift == [])
    }

    @Test(arguments: [
        ("import sys", "if '--sql' in sys.argv: pass"), ("import helper", "helper.clean(op)"),
        ("from . import helper", "helper.clean(op)"), ("from alembic import context", "context.is_offline_mode()"),
        ("", "if getattr(op.get_context(), 'as_' + 'sql'): op.execute('SELECT 1')"), ("", "op.get_bind().execute('DELETE')"),
        ("", "try:\n        op.execute('SELECT 1/0')\n    except Exception:\n        op.execute('DELETE FROM orders')"),
        ("", "if '{0.migration_context.as_sql}'.format(op) == 'False': op.execute('DELETE FROM orders')"),
        ("", "op.__class__"), ("import sqlalchemy as sa", "sa.inspect(op)"),
        ("from sqlalchemy.orm import Session", "Session(bind=op).commit()"), ("from alembic.op import get_bind", "get_bind()"),
        ("import sqlalchemy as sa", "sa.event.listen(op, 'commit', print)"), ("from sqlalchemy import *", "pass"),
        ("import sqlalchemy as sa", "sa.create_engine('postgresql://').connect()"), ("import psycopg", "pass"),
        ("", "op.get_context().connection.execute('DELETE FROM orders')"), ("", "op.run_async(print)"),
        ("", "bind = op.get_bind\n    bind().execute('DELETE FROM orders')"), ("", "op.invoke(None)"),
        ("from app.models import Order", "Order.query.delete()"), ("", "exec('op.get_' + 'bind()')"),
    ])
    func aRevisionThatMayAskWhereItRunsIsNotTakenAtItsWord(first: String, body: String) async throws {
        #expect(try await words(first, body).hasPrefix("line "))
    }

    @Test func whatOnlyWritesIsTakenAtItsWord() async throws {
        let table = """
            with op.get_context().autocommit_block():
                    op.create_index("i", "orders", ["event"], postgresql_concurrently=True)
                op.add_column("orders", sa.Column("at", postgresql.TIMESTAMP, server_default=sa.func.now()))
            """
        let first = "import sqlalchemy as sa\nfrom sqlalchemy.dialects import postgresql\nfrom typing import Union"
        #expect(try await words(first, table) == "plain\n")
        let scene = try await scene(.alembic, count: 1)
        let path = scene.folder + "/versions/0002_x.py"
        let python = "from alembic import op\nimport os\nrevision = '0002'\ndown_revision = '0001'\n\ndef upgrade():\n    pass\n"
        try python.write(toFile: path, atomically: true, encoding: .utf8)
        try await scene.place(1)
        let found = try await scene.migrations().inspect(deadline: .minutes(1))
        let up = try #require(found.pending.first?.script.up)
        guard case .unavailable(_, let words, _) = up else {
            Issue.record("\(up)")
            return
        }
        #expect(words.contains("line 2 says import os"), "\(words)")
    }

    private func words(_ first: String, _ body: String) async throws -> String {
        let scratch = try Scratch("serin-python")
        defer { scratch.remove() }
        try scratch.write("r.py", "from alembic import op\n\(first)\n\ndef upgrade():\n    \(body)\n")
        let done = try await Program(
            "/usr/bin/python3", ["-I", "-c", "import ast, sys\n" + PythonRevision.program, scratch.file("r.py")],
            environment: [:], deadline: .seconds(30)
        ).run()
        return done.text
    }
}
