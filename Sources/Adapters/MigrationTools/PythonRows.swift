/// How a program of Python that works through SQLAlchemy is made to count what it does to rows.
enum PythonRows {
    /// Runs the program in its second argument as its own first line would. Before a transaction is committed, the statement in its
    /// first argument is run in it. Where that is not possible nothing is counted, and the transaction is what it was.
    static let program = """
        import os, runpy, sys

        noting = sys.argv[1]
        sys.argv = sys.argv[2:]
        if sys.path and sys.path[0] == "":
            sys.path[0] = os.path.dirname(sys.argv[0])

        def count(connection):
            fairy = connection.connection
            if getattr(getattr(fairy, "dbapi_connection", fairy), "autocommit", False):
                return
            cursor = fairy.cursor()
            try:
                cursor.execute("SAVEPOINT serin_rows")
                try:
                    cursor.execute("SELECT to_regclass('serin.migration_steps')::text, "
                                   "to_regprocedure('pg_stat_force_next_flush()')::text")
                    steps, flush = cursor.fetchone()
                    if steps is not None:
                        cursor.execute(noting)
                    # What is not handed over at the commit would be counted in the next transaction again.
                    if flush is not None:
                        cursor.execute("SELECT pg_stat_force_next_flush()")
                    cursor.execute("RELEASE SAVEPOINT serin_rows")
                except Exception:
                    cursor.execute("ROLLBACK TO SAVEPOINT serin_rows")
            except Exception:
                pass
            finally:
                cursor.close()

        try:
            from sqlalchemy import event
            from sqlalchemy.engine import Engine
            event.listen(Engine, "commit", count)
        except ImportError:
            # The program says itself what it misses.
            pass
        runpy.run_path(sys.argv[0], run_name="__main__")

        """
}
