#!/usr/bin/env python3
"""Stands in for `npx prisma`, `npx typeorm` and `flyway`, whose registries the tests do not reach.

It is called by the scripts of examples/migrations as the tools are. It keeps their tables of versions, does each migration in the
transaction that the tool would, refuses what the tool refuses, and says it in the sentences that the tools document. Called by the
name npx or flyway. Everything else of the tools is not there.
"""
import glob
import os
import re
import subprocess
import sys
import urllib.parse


def psql(sql, url=None):
    """Sends all of it as one query, which the server runs as one transaction unless it says otherwise."""
    words = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"] + ([url] if url else [])
    done = subprocess.run(words + ["-c", sql], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return done.returncode == 0, done.stdout.split(), done.stderr.strip()


def must(sql, url=None):
    worked, rows, said = psql(sql, url)
    if not worked:
        sys.exit(said)
    return rows


def text(value):
    return "'" + value.replace("'", "''") + "'"


def prisma(words):
    url = os.environ["DATABASE_URL"]
    must(
        "CREATE TABLE IF NOT EXISTS _prisma_migrations (id varchar(36) PRIMARY KEY NOT NULL, checksum varchar(64) NOT NULL, "
        "finished_at timestamptz, migration_name varchar(255) NOT NULL, logs text, rolled_back_at timestamptz, "
        "started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count integer NOT NULL DEFAULT 0)",
        url,
    )
    if words[:3] == ["migrate", "resolve", "--rolled-back"]:
        name = words[3]
        must(
            "UPDATE _prisma_migrations SET rolled_back_at = now() "
            f"WHERE migration_name = {text(name)} AND finished_at IS NULL AND rolled_back_at IS NULL",
            url,
        )
        return print(f"Migration {name} marked as rolled back.")
    if words != ["migrate", "deploy"]:
        sys.exit(f"Unknown command {words}")
    failed = must("SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NULL AND rolled_back_at IS NULL", url)
    if failed:
        sys.exit(
            "Error: P3009\n\nmigrate found failed migrations in the target database, new migrations will not be applied.\n"
            f"The `{failed[0]}` migration failed"
        )
    names = sorted(os.path.basename(os.path.dirname(file)) for file in glob.glob("prisma/migrations/*/migration.sql"))
    print(f"{len(names)} migrations found in prisma/migrations\n")
    there = must("SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL", url)
    pending = [name for name in names if name not in there]
    if not pending:
        return print("No pending migrations to apply.")
    for name in pending:
        print(f"Applying migration `{name}`")
        must(f"INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES (gen_random_uuid(), '', {text(name)})", url)
        mine = f"migration_name = {text(name)} AND finished_at IS NULL AND rolled_back_at IS NULL"
        worked, _, said = psql(open(f"prisma/migrations/{name}/migration.sql").read(), url)
        if not worked:
            must(f"UPDATE _prisma_migrations SET logs = {text(said)} WHERE {mine}", url)
            sys.exit(
                "Error: P3018\n\nA migration failed to apply. New migrations cannot be applied before the error is recovered from.\n"
                f"Migration name: {name}\n\nDatabase error:\n{said}"
            )
        must(f"UPDATE _prisma_migrations SET finished_at = now(), applied_steps_count = 1 WHERE {mine}", url)
    print("\nAll migrations have been successfully applied.")


def typeorm(words):
    verb = words[0]
    if words[1:] not in (["--transaction", "each", "-d", "dist/data-source.js"], ["-d", "dist/data-source.js", "--transaction", "each"]):
        sys.exit(f"Unknown arguments: {words}")
    must(
        "CREATE TABLE IF NOT EXISTS migrations (id serial NOT NULL PRIMARY KEY, timestamp bigint NOT NULL, name character varying NOT NULL)"
    )
    migrations = {}
    for file in glob.glob("src/migrations/*.ts"):
        source = open(file).read()
        name = re.search(r"export class (\w+)", source).group(1)
        up, down = source.split("async down")
        migrations[name] = [re.findall(r"queryRunner\.query\(`(.*?)`\)", half, re.S) for half in (up, down)]
    def stamp(name):
        return int(re.search(r"\d{13}$", name).group())
    there = must("SELECT name FROM migrations ORDER BY timestamp, id")
    if verb == "migration:run":
        pending = sorted((name for name in migrations if name not in there), key=stamp)
        if not pending:
            return print("No migrations are pending")
        for name in pending:
            note = f"INSERT INTO migrations (timestamp, name) VALUES ({stamp(name)}, {text(name)})"
            worked, _, said = psql("BEGIN; " + "; ".join(migrations[name][0] + [note]) + "; COMMIT")
            if not worked:
                sys.exit(f'Migration "{name}" failed, error: {said}\nError during migration run:\nQueryFailedError: {said}')
            print(f"Migration {name} has been  executed successfully.")
    elif verb == "migration:revert":
        if not there:
            return print("No migrations were found in the database. Nothing to revert!")
        name = there[-1]
        must("BEGIN; " + "; ".join(migrations[name][1] + [f"DELETE FROM migrations WHERE name = {text(name)}"]) + "; COMMIT")
        print(f"Migration {name} has been  reverted successfully.")
    else:
        sys.exit(f"Unknown command {verb}")


def flyway(words):
    options = dict(word[1:].split("=", 1) for word in words[:-1])
    if words[-1] != "migrate" or options.get("locations") != "filesystem:db/migration":
        sys.exit(f"ERROR: Invalid argument: {words}")
    given = urllib.parse.urlsplit(os.environ["FLYWAY_URL"].removeprefix("jdbc:"))
    asked = {
        {"ApplicationName": "application_name"}.get(name, name): value for name, value in urllib.parse.parse_qsl(given.query)
    }
    user = urllib.parse.quote(os.environ["FLYWAY_USER"])
    query = urllib.parse.urlencode(asked, quote_via=urllib.parse.quote)
    url = f"postgresql://{user}@{given.netloc}{given.path}?{query}"
    must(
        "CREATE TABLE IF NOT EXISTS flyway_schema_history (installed_rank integer NOT NULL PRIMARY KEY, version varchar(50), "
        "description varchar(200) NOT NULL, type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum integer, "
        "installed_by varchar(100) NOT NULL, installed_on timestamp NOT NULL DEFAULT now(), execution_time integer NOT NULL, "
        "success boolean NOT NULL)",
        url,
    )
    def order(version):
        return [int(part) for part in version.split(".")]
    there = must("SELECT version FROM flyway_schema_history WHERE success ORDER BY installed_rank", url)
    files = {os.path.basename(file)[1:].split("__")[0]: file for file in glob.glob("db/migration/V*__*.sql")}
    pending = sorted((v for v in files if v not in there and order(v) <= order(options["target"])), key=order)
    if not pending:
        return print('Schema "public" is up to date. No migration necessary.')
    for version in pending:
        script = os.path.basename(files[version])
        description = script.split("__", 1)[1].removesuffix(".sql").replace("_", " ")
        print(f'Migrating schema "public" to version "{version} - {description}"')
        note = (
            "INSERT INTO flyway_schema_history SELECT coalesce(max(installed_rank), 0) + 1, "
            f"{text(version)}, {text(description)}, 'SQL', {text(script)}, 0, current_user, now(), 0, true FROM flyway_schema_history"
        )
        worked, _, said = psql("BEGIN; " + open(files[version]).read() + ";" + note + "; COMMIT", url)
        if not worked:
            # The server takes back what changes a schema too, so nothing of it is noted.
            sys.exit(f"ERROR: Migration of schema \"public\" to version \"{version} - {description}\" failed! Changes successfully rolled back.\nMessage    : {said}")
    print(f'Successfully applied {len(pending)} migrations to schema "public", now at version v{pending[-1]}')


called = os.path.basename(sys.argv[0])
if called == "npx" and sys.argv[1] == "prisma":
    prisma(sys.argv[2:])
elif called == "npx" and sys.argv[1] == "typeorm":
    typeorm(sys.argv[2:])
elif called == "flyway":
    flyway(sys.argv[1:])
else:
    sys.exit(f"{sys.argv}: not a tool that is played here")
