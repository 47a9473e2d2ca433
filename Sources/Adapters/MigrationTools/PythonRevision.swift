/// What the file of an Alembic revision may say, so that it writes without a database what it does with one.
enum PythonRevision {
    /// A program that parses the file it is given and prints `plain`, or the first thing that is not among what is known: an import of
    /// anything but Alembic's operations, SQLAlchemy and a few modules that know nothing of their surroundings; a name by which a
    /// surrounding is asked; a `try`, as nothing fails where nothing is run.
    static let program = """
        MODULES = {"alembic", "sqlalchemy", "typing", "datetime", "decimal", "uuid", "json", "enum", "textwrap", "re", "math",
                   "collections", "__future__"}
        # Whatever asks a surrounding, or reaches what is not said.
        NAMES = {"getattr", "setattr", "delattr", "hasattr", "vars", "globals", "locals", "dir", "eval", "exec", "compile", "open",
                 "input", "breakpoint", "sys", "os", "environ", "getenv", "argv", "importlib", "builtins", "get_context",
                 "get_bind", "migration_context", "as_sql", "is_offline_mode", "invoke", "run_async", "format_map"}
        # Parts of Alembic and SQLAlchemy that do: other things may have these names.
        PARTS = {"context", "config", "script", "command", "runtime", "util", "ext", "pool", "event", "inspect", "inspection",
                 "engine", "orm", "impl", "bind", "dialect", "create_engine", "create_mock_engine", "Operations", "MigrationContext"}

        def doubt(tree):
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    for name in node.names:
                        parts = name.name.split(".")
                        if parts[0] not in MODULES or parts[0] == "alembic":
                            return node, "import " + name.name
                        if (NAMES | PARTS).intersection(parts):
                            return node, "import " + name.name
                elif isinstance(node, ast.ImportFrom):
                    parts = (node.module or "").split(".")
                    what = "from " + "." * node.level + (node.module or "") + " import " + ", ".join(n.name for n in node.names)
                    if node.level or parts[0] not in MODULES or (NAMES | PARTS).intersection(parts):
                        return node, what
                    if parts[0] == "alembic" and (len(parts) > 1 or any(n.name != "op" for n in node.names)):
                        return node, what
                    if any(n.name in NAMES | PARTS or n.name == "*" for n in node.names):
                        return node, what
                elif isinstance(node, ast.Name):
                    if node.id in NAMES or node.id.startswith("__"):
                        return node, node.id
                elif isinstance(node, ast.Attribute):
                    if node in known:
                        continue
                    isPart = node.attr in PARTS and isinstance(node.value, ast.Name)
                    if node.attr in NAMES or isPart or node.attr.startswith("__"):
                        return node, "." + node.attr
                elif isinstance(node, ast.Try) or type(node).__name__ == "TryStar":
                    return node, "try"
                elif isinstance(node, (ast.AsyncFunctionDef, ast.Await, ast.Global, ast.Nonlocal)):
                    return node, type(node).__name__
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    import re
                    if re.search(r"[{][^{}]*[.\\[][^{}]*[}]", node.value) and formats:
                        return node, "a text that reads attributes when it is formatted"
            return None

        with open(sys.argv[1], "rb") as file:
            tree = ast.parse(file.read())
        formats = any(isinstance(node, ast.Attribute) and node.attr == "format" for node in ast.walk(tree))
        # op.get_context().autocommit_block() is how a statement leaves the transaction.
        known = [node.value.func for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "autocommit_block"
                 and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute)
                 and node.value.func.attr == "get_context"]
        found = doubt(tree)
        if found is None:
            print("plain")
        else:
            print("line %d says %s" % (getattr(found[0], "lineno", 1), found[1]))

        """
}
